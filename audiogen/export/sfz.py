"""A preset sampled for every sampler: sound files and SFZ instruments.

The samples are the engine's renders. Each timbre is an instrument; a drum kit is a single one.

A note that sustains gets a loop of whole periods: the engine integrates the phase of the pitch that
it is given, so the length of a period is known. The end of the loop is faded into the sound before
its beginning, which makes the seam continuous.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiogen.core.atomic_write import folder_written_whole
from audiogen.core.checks import check_rate, check_seed, check_whole
from audiogen.engine import Synth
from audiogen.errors import ParameterError
from audiogen.notes import pitch_name
from audiogen.presets import GansynthPreset, Preset, Timbre

FORMATS = {"flac": "PCM_24", "wav": "PCM_24"}
HOLD_S = 4.0  # of a note that loops
LONGEST_S = 12.0  # of a note that decays by itself
DECAY_DB = 6.0  # a note whose level falls more than this per second is not looped
LOOP_FROM_S, LOOP_S, FADE_S = 1.0, (0.5, 2.5), 0.1  # where a loop may begin, its length, its fade
AFTER_LOOP = 64  # samples behind the loop's end, which samplers interpolate with
SILENCE_DB = -72.0  # below the loudest part of a note, where it is cut
LEVEL_S = 0.05  # window in which levels are measured
PEAK = 0.99  # of the loudest sample of a timbre

Samples = NDArray[np.float32]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class SfzOptions:
    """Which notes are sampled, and into which files.

    Parameters
    ----------
    timbres : tuple of str
        Names of timbres, each an instrument or a drum of a kit; all of the preset without.
    step : int, semitones
        Distance of the sampled keys, 1 to 12; not used for a drum kit.
    velocities : int
        Velocity layers, 1 to 8.
    round_robins : int
        Samples of each key and layer, which take turns and differ in their seed, 1 to 8.
    sample_rate : int, Hz
        Rate of the files.
    file_format : str
        ``flac`` or ``wav``, both with 24 bits.
    seed : int
        Seed of the first round robin.

    Raises
    ------
    ParameterError
        If a value is out of range.
    """

    timbres: tuple[str, ...] = ()
    step: int = 4
    velocities: int = 3
    round_robins: int = 1
    sample_rate: int = 44100
    file_format: str = "flac"
    seed: int = 0

    def __post_init__(self) -> None:
        check_whole("step", self.step, 1, 12, "semitones")
        check_whole("velocities", self.velocities, 1, 8)
        check_whole("round_robins", self.round_robins, 1, 8)
        check_rate(self.sample_rate)
        check_seed(self.seed)
        if self.file_format not in FORMATS:
            raise ParameterError(
                f"file_format={self.file_format!r} must be one of {', '.join(FORMATS)}"
            )


@dataclass(frozen=True)
class Loop:
    """A loop of a note.

    Parameters
    ----------
    start : int
        First sample of the loop.
    end : int
        First sample behind it; the sample before it is followed by the one at ``start``.
    """

    start: int
    end: int


@dataclass(frozen=True)
class Region:
    """One sampled note.

    Parameters
    ----------
    key : int
        MIDI number of the sampled pitch.
    keys, velocities : (int, int)
        Lowest and highest key, and MIDI velocity, that play it.
    turn : int
        Position among the round robins, from 0.
    samples : array [n_samples], float32
        Sound of the note.
    loop : Loop, optional
        Loop of a note that sustains.
    release_s : float, s
        Time in which the engine's release falls silent.
    drum : Timbre, optional
        The drum of a kit, for its pan and group.
    vibrato : list of float, optional
        Depth (cents), rate (Hz) and rise (s) of a vibrato that the sample doesn't have, and depth
        (dB) and phase (degrees) of its tremolo.
    semitones_per_key : float
        Semitones from key to key.
    plays_to_end : bool
        Whether it plays to its end, whatever the note-off.
    tuning_cents : float, cents
        Change of the sample's pitch at ``key``.
    """

    key: int
    keys: tuple[int, int]
    velocities: tuple[int, int]
    turn: int
    samples: Samples
    loop: Loop | None
    release_s: float
    drum: Timbre | None = None
    vibrato: list[float] | None = None
    semitones_per_key: float = 1.0
    plays_to_end: bool = False
    tuning_cents: float = 0.0


def layers(n: int) -> list[tuple[int, int]]:
    """Lowest and highest MIDI velocity of each of n layers.

    Examples
    --------
    >>> layers(3)
    [(1, 42), (43, 85), (86, 127)]
    """
    edges = [1 + round(127 * i / n) for i in range(n)] + [128]
    return [(low, high - 1) for low, high in pairwise(edges)]


def instruments(preset: Preset, options: SfzOptions, kind: str) -> tuple[list[str], int]:
    """Names of the instruments to sample, and how many samples all of them have.

    Parameters
    ----------
    preset : Preset
        A preset that plays notes.
    options : SfzOptions
        Which timbres.
    kind : str
        The format, for a message.

    Returns
    -------
    names : list of str
        The timbres; of a drum kit the name of the preset.
    n_samples : int

    Raises
    ------
    ParameterError
        If the preset is unconditional.
    PresetError
        If it has no such timbre.
    """
    if preset.pitch_range is None:
        raise ParameterError(
            f"{kind} is not supported by preset {preset.name!r}, which is unconditional and has no"
            " keys to sample; choose a preset that plays notes"
        )
    timbres = chosen_timbres(preset, options)
    n_layers = options.velocities * options.round_robins
    if preset.is_kit:
        return [preset.name], len(timbres) * n_layers
    lowest, highest = preset.pitch_range
    n_keys = len(key_ranges(lowest, highest, options.step))
    return [timbre.name for timbre in timbres], len(timbres) * n_keys * n_layers


def chosen_timbres(preset: Preset, options: SfzOptions) -> list[Timbre]:
    """The timbres of the options; all of the preset if they name none."""
    names = dict.fromkeys(options.timbres)  # each once
    return [preset.timbre(name) for name in names] or list(preset.timbres)


def constant_power_pan(pan: float) -> tuple[float, float]:
    """Position and gain by which a sampler's constant-power law gives the engine's balance law.

    Parameters
    ----------
    pan : float
        Pan in the engine, -1 to 1: the farther channel fades, and the nearer one stays.

    Returns
    -------
    position : float
        Pan in the sampler, -1 to 1.
    gain : float
        Gain relative to a sound in the middle.

    Examples
    --------
    >>> constant_power_pan(0.0), constant_power_pan(1.0)
    ((0.0, 1.0), (1.0, 0.7071067811865476))
    """
    left, right = min(1.0, 1.0 - pan), min(1.0, 1.0 + pan)
    position = float(np.arctan2(right, left) * 4.0 / np.pi - 1.0)
    return position, float(np.sqrt((left * left + right * right) / 2.0))


def key_ranges(lowest: int, highest: int, step: int) -> list[tuple[int, int, int]]:
    """Sampled key, lowest and highest key that plays it; all keys of 0 to 127 are covered.

    Examples
    --------
    >>> key_ranges(40, 47, 4)
    [(40, 0, 42), (44, 43, 45), (47, 46, 127)]
    """
    keys = [*range(lowest, highest, step), highest]
    if len(keys) > 2 and keys[-1] - keys[-2] <= step // 2 - 1:
        del keys[-2]
    bounds = [0, *((a + b) // 2 + 1 for a, b in pairwise(keys)), 128]
    return [(key, low, high - 1) for key, low, high in zip(keys, bounds, bounds[1:], strict=False)]


def find_loop(samples: Samples, sample_rate: int, pitch: float) -> tuple[Samples, Loop] | None:
    """Make a loop of whole periods in the sustain of a note.

    Parameters
    ----------
    samples : array [n_samples], float32
        A held note.
    sample_rate : int, Hz
        Rate of the samples.
    pitch : float, MIDI number
        Pitch of the note.

    Returns
    -------
    samples : array, float32
        The note up to `AFTER_LOOP` samples behind the loop, its level evened within the loop.
    loop : Loop
        The loop. None in place of both if the note is too short or decays.
    """
    period = sample_rate / (440.0 * 2.0 ** ((pitch - 69.0) / 12.0))
    fade = round(FADE_S * sample_rate)
    start = round(LOOP_FROM_S * sample_rate)
    window = max(round(LEVEL_S * sample_rate), round(2 * period))
    shortest = max(round(LOOP_S[0] * sample_rate), fade + window)
    longest = min(round(LOOP_S[1] * sample_rate), len(samples) - start - window)
    if longest <= shortest:
        return None
    before, after = _level_db(samples, start, window), _level_db(samples, start + longest, window)
    if before - after > DECAY_DB * longest / sample_rate or after < -100.0:
        return None
    # Whole periods that are nearly whole samples; the one whose end resembles its beginning most.
    lengths = np.round(np.arange(np.ceil(shortest / period), longest / period) * period)
    at_start = samples[start - fade : start + window].astype(np.float64)
    best, length = -2.0, 0
    for candidate in lengths.astype(int):
        at_end = samples[start + candidate - fade : start + candidate + window]
        likeness = float(at_start @ at_end) / (
            float(np.linalg.norm(at_start) * np.linalg.norm(at_end)) + 1e-20
        )
        if likeness > best:
            best, length = likeness, int(candidate)
    end = start + length
    out = samples[: end + AFTER_LOOP].astype(np.float64)
    # The level at the end becomes that at the beginning, by a gain that is 1 before the loop.
    gain_db = _level_db(samples, start - fade, fade) - _level_db(samples, end - fade, fade)
    ramp = np.clip(np.arange(len(out) - start + fade) / length, 0.0, 1.0)
    out[start - fade :] *= 10.0 ** (np.clip(gain_db, -12.0, 12.0) * ramp / 20.0)
    # Constant gain where both are alike, constant power where they are not.
    x = (np.arange(fade) + 1.0) / (fade + 1.0)
    a, b = np.cos(0.5 * np.pi * x), np.sin(0.5 * np.pi * x)
    norm = np.sqrt(a * a + b * b + 2.0 * max(best, 0.0) * a * b)
    out[end - fade : end] = (a * out[end - fade : end] + b * out[start - fade : start]) / norm
    out[end:] = out[start : start + AFTER_LOOP]
    return out.astype(np.float32), Loop(start, end)


def seam_step(samples: Samples, loop: Loop) -> tuple[float, float]:
    """Largest second difference across the seam of a loop, and elsewhere in the loop.

    Parameters
    ----------
    samples : array [n_samples], float32
        The note.
    loop : Loop
        Its loop.

    Returns
    -------
    seam, elsewhere : float
        A click is a second difference at the seam that is larger than elsewhere.
    """
    body = samples[loop.start : loop.end].astype(np.float64)
    bends = np.abs(np.diff(np.concatenate((body, body)), n=2))
    at = len(body)
    seam = slice(at - 4, at + 2)
    elsewhere = np.delete(bends[: len(body) + at // 2], np.r_[seam])
    return float(bends[seam].max()), float(elsewhere.max())


def sample_instrument(
    synth: Synth, name: str, options: SfzOptions, progress: Callable[[], None] | None = None
) -> list[Region]:
    """Render the samples of one instrument.

    Parameters
    ----------
    synth : Synth
        Synth at the rate of the options.
    name : str
        One of the `instruments`.
    options : SfzOptions
        Keys, layers and files.
    progress : callable, optional
        Called after each sample.

    Returns
    -------
    list of Region
    """
    sample = _sample_kit(synth, options) if synth.preset.is_kit else _sample(synth, name, options)
    regions = []
    for region in sample:
        regions.append(region)
        if progress is not None:
            progress()
    return regions


def _sample_kit(synth: Synth, options: SfzOptions) -> Iterator[Region]:
    for drum in sorted(chosen_timbres(synth.preset, options), key=lambda drum: drum.key or 0):
        key = drum.key or 0
        gain = np.float32(constant_power_pan(drum.pan or 0.0)[1])
        for layer in layers(options.velocities):
            for turn in range(options.round_robins):
                hit = [(0.0, 0.1, key, sum(layer) / 2 / 127)]
                samples = gain * _cut(synth.render(hit, seed=options.seed + turn, stereo=False))
                to_end_s = len(samples) / options.sample_rate
                yield Region(
                    *(key, (key, key), layer, turn, samples, None, to_end_s, drum),
                    plays_to_end=True,
                )


def tremolo_in_phase(vibrato: list[float]) -> float:
    """Part of a tremolo in phase with its vibrato, -10 to 10 dB; the LFOs start together."""
    if len(vibrato) < 5:
        return 0.0
    in_phase = vibrato[3] * math.cos(math.radians(vibrato[4]))
    return round(min(max(in_phase, -10.0), 10.0), 1)  # the range of the opcode


def _sample(synth: Synth, timbre: str, options: SfzOptions) -> Iterator[Region]:
    rate = options.sample_rate
    lowest, highest = synth.preset.pitch_range or (60, 60)
    vibrato: list[float] | None = None
    own = next((each for each in synth.preset.timbres if each.name == timbre), None)
    if own is not None and own.z and own.vibrato is not None:  # which a loop would break
        vibrato = own.vibrato
        steady = [replace(each, vibrato=None) for each in synth.preset.timbres]
        synth = Synth(replace(synth.preset, timbres=steady), rate, options.seed)
    to_end = isinstance(synth.preset, GansynthPreset) and synth.preset.sustain is None
    for key, low, high in key_ranges(lowest, highest, options.step):
        for layer in layers(options.velocities):
            for turn in range(options.round_robins):
                velocity = sum(layer) / 2 / 127
                seed = options.seed + turn
                held = synth.render(
                    [(0.0, HOLD_S, key, velocity)], seed=seed, timbre=timbre, stereo=False
                )
                release_s = _release_s(held, rate)
                found = None if to_end else find_loop(held[: round(HOLD_S * rate)], rate, key)
                if found is None:
                    note = [(0.0, LONGEST_S, key, velocity)]
                    rest = synth.render(note, seed=seed, timbre=timbre, stereo=False)
                    samples, loop = _cut(rest), None
                else:
                    samples, loop = found
                yield Region(
                    *(key, (low, high), layer, turn, samples, loop, release_s),
                    vibrato=vibrato,
                    plays_to_end=to_end,
                )


def export_sfz(
    preset: Preset,
    folder: str | os.PathLike[str],
    options: SfzOptions | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Sample a preset that plays notes into a folder of SFZ instruments.

    Parameters
    ----------
    preset : Preset
        A preset that plays notes.
    folder : path
        Folder to write; it must not exist yet.
    options : SfzOptions, optional
        Keys, layers and files; the defaults of `SfzOptions` without.
    progress : callable, optional
        Receives the number of samples that are done, and of all.

    Returns
    -------
    list of Path
        The ``.sfz`` files, one for each timbre, or one for a drum kit.

    Raises
    ------
    ParameterError
        If the preset is unconditional, or the folder exists.
    PresetError
        If the preset has no such timbre.
    """
    options = options or SfzOptions()
    names, total = instruments(preset, options, "sfz")
    synth = Synth(preset, options.sample_rate, options.seed)
    done = 0

    def count() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    target = Path(folder)
    with folder_written_whole(target) as temporary:
        for name in names:
            regions = sample_instrument(synth, name, options, count)
            _write_instrument(temporary, preset, name, regions, options)
    return [target / f"{name}.sfz" for name in names]


