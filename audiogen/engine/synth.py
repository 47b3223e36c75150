"""`Synth`: a preset that renders scores, generates audio, and plays live, by one engine."""

from __future__ import annotations

import html
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import repeat
from numbers import Real
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from audiogen.core.checks import check_rate, check_seed, check_whole
from audiogen.core.cores import MOST_THREADS, n_threads
from audiogen.core.events import PARAMETER, Event, note_off, note_on, set_parameter
from audiogen.core.parameters import INDEX, PARAMETERS, check_parameter
from audiogen.engine import latents
from audiogen.engine.instrument import BLOCK, RELEASE_RATIO
from audiogen.engine.latents import Timbre
from audiogen.engine.live import LivePlaying, open_preset
from audiogen.engine.offline import (
    SharedProgress,
    Timed,
    change_level,
    highest_value,
    joined,
    kit_notes,
    or_silence,
    pans,
    pitched_notes,
    rendered,
    score_events,
    sum_of_streams,
    trimmed,
    voices_needed,
    warn_caller,
)
from audiogen.errors import ParameterError, ShapeError
from audiogen.notes import Score
from audiogen.presets import Preset

if TYPE_CHECKING:
    from audiogen.devices.sound_card import SoundCard

LARGEST_BLOCK = 8192  # samples, live
NOTE_SEED_STEP = 0x9E3779B97F4A7C15  # between the seeds of notes (csrc/engine/engine.cpp)
FADE_OUT_S = 0.05  # fade of unconditional audio (csrc/engine/samples/sample_voice.cpp)
SEAM_S, SLOPE_SEAM_S = 0.005, 0.0002  # in which a resampled prompt's error at its end fades out
LONGEST_PROMPT_S = 30.0  # more does not change what a network generates
CURVE_STEP_S = 0.01  # between the points of a temperature curve
MAX_CHANNELS = 64  # channels of a prompt

# One number, or points between which it is interpolated: (seconds, temperature).
Temperature = float | Sequence[tuple[float, float]]
Progress = Callable[[float], None]


