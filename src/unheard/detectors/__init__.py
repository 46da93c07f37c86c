"""Detectors: `table` lists what can be built, `bundle` loads what was trained or exported.

Importing this, `bundle` or `exported` needs no torch; everything else in here does.
"""
