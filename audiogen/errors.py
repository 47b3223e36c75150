"""The exceptions that audiogen raises on bad input; `AudiogenError` catches them all."""

from __future__ import annotations

__all__ = [
    "AudiogenError",
    "DeviceError",
    "FormatError",
    "MidiError",
    "MissingPackageError",
    "ParameterError",
    "PresetError",
    "ShapeError",
]


class AudiogenError(Exception):
    """Base of all errors that audiogen raises on purpose.

    The message names the argument and its value, what is allowed, and what to do. The command line
    prints it without a traceback.
    """


class ParameterError(AudiogenError, ValueError):
    """An argument is out of range or has the wrong type."""


class ShapeError(AudiogenError, ValueError):
    """An array has the wrong number of dimensions or the wrong shape."""


class FormatError(AudiogenError):
    """A file is truncated, damaged, or of another format."""


class PresetError(FormatError):
    """A preset is missing, incomplete or inconsistent."""


class MidiError(FormatError):
    """A MIDI file cannot be read."""


class MissingPackageError(AudiogenError, ImportError):
    """A Python package or a compiled module that a task needs is not installed."""


class DeviceError(AudiogenError):
    """A device (GPU, sound card, MIDI port) is missing or failed."""
