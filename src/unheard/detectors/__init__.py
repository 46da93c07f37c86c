"""Detectors: `table` lists what can be built, `bundle` loads what was trained or exported.

Importing this, `bundle`, `card`, `exported` or `hub` needs no torch; the others do.
"""
