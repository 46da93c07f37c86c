"""The training loop, recipes, methods, objectives, checkpoints and calibration."""
