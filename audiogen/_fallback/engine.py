"""Events and audio input in, samples out (csrc/engine/engine.h).

What native code keeps in float32 is float32 here, too, so that sums over the length of a note round
alike.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from audiogen._fallback.filters.resampler import Resampler
from audiogen._fallback.filters.reverb import Reverb
from audiogen._fallback.instrument import (
    AnyInstrument,
    Array,
    Drum,
    Note,
    Shaping,
    Vibrato,
    Voice,
    require,
)
from audiogen._fallback.parameter_table import MOST_VOICES, N_MACROS, ROWS, parameters
from audiogen.core.events import (
    ALL_OFF,
    NOTE_BEND,
    NOTE_LEVEL,
    NOTE_OFF,
    NOTE_ON,
    NOTE_SLIDE,
    PARAMETER,
)

SEED_STEP = 0x9E3779B97F4A7C15  # between the seeds of notes
TICK = 16  # samples of the model's time between two steps of the parameters
FADES_PER_SECOND = 200  # a stolen or silenced note fades out in 5 ms
VIBRATO_HZ = 5.5
FURTHEST_BEND = np.float32(12)  # semitones beyond the trained pitches
LONGEST_RISE = np.float32(4)  # s; fade-in at the end of the range of attack
GOLDEN = 0.6180339887498949
OCTAVE = np.float32(12)
# Expression of a note: lowest, highest and initial value, and the parameter whose smoothing it has.
EXPRESSION = {
    NOTE_BEND: (-48.0, 48.0, 0.0, "bend"),  # semitones
    NOTE_LEVEL: (0.0, 4.0, 1.0, "expression"),  # gain
    NOTE_SLIDE: (-1.0, 1.0, 0.0, "macro_1"),  # amount of the first macro
}


class _Smoother:
    """A number that moves to its target in a straight line (csrc/core/smoother.h)."""

    def __init__(self, n_ticks: int):
        self._n_ticks = n_ticks
        self.set(0.0)

    def set(self, value: float) -> None:
        self.value = self._target = np.float32(value)
        self.ticks_left = 0

    def move_to(self, target: float) -> None:
        if not self._n_ticks:
            self.set(target)
            return
        self._target, self.ticks_left = np.float32(target), self._n_ticks
        self._step = (self._target - self.value) / np.float32(self._n_ticks)

    def tick(self) -> None:
        if self.ticks_left:
            self.ticks_left -= 1
            self.value = self.value + self._step if self.ticks_left else self._target


class _Slot:
    """A voice and how its note is played."""

    def __init__(self, voice: Voice):
        self.voice = voice
        self.timbre = 0
        self.id = 0  # id of the note
        self.number = 0  # notes that came before it
        self.start = 0  # model time of the note's start
        self.vibrato_lead = 0.0  # the engine's at the note's start
        self.pedalled = False  # released, and held by the pedal
        self.pitch = np.float32(60)  # at the end of a glide
        self.glide_offset = np.float32(0)  # semitones from that pitch
        self.glide_step = np.float32(0)  # semitones a tick
        self.voice_pitch = self.pitch  # last pitch that was passed to the voice
        self.pan = np.float32(0)  # of the note and of a kit's drum
        self.group = 0  # of drums that end each other; 0 for none
        self.spread_position = np.float32(0)  # -1 to 1
        self.rise = np.float32(1)  # gain of the fade-in by attack
        self.rise_step = np.float32(0)  # gain a tick
        self.expression: dict[int, _Smoother] = {}  # by kind of event
        self.gain = self.next_gain = np.ones(1, np.float32)  # at the last and the next tick


class Engine:
    """The streaming engine.

    Parameters
    ----------
    instrument : AnyInstrument
        Instrument that all voices play.
    sample_rate : int, Hz
        Rate of the blocks.
    max_block : int, samples
        Longest block, samples.
    max_voices : int
        Notes that can sound at once.
    seed : int
        Seed of the notes' random numbers.
    n_channels : int
        1 or 2.
    n_inputs : int
        Channels of audio input, 0 to 2.
    """

    def __init__(
        self,
        instrument: AnyInstrument,
        sample_rate: int,
        max_block: int,
        max_voices: int,
        seed: int = 0,
        n_channels: int = 1,
        n_inputs: int = 0,
        n_threads: int = 1,
    ):
        rate = round(instrument.sample_rate)
        for name, value, lowest, highest in (
            ("max_block", max_block, 1, 65536),
            ("max_voices", max_voices, 1, 4096),
            ("n_channels", n_channels, 1, 2),
            ("n_threads", n_threads, 1, 64),  # one renders all
            ("n_inputs", n_inputs, 0, 2),
        ):
            require(lowest <= value <= highest, f"{name}={value} must be {lowest} to {highest}")
        self.max_block, self.n_channels, self.n_inputs = max_block, n_channels, n_inputs
        self._instrument = instrument
        self._outputs = [Resampler(rate, sample_rate) for _ in range(n_channels)]
        self._inputs = [Resampler(sample_rate, rate) for _ in range(n_inputs)]
        self._up, self._down = self._outputs[0].up, self._outputs[0].down
        self.latency = self._outputs[0].latency
        self.input_latency = 0
        if self._inputs:  # in samples of the host
            self.input_latency = -(-self._inputs[0].latency * self._up // self._down)
        self._parameters = {name: _Smoother(_n_ticks(name, rate)) for name in ROWS}
        self._reverb = Reverb(instrument.sample_rate, n_channels)
        self._voices = instrument.make_voices(max_voices, n_inputs)
        self._slots = [_Slot(voice) for voice in self._voices.voices]
        for slot in self._slots:
            slot.expression = {
                kind: _Smoother(_n_ticks(name, rate)) for kind, (*_, name) in EXPRESSION.items()
            }
        n_fade = rate // FADES_PER_SECOND
        self._fade = (1 - np.arange(1, n_fade + 1) / (n_fade + 1)).astype(np.float32)
        self.reset(seed)

    def reset(self, seed: int = 0) -> None:
        """Bring the engine to its first state."""
        for slot in self._slots:
            slot.voice.active = slot.pedalled = False
        for name, parameter in self._parameters.items():
            parameter.set(self._instrument.initial(name))
        # Tails of stolen notes, added to the next samples.
        self._fading = np.zeros((self.n_channels, len(self._fade)), np.float32)
        for resampler in self._outputs + self._inputs:
            resampler.reset()
        self._seed = seed
        self._host_time = self._model_time = self._n_notes = 0  # samples, samples, notes
        self._vibrato_lead = 0.0  # seconds by which vibrato_rate advanced vibratos
        self.n_transposed = self.n_stolen = 0
        self._last = self._slots[0]  # slot of the last note, where a glide starts
        self._early_id = -1  # note that has not started, and its expression by kind
        self._early: dict[int, float] = {}
        self._stale = False  # whether the next tick changes anything
        self._reverb.reset()
        self._send = self._next_send = np.float32(0)  # into the reverb, at the last tick and next

    @property
    def n_sounding(self) -> int:
        """Notes that sound."""
        return len(self._active())

    def process(self, n: int, events: np.ndarray, input: Array | None = None) -> Array:
        """Make the next block.

        Parameters
        ----------
        n : int, samples
            Length of the block.
        events : ndarray, `EVENT`
            Sorted by offset.
        input : ndarray [n, n_inputs], float32, optional
            Audio input; silence without.

        Returns
        -------
        ndarray [n, n_channels], float32
        """
        require(n <= self.max_block, f"n={n} must be at most max_block={self.max_block}")
        for resampler, samples in zip(
            self._inputs, input_channels(input, n, self.n_inputs), strict=True
        ):
            resampler.push(samples)
        for event in events:
            at = self._host_time + min(int(event["offset"]), max(n - 1, 0))
            # The model's first sample at or after the event.
            self._advance(-(-at * self._down // self._up))
            self._handle(event)
        if n < 1:
            return np.zeros((0, self.n_channels), np.float32)
        self._host_time += n
        self._advance(self._outputs[0].needed(self._host_time - 1))
        return np.stack([resampler.pull(n) for resampler in self._outputs], axis=1)

    def _value(self, name: str) -> np.float32:
        return self._parameters[name].value

    def _active(self) -> list[_Slot]:
        return [slot for slot in self._slots if slot.voice.active]

    def _listens(self) -> bool:
        return bool(self._value("listen") >= 0.5)

    def _advance(self, until: int) -> None:
        while self._model_time < until:
            if self._model_time % TICK == 0 and self._moves():
                self._tick()
            n = until - self._model_time
            if self._moves():
                n = min(n, TICK - self._model_time % TICK)
            received = np.zeros((self.n_inputs, n), np.float32)
            for c, resampler in enumerate(self._inputs):
                received[c] = resampler.pull(n)
            for resampler, samples in zip(self._outputs, self._mix(received), strict=True):
                resampler.push(samples)
            if self._listens():
                self._voices.receive(received)
            self._model_time += n

    def _mix(self, received: Array) -> Array:
        """The next samples, [n_channels, n], from those of the input, [n_inputs, n]."""
        n = received.shape[1]
        mix = np.zeros((self.n_channels, n), np.float32)
        if self._inputs and self._value("monitor") > 0:
            channels = np.minimum(np.arange(self.n_channels), self.n_inputs - 1)
            mix += self._value("monitor") * received[channels]
        self._voices.set_sampling(self._value("temperature"), self._value("top_p"))
        since_tick = np.float32(self._model_time % TICK + 1) + np.arange(n, dtype=np.float32)
        for slot in self._active():
            voice = np.zeros(n, np.float32)
            slot.voice.add(voice)
            slope = (slot.next_gain - slot.gain) / np.float32(TICK)
            mix += (slot.gain[:, None] + slope[:, None] * since_tick) * voice
        n_faded = min(n, len(self._fade))
        mix[:, :n_faded] += self._fading[:, :n_faded]
        self._fading = np.pad(self._fading[:, n_faded:], ((0, 0), (0, n_faded)))
        if self._send or self._next_send or self._reverb.sounding:
            slope = (self._next_send - self._send) / np.float32(TICK)
            self._reverb.add(mix, self._send, slope, self._model_time % TICK)
        return mix

    def _moves(self) -> bool:
        """Whether anything changes from tick to tick."""
        return (
            self._stale
            or bool(self._value("vibrato") > 0)
            or any(parameter.ticks_left for parameter in self._parameters.values())
            or any(bool(slot.glide_offset != 0 or slot.rise < 1) for slot in self._active())
            or any(self._own_vibrato(slot) is not None for slot in self._active())
            or any(one.ticks_left for slot in self._active() for one in slot.expression.values())
        )

    def _tick(self) -> None:
        for parameter in self._parameters.values():
            parameter.tick()
        self._vibrato_lead += (self._vibrato_speed() - 1.0) * TICK / self._instrument.sample_rate
        self._send, self._next_send = self._next_send, self._value("reverb")
        self._stale = bool(self._send != self._next_send)
        shaping = self._shaping()
        for slot in self._active():
            slot.rise = min(np.float32(1), slot.rise + slot.rise_step)
            for one in slot.expression.values():
                one.tick()
            slot.gain, slot.next_gain = slot.next_gain, self._gain(slot)
            self._stale |= bool((slot.gain != slot.next_gain).any())
            offset = max(np.float32(0), abs(slot.glide_offset) - slot.glide_step)
            slot.glide_offset = np.copysign(offset, slot.glide_offset)
            pitch = self._pitch(slot)
            if pitch != slot.voice_pitch:
                slot.voice_pitch = pitch
                slot.voice.set_pitch(float(pitch))
            self._set_morph(slot)
            slot.voice.shaping = _with_slide(shaping, slot)

    def _gain(self, slot: _Slot) -> Array:
        """Gain of each channel; a note in the middle is as loud in each as it is in mono."""
        volume = self._value("volume") * self._value("expression")
        level = volume**2 * slot.rise * slot.expression[NOTE_LEVEL].value * self._tremolo(slot)
        gains = self._instrument.gains
        if slot.timbre < len(gains):
            level *= gains[slot.timbre]
        gain = np.full(self.n_channels, level, np.float32)
        if self.n_channels == 2:
            position = self._value("pan") + slot.pan + self._value("spread") * slot.spread_position
            sides = np.clip(position, -1, 1) * np.array([-1, 1], np.float32)
            gain *= np.minimum(np.float32(1), 1 + sides)
        return gain

    def _pitch(self, slot: _Slot) -> np.float32:
        bend = self._value("bend") + self._value("pitch_wheel") * self._value("bend_range")
        pitch = slot.pitch + slot.glide_offset + bend
        pitch += slot.expression[NOTE_BEND].value
        pitch += self._vibrato(slot)
        if self._instrument.kit is not None:
            return np.clip(pitch, slot.pitch - FURTHEST_BEND, slot.pitch + FURTHEST_BEND)
        lowest = min(self._instrument.lowest - FURTHEST_BEND, slot.pitch)
        return np.clip(pitch, lowest, max(self._instrument.highest + FURTHEST_BEND, slot.pitch))

    def _own_vibrato(self, slot: _Slot) -> Vibrato | None:
        vibratos = self._instrument.vibratos
        return vibratos[slot.timbre] if slot.timbre < len(vibratos) else None

    def _vibrato(self, slot: _Slot) -> np.float32:
        """Semitones; csrc/engine/engine.cpp describes it."""
        depth = self._value("vibrato")
        cycles = VIBRATO_HZ * self._model_time / self._instrument.sample_rate
        cycles += VIBRATO_HZ * self._vibrato_lead
        if (own := self._own_vibrato(slot)) is not None:
            cycles, share = self._progress(slot, own)
            depth = depth + share * own.depth_cents / np.float32(100)
        if depth <= 0:
            return np.float32(0)
        return depth * np.float32(math.sin(2 * math.pi * cycles))

    def _vibrato_speed(self) -> float:
        """Rate of vibratos relative to their own."""
        return 2.0 ** float(self._value("vibrato_rate"))

    def _tremolo(self, slot: _Slot) -> np.float32:
        """Gain of a timbre's tremolo."""
        own = self._own_vibrato(slot)
        if own is None or own.tremolo_db == 0:
            return np.float32(1)
        cycles, share = self._progress(slot, own)
        rate_hz = float(own.rate_hz) * (self._vibrato_speed() - 1.0)
        cycles += float(own.tremolo_phase) / 360 - rate_hz * self._instrument.pitch_delay_s
        sine = np.float32(math.sin(2 * math.pi * cycles))
        return np.float32(10) ** (share * own.tremolo_db * sine / np.float32(20))

    def _progress(self, slot: _Slot, own: Vibrato) -> tuple[float, np.float32]:
        """Cycles of a timbre's vibrato in a note, and share of its depth."""
        samples, rate = self._model_time - slot.start, self._instrument.sample_rate
        since = np.float32(samples / rate)
        share = since / own.rise_s if since < own.rise_s else np.float32(1)
        phase = GOLDEN * (slot.number + float(slot.pitch))
        turned = float(own.rate_hz) * samples / rate
        turned += float(own.rate_hz) * (self._vibrato_lead - slot.vibrato_lead)
        return phase + turned, share

    def _shaping(self) -> Shaping:
        macros = tuple(self._value(f"macro_{i}") for i in range(1, N_MACROS + 1))
        tilt, noise = self._value("tilt"), self._value("noise")
        return Shaping(self._value("attack"), self._value("release"), macros, tilt, noise)

    def _set_morph(self, slot: _Slot) -> None:
        if self._maps() and slot.timbre < len(self._instrument.places):
            distances = self._map_distances()
            start, distances[slot.timbre] = distances[slot.timbre], np.inf
            other = int(distances.argmin())
            is_there = len(distances) == 1 or start == 0
            slot.voice.set_morph(
                slot.timbre if len(distances) == 1 else other,
                np.float32(0) if is_there else start / (start + distances[other]),
            )
            return
        index = min(int(np.rint(self._value("morph_timbre"))), self._instrument.n_timbres - 1)
        slot.voice.set_morph(index, self._value("morph"))

    def _maps(self) -> bool:
        return bool(self._value("timbre_map") >= 0.5) and len(self._instrument.places) > 0

    def _map_distances(self) -> Array:
        """Distance on the map to each timbre."""
        here = np.array([self._value("timbre_x"), self._value("timbre_y")], np.float32)
        distances: Array = np.sqrt(((self._instrument.places - here) ** 2).sum(axis=1))
        return distances

    def _timbre(self, event: np.void) -> int:
        return int(event["timbre"]) if event["timbre"] < self._instrument.n_timbres else 0

    def _handle(self, event: np.void) -> None:
        kind, value = event["kind"], event["value"]
        if kind == NOTE_OFF:
            if event["id"] == self._early_id:
                self._early_id = -1
            for slot in self._active():
                if slot.id == event["id"]:
                    slot.pedalled = bool(self._value("sustain") >= 0.5)
                    if not slot.pedalled:
                        slot.voice.note_off()
        elif kind == NOTE_ON:
            self._note_on(event)
        elif kind == PARAMETER:
            self._set(event)
        elif kind == ALL_OFF:
            self._early_id = -1
            for slot in self._active():
                if value > 0:
                    self._fade_out(slot)
                else:
                    slot.voice.note_off()
        elif kind in EXPRESSION:
            self._express(int(kind), int(event["id"]), value)

    def _express(self, kind: int, id: int, value: np.float32) -> None:
        if not np.isfinite(value):
            return
        lowest, highest, *_ = EXPRESSION[kind]
        value = np.float32(np.clip(value, lowest, highest))
        is_held = False
        for slot in self._active():
            if slot.id == id:
                slot.expression[kind].move_to(float(value))
                self._stale = True
                is_held |= not (slot.voice.released or slot.pedalled)
        if is_held:
            return
        if id != self._early_id:
            self._early_id, self._early = id, {}
        self._early[kind] = float(value)

    def _set(self, event: np.void) -> None:
        if event["id"] >= len(parameters) or not np.isfinite(event["value"]):
            return
        row = parameters[event["id"]]
        value = float(np.clip(event["value"], row["lowest"], row["highest"]))
        if row["name"] == "listen" and value >= 0.5 and not self._listens():
            self._voices.start_listening(self._timbre(event))
        parameter = self._parameters[row["name"]]
        if self.n_sounding == 0:  # the step is inaudible
            parameter.set(value)
        else:
            parameter.move_to(value)
        self._stale = True
        if self._value("sustain") < 0.5:
            for slot in self._slots:
                if slot.pedalled and slot.voice.active:
                    slot.voice.note_off()
                slot.pedalled = False

    def _note_on(self, event: np.void) -> None:
        pitch, velocity, pan = event["pitch"], event["value"], event["pan"]
        if not (np.isfinite(pitch) and np.isfinite(velocity)):
            return
        instrument = self._instrument
        pitch = np.clip(pitch, np.float32(-128), np.float32(256))
        timbre = self._timbre(event)
        pan = pan if np.isfinite(pan) else np.float32()
        kit, group = instrument.kit, 0
        if kit is not None:
            key = int(np.clip(np.floor(pitch + np.float32(0.5)), 0, 127))
            if timbre < kit.n_timbres:  # others play on any key
                if key not in kit.drums:
                    return
                timbre = list(kit.drums).index(key)
            drum = kit.drums.get(key, Drum(key, kit.pitch, np.float32(), 0))
            pitch, pan, group = drum.pitch, pan + drum.pan, drum.group
            self._end_group(group)
        else:
            self.n_transposed += not instrument.lowest <= pitch <= instrument.highest
            while pitch > instrument.highest:
                pitch -= OCTAVE
            while pitch < instrument.lowest:
                pitch += OCTAVE
            pitch = min(pitch, instrument.highest)  # where the range is less than an octave

        last_pitch = self._last.pitch + self._last.glide_offset
        self._last = slot = self._free_slot()
        slot.id, slot.number, slot.pedalled = int(event["id"]), self._n_notes, False
        self._n_notes += 1
        slot.start, slot.timbre = self._model_time, timbre
        slot.vibrato_lead = self._vibrato_lead
        if kit is None and self._maps():
            slot.timbre = int(self._map_distances().argmin())
        slot.pitch, slot.glide_offset = pitch, np.float32(0)
        slot.pan, slot.group = np.clip(pan, np.float32(-1), np.float32(1)), group
        n_ticks = float(self._value("glide")) * instrument.sample_rate / TICK
        if kit is None and n_ticks >= 1 and slot.number:
            slot.glide_offset = last_pitch - pitch
            slot.glide_step = abs(slot.glide_offset) / np.float32(n_ticks)
        slot.spread_position = np.float32(2 * ((0.5 + GOLDEN * slot.number) % 1) - 1)
        attack = max(np.float32(0), self._value("attack"))
        n_ticks = float(LONGEST_RISE * attack * attack) * instrument.sample_rate / TICK
        slot.rise = np.float32(n_ticks <= 1)
        slot.rise_step = np.float32(1 / n_ticks if n_ticks > 1 else 0)
        early: dict[int, float] = {}
        if slot.id == self._early_id:
            early, self._early_id = self._early, -1
        for kind, (_, _, initial, _) in EXPRESSION.items():
            slot.expression[kind].set(early.get(kind, initial))
        slot.gain = slot.next_gain = self._gain(slot)
        slot.voice_pitch = self._pitch(slot)
        self._set_morph(slot)
        slot.voice.shaping = _with_slide(self._shaping(), slot)
        added = int(np.rint(self._value("variation")))
        note = Note(
            timbre=slot.timbre,
            pitch=float(slot.voice_pitch),
            key_pitch=float(slot.pitch),
            velocity=float(np.clip(velocity, 0, 1)),
            # Random numbers of a note depend on the seed and on the number of notes before it.
            seed=(self._seed + added + SEED_STEP * slot.number) % 2**64,
            continues=self._listens(),
            input=int(slot.pan > 0),
        )
        self._voices.note_on(self._slots.index(slot), note)

    def _free_slot(self) -> _Slot:
        """Steal notes until there are fewer than ``voices``."""
        most, wanted = len(self._slots), int(np.rint(self._value("voices")))
        if wanted < MOST_VOICES:
            most = min(most, wanted)
        for _ in range(self.n_sounding - most + 1):
            self.n_stolen += 1
            # Released notes go first, the oldest of them first.
            chosen = min(self._active(), key=lambda slot: (not slot.voice.released, slot.number))
            self._fade_out(chosen)
        return next(slot for slot in self._slots if not slot.voice.active)

    def _end_group(self, group: int) -> None:
        """End the drums of a group, as a closed hi-hat ends an open one."""
        for slot in self._active():
            if group and slot.group == group:
                self._fade_out(slot)

    def _fade_out(self, slot: _Slot) -> None:
        """Keep the next samples of a voice, faded out; the voice is then free."""
        tail = np.zeros_like(self._fade)
        slot.voice.add(tail)
        self._fading += self._fade * slot.next_gain[:, None] * tail
        slot.voice.active = False


def _n_ticks(parameter: str, rate: int) -> int:
    return int(ROWS[parameter]["smoothing_s"] * rate / TICK + 0.5)


def _with_slide(shaping: Shaping, slot: _Slot) -> Shaping:
    """Add the slide of the slot's note to the first macro."""
    slide = slot.expression[NOTE_SLIDE].value
    if not slide:
        return shaping
    first = np.clip(shaping.macros[0] + slide, np.float32(-1), np.float32(1))
    return replace(shaping, macros=(first, *shaping.macros[1:]))


def input_channels(input: Any, n: int, n_inputs: int) -> Array:
    """Audio input [n, n_inputs] as [n_inputs, n]; silence for None."""
    if input is None:
        return np.zeros((n_inputs, n), np.float32)
    samples = np.asarray(input, np.float32)
    require(samples.shape == (n, n_inputs), f"input must have the shape [{n}, {n_inputs}], float32")
    return samples.T
