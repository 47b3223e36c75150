"""One score, many presets: each General MIDI program is played by a preset and timbre."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from audiogen.core.cores import n_threads
from audiogen.engine.instrument import BLOCK
from audiogen.engine.offline import (
    SharedProgress,
    change_level,
    joined,
    pans,
    pitched_notes,
    sum_of_streams,
)
from audiogen.engine.synth import Synth
from audiogen.errors import ParameterError
from audiogen.notes import Note, Score, as_score
from audiogen.notes.general_midi import sounding_pitch
from audiogen.presets import (
    DRUMS,
    Preset,
    Timbre,
    Voices,
    assign_programs,
    load_preset,
    presets_to_play,
    split_spec,
)

MOST_RATE = 48000  # Hz, of a default render: what higher rates add is inaudible


def render(
    notes: Any,
    voices: Mapping[int | str | None, str] | None = None,
    *,
    sample_rate: int | None = None,
    seed: int = 0,
    stereo: bool | None = None,
    gain_db: float = 0.0,
    normalize: bool = False,
    precision: str = "float32",
    temperature: float | None = None,
    top_p: float | None = None,
    parameters: Mapping[str, Any] | None = None,
    device: str = "cpu",
    progress: Callable[[float], None] | None = None,
) -> np.ndarray:
    """Render a score with a preset and timbre for each of its programs.

    The parts have the balance of the timbres' recordings (``level_db``), as far as that is known,
    and sound at the pitch of the timbre's program (``transpose``).

    Parameters
    ----------
    notes : Score, path of a MIDI file, str, or list of notes
        Whatever `audiogen.notes.as_score` takes.
    voices : dict of int, str or None to str, optional
        ``PRESET`` or ``PRESET:TIMBRE`` for each program, under None for all others, and under
        ``"drums"`` for the percussion channel, whose notes are left out with a warning if that is
        missing. Without ``voices`` the nearest timbre of the installed presets, and their drum kit.
    sample_rate : int, Hz, optional
        Rate of the result; by default `default_rate` of the presets.
    seed : int
        Seed of the notes' random numbers.
    stereo : bool, optional
        Two channels or one; without, two if the score or a drum kit pans.
    gain_db : float, dB
        Change of level.
    normalize : bool
        Bring the peak to full scale before the gain.
    precision : str
        Precision of the networks' arithmetic, as `Synth` takes it.
    temperature, top_p : float, optional
        Sampling of the presets that are SampleRNNs; theirs without.
    parameters : dict of str to float, optional
        Values of parameters and macros, as `Synth.set` takes them. A preset that lacks one plays
        without it; at least one must have it.
    device : str
        ``cpu``; or ``cuda`` or ``cuda:N``, a GPU that computes the frames of all notes of the
        GANSynth presets in batches. In a score with both kinds, SampleRNNs play on the CPU; a score
        with SampleRNNs only raises ParameterError.
    progress : callable, optional
        Receives the share that is done, 0 to 1.

    Returns
    -------
    ndarray [n_samples] or [n_samples, 2], float32
        Full scale is 1; more is not clipped. From the start of the score to the end of the sound;
        without any sound to the last key's release.

    Raises
    ------
    PresetError, MidiError, ParameterError

    Examples
    --------
    >>> import audiogen
    >>> audiogen.render("C4:0.2 E4", {None: "plucked:harp"}).ndim
    1
    """
    blocks = stream(
        notes,
        voices,
        sample_rate=sample_rate,
        seed=seed,
        stereo=stereo,
        precision=precision,
        temperature=temperature,
        top_p=top_p,
        parameters=parameters,
        device=device,
        progress=progress,
    )
    samples = joined(blocks, 2 if stereo else 0)
    return change_level(samples, gain_db, normalize)


def stream(
    notes: Any,
    voices: Mapping[int | str | None, str] | None = None,
    block: int = BLOCK,
    *,
    sample_rate: int | None = None,
    seed: int = 0,
    stereo: bool | None = None,
    precision: str = "float32",
    temperature: float | None = None,
    top_p: float | None = None,
    parameters: Mapping[str, Any] | None = None,
    device: str = "cpu",
    progress: Callable[[float], None] | None = None,
) -> Iterator[np.ndarray]:
    """The samples of `render` as they are made.

    Parameters
    ----------
    block : int, samples
        1 to 1024, made at once.
    notes, voices, sample_rate, seed, stereo, precision, temperature, top_p, parameters
        Arguments of `render`.
    device, progress
        Arguments of `render`.

    Returns
    -------
    iterator of ndarray [n_samples] or [n_samples, 2], float32
    """
    score = as_score(notes)
    parts = parts_of(score, voices)
    specs = [split_spec(voice) for voice in parts]
    presets = {name: load_preset(name) for name in dict(specs)}
    is_stereo = is_panned(score, parameters, presets.values()) if stereo is None else bool(stereo)
    # The sampling of SampleRNNs; without any, the first preset says that it does not support it.
    any_drawn = any(preset.kind == "samplernn" for preset in presets.values())
    # Likewise of a device without any GANSynth.
    any_frames = any(preset.kind == "gansynth" for preset in presets.values())
    sampling: dict[str, Any] = {"temperature": temperature, "top_p": top_p}
    synths = {
        name: Synth(
            preset,
            seed=seed,
            precision=precision,
            device=device if preset.kind == "gansynth" or not any_frames else "cpu",
            **(sampling if preset.kind == "samplernn" or not any_drawn else {}),
        )
        for name, preset in presets.items()
    }
    set_parameters(list(synths.values()), parameters or {})
    rate = sample_rate or default_rate(presets.values())
    timbres = [_timbre(presets[name], timbre) for name, timbre in specs]
    gains = _gains([timbre.level_db if timbre else None for timbre in timbres])
    shared = SharedProgress(progress or _ignore, list(map(len, parts.values())))
    streams: list[Iterator[np.ndarray]] = []
    threads, n_notes = n_threads(), max(1, sum(map(len, parts.values())))
    for number, ((name, timbre), score) in enumerate(zip(specs, parts.values(), strict=True)):
        stream = synths[name].stream(
            block,
            _sounding(score, timbres[number]),
            sample_rate=rate,
            timbre=timbre,
            stereo=is_stereo,
            progress=shared.part(number),
            threads=max(1, round(threads * len(score) / n_notes)),
        )
        streams.append(_at_level(stream, gains[number]))
    return shared.watched(sum_of_streams(streams, block, 2 if is_stereo else 0, threads))


def default_rate(presets: Iterable[Preset]) -> int:
    """Sample rate at which presets are rendered by default, Hz: their highest, at most 48000."""
    return min(max(preset.sample_rate for preset in presets), MOST_RATE)


def is_panned(
    score: Score, parameters: Mapping[str, Any] | None, presets: Iterable[Preset]
) -> bool:
    """Whether a score's controls, parameters or a drum kit move notes away from the middle."""
    return pans(score, presets) or any((parameters or {}).get(name) for name in ("pan", "spread"))


