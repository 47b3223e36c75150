"""How presets are made: losses, one loop per family of models."""
