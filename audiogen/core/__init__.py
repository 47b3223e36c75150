"""Foundations of all parts: atomic file writes, the choice of backend, events and parameters."""