class Synth(LivePlaying):
    """One preset, ready to play.

    A preset that plays notes renders scores (`render`). An unconditional preset generates audio
    freely or continues a recording (`generate`). Both play live: notes start and parameters change
    (``synth.bend = 0.5``) while `stream` makes blocks or `play` sends them to a sound card.

    Parameters
    ----------
    preset : str, path or Preset
        Name, folder or description of the preset.
    sample_rate : int, Hz, optional
        Rate of all audio; by default the preset's own, even above 48000.
    seed : int
        Seed of all random numbers; the same seed gives the same samples.
    precision : str
        ``float32``; or ``bfloat16``, which is faster on a CPU that has it and about 1 % RMS off;
        or ``int8`` for a SampleRNN; or ``auto``, the fastest of them on this CPU, which is
        measured once and kept in the user's cache. The attribute of this name has the choice.
    temperature, top_p : float, optional
        Initial values of the parameters of these names, for a SampleRNN.
    polyphony : int
        Notes that can sound at once, live; more make room for one another.
    max_block : int, samples
        Longest block that `process` is asked for.
    realtime : bool
        Render ahead on a worker thread, so that `process` only fetches samples. All sound comes
        later by ``max_block`` and the margin; blocks that are not ready in time fade to silence and
        are counted by `n_late`.
    margin_ms : float, ms
        How long that thread may be held up by other programs.
    keep_events : bool
        Keep all events and their positions in `events`.
    device : str
        ``cpu``; or ``cuda`` or ``cuda:N``, a GPU that computes what is made offline: with a
        GANSynth preset all notes of a score in batches, with an unconditional preset all
        variations at once. Live notes are computed on the CPU.

    Raises
    ------
    PresetError
        If the preset is not found, or something in it is wrong.
    ParameterError
        If another argument is out of range or not supported by the preset.
    DeviceError
        If there is no such device.

    Examples
    --------
    >>> import audiogen
    >>> synth = audiogen.load("plucked")
    >>> audio = synth.render("C4:0.5 E4 G4 C5:2", seed=1)
    >>> audio.dtype
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
        *,
        polyphony: int = 16,
        max_block: int = LARGEST_BLOCK,
        realtime: bool = False,
        margin_ms: float = 5.0,
        keep_events: bool = False,
        device: str = "cpu",
    ):
        super().__init__(
            open_preset(preset),
            sample_rate,
            seed,
            precision,
            device=device,
            polyphony=polyphony,
            max_block=max_block,
            realtime=realtime,
            margin_ms=margin_ms,
            keep_events=keep_events,
        )
        self._arguments = {
            "sample_rate": sample_rate,
            "seed": seed,
            "precision": precision,
            "device": device,
            "polyphony": polyphony,
            "max_block": max_block,
            "realtime": realtime,
            "margin_ms": margin_ms,
            "keep_events": keep_events,
        }
        for name, value in {"temperature": temperature, "top_p": top_p}.items():
            if value is not None:
                self._require_supported(name)
                self.set(name, value)

    # --- Offline --------------------------------------------------------------------------------

    def render(
        self,
        notes: Any,
        *,
        seed: int | None = None,
        sample_rate: int | None = None,
        timbre: Timbre | None = None,
        stereo: bool | None = None,
        gain_db: float = 0.0,
        normalize: bool = False,
        progress: Progress | None = None,
    ) -> np.ndarray:
        """Render a score from its start to the end of its last note.

        Parameters
        ----------
        notes : Score, path of a MIDI file, str, or list of notes
            Whatever `audiogen.notes.as_score` takes. Drums are left out with a warning; a drum kit
            plays the drums alone, or all notes if none is for drums.
        seed : int, optional
            Seed of the notes' random numbers; the synth's without.
        sample_rate : int, Hz, optional
            Rate of the result; the synth's without.
        timbre : str, path or sequence of float, optional
            Timbre of all notes; the synth's without. A drum kit plays by keys without.
        stereo : bool, optional
            Two channels or one; without, two if the score, the synth or a drum kit pans.
        gain_db : float, dB
            Change of level.
        normalize : bool
            Bring the peak to full scale before the gain.
        progress : callable, optional
            Receives the share that is done, 0 to 1.

        Returns
        -------
        ndarray [n_samples] or [n_samples, 2], float32
            Full scale is 1; more is not clipped. Silence if nothing sounds.

        Raises
        ------
        PresetError, MidiError, ParameterError
        """
        score = self._notes_to_play(notes)
        stereo = self._is_stereo(score) if stereo is None else bool(stereo)
        blocks = self._score_blocks(score, BLOCK, seed, sample_rate, timbre, stereo, progress)
        samples = joined(blocks, 2 if stereo else 1)
        return change_level(samples if stereo else samples[:, 0], gain_db, normalize)

    def stream(
        self,
        block: int = 256,
        notes: Any = None,
        *,
        seed: int | None = None,
        sample_rate: int | None = None,
        timbre: Timbre | None = None,
        stereo: bool | None = None,
        progress: Progress | None = None,
        threads: int | None = None,
    ) -> Iterator[np.ndarray]:
        """Make audio block by block: live without end, or a score as `render` makes it.

        Parameters
        ----------
        block : int, samples
            Length of a block. Live, an event between two blocks takes effect in the second.
        notes : Score, path of a MIDI file, str, or list of notes, optional
            Score to play; the blocks, one after another, are what `render` returns. Without, the
            notes are those of `note_on`.
        seed, sample_rate, timbre, stereo, progress
            With notes, as `render` takes them.
        threads : int, optional
            With notes, number of threads; default: one per core. Changes no sample.

        Returns
        -------
        iterator of ndarray
            Live [block, 2], float32; of a score [n_samples] or [n_samples, 2], where a block is
            longer after a rest.

        Raises
        ------
        PresetError, MidiError, ParameterError
        """
        if notes is None:
            if any(v is not None for v in (seed, sample_rate, timbre, stereo, progress, threads)):
                raise ParameterError(
                    "seed, sample_rate, timbre, stereo, progress and threads are for notes; live,"
                    " give them to the synth and to note_on"
                )
            check_whole("block", block, 1, self.max_block, "samples")
            return (self.process(block) for _ in repeat(None))
        check_whole("block", block, 1, BLOCK, "samples")
        if threads is not None:
            check_whole("threads", threads, 1, MOST_THREADS)
        score = self._notes_to_play(notes)
        stereo = self._is_stereo(score) if stereo is None else bool(stereo)
        blocks = self._score_blocks(
            score, block, seed, sample_rate, timbre, stereo, progress, threads
        )
        return blocks if stereo else (samples[:, 0] for samples in blocks)

    def generate(
        self,
        seconds: float = 5.0,
        *,
        prompt: ArrayLike | None = None,
        temperature: Temperature | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        sample_rate: int | None = None,
        timbre: Timbre | None = None,
        variations: int = 1,
        stereo: bool = False,
        progress: Progress | None = None,
    ) -> np.ndarray:
        """Generate audio freely, or continue a recording, with an unconditional preset.

        One note of the engine, from its note-on to its note-off: it fades in over 5 ms, unless it
        continues a prompt, and out over 50 ms.

        Parameters
        ----------
        seconds : float, s
            Length of the result, above 0.05.
        prompt : array [n_samples] or [n_samples, n_channels], float, optional
            Audio at the rate of the result; each channel is continued separately. The result
            begins where it ends, without a step. The network receives its last 30 s.
        temperature : float, or list of (float, float), optional
            Sampling temperature, 0 (greedy) to 2. As points (seconds, temperature), counted from
            the beginning of the result, it is interpolated. The synth's without.
        top_p : float, optional
            Probability mass of the nucleus to sample from, up to 1. The synth's without.
        seed : int, optional
            Seed of the random numbers; the synth's without.
        sample_rate : int, Hz, optional
            Rate of the result and of the prompt; the synth's without.
        timbre : str, optional
            One of `timbres`; the synth's without.
        variations : int
            Number of results; the first is that of ``variations=1``.
        stereo : bool
            Two channels, generated independently.
        progress : callable, optional
            Receives the share that is done, 0 to 1.

        Returns
        -------
        ndarray [n_samples] or [n_samples, n_channels], float32
            With ``variations`` above 1 an array of them, [variations, ...].

        Raises
        ------
        ParameterError, ShapeError, PresetError
        """
        check_whole("variations", variations, 1, 10_000)
        n_channels = self._n_generated(prompt, stereo)
        shared = SharedProgress(progress or _ignore, [1] * variations)

        def blocks(variation: int, report: Progress, table: Any) -> Iterator[np.ndarray]:
            return self._generated(
                seconds,
                BLOCK,
                prompt,
                temperature,
                top_p,
                seed,
                sample_rate,
                timbre,
                stereo,
                report,
                first_note=variation * n_channels,
                table=table,
            )

        def play(table: Any) -> None:
            for variation in range(variations):
                deque(blocks(variation, _ignore, table), maxlen=0)

        table = self._on_device(play, seconds, prompt)
        sounds = [
            np.concatenate(list(blocks(variation, shared.part(variation), table)))
            for variation in range(variations)
        ]
        return np.stack(sounds) if variations > 1 else sounds[0]

    def generate_stream(
        self,
        seconds: float | None = None,
        *,
        block: int = BLOCK,
        prompt: ArrayLike | None = None,
        temperature: Temperature | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        sample_rate: int | None = None,
        timbre: Timbre | None = None,
        stereo: bool = False,
        progress: Progress | None = None,
    ) -> Iterator[np.ndarray]:
        """The samples of `generate` as they are made, without end if ``seconds`` is not given.

        Parameters
        ----------
        seconds : float, s, optional
            Length of the audio.
        block : int, samples
            Most samples that are made at once, 1 to 1024.
        prompt, temperature, top_p, seed, sample_rate, timbre, stereo, progress
            Arguments of `generate`.

        Returns
        -------
        iterator of ndarray [n_samples] or [n_samples, n_channels], float32

        Raises
        ------
        ParameterError, ShapeError, PresetError
        """
        arguments = (temperature, top_p, seed, sample_rate, timbre, stereo)

        def play(table: Any) -> None:
            deque(self._generated(seconds, block, prompt, *arguments, None, table=table), maxlen=0)

        table = self._on_device(play, seconds, prompt)
        return self._generated(seconds, block, prompt, *arguments, progress, table=table)

    # --- Latents --------------------------------------------------------------------------------

    def latent(self, timbre: Timbre | None = None) -> np.ndarray:
        """The latent of a timbre, which a GANSynth generates its notes from.

        Parameters
        ----------
        timbre : str, path or sequence of float, optional
            A name, a mix such as ``"harp+koto"``, ``"random:7"``, a file that `audiogen encode`
            wrote, or a latent; the synth's timbre without.

        Returns
        -------
        ndarray [latent_size], float64

        Raises
        ------
        PresetError, ParameterError
        """
        if timbre is None:
            latents.require_latents(self.preset)
            timbre = self.timbres[0] if self.timbre is None else self.timbre
        return latents.read_timbre(self.preset, timbre)

    def random_latent(self, seed: int = 0) -> np.ndarray:
        """A random latent, [latent_size], to be played like a timbre."""
        return latents.random_latent(self.preset, seed)

    def mix(self, first: Timbre, second: Timbre, amount: float) -> np.ndarray:
        """A latent between two timbres, on the sphere that latents lie on.

        Parameters
        ----------
        first, second : str, path or sequence of float
            Timbres, as `latent` takes them.
        amount : float
            0 is the first, 1 the second.

        Returns
        -------
        ndarray [latent_size], float64

        Raises
        ------
        PresetError, ParameterError
        """
        return latents.mix_latents(self.latent(first), self.latent(second), amount)

    # --- Live -----------------------------------------------------------------------------------

    @contextmanager
    def play(
        self, device: str | int | None = None, block: int = 256, margin_ms: float | None = None
    ) -> Iterator[SoundCard]:
        """Play live through a sound card, at its rate if the synth was given none.

        Parameters
        ----------
        device : str or int, optional
            Number or part of the name of a sound card; the default one without.
        block : int, samples
            Block that the card asks for; 0 lets it choose, as JACK always does.
        margin_ms : float, ms, optional
            How long the working thread may be held up; the synth's without.

        Returns
        -------
        context manager of SoundCard

        Raises
        ------
        DeviceError
            If there is no sound card, or it refuses.
        ParameterError
            If one plays the synth already.
        """
        from audiogen.devices.sound_card import SoundCard, block_of, find_device

        card = find_device(device)
        before = self._rate, self._max_block, self._realtime, self._margin_ms
        rate = self._rate or card.sample_rate
        block = block_of(card, rate, block)
        with self._playing, self._lock:
            self._require_no_card()
            self._rate, self._max_block, self._realtime = rate, block or BLOCK, True
            self._margin_ms = self._margin_ms if margin_ms is None else margin_ms
            self._held.clear()
            self._waiting.clear()
            self._engine = None
        try:
            with SoundCard(self, card.index, block) as opened:
                yield opened
        finally:
            with self._playing, self._lock:
                self._rate, self._max_block, self._realtime, self._margin_ms = before
                self._held.clear()
                self._waiting.clear()
                self._engine = None  # the next one is made for what was changed meanwhile

    # --- Shown ----------------------------------------------------------------------------------

    def __repr__(self) -> str:
        n = len(self.timbres)
        what = f"{n} timbre{'s' * (n != 1)}" if n else "unconditional"
        return f"Synth({self.name!r}, {self.kind}, {what}, {self.sample_rate} Hz)"

    def _repr_html_(self) -> str:
        """Name, kind, timbres and a player of the preset's preview, for notebooks."""
        import base64

        from audiogen.presets import PREVIEW_SOUND

        preset = self.preset
        timbres = ", ".join(self.timbres) or "none; generates audio freely"
        player = ""
        preview = preset.folder / PREVIEW_SOUND
        if preview.is_file():
            data = base64.b64encode(preview.read_bytes()).decode()
            player = f'<audio controls src="data:audio/flac;base64,{data}"></audio>'
        return (
            f"<div><b>{html.escape(preset.name)}</b> ({preset.kind}, {self.sample_rate} Hz): "
            f"{html.escape(preset.description)}<br>"
            f"timbres: {html.escape(timbres)}<br>{player}</div>"
        )

    def __getstate__(self) -> dict[str, Any]:
        """Return the state from which another process loads the same synth, silent."""
        return {
            "preset": str(self.preset.folder),
            "arguments": self._arguments | {"precision": self.precision},
            "timbre": self._timbre,
            "values": {name: self.get(name) for name in self._values},
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["preset"], **state["arguments"])  # type: ignore[misc]
        if state["timbre"] is not None:
            self.timbre = state["timbre"]
        for name, value in state["values"].items():
            self.set(name, value)

    # --- Inside ---------------------------------------------------------------------------------

    def _require_supported(self, parameter: str) -> None:
        if parameter not in (row.name for row in self.parameters):
            raise ParameterError(
                f"{parameter} is not supported by preset {self.name!r}, a {self.kind}; leave it out"
            )

    def _is_stereo(self, score: Score) -> bool:
        if self.get("pan") or self.get("spread"):
            return True
        return pans(score, [self.preset])

    def _notes_to_play(self, notes: Any) -> Score:
        return kit_notes(notes, self.preset) if self.preset.is_kit else pitched_notes(notes)

    def _score_blocks(
        self,
        score: Score,
        block: int,
        seed: int | None,
        sample_rate: int | None,
        timbre: Timbre | None,
        stereo: bool,
        progress: Progress | None,
        threads: int | None = None,
    ) -> Iterator[np.ndarray]:
        """Check everything, then make blocks of a score, [n_samples, n_channels]."""
        if not self.plays_notes:
            raise ParameterError(
                f"a score is not supported by preset {self.name!r}, which is unconditional; use"
                " generate"
            )
        rate = self.sample_rate if sample_rate is None else check_rate(sample_rate)
        seed = self.seed if seed is None else check_seed(seed)
        index, latent = self._offline_timbre(timbre)
        if self.preset.is_kit and latent is None and timbre is not None:
            key = self.preset.timbres[index].key  # whose sound all notes have
            assert key is not None
            score = Score((note.at_pitch(key) for note in score.notes), score.controls)
        self._warn_of_transposed(score)
        parts = score.by_channel()
        threads = n_threads() if threads is None else threads
        shared = SharedProgress(progress, [len(part) for part in parts]) if progress else None
        n_channels = 2 if stereo else 1
        plans: list[tuple[list[Timed], int]] = []
        first: list[Timed] = [(0, event) for event in self._parameter_events()]
        scored = [score_events(part, rate, index) for part in parts]
        self._warn_of_overridden(event for events in scored for _, event in events)
        for part, of_part in zip(parts, scored, strict=True):
            events = [*first, *of_part]
            release = highest_value(events, "release")
            voices = voices_needed(part.notes, self._opened.longest_tail_s(release))
            plans.append((events, voices))

        def engine(voices: int, table: Any) -> Any:
            # A table that collects has one writer.
            share = 1 if table is not None else max(1, threads // len(plans))
            return self._opened.engine(
                rate, voices, seed, n_channels, latent=latent, table=table, threads=share
            )

        def play(table: Any) -> None:
            for events, voices in plans:
                deque(rendered(engine(voices, table), events), maxlen=0)

        table = self._opened.computed(play)
        streams = []
        for number, (events, voices) in enumerate(plans):
            one = engine(voices, table)
            report = shared.part(number) if shared else None
            streams.append(trimmed(rendered(one, events, block, report), one.latency))
        summed = sum_of_streams(streams, block, n_channels, threads)
        blocks = or_silence(summed, round(score.duration_s * rate), block, n_channels)
        return shared.watched(blocks) if shared else blocks

    def _offline_timbre(self, timbre: Timbre | None) -> tuple[int, list[float] | None]:
        """Index of a timbre; or a latent that is to be the only timbre of an instrument.

        A shared instrument learns a limited number of latents, enough for live playing.
        """
        chosen = self._timbre if timbre is None else timbre
        is_named = chosen is None or (isinstance(chosen, str) and chosen in self.timbres)
        if is_named or "morph_timbre" in self._values:
            return self._timbre_index(chosen), None
        return 0, latents.read_timbre(self.preset, chosen).tolist()  # type: ignore[arg-type]

    def _warn_of_transposed(self, score: Score) -> None:
        """Warn of notes that the engine will move by octaves (`Engine::sound_of`)."""
        if self.preset.is_kit:
            return
        assert self.preset.pitch_range is not None  # it plays notes
        low, high = self.preset.pitch_range
        n = sum(not low <= note.pitch <= high for note in score.notes)
        if n == 0:
            return
        lie, are = ("note lies", "it is") if n == 1 else ("notes lie", "they are")
        warn_caller(
            f"{n} {lie} outside the pitches {low} to {high} that preset {self.name!r} was trained"
            f" on; {are} moved by octaves"
        )

    def _warn_of_overridden(self, events: Iterable[Event]) -> None:
        """Warn of parameters that were set and that events of a score change."""
        changed = {PARAMETERS[event[2]].name for event in events if event[1] == PARAMETER}
        for name in self._values:
            if name in changed:
                warn_caller(f"{name} was set to {self.get(name):g}, but the score changes it")

    def _generated(
        self,
        seconds: float | None,
        block: int,
        prompt: ArrayLike | None,
        temperature: Temperature | None,
        top_p: float | None,
        seed: int | None,
        sample_rate: int | None,
        timbre: Timbre | None,
        stereo: bool,
        progress: Progress | None,
        first_note: int = 0,
        table: Any = None,
    ) -> Iterator[np.ndarray]:
        """Check everything, then make blocks of notes from number ``first_note`` on."""
        if self.plays_notes:
            raise ParameterError(
                f"generate is not supported by preset {self.name!r}, which plays notes; render a"
                " score"
            )
        check_whole("block", block, 1, BLOCK, "samples")
        rate = self.sample_rate if sample_rate is None else check_rate(sample_rate)
        # A continuation is played without the synth's release.
        fade_s = FADE_OUT_S * (RELEASE_RATIO ** self.get("release") if prompt is None else 1.0)
        least_s = fade_s + 2.0 / self.preset.sample_rate
        if seconds is not None and not (
            isinstance(seconds, Real) and least_s <= seconds < math.inf
        ):
            raise ParameterError(
                f"seconds={seconds!r} must be {least_s:.4f} or more, the length of the fade-out"
            )
        n = None if seconds is None else round(seconds * rate)
        before = None if prompt is None else self._checked_prompt(prompt, rate, stereo)
        n_channels = self._n_generated(prompt, stereo)
        index = self._timbre_index(timbre)
        # A continuation has the level and the place of its prompt.
        sampling = ("temperature", "top_p")
        events = self._parameter_events(sampling if prompt is not None else None)
        controls = self._sampling_events(events, temperature, top_p, rate)
        seed = self.seed if seed is None else check_seed(seed)
        # At most two channels are notes of one engine; a note's number sets its seed.
        groups = [range(c, min(c + 2, n_channels)) for c in range(0, n_channels, 2)]
        streams = [
            self._gate_blocks(
                n,
                fade_s,
                rate,
                (seed + NOTE_SEED_STEP * (first_note + group.start)) % (1 << 64),
                None if before is None else before[:, group.start : group.stop],
                len(group),
                index,
                controls,
                block,
                table,
            )
            for group in groups
        ]
        is_flat = not stereo and np.ndim(prompt if prompt is not None else 0) < 2

        def blocks() -> Iterator[np.ndarray]:
            done = 0
            for pieces in zip(*streams, strict=True):
                sound = np.concatenate(pieces, axis=1)
                done += len(sound)
                if progress and n:
                    progress(min(1.0, done / n))
                yield sound[:, 0] if is_flat else sound

        return blocks()

    def _on_device(
        self, play: Callable[[Any], None], seconds: float | None, prompt: ArrayLike | None
    ) -> Any:
        """Samples that the device generates for `_generated`; None on the CPU."""
        if not self._opened.is_on_device or self.plays_notes:
            return None  # a preset that plays notes is refused by `_generated`
        for name, is_given in (("prompt", prompt is not None), ("seconds=None", seconds is None)):
            if is_given:
                raise ParameterError(
                    f"{name} is not supported on a GPU, which generates sounds of a given length"
                    " from their start; use device='cpu'"
                )
        return self._opened.computed(play)

    def _checked_prompt(self, prompt: ArrayLike, rate: int, stereo: bool) -> np.ndarray:
        """Check a prompt; return its last 30 s, [n_samples, n_channels], float32."""
        samples = np.asarray(prompt)
        if samples.ndim not in (1, 2) or samples.dtype.kind != "f" or 0 in samples.shape[1:]:
            raise ShapeError(
                f"prompt has shape {samples.shape} and type {samples.dtype}; it must be floats"
                " [n_samples] or [n_samples, n_channels]"
            )
        if samples.ndim == 2 and samples.shape[1] > min(len(samples), MAX_CHANNELS):
            raise ShapeError(
                f"prompt has shape {samples.shape}; it must be [n_samples, n_channels] with up to"
                f" {MAX_CHANNELS} channels: transpose it"
            )
        frame = self.preset.samplernn.frame_sizes[0]  # type: ignore[attr-defined]
        least = math.ceil(frame * rate / self.preset.sample_rate)
        if len(samples) < least:
            raise ShapeError(
                f"prompt has {len(samples)} samples; it must have {least} or more, and about a"
                " second is good"
            )
        samples = samples[-round(LONGEST_PROMPT_S * rate) :].astype(np.float32)
        if not np.isfinite(samples).all():
            raise ShapeError("prompt holds NaN or infinity; give finite samples")
        if samples.ndim == 1:
            samples = samples[:, None]
        return np.repeat(samples, 2, axis=1) if stereo and samples.shape[1] == 1 else samples

    def _n_generated(self, prompt: ArrayLike | None, stereo: bool) -> int:
        """Channels of generated audio."""
        shape = () if prompt is None else np.shape(prompt)
        given = shape[1] if len(shape) == 2 else 1
        return max(given, 2 if stereo else 1)

    def _sampling_events(
        self,
        first: Sequence[Event],
        temperature: Temperature | None,
        top_p: float | None,
        rate: int,
    ) -> list[Timed]:
        """Parameter events of generated audio, at samples from its beginning."""
        events: list[Timed] = [(0, event) for event in first]
        if top_p is not None:
            events.append((0, set_parameter(INDEX["top_p"], check_parameter("top_p", top_p))))
        if temperature is None:
            return events
        seconds, values = _curve(temperature)
        steps = [0.0]
        if len(seconds) > 1:
            steps += list(np.arange(seconds[0] + CURVE_STEP_S, seconds[-1], CURVE_STEP_S))
            steps.append(float(seconds[-1]))
        for time_s in steps:
            value = float(np.interp(time_s, seconds, values))
            event = set_parameter(INDEX["temperature"], value)
            events.append((max(0, round(time_s * rate)), event))
        return events

    def _gate_blocks(
        self,
        n: int | None,
        fade_s: float,
        rate: int,
        seed: int,
        prompt: np.ndarray | None,
        n_channels: int,
        timbre: int,
        controls: Sequence[Timed],
        block: int,
        table: Any,
    ) -> Iterator[np.ndarray]:
        """One note for each channel of one engine; ``n`` samples, or without end."""
        n_inputs = 0 if prompt is None else n_channels
        engine = self._opened.engine(rate, n_channels, seed, n_channels, n_inputs, table=table)
        start, events = 0, list[Timed]()
        last = prompt[-2:] if prompt is not None and len(prompt) > 1 else None
        if prompt is not None:
            # The note starts when the engine has received the whole prompt, which is played until
            # then, so that the resampler of the output sees no step.
            start = len(prompt) + int(engine.input_latency)
            prompt = _mirrored(prompt, int(engine.input_latency))
            events.append((0, set_parameter(INDEX["listen"], 1.0, timbre)))
            events.append((0, set_parameter(INDEX["monitor"], 1.0)))
            events.append((start, set_parameter(INDEX["monitor"], 0.0)))
        events += [(start + at, event) for at, event in controls]
        for i, pan in enumerate((0.0,) if n_channels == 1 else (-1.0, 1.0)):
            events.append((start, note_on(i, 60.0, 1.0, timbre, pan)))
        if n is not None:
            end = start + max(1, math.floor(n - fade_s * rate))
            events += [(end, note_off(i)) for i in range(n_channels)]
        events.sort(key=lambda entry: entry[0])
        skip = start + int(engine.latency)
        left = math.inf if n is None else n
        before = seam = np.zeros((0, n_channels), np.float32)
        for sound in rendered(engine, events, block, audio_input=prompt, least=start + (n or 0)):
            if last is not None and 0 < skip <= len(sound):
                before = np.concatenate((before, sound[:skip]))[-2:]
                seam = _seam(last - before, rate)
            before = sound[-2:]
            kept, skip = sound[skip:], max(0, skip - len(sound))
            kept = kept[: int(min(left, len(kept)))]
            left -= len(kept)
            if n_faded := min(len(seam), len(kept)):
                kept[:n_faded] += seam[:n_faded]
                seam = seam[n_faded:]
            if len(kept):
                yield kept
            if not left:
                return


def _ignore(share: float) -> None:
    """Ignore the progress."""


def _mirrored(prompt: np.ndarray, n: int) -> np.ndarray:
    """A prompt and ``n`` samples of its odd reflection, so that filters see no step at its end."""
    n_mirrored = min(n, len(prompt) - 1)
    return np.pad(prompt, ((0, n_mirrored), (0, 0)), "reflect", reflect_type="odd")


def _seam(error: np.ndarray, rate: int) -> np.ndarray:
    """Continuation of a resampled prompt's error that fades out: its value slowly, its slope soon.

    Parameters
    ----------
    error : ndarray [2, n_channels]
        Difference between the prompt's last sample and the network's.
    rate : int, Hz
        Rate of the prompt.

    Returns
    -------
    ndarray [n_samples, n_channels], float32
    """
    at = np.arange(1, round(SEAM_S * rate) + 1)[:, None]
    value = np.square(1.0 - at / (len(at) + 1))
    slope = at * np.square(np.maximum(0.0, 1.0 - at / (SLOPE_SEAM_S * rate)))
    return (value * error[1] + slope * (error[1] - error[0])).astype(np.float32)


def _curve(temperature: Temperature) -> tuple[np.ndarray, np.ndarray]:
    """Times (s) and the temperatures at them."""
    try:
        if isinstance(temperature, str):
            raise TypeError
        points = np.array(temperature, np.float64)
        if points.ndim == 0:
            points = np.array([(0.0, points)])
        seconds, values = points.reshape(len(points), 2).T
    except (TypeError, ValueError):
        raise ParameterError(
            f"temperature={temperature!r} must be a number, or a list of (seconds, temperature)"
        ) from None
    if not len(points) or not (np.diff(seconds) > 0).all() or not np.isfinite(seconds).all():
        raise ParameterError(
            f"temperature={temperature!r}: the seconds must rise from point to point"
        )
    for value in values:
        check_parameter("temperature", float(value))
    return seconds, values