def set_parameters(synths: Sequence[Synth], parameters: Mapping[str, Any]) -> None:
    """Set parameters and macros of those synths that have them.

    Raises
    ------
    ParameterError
        For a parameter that none of them has, or a value out of range.
    """
    for name, value in parameters.items():
        having = [synth for synth in synths if name in {row.name for row in synth.parameters}]
        for synth in having or synths:
            if not having:
                synth.get(name)  # raises if it is no parameter at all
                raise ParameterError(
                    f"{name} is not supported by preset {synth.name!r}; it has"
                    f" {', '.join(row.name for row in synth.parameters)}"
                )
            synth.set(name, value)


def voices_of(score: Score, voices: Mapping[int | str | None, str]) -> Voices:
    """The voices that play a score, by its programs and `presets.DRUMS`.

    Raises
    ------
    ParameterError
        If it has only drum notes, and no drum kit plays them.
    """
    used: Voices = {n: voices.get(n, voices[None]) for n in score.programs}
    if DRUMS in voices and any(note.is_drum for note in score.notes):
        used[DRUMS] = voices[DRUMS]
    if not used:
        pitched_notes(score)  # raises
    return used


def parts_of(
    score: Score, voices: Mapping[int | str | None, str] | None = None
) -> dict[str, Score]:
    """Divide a score by voice: return the notes that each ``PRESET:TIMBRE`` plays in `render`."""
    if voices is None:
        voices = assign_programs(score.programs, presets_to_play())
    if DRUMS not in voices:
        score = pitched_notes(score)
    notes: dict[str, list[Note]] = {}
    for note in score.notes:
        voice = voices[DRUMS] if note.is_drum else voices.get(note.program, voices.get(None))
        if voice is None:
            raise ParameterError(
                f"voices has nothing for program {note.program}; name it, or None for all others"
            )
        notes.setdefault(voice, []).append(note)
    return {voice: Score(part, score.controls) for voice, part in notes.items()}


def _timbre(preset: Preset, name: str | None) -> Timbre | None:
    """The timbre that plays a part; None if it is a latent or a mix."""
    name = name or preset.default_timbre or (preset.timbre_names or [""])[0]
    return next((timbre for timbre in preset.timbres if timbre.name == name), None)


def _sounding(score: Score, timbre: Timbre | None) -> Score:
    """The notes of a part at their sounding pitch: those whose program's family is the timbre's."""
    if timbre is None or timbre.program is None:
        return score
    shift, step = timbre.transpose or 0, timbre.semitones_per_key
    if not shift and step is None:
        return score
    step, family = 1.0 if step is None else step, timbre.program // 8
    notes = [
        note.at_pitch(_folded(sounding_pitch(note.pitch, shift, step)))
        if note.program // 8 == family and not note.is_drum
        else note
        for note in score.notes
    ]
    return Score(notes, score.controls)


def _folded(pitch: float) -> float:
    """A pitch moved by octaves into the range of MIDI numbers, as the engine does live."""
    while pitch < 0:
        pitch += 12
    while pitch > 127:
        pitch -= 12
    return pitch


def _gains(levels_db: Sequence[float | None]) -> list[float]:
    """Gains that give parts the balance of their recordings; the loudest part has 1.

    Parts of unknown level are as loud as the others on average.
    """
    known = [level for level in levels_db if level is not None]
    if not known:
        return [1.0] * len(levels_db)
    mean = sum(known) / len(known)
    levels = [mean if level is None else level for level in levels_db]
    return [10.0 ** ((level - max(levels)) / 20.0) for level in levels]


def _at_level(stream: Iterator[np.ndarray], gain: float) -> Iterator[np.ndarray]:
    return stream if gain == 1.0 else (np.float32(gain) * samples for samples in stream)


def _ignore(share: float) -> None:
    """Ignore the progress."""
