"""Unheard: detect speech deepfakes, built for the ones nobody has heard yet."""

__version__ = "0.2.0"
