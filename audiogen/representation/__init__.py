"""Conversions between waveforms and the forms that networks receive, in inverse pairs."""
