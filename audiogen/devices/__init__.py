"""Sound cards and MIDI ports."""
