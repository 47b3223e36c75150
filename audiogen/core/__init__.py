"""What every part stands on: atomic file writes, the choice of backend, events and parameters."""
