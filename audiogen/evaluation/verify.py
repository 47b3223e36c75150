"""Whether a preset is whole: its fields, weights and previews, and what is heard of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from audiogen.audio.pitch import Tracker, cents_error, note_pitch
from audiogen.errors import FormatError, MissingPackageError, PresetError
from audiogen.presets import (
    PREVIEW_PICTURE,
    PREVIEW_SOUND,
    TOML_NAME,
    WEIGHTS_NAME,
    Preset,
    check_fields,
    find_faults,
    find_preset,
    load_preset,
    read_fields,
    weight_faults,
)

# What a folder of data may hold; nothing that could be run.
SUFFIXES = {
    ".toml",
    ".safetensors",
    ".flac",
    ".wav",
    ".ogg",
    ".png",
    ".jpg",
    ".md",
    ".txt",
    ".json",
}
PITCHES = (60, 64, 67, 72)  # that timbres play, one after the other
NOTE_S, TEXTURE_S = 1.0, 2.0
QUIETEST = 1e-3  # peak of what isn't silent, -60 dBFS
MOST_CLIPPED = 1e-3  # share of samples over full scale
IN_TUNE_CENTS = 50.0
LEAST_IN_TUNE = 0.5  # of the timbres; bells may lead a tracker astray, half of a preset may not


@dataclass
class Verification:
    """What was found.

    Parameters
    ----------
    folder : Path
    faults : list of str
        A sentence each, beginning with the file or the timbre; none if all is well.
    plays_notes : bool
    n_heard : int
        Timbres, or textures, that were rendered.
    n_in_tune, n_pitched : int
        Timbres within 50 cents of the pitch asked for by one of two trackers, and those in which a
        tracker found any.
    """

    folder: Path
    faults: list[str] = field(default_factory=list)
    plays_notes: bool = False
    n_heard: int = 0
    n_in_tune: int = 0
    n_pitched: int = 0

    @property
    def in_tune(self) -> float:
        """Share of the timbres that were heard."""
        return self.n_in_tune / max(1, self.n_heard)


def verify_preset(
    name_or_path: str | os.PathLike[str],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Verification:
    """Check all of a preset's files, then render a note of each timbre, or 2 s of texture.

    Parameters
    ----------
    name_or_path : str or path
        As `load_preset` takes it.
    progress : callable
        Gets sounds heard and sounds in all.

    Returns
    -------
    Verification

    Raises
    ------
    PresetError
        If there is no such preset.
    """
    folder = find_preset(name_or_path)
    result = Verification(folder)
    try:
        fields = read_fields(folder / TOML_NAME)
    except PresetError as error:
        result.faults.append(str(error).removeprefix(f"{folder}{os.sep}"))
        return result
    result.faults += [f"{TOML_NAME}: {fault}" for fault in find_faults(fields)]
    if not result.faults:
        preset = check_fields(fields)
        faults = weight_faults(folder / WEIGHTS_NAME, preset.network)
        result.faults += [f"{WEIGHTS_NAME}: {fault}" for fault in faults]
    playable = not result.faults
    result.faults += _file_faults(folder)
    if playable:
        _listen(load_preset(folder), result, progress)
    return result


def _file_faults(folder: Path) -> Iterator[str]:
    for path in sorted(folder.iterdir()):
        if not path.is_file() or path.suffix.lower() not in SUFFIXES:
            yield f"{path.name}: isn't data of a preset; take it out"
    yield from _sound_faults(folder / PREVIEW_SOUND)
    picture = folder / PREVIEW_PICTURE
    if not picture.is_file():
        yield f"{picture.name}: is missing; draw one with `audiogen render --plot`"
    elif fault := _picture_fault(picture):
        yield f"{picture.name}: {fault}"


def _sound_faults(path: Path) -> Iterator[str]:
    from audiogen.audio.files import read_channels

    if not path.is_file():
        yield f"{path.name}: is missing; make one with `audiogen render`"
        return
    try:
        samples, _ = read_channels(path)
    except FormatError as error:
        yield f"{path.name}: {str(error).removeprefix(f'{path}: ')}"
        return
    if np.abs(samples).max() < QUIETEST:
        yield f"{path.name}: is silent; make it anew"


def _picture_fault(path: Path) -> str:
    from matplotlib import image

    try:
        pixels = image.imread(path)
    except (OSError, SyntaxError, ValueError) as error:
        return f"can't be read as a picture ({error}); draw it anew"
    return "" if pixels.size else "is empty; draw it anew"


def _listen(preset: Preset, result: Verification, progress: Callable[[int, int], None]) -> None:
    from audiogen.engine import Synth, Texture

    if not preset.plays_notes:
        texture = Texture(preset)
        timbres: list[str | None] = [*texture.timbres] or [None]
        for i, timbre in enumerate(timbres):
            made = texture.generate(TEXTURE_S, seed=0, timbre=timbre)
            what = "texture" if timbre is None else f"timbre {timbre}"
            result.faults += [f"{what}: {fault}" for fault in _sounding_faults(made)]
            result.n_heard += 1
            progress(i + 1, len(timbres))
        return
    synth = Synth(preset)
    result.plays_notes = True
    assert preset.pitch_range is not None
    low, high = preset.pitch_range
    for i, timbre in enumerate(synth.timbres):
        pitch = min(max(PITCHES[i % len(PITCHES)], low), high)
        made = synth.render([(0.0, NOTE_S, pitch, 0.8)], timbre=timbre)
        faults = list(_sounding_faults(made))
        result.faults += [f"timbre {timbre}: {fault}" for fault in faults]
        result.n_heard += 1
        if not faults:
            errors = list(_cents(made, preset.sample_rate, pitch))
            result.n_pitched += bool(errors)
            result.n_in_tune += any(error <= IN_TUNE_CENTS for error in errors)
        progress(i + 1, len(synth.timbres))
    if result.in_tune < LEAST_IN_TUNE:
        result.faults.append(
            f"pitch: {result.n_in_tune} of {result.n_heard} timbres are within half a semitone of"
            f" the pitch asked for; {LEAST_IN_TUNE:.0%} are wanted: train longer"
        )


def _sounding_faults(samples: np.ndarray) -> Iterator[str]:
    if not np.isfinite(samples).all():
        yield "has samples that are NaN or infinite; train it again"
        return
    peak = float(np.abs(samples).max(initial=0.0))
    clipped = float(np.mean(np.abs(samples) > 1.0)) if len(samples) else 0.0
    if peak < QUIETEST:
        yield "is silent; train it longer"
    if clipped > MOST_CLIPPED:
        yield (
            f"is too loud: {clipped:.1%} of its samples are over full scale, the peak is"
            f" {20 * np.log10(peak):+.1f} dBFS; train it on quieter sound"
        )


def _cents(samples: np.ndarray, sample_rate: int, pitch: float) -> Iterator[float]:
    """How far a note is off by each tracker that hears a pitch; by the first if that is near.

    Where an upper partial is the strongest, one tracker may take a twelfth below for the pitch.
    """
    trackers: tuple[Tracker, ...] = ("praat", "pyin")
    for tracker in trackers:
        try:
            found = note_pitch(samples, sample_rate, note_on_s=NOTE_S, tracker=tracker)
        except MissingPackageError:
            continue
        if not np.isnan(found):
            yield (error := abs(float(cents_error(found, pitch))))
            if error <= IN_TUNE_CENTS:
                return
