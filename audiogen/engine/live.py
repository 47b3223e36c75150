"""Live playing: events from any thread, parameters, MIDI, and blocks of stereo audio out."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from numbers import Real
from os import PathLike
from typing import Any

import numpy as np

from audiogen.core import backend
from audiogen.core.checks import check_rate, check_seed, check_whole
from audiogen.core.events import (
    ALL_OFF,
    NOTE_BEND,
    NOTE_LEVEL,
    NOTE_ON,
    NOTE_SLIDE,
    PARAMETER,
    Event,
    all_off,
    event_array,
    express,
    note_off,
    note_on,
    set_parameter,
)
from audiogen.core.parameters import (
    INDEX,
    MACROS,
    PARAMETERS,
    Parameter,
    ParameterAttributes,
    check_parameter,
    unknown_parameter,
)
from audiogen.engine.instrument import OpenPreset
from audiogen.engine.latents import Timbre, read_timbre
from audiogen.engine.precision import AUTO
from audiogen.errors import ParameterError, ShapeError
from audiogen.notes import parse_pitch
from audiogen.presets import GansynthPreset, Preset, SamplernnPreset, load_preset, timbre_of_program

LONGEST_MARGIN_MS = 5000.0
LOAD_SMOOTHING_S = 0.3
PEAK_FALL_DB_S = 20.0  # decay of the level meter
GATE_PITCH = 60.0  # pitch of a note of an unconditional network
MIDI_IDS = 1 << 31  # the MIDI reader numbers its notes from here on

LIVE_ONLY = ("sustain", "listen", "monitor")
SAMPLERNN_ONLY: tuple[str, ...] = ("temperature", "top_p", "listen", "monitor")
GANSYNTH_ONLY: tuple[str, ...] = ("morph", "morph_timbre", "tilt", "noise")
MAP = ("timbre_map", "timbre_x", "timbre_y")


class LivePlaying(ParameterAttributes):
    """Live playing of `Synth`. All methods can be called from any thread."""

    def __init__(
        self,
        preset: Preset,
        sample_rate: int | None,
        seed: int,
        precision: str,
        *,
        polyphony: int,
        max_block: int,
        realtime: bool,
        margin_ms: float,
        keep_events: bool,
        device: str,
    ):
        self._seed = check_seed(seed)
        self._rate = None if sample_rate is None else check_rate(sample_rate)
        self._polyphony = check_whole("polyphony", polyphony, 1, 4096)
        self._max_block = check_whole("max_block", max_block, 1, 65536, "samples")
        if not 0.0 < margin_ms <= LONGEST_MARGIN_MS:
            raise ParameterError(
                f"margin_ms={margin_ms:g} must be above 0, up to {LONGEST_MARGIN_MS:g}"
            )
        self._realtime, self._margin_ms, self._keep = bool(realtime), margin_ms, bool(keep_events)
        if self._realtime:
            backend.require()
        self._device = device
        self._opened = OpenPreset(preset, precision, device)
        self._timbre: Timbre | None = preset.default_timbre
        self._values: dict[str, float] = {}  # parameters that were set
        self._morph_target: Timbre | None = None
        self._making = threading.Lock()  # the engine is made or changed; taken before `_lock`
        self._lock = threading.Lock()  # guards what follows
        self._playing = threading.Lock()  # one block at a time
        self._engine: Any = None
        self._output: Any = None  # callback of a sound card, which plays the engine
        self._engine_rate = 0
        self._is_closed = False
        self._waiting: list[Event] = []
        self._n_notes = 0
        self._held: dict[float, int] = {}  # pitch: number of its note
        self._position = 0
        self._events: list[tuple[int, Any]] = []
        self._peak = self._load = 0.0
        self._midi_lock = threading.Lock()
        self._midi = backend.load().MidiReader()
        self._midi.set_programs(self._opened.instrument)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name in self._macro_rows():
            return self.get(name)
        return super().__getattr__(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_") and name in self._macro_rows():
            self.set(name, value)
        else:
            super().__setattr__(name, value)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop playing live, and give the engine's thread and memory back."""
        self.disconnect()
        with self._playing, self._lock:
            self._engine, self._is_closed = None, True

    # --- What plays -----------------------------------------------------------------------------

    @property
    def preset(self) -> Preset:
        """Description of the preset that plays."""
        return self._opened.preset

    @property
    def name(self) -> str:
        """Name of the preset."""
        return self.preset.name

    @property
    def kind(self) -> str:
        """Kind of the preset's network: ``gansynth`` or ``samplernn``."""
        return self.preset.kind

    @property
    def plays_notes(self) -> bool:
        """Whether notes have a pitch; else a note is a gate that lets audio be generated."""
        return self.preset.plays_notes

    @property
    def precision(self) -> str:
        """Precision of the network's arithmetic; the chosen one for ``auto``."""
        return self._opened.precision

    @property
    def seed(self) -> int:
        """Seed of all random numbers."""
        return self._seed

    @property
    def sample_rate(self) -> int:
        """Rate of the audio, Hz."""
        if self._rate is not None:
            return self._rate
        # A live engine keeps its rate when the preset changes.
        return self.preset.sample_rate if self._engine is None else self._engine_rate

    @property
    def max_block(self) -> int:
        """Longest block that `process` makes, samples."""
        return self._max_block

    @property
    def polyphony(self) -> int:
        """Notes that can sound at once; more make room for one another."""
        return self._polyphony

    @property
    def realtime(self) -> bool:
        """Whether a worker thread renders ahead of `process`."""
        return self._realtime

    @property
    def margin_ms(self) -> float:
        """How far the worker thread renders ahead of the longest block, ms."""
        return self._margin_ms

    @property
    def timbres(self) -> list[str]:
        """Names of the preset's timbres."""
        return self.preset.timbre_names

    @property
    def timbre(self) -> Timbre | None:
        """Timbre of the next notes: a name, a mix such as ``"harp+koto"``, a file or a latent."""
        return self._timbre

    @timbre.setter
    def timbre(self, timbre: Timbre) -> None:
        index = self._timbre_index(timbre)
        with self._midi_lock:
            self._midi.choose_timbre(index)
        self._timbre = timbre

    def change_preset(self, preset: str | PathLike[str] | Preset) -> None:
        """Play the next notes with another preset; those that sound fade out in 20 ms.

        It is read in the caller's thread while the sound goes on. Parameters stay as they were
        set, except ``morph_timbre``; the device, too.

        Parameters
        ----------
        preset : str, path or Preset
            Name, folder or description of the preset.

        Raises
        ------
        PresetError, ParameterError
        """
        loaded = preset if isinstance(preset, Preset) else load_preset(preset)
        asked = self._opened.asked_precision
        precision = asked if loaded.kind == self.kind or asked == AUTO else "float32"
        opened = OpenPreset(loaded, precision, self._device)
        with self._making:
            if self._engine is not None:
                self._engine.swap(opened.instrument)
            with self._midi_lock:
                self._midi.set_programs(opened.instrument)
            self._take_over(opened)

    def _take_over(self, opened: OpenPreset) -> None:
        """Describe the preset that plays from the next block on."""
        loaded = opened.preset
        with self._lock:
            # Held keys stay known: one may have been pressed since the swap.
            self._opened, self._timbre = opened, loaded.default_timbre
            index = self._timbre_index(None)
            # Notes that have not begun yet are the new preset's, too.
            self._waiting = [
                (*event[:3], index, *event[4:]) if event[1] == NOTE_ON else event
                for event in self._waiting
            ]
            self._morph_target = None
            if self._values.pop("morph_timbre", None) is not None:
                self._send(set_parameter(INDEX["morph_timbre"], 0.0))
            if self._engine is not None:  # which was perhaps told those of the former preset
                self._send(
                    *(
                        set_parameter(INDEX[name], self.initial(name))
                        for name in ("temperature", "top_p")
                        if name not in self._values
                    )
                )
            if self._keep:
                self._events.append((self.position, loaded.name))

    # --- Notes ----------------------------------------------------------------------------------

    def note_on(
        self,
        pitch: float | str = GATE_PITCH,
        velocity: float = 0.8,
        timbre: Timbre | None = None,
        pan: float = 0.0,
    ) -> int:
        """Start a note at the beginning of the next block.

        Parameters
        ----------
        pitch : float or str
            MIDI number, or a name such as ``"C4"``. A preset that is not conditioned on notes
            generates audio until the note-off, whatever the pitch.
        velocity : float
            Above 0, up to 1.
        timbre : str, path or sequence of float, optional
            Timbre of the note; `timbre` without.
        pan : float
            Added to the parameter ``pan``, -1 to 1.

        Returns
        -------
        int
            Number of the note in `events`. A held note of the same pitch is released.

        Raises
        ------
        ParameterError, PresetError
        """
        pitch = _check_pitch(pitch)
        if not (isinstance(velocity, Real) and 0.0 < velocity <= 1.0):
            raise ParameterError(f"velocity={velocity!r} must be above 0, up to 1")
        if not (isinstance(pan, Real) and -1.0 <= pan <= 1.0):
            raise ParameterError(f"pan={pan!r} must be from -1 to 1")
        with self._lock:
            self._require_open()
            index = self._timbre_index(timbre)
            if pitch in self._held:
                self._send(note_off(self._held[pitch]))
            self._n_notes = self._n_notes % (MIDI_IDS - 1) + 1
            self._held[pitch] = self._n_notes
            self._send(note_on(self._n_notes, pitch, float(velocity), index, float(pan)))
            return self._n_notes

    def note_off(self, pitch: float | str = GATE_PITCH) -> None:
        """Release the held note of a pitch; without one nothing happens."""
        pitch = _check_pitch(pitch)
        with self._lock:
            number = self._held.pop(pitch, None)
            if number is not None:
                self._send(note_off(number))

    def express(
        self,
        note: int,
        *,
        bend: float | None = None,
        level: float | None = None,
        slide: float | None = None,
    ) -> None:
        """Bend, fade or brighten one note from the beginning of the next block.

        Parameters
        ----------
        note : int
            Number that `note_on` returned.
        bend : float, semitones, optional
            Offset of the note's pitch, -48 to 48; unchanged without.
        level : float, optional
            Gain of the note, 0 to 4; unchanged without.
        slide : float, optional
            Added to ``macro_1`` for the note, -1 to 1; unchanged without.

        Raises
        ------
        ParameterError
            If a value is out of range.
        """
        wanted = {
            NOTE_BEND: ("bend", bend, -48.0, 48.0),
            NOTE_LEVEL: ("level", level, 0.0, 4.0),
            NOTE_SLIDE: ("slide", slide, -1.0, 1.0),
        }
        check_whole("note", note, 1, MIDI_IDS - 1)
        events: list[Event] = []
        for kind, (name, value, lowest, highest) in wanted.items():
            if value is None:
                continue
            if not (isinstance(value, Real) and lowest <= value <= highest):
                raise ParameterError(f"{name}={value!r} must be from {lowest:g} to {highest:g}")
            events.append(express(note, kind, float(value)))
        with self._lock:
            self._require_open()
            self._send(*events)

    def all_off(self, silence: bool = False) -> None:
        """Release all notes, or silence all sound in 5 ms."""
        with self._lock:
            self._held.clear()
            self._send(all_off(silence))

    # --- Parameters -----------------------------------------------------------------------------

    @property
    def parameters(self) -> list[Parameter]:
        """Rows of the parameter table that have an effect with this preset.

        A macro has the name and the help that the preset gives it.
        """
        without = GANSYNTH_ONLY if isinstance(self.preset, SamplernnPreset) else SAMPLERNN_ONLY
        if self.plays_notes:
            without = (*without, "listen", "monitor")
        if all(timbre.place is None for timbre in self.preset.timbres):
            without = (*without, *MAP)
        rows = [row for row in PARAMETERS if row.name not in (*without, *MACROS)]
        if isinstance(self.preset, GansynthPreset):
            for row, macro in zip(MACROS, self.preset.macros, strict=False):
                effect = f" {macro.effect}" if macro.effect else ""
                rows.append(
                    replace(PARAMETERS[INDEX[row]], name=macro.name, help=macro.help + effect)
                )
        return rows

    def _macro_rows(self) -> dict[str, str]:
        """Rows of the parameter table by the names of the preset's macros."""
        opened = self.__dict__.get("_opened")
        if opened is None or not isinstance(opened.preset, GansynthPreset):
            return {}
        return {m.name: row for m, row in zip(opened.preset.macros, MACROS, strict=False)}

    def _row_name(self, parameter: str) -> str:
        rows = self._macro_rows()
        row = rows.get(parameter, parameter)
        if row not in INDEX:
            raise ParameterError(unknown_parameter(parameter, rows))
        return row

    def initial(self, parameter: str) -> float:
        """Value of a parameter until it is set: the table's, or the preset's own."""
        parameter = self._row_name(parameter)
        if isinstance(self.preset, SamplernnPreset) and parameter in ("temperature", "top_p"):
            return float(getattr(self.preset.sampling, parameter))
        return PARAMETERS[INDEX[parameter]].initial

    def get(self, parameter: str) -> Any:
        """Value of a parameter; the timbre for ``morph_timbre``."""
        parameter = self._row_name(parameter)
        if parameter == "morph_timbre":
            if self._morph_target is not None:
                return self._morph_target
            return self.timbres[0] if self.timbres else None
        value = self._values.get(parameter)
        return self.initial(parameter) if value is None else value

    def set(self, parameter: str, value: Any) -> None:
        """Set a parameter from the beginning of the next block.

        Parameters
        ----------
        parameter : str
            Name of a row of `PARAMETERS`, or of a macro of the preset.
        value : float, or a timbre for ``morph_timbre``
            A number within the parameter's range.

        Raises
        ------
        ParameterError, PresetError
        """
        shown_name, parameter = parameter, self._row_name(parameter)
        with self._lock:
            if parameter == "morph_timbre":
                number = float(self._morph_index(value))
            else:
                number = check_parameter(parameter, value, shown_name)
            self._values[parameter] = number
            if self._engine is not None:
                self._send(self._parameter_event(parameter, number))

    def reset_parameters(self) -> None:
        """Set all parameters to their initial values."""
        with self._lock:
            if self._engine is not None:
                self._send(
                    *(set_parameter(INDEX[name], self.initial(name)) for name in self._values)
                )
            self._values.clear()
            self._morph_target = None

    def midi(self, data: bytes, age_s: float | None = None) -> None:
        """Play MIDI bytes, split anywhere (csrc/engine/midi.h).

        Parameters
        ----------
        data : bytes
            Bytes of MIDI 1.0.
        age_s : float, s, optional
            How long ago they were received. While a sound card plays, they then take effect one
            block and 1 ms after that, to the sample; otherwise at the start of the next block.
        """
        with self._midi_lock:
            chosen = self._midi.timbre
            events = self._midi.read(data)
            if self._midi.timbre != chosen and self.timbres:
                self._timbre = self.timbres[self._midi.timbre]
        with self._lock:
            self._require_open()
            listed: list[Event] = [tuple(row.tolist()) for row in events]
            for event in listed:
                if event[1] == PARAMETER:
                    self._values[PARAMETERS[event[2]].name] = event[5]
                elif event[1] == ALL_OFF:
                    self._held.clear()
            self._send(*listed, age_s=age_s)

    def program(self, number: int) -> None:
        """Choose the timbre that is nearest to a General MIDI program, 0 to 127.

        `note_on` takes pitches, not keys, so its notes aren't transposed as those of `midi` are
        after a program change (``transpose`` of a timbre).
        """
        check_whole("program", number, 0, 127)
        if self.timbres:
            self.timbre = timbre_of_program(number, [self.preset])[1] or self.timbres[0]

    # --- Sound ----------------------------------------------------------------------------------

    def process(self, n: int, audio_input: np.ndarray | None = None) -> np.ndarray:
        """Make the next block.

        Parameters
        ----------
        n : int, samples
            1 to ``max_block``.
        audio_input : ndarray [n, 2], float32, optional
            Audio that a note may continue (parameter ``listen``); silence without.

        Returns
        -------
        ndarray [n, 2], float32
            Full scale is 1; more is not clipped.
        """
        check_whole("n", n, 1, self._max_block, "samples")
        if audio_input is not None:
            audio_input = np.ascontiguousarray(audio_input, np.float32)
            if audio_input.shape != (n, 2):
                raise ShapeError(
                    f"audio_input has shape {audio_input.shape}; it must be [{n}, 2], as the block"
                )
        began = time.perf_counter()
        with self._playing:
            self._require_no_card()
            engine = self._require_engine()
            with self._lock:
                waiting, self._waiting = self._waiting, []
                if self._keep:
                    self._events += [(self._position, event) for event in waiting]
            samples = engine.process(n, event_array(waiting), audio_input)
            self._position += n
            fall = 10.0 ** (-PEAK_FALL_DB_S / 20.0 * n / self.sample_rate)
            self._peak = max(float(engine.peak), self._peak * fall)
            seconds = n / self.sample_rate
            part = (time.perf_counter() - began) / seconds
            self._load += (part - self._load) * min(1.0, seconds / LOAD_SMOOTHING_S)
        return samples

    def connect(self, n_channels: int, n_recorded: int = 0) -> Any:
        """Let a sound card request blocks through a native callback (csrc/engine/card_output.h).

        Parameters
        ----------
        n_channels : int
            Channels of the card, 1 or 2.
        n_recorded : int, samples
            Number of samples that are kept for recording.

        Returns
        -------
        CardOutput of the backend, optional
            None if `process` must be called instead: without ``realtime`` or the compiled module.

        Raises
        ------
        ParameterError
            If a sound card plays the synth already, or it is closed.
        """
        native = backend.find()
        if native is None or not self._realtime:
            return None
        engine = self._require_engine()
        with self._playing, self._lock:
            self._require_no_card()
            output = native.CardOutput(engine, n_channels, n_recorded)
            waiting, self._waiting = self._waiting, []
            self._output = output
            self._send(*waiting)
        return output

    def disconnect(self) -> None:
        """Return to `process` for the blocks; the card must be closed."""
        with self._playing, self._lock:
            if self._output is not None:
                self._position += self._output.n_samples
                self._output = None

    @property
    def position(self) -> int:
        """Samples that were made live since the start."""
        output = self._output
        return self._position if output is None else self._position + int(output.n_samples)

    @property
    def events(self) -> list[tuple[int, Any]]:
        """With ``keep_events``, the position and event, or preset name, of all that happened."""
        return self._events

    @property
    def peak(self) -> float:
        """Level of the last blocks, falling by 20 dB a second; full scale is 1."""
        output = self._output
        return self._peak if output is None else float(output.peak)

    @property
    def latency(self) -> int:
        """Samples from the block that an event was given before to its sound."""
        return int(self._require_engine().latency)

    @property
    def n_sounding(self) -> int:
        """Notes that sound."""
        return 0 if self._engine is None else int(self._engine.n_sounding)

    @property
    def n_late(self) -> int:
        """Blocks that were not ready in time; 0 unless ``realtime``."""
        return 0 if self._engine is None else int(self._engine.n_late)

    @property
    def n_delayed(self) -> int:
        """Notes that waited until there was time to start them; 0 unless ``realtime``."""
        return 0 if self._engine is None else int(self._engine.n_delayed)

    @property
    def load(self) -> float:
        """Share of the time that making the sound takes; above 1 it cannot be played live."""
        if self._engine is not None and self._realtime:
            return float(self._engine.load)
        return self._load

    # --- Inside ---------------------------------------------------------------------------------

    def _send(self, *events: Event, age_s: float | None = None) -> None:
        """Pass events to the next block, or to the audio thread of a sound card; holds `_lock`."""
        if self._output is None:
            self._waiting += events
            return
        if self._keep:
            self._events += [(self.position, event) for event in events]
        if not events:
            return
        if age_s is None:
            self._engine.post(event_array(list(events)))
        else:
            self._output.post(event_array(list(events)), age_s)

    def _timbre_index(self, timbre: Timbre | None) -> int:
        """Index of a timbre in the instrument, which learns it if it is a latent."""
        chosen = self._timbre if timbre is None else timbre
        if chosen is None:
            return 0
        if isinstance(chosen, str) and chosen in self.timbres:
            return self.timbres.index(chosen)
        return self._opened.timbre_index(read_timbre(self.preset, chosen).tolist())

    def _morph_index(self, timbre: Any) -> int:
        if timbre is None:
            raise ParameterError("morph_timbre=None must be a timbre")
        if isinstance(timbre, Real):
            index = int(float(timbre))
            if not 0 <= index < max(1, len(self.timbres)) or index != timbre:
                raise ParameterError(
                    f"morph_timbre={timbre!r} must be a timbre of preset {self.name!r}, or its"
                    f" index, 0 to {len(self.timbres) - 1}"
                )
            self._morph_target = self.timbres[index] if self.timbres else None
            return index
        index = self._timbre_index(timbre)
        self._morph_target = timbre
        return index

    def _require_open(self) -> None:
        if self._is_closed:
            raise ParameterError(f"synth {self.name!r} is closed; load the preset again")

    def _require_no_card(self) -> None:
        """Only one thread may ask for blocks."""
        if self._output is not None:
            raise ParameterError(
                f"synth {self.name!r} is played by a sound card, which requests its blocks;"
                " close the card first"
            )

    def _require_engine(self) -> Any:
        """The live engine, made when it is first needed."""
        self._require_open()
        if self._engine is None:
            with self._making:
                if self._engine is None:
                    self._open_engine()
        return self._engine

    def _open_engine(self) -> None:
        margin = None
        if self._realtime:
            margin = max(1, round(self.sample_rate * self._margin_ms / 1e3))
        engine = self._opened.live_engine(
            self.sample_rate, self._max_block, self._polyphony, self._seed, margin
        )
        with self._lock:
            values = [self._parameter_event(name, value) for name, value in self._values.items()]
            self._waiting = [*values, *self._waiting]
            self._engine, self._engine_rate = engine, self.sample_rate

    def _parameter_event(self, name: str, value: float) -> Event:
        timbre = self._timbre_index(None) if name == "listen" else 0
        return set_parameter(INDEX[name], value, timbre)

    def _parameter_events(self, names: Sequence[str] | None = None) -> list[Event]:
        """Events that bring an offline engine to the parameters as they were set.

        Those of live playing alone (the pedal, the audio input) are left out.
        """
        return [
            set_parameter(INDEX[name], value)
            for name, value in self._values.items()
            if value != self.initial(name)
            and name not in LIVE_ONLY
            and (names is None or name in names)
        ]


def _check_pitch(pitch: float | str) -> float:
    if isinstance(pitch, str):
        return parse_pitch(pitch)
    if not (isinstance(pitch, Real) and 0.0 <= pitch < 128.0):
        raise ParameterError(f"pitch={pitch!r} must be a MIDI number from 0 up to 128, or a name")
    return float(pitch)


def open_preset(preset: str | PathLike[str] | Preset) -> Preset:
    """Description of a preset by name, folder or itself."""
    return preset if isinstance(preset, Preset) else load_preset(preset)