def _write_instrument(
    folder: Path, preset: Preset, instrument: str, regions: list[Region], options: SfzOptions
) -> None:
    import soundfile

    peak = max(float(np.abs(region.samples).max(initial=0.0)) for region in regions)
    gain = min(1.0, PEAK / max(peak, 1e-9))
    (folder / instrument).mkdir()
    lines = [
        f"// {instrument} of the preset {preset.name}, sampled by audiogen."
        f" Licence: {preset.licence}.",
        # The layers have the engine's levels; a sampler's own velocity curve would act twice.
        f"<global> amp_veltrack=0 volume={-20.0 * np.log10(gain) + 0.0:.2f}",
    ]
    for region in regions:
        low, high = region.velocities
        velocity = f"v{low}" if options.velocities > 1 else ""
        turn = f"r{region.turn + 1}" if options.round_robins > 1 else ""
        name = "-".join(filter(None, (f"{region.key:03}", velocity, turn)))
        path = f"{instrument}/{name}.{options.file_format}"
        soundfile.write(
            folder / path,
            gain * region.samples,
            options.sample_rate,
            subtype=FORMATS[options.file_format],
        )
        words = [
            f"<region> sample={path} pitch_keycenter={region.key}",
            f"lokey={region.keys[0]} hikey={region.keys[1]} lovel={low} hivel={high}",
            f"ampeg_release={region.release_s:.3f}",
        ]
        if options.round_robins > 1:
            words.append(f"seq_length={options.round_robins} seq_position={region.turn + 1}")
        if region.vibrato is not None:
            depth, rate, rise = region.vibrato[:3]
            words.append(f"pitchlfo_depth={depth:g} pitchlfo_freq={rate:g} pitchlfo_fade={rise:g}")
            if db := tremolo_in_phase(region.vibrato):
                words.append(f"amplfo_depth={db:g} amplfo_freq={rate:g} amplfo_fade={rise:g}")
        if region.drum is not None:
            position, _ = constant_power_pan(region.drum.pan or 0.0)
            words.append(f"pan={100.0 * position:.0f}")
            if region.drum.group:
                words.append(f"group={region.drum.group} off_by={region.drum.group}")
        if region.plays_to_end:
            words.append("loop_mode=one_shot")
        elif region.loop is None:
            words.append("loop_mode=no_loop")
        else:
            words.append(
                f"loop_mode=loop_continuous loop_start={region.loop.start}"
                f" loop_end={region.loop.end - 1}"
            )
        lines.append(f"// {region.drum.name if region.drum else pitch_name(region.key)}")
        lines.append(" ".join(words))
    (folder / f"{instrument}.sfz").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _level_db(samples: Samples, start: int, n: int) -> float:
    part = samples[max(0, start) : start + n].astype(np.float64)
    return float(10.0 * np.log10(np.mean(part * part) + 1e-20)) if len(part) else -200.0


def _release_s(held: Samples, sample_rate: int) -> float:
    """Time from the note-off of a rendered note to its last sample above -60 dB."""
    off = round(HOLD_S * sample_rate)
    tail = np.abs(held[off:])
    loudest = float(np.abs(held[max(0, off - sample_rate // 10) : off]).max(initial=0.0))
    above = np.flatnonzero(tail > 1e-3 * loudest)
    return max(0.02, float(above[-1]) / sample_rate) if len(above) and loudest > 1e-5 else 0.05


def _cut(samples: Samples) -> Samples:
    """A note without the silence that it ends in."""
    loudest = float(np.abs(samples).max(initial=0.0))
    above = np.flatnonzero(np.abs(samples) > loudest * 10.0 ** (SILENCE_DB / 20.0))
    return samples[: int(above[-1]) + 1] if len(above) else samples[:1]
