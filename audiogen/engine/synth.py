"""A preset to be played: notes in, samples out, always through the streaming engine."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import repeat
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from audiogen.core.events import EVENT, NOTE_OFF, NOTE_ON, PARAMETER
from audiogen.core.parameters import INDEX, Knobs
from audiogen.engine.networks import BLOCK, Sampling, check_rate, check_seed, is_whole, open_network
from audiogen.errors import ParameterError, PresetError
from audiogen.notes import Control, Note, Score, music_of
from audiogen.presets import (
    GansynthPreset,
    Preset,
    check_latent,
    is_latent_file,
    load_preset,
    read_latent,
    split_spec,
)

if TYPE_CHECKING:
    from audiogen.devices.sound_card import SoundCard
    from audiogen.engine.player import Player

LARGEST_BLOCK = 8192  # samples, of live sound
MOST_VOICES = 4096  # of an engine


class Synth(Knobs):
    """One preset, ready to play: a score as a whole, or live.

    Live, notes are struck and knobs are turned (``synth.bend = 0.5``, see `PARAMETERS`) while
    `stream` gives blocks or `play` is heard; `player` has the rest.

    Parameters
    ----------
    preset : str, path or Preset
    sample_rate : int, Hz, optional
        The preset's own by default.
    seed : int
        Same seed, same samples.
    precision : str
        ``float32``, or ``bfloat16`` on a CPU that has it: faster, and about 1 % off; of a SampleRNN
        also ``int8``.
    temperature, top_p : float, optional
        Of a SampleRNN, as `Texture.generate` takes them, but for curves.

    Raises
    ------
    PresetError
        If the preset isn't found, something in it is wrong, or it plays no notes.
    ParameterError
        If one of the others isn't for this preset, or can't be used.

    Examples
    --------
    >>> import audiogen
    >>> synth = audiogen.load("plucked")
    >>> samples = synth.render("C4:0.5 E4 G4 C5:2", seed=1)
    >>> samples.dtype
    dtype('float32')
    >>> synth.note_on("C4", velocity=0.8)
    1
    >>> next(synth.stream(block=256)).shape
    (256, 2)
    """

    def __init__(
        self,
        preset: str | PathLike[str] | Preset,
        sample_rate: int | None = None,
        seed: int = 0,
        precision: str = "float32",
        temperature: float | None = None,
        top_p: float | None = None,
    ):
        loaded = preset if isinstance(preset, Preset) else load_preset(preset)
        self._sampling = Sampling(temperature, top_p)
        self._sampling.require_drawn([loaded])
        self.preset = self._sampling.of(loaded)
        if not self.preset.plays_notes:
            raise PresetError(f"preset {self.preset.name!r} plays no notes; use audiogen.Texture")
        self.sample_rate = self.preset.sample_rate if sample_rate is None else sample_rate
        self.seed, self.precision = seed, precision
        self._wanted_rate = sample_rate
        self._network = open_network(self.preset, precision)
        self._player: Player | None = None
        self._last: Player | None = None  # that a sound card played, for its knobs
        self._timbre = self.preset.default_timbre

    @property
    def timbres(self) -> list[str]:
        """Names of the preset's timbres."""
        return self.preset.timbre_names

    @property
    def timbre(self) -> str | None:
        """Played when none is asked for; the preset's default until it's set to another name."""
        return self._timbre

    @timbre.setter
    def timbre(self, name: str) -> None:
        self._timbre = self.preset.timbre(name).name
        if self._player is not None:
            self._player.timbre = name

    def render(
        self,
        notes: Any,
        *,
        sample_rate: int | None = None,
        seed: int | None = None,
        gain_db: float = 0.0,
        normalize: bool = False,
        timbre: str | Sequence[float] | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> np.ndarray:
        """Play notes from the first to the last one's end.

        Parameters
        ----------
        notes : Score, path of a MIDI file, str or list of notes
            Whatever `audiogen.notes.as_score` takes; a MIDI file's drums are left out.
        sample_rate : int, Hz, optional
        seed : int, optional
        gain_db : float, dB
        normalize : bool
            Bring the peak to 1.
        timbre : str or sequence of float, optional
            A timbre's name, or, of a GANSynth, a latent of the preset's size or its file; the
            synth's `timbre` without.
        progress : callable, optional
            Gets the part that is done, 0 to 1.

        Returns
        -------
        ndarray [n_samples], float32
            As long as it sounds; full scale is 1, and more isn't clipped.

        Raises
        ------
        PresetError, MidiError, ParameterError
        """
        score = _music(notes)
        rate = self.sample_rate if sample_rate is None else sample_rate
        samples = self._play(score, rate, self.seed if seed is None else seed, timbre, progress)
        return change_level(samples, gain_db, normalize)

    def stream_notes(
        self,
        notes: Any,
        block: int = BLOCK,
        *,
        sample_rate: int | None = None,
        seed: int | None = None,
        timbre: str | Sequence[float] | None = None,
    ) -> Iterator[np.ndarray]:
        """Play notes piece by piece, the samples of `render` as they are made.

        Parameters
        ----------
        notes, sample_rate, seed, timbre
            As `render` takes them.
        block : int, samples
            1 to 1024, made at once. A piece is longer after a rest.

        Returns
        -------
        iterator of ndarray [n_samples], float32
        """
        if not is_whole(block, BLOCK):
            raise ParameterError(f"block={block}; give 1 to {BLOCK} samples")
        rate = self.sample_rate if sample_rate is None else sample_rate
        seed = self.seed if seed is None else seed
        parts = _music(notes).by_channel()
        engines, streams = zip(
            *(self._blocks(part, rate, seed, timbre, block) for part in parts), strict=True
        )

        def pieces() -> Iterator[np.ndarray]:
            yield from streams[0] if len(streams) == 1 else _sum_of(streams, block)
            if n_transposed := sum(engine.n_transposed for engine in engines):
                warnings.warn(self._moved(n_transposed), stacklevel=2)

        return pieces()

    @property
    def player(self) -> Player:
        """What is played live; made when it's first asked for."""
        from audiogen.engine.player import Player

        if self._player is None:
            self._player = Player(self, self.sample_rate, LARGEST_BLOCK, seed=self.seed)
            self._set_up(self._player)
        return self._player

    def _set_up(self, player: Player) -> None:
        """Turn a new player as the last one was, by the timbre that is chosen."""
        if self._last is not None:
            player.turn_as(self._last)
        if self._timbre is not None:
            player.timbre = self._timbre

    def _turn_as(self, ended: Player) -> None:
        """Let what comes after a player that has ended be turned as that was."""
        self._last = ended
        if ended.timbres == self.timbres:
            self._timbre = ended.timbre
        if self._player is not None:
            self._player.turn_as(ended)

    def stream(self, block: int = 256) -> Iterator[np.ndarray]:
        """Sound without end, as notes are struck and knobs are turned.

        Parameters
        ----------
        block : int, samples
            1 to 8192. What happens between two blocks is heard from the second on.

        Returns
        -------
        iterator of ndarray [block, 2], float32
        """
        player = self.player
        if not is_whole(block, player.max_block):
            raise ParameterError(f"block={block}; give 1 to {player.max_block} samples")
        return (player.process(block) for _ in repeat(None))

    @contextmanager
    def play(self, device: str | int | None = None, block: int = 256) -> Iterator[SoundCard]:
        """Be heard through a sound card, at its rate if the synth was given none.

        Parameters
        ----------
        device : str or int, optional
            Number or a part of the name of a sound card; the default one without.
        block : int, samples
            That the card asks for at once; 0 lets it choose, as JACK always does.

        Returns
        -------
        context manager of SoundCard

        Raises
        ------
        DeviceError
            If there is no sound card, or it refuses.
        """
        from audiogen.devices.sound_card import SoundCard, block_of, find_device
        from audiogen.engine.player import Player

        found, before = find_device(device), self._player
        rate = self._wanted_rate or found.sample_rate
        block = block_of(found, rate, block)
        with Player(self, rate, block or BLOCK, seed=self.seed, realtime=True) as player:
            if before is not None:
                player.turn_as(before)
            else:
                self._set_up(player)
            self._player = player
            try:
                with SoundCard(player, found.index, block) as card:
                    yield card
            finally:
                self._player = before
                self._turn_as(player)

    def note_on(self, pitch: float | str, velocity: float = 0.8, timbre: str | None = None) -> int:
        """Strike a note; see `Player.note_on`."""
        return self.player.note_on(pitch, velocity, timbre)

    def note_off(self, pitch: float | str) -> None:
        """Let a note go."""
        self.player.note_off(pitch)

    def all_off(self, silence: bool = False) -> None:
        """Let all notes go; or end all sound at once."""
        self.player.all_off(silence)

    def get(self, parameter: str) -> Any:
        """Where a knob stands."""
        return self.player.get(parameter)

    def set(self, parameter: str, value: Any) -> None:
        """Move a knob; see `Player.set`."""
        self.player.set(parameter, value)

    def latent(self, timbre: str | Sequence[float]) -> list[float]:
        """The point of the latent space that a GANSynth makes a timbre from.

        Parameters
        ----------
        timbre : str or sequence of float
            A timbre's name, a file that `audiogen encode` wrote (``.json``), or a latent itself.

        Returns
        -------
        list of float

        Raises
        ------
        PresetError
            If there is no such timbre or file.
        ParameterError
            If the preset has no latents, or the latent is another preset's.
        """
        if not isinstance(timbre, str):
            numbers = [float(number) for number in timbre]
            return check_latent(numbers, self.preset, "the list of numbers")
        if is_latent_file(timbre):
            return check_latent(read_latent(timbre).z, self.preset, timbre)
        chosen = self.preset.timbre(timbre).name
        if not isinstance(self.preset, GansynthPreset):
            raise ParameterError(
                f"preset {self.preset.name!r} has no latents to mix; play one of its timbres"
            )
        return next(list(t.z) for t in self.preset.timbres if t.name == chosen)

    def mix(
        self, first: str | Sequence[float], second: str | Sequence[float], amount: float
    ) -> list[float]:
        """A latent between two timbres, on the sphere that the generator knows.

        Parameters
        ----------
        first, second : str or sequence of float
            As `latent` takes them.
        amount : float
            0 is the first, 1 the second.

        Returns
        -------
        list of float
            To be given as a ``timbre``.

        Raises
        ------
        PresetError, ParameterError
            As `latent`.
        """
        a, b = (_unit(self.latent(timbre)) for timbre in (first, second))
        angle = np.arccos(np.clip(a @ b, -1.0, 1.0))
        if angle < 1e-6:
            return (a * np.sqrt(len(a))).tolist()
        mixed = (np.sin((1 - amount) * angle) * a + np.sin(amount * angle) * b) / np.sin(angle)
        return (mixed * np.sqrt(len(a))).tolist()

    def _play(
        self,
        score: Score,
        rate: int,
        seed: int,
        timbre: str | Sequence[float] | None,
        progress: Callable[[float], None] | None,
    ) -> np.ndarray:
        mixed, n_transposed, done = np.zeros(0, np.float32), 0, 0
        for part in score.by_channel():
            report = _of_part(progress, done, len(part), len(score))
            engine, blocks = self._blocks(part, rate, seed, timbre, BLOCK, report)
            mixed = _added(mixed, np.concatenate([np.zeros(0, np.float32), *blocks]))
            n_transposed += engine.n_transposed
            done += len(part)
        if n_transposed:
            warnings.warn(self._moved(n_transposed), stacklevel=3)
        return mixed

    def _blocks(
        self,
        score: Score,
        rate: int,
        seed: int,
        timbre: str | Sequence[float] | None,
        block: int,
        progress: Callable[[float], None] | None = None,
    ) -> tuple[Any, Iterator[np.ndarray]]:
        """Checks everything; an engine, and the sound that it makes of a score."""
        seed = check_seed(seed)
        check_rate(rate)
        index, latent = 0, None
        if timbre is None or (isinstance(timbre, str) and not is_latent_file(timbre)):
            chosen = self.timbre if timbre is None else timbre
            index = self.timbres.index(self.preset.timbre(chosen).name)
        else:
            latent = self.latent(timbre)
        events, times = _events(score, rate, index)
        voices = _most_at_once(score.notes, self._network.longest_tail_s)
        if voices > MOST_VOICES:
            raise ParameterError(
                f"{voices} notes sound at once, what follows their ends counted; up to"
                f" {MOST_VOICES} can: shorten the notes, or lift the pedal"
            )
        engine = self._network.engine(rate, voices, seed, latent)
        blocks = _all_of(engine, events, times, block, progress)
        return engine, _without_ends(blocks, engine.latency)

    def _moved(self, n: int) -> str:
        assert self.preset.pitch_range is not None  # it plays notes
        low, high = self.preset.pitch_range
        return (
            f"{n} notes lie outside the pitches {low} to {high} that preset "
            f"{self.preset.name!r} was trained on; they were moved by octaves"
        )


def _all_of(
    engine: Any,
    events: np.ndarray,
    times: np.ndarray,
    block: int,
    progress: Callable[[float], None] | None,
) -> Iterator[np.ndarray]:
    """Blocks from the beginning to where nothing sounds any more."""
    total = int(times[-1]) + 1 if len(times) else 0
    done = upcoming = 0
    # To the end of the last voice, and of what the resampler still holds of it: its filter
    # reaches as far beyond the sound as it delays it.
    while done < total + 2 * engine.latency + 1:
        last = int(np.searchsorted(times, done + block))
        now = events[upcoming:last].copy()
        now["offset"] = times[upcoming:last] - done
        samples = engine.process(block, now)
        done, upcoming = done + block, last
        if engine.n_sounding or samples.any():
            total = max(total, done)
        if progress:
            progress(min(1.0, done / total))
        yield samples


def _without_ends(blocks: Iterator[np.ndarray], skip: int) -> Iterator[np.ndarray]:
    """Blocks less the first samples, and less the silence that they end in."""
    held: list[np.ndarray] = []
    for block in blocks:
        heard, skip = block[skip:], max(0, skip - len(block))
        sounding = np.flatnonzero(heard)
        end = sounding[-1] + 1 if len(sounding) else 0
        if end:
            yield np.concatenate([*held, heard[:end]])
            held = []
        held.append(heard[end:])


def render_score(
    score: Any,
    voices: dict[int | None, str],
    *,
    sample_rate: int | None = None,
    seed: int = 0,
    gain_db: float = 0.0,
    normalize: bool = False,
    precision: str = "float32",
    temperature: float | None = None,
    top_p: float | None = None,
    progress: Callable[[float], None] | None = None,
) -> np.ndarray:
    """Play a score with a preset for each of its programs.

    Parameters
    ----------
    score : Score, path of a MIDI file, str or list of notes
    voices : dict of program to ``PRESET`` or ``PRESET:TIMBRE``
        ``None`` stands for all programs that aren't named.
    sample_rate : int, Hz, optional
        The highest of the presets' by default.
    seed, gain_db, normalize, progress
        As `Synth.render`.
    precision, temperature, top_p
        As `Synth`; the last two are for those presets that are SampleRNNs.

    Returns
    -------
    ndarray [n_samples], float32
    """
    parts, synths = _parts_of(score, voices, seed, precision, temperature, top_p)
    n_notes = sum(map(len, parts.values()))
    if sample_rate is None:
        rate = max((synth.sample_rate for synth in synths.values()), default=16000)
    else:
        rate = sample_rate

    mixed, done = np.zeros(0, np.float32), 0
    for voice, part in parts.items():
        name, timbre = split_spec(voice)
        report = _of_part(progress, done, len(part), n_notes)
        mixed = _added(mixed, synths[name]._play(part, rate, seed, timbre, report))
        done += len(part)
    return change_level(mixed, gain_db, normalize)


def stream_score(
    score: Any,
    voices: dict[int | None, str],
    block: int = BLOCK,
    *,
    sample_rate: int,
    seed: int = 0,
    precision: str = "float32",
    temperature: float | None = None,
    top_p: float | None = None,
) -> Iterator[np.ndarray]:
    """The samples of `render_score` as they are made.

    Parameters
    ----------
    block : int, samples
        1 to 1024, made at once.
    score, voices, sample_rate, seed, precision, temperature, top_p
        As `render_score` takes them.

    Returns
    -------
    iterator of ndarray [n_samples], float32
    """
    parts, synths = _parts_of(score, voices, seed, precision, temperature, top_p)
    streams = []
    for voice, part in parts.items():
        name, timbre = split_spec(voice)
        options: dict[str, Any] = {"sample_rate": sample_rate, "seed": seed, "timbre": timbre}
        streams.append(synths[name].stream_notes(part, block, **options))
    return _sum_of(streams, block)


def _parts_of(
    score: Any,
    voices: dict[int | None, str],
    seed: int,
    precision: str,
    temperature: float | None,
    top_p: float | None,
) -> tuple[dict[str, Score], dict[str, Synth]]:
    """What each voice plays, and the synth of each of their presets."""
    parts: dict[str, list[Note]] = {}
    music = _music(score)
    for note in music.notes:
        voice = voices.get(note.program, voices.get(None))
        if voice is None:
            raise ParameterError(
                f"voices has nothing for program {note.program}; give it, or None for all others"
            )
        parts.setdefault(voice, []).append(note)
    presets = {name: load_preset(name) for name in (split_spec(voice)[0] for voice in parts)}
    sampling = Sampling(temperature, top_p)
    sampling.require_drawn(presets.values())
    synths = {
        name: Synth(sampling.of(preset), None, seed, precision) for name, preset in presets.items()
    }
    return {voice: Score(notes, music.controls) for voice, notes in parts.items()}, synths


def _music(notes: Any) -> Score:
    """A score less its drums, with a warning."""
    music, n_drums = music_of(notes, "notes are drums alone, which no preset plays")
    if n_drums:
        warnings.warn(f"{n_drums} drum notes are left out; no preset has drums", stacklevel=3)
    return music


def _of_part(
    progress: Callable[[float], None] | None, before: int, size: int, total: int
) -> Callable[[float], None] | None:
    """What tells the progress of a part of the work."""
    return progress and (lambda fraction: progress((before + fraction * size) / total))


def _added(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Two sounds together."""
    longer, shorter = (a, b) if len(a) >= len(b) else (b, a)
    longer[: len(shorter)] += shorter
    return longer


def _sum_of(streams: Sequence[Iterator[np.ndarray]], block: int) -> Iterator[np.ndarray]:
    """Blocks of several sounds together, to the end of the longest."""
    held = [np.zeros(0, np.float32) for _ in streams]
    while True:
        for i, stream in enumerate(streams):
            while len(held[i]) < block and (piece := next(stream, None)) is not None:
                held[i] = np.concatenate((held[i], piece))
        mixed = np.zeros(min(block, max(map(len, held), default=0)), np.float32)
        if not len(mixed):
            return
        for i, sound in enumerate(held):
            mixed[: len(sound)] += sound[: len(mixed)]
            held[i] = sound[len(mixed) :]
        yield mixed


def _events(score: Score, rate: int, timbre: int) -> tuple[np.ndarray, np.ndarray]:
    """All that happens, in order, and the sample of each: offs, then moves, then ons."""
    timed: list[tuple[int, int, int, tuple]] = []  # sample, rank, number, event
    for i, note in enumerate(score.notes):
        start = round(note.start_s * rate)
        # Even the shortest note is struck before it is released.
        end = max(start + 1, round(note.end_s * rate))
        timed.append((end, 0, i, (0, NOTE_OFF, i, 0, 0.0, 0.0)))
        timed.append((start, 2, i, (0, NOTE_ON, i, timbre, note.pitch, note.velocity)))
    for i, (time_s, name, value) in enumerate(_moves(score.controls)):
        timed.append((round(time_s * rate), 1, i, (0, PARAMETER, INDEX[name], 0, 0.0, value)))
    timed.sort(key=lambda event: event[:3])
    return np.array([event[3] for event in timed], EVENT), np.array([event[0] for event in timed])


def _moves(controls: Sequence[Control]) -> list[tuple[float, str, float]]:
    """Time, parameter and value of what a channel's controls move, as they would live."""
    from audiogen.engine.midi import MidiReader

    reader, moves = MidiReader(), []
    time_s = 0.0

    class Moved:
        def set(self, name: str, value: float) -> None:
            moves.append((time_s, name, value))

    for control in controls:
        time_s = control.time_s
        reader.feed(control.message, Moved())
    return moves


def _most_at_once(notes: Sequence[Note], tail_s: float) -> int:
    """Voices that are enough for no note to be cut off, each sounding on after its end."""
    edges = sorted(
        [(note.start_s, 1) for note in notes] + [(note.end_s + tail_s, -1) for note in notes]
    )
    most = sounding = 0
    for _, change in edges:
        sounding += change
        most = max(most, sounding)
    return max(1, most)


def _unit(z: Sequence[float]) -> np.ndarray:
    vector = np.asarray(z, np.float64)
    return vector / np.linalg.norm(vector)


def change_level(samples: np.ndarray, gain_db: float, normalize: bool) -> np.ndarray:
    """Bring the peak to 1 if asked for, then change the level by a gain in dB."""
    if normalize and len(samples):
        samples = samples / max(float(np.abs(samples).max()), 1e-9)
    return (samples * np.float32(10.0 ** (gain_db / 20.0))).astype(np.float32)
