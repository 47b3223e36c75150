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

    The message names the argument, what came, what was wanted, and what to do; the command line
    prints it alone, without a traceback.
    """


class ParameterError(AudiogenError, ValueError):
    """A value is outside what a function can work with."""


class ShapeError(AudiogenError, ValueError):
    """An array has the wrong number of dimensions or the wrong sizes."""


class FormatError(AudiogenError):
    """A file is not what it should be: truncated, damaged, or of another kind."""


class PresetError(FormatError):
    """A preset is missing, incomplete or contradicts itself."""


class MidiError(FormatError):
    """A MIDI file cannot be read."""


class MissingPackageError(AudiogenError, ImportError):
    """A task needs a Python package, or a compiled part, that is not installed."""


class DeviceError(AudiogenError):
    """A device (GPU, sound card, MIDI port) is absent or refused to work."""
