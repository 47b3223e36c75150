"""Events in, samples out, where the native engine is missing: slow, obvious, the same samples.

`Engine` is called as that of `audiogen._native`, which is tested against it; it plays what
`fallback_gansynth` and `fallback_samplernn` hand it. Where native code keeps float32 this keeps it
too, so that sums that run on for the length of a note round alike.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiogen.core.events import ALL_OFF, NOTE_OFF, NOTE_ON, PARAMETER
from audiogen.errors import ParameterError

Array = NDArray[np.float32]

KAISER_BETA, TAPS = 11.2, 72  # of the resampler's filter
LARGEST_TABLE = 1 << 24  # numbers in it
SEED_STEP = 0x9E3779B97F4A7C15  # between the seeds of notes

TICK = 16  # samples of the model's time between two looks at the parameters
VIBRATO_HZ = 5.5
FURTHEST_BEND = np.float32(12)  # semitones beyond the trained pitches
GOLDEN = 0.6180339887498949

# csrc/engine/parameters.h, which says what each is.
_COLUMNS = "name", "unit", "lowest", "highest", "initial", "smoothing_s", "controller", "help"
_ROWS = (
    ("volume", "", 0.0, 1.0, 1.0, 0.02, 7, "Loudness; its square is the gain."),
    ("pan", "", -1.0, 1.0, 0.0, 0.02, 10, "Left to right."),
    ("spread", "", 0.0, 1.0, 0.0, 0.02, -1, "How far apart notes are panned."),
    ("bend", "semitones", -48.0, 48.0, 0.0, 0.01, -2, "Added to all pitches."),
    ("glide", "s", 0.0, 10.0, 0.0, 0.0, 5, "Time of the way from the last note's pitch."),
    ("sustain", "", 0.0, 1.0, 0.0, 0.0, 64, "Pedal: from 0.5 on, notes let go sound on."),
    ("vibrato", "semitones", 0.0, 2.0, 0.0, 0.05, -3, "Depth, at 5.5 Hz."),
    ("expression", "", 0.0, 1.0, 1.0, 0.02, 11, "Swells: a part of the volume."),
    ("morph", "", 0.0, 1.0, 0.0, 0.03, 1, "From each note's timbre to `morph_timbre`."),
    ("morph_timbre", "", 0.0, 4095.0, 0.0, 0.0, -1, "Where `morph` leads."),
)
parameters: tuple[dict[str, Any], ...] = tuple(
    dict(zip(_COLUMNS, row, strict=True)) for row in _ROWS
)
INDEX = {row["name"]: i for i, row in enumerate(parameters)}


class _Resampler:
    """Polyphase windowed-sinc filter for a rational factor (csrc/engine/resampler.h)."""

    def __init__(self, from_hz: int, to_hz: int):
        for rate in (from_hz, to_hz):
            if not 1000 <= rate <= 384000:
                raise ParameterError(
                    f"sample_rate={rate} Hz; wanted 1000 to 384000, for instance 48000"
                )
        common = math.gcd(from_hz, to_hz)
        self.up, self.down = to_hz // common, from_hz // common
        # Going down, the filter is as much longer as its band is narrower.
        band = min(1.0, to_hz / from_hz)
        half = math.ceil(TAPS / (2 * band)) if self.up != self.down else 0
        self.taps = 2 * half
        if self.up * self.taps > LARGEST_TABLE:
            raise ParameterError(
                f"sample_rate={to_hz} Hz and the model's {from_hz} Hz have too small a common"
                " divisor; use a usual rate"
            )
        self.latency = -(-half * self.up // self.down)
        if half:
            # Input samples from half - 1 before the moment to half after it.
            x = np.arange(1 - half, half + 1) - np.arange(self.up)[:, None] / self.up
            rows = np.i0(KAISER_BETA * np.sqrt(np.maximum(0.0, 1.0 - (x / half) ** 2)))
            rows *= np.sinc(x * band)
            self.filter = (rows / rows.sum(axis=1, keepdims=True)).astype(np.float32)
        self.reset()

    def reset(self) -> None:
        # Input from sample `start` on; what is before the first is silence.
        self.start = -(self.latency * self.down // self.up + self.taps + 1)
        self.input = np.zeros(-self.start, np.float32)
        self.pulled = 0

    def needed(self, n: int) -> int:
        return n * self.down // self.up + 1

    def push(self, samples: Array) -> None:
        self.input = np.append(self.input, samples)

    def pull(self, n: int) -> Array:
        moments = (self.pulled + np.arange(n) - self.latency) * self.down
        self.pulled += n
        first = moments // self.up - max(0, self.taps // 2 - 1) - self.start
        if self.taps:
            under = np.lib.stride_tricks.sliding_window_view(self.input, self.taps)[first]
            out = np.einsum("nt,nt->n", self.filter[moments % self.up], under)
        else:
            out = self.input[first]
        self.start += int(first[-1])
        self.input = self.input[first[-1] :]
        return out


class _Smoother:
    """A number that moves in a straight line to where it is told to go (csrc/core/smoother.h)."""

    def __init__(self, value: float, ticks: int):
        self.ticks = ticks
        self.set(value)

    def set(self, value: float) -> None:
        self.value = self.target = np.float32(value)
        self.left = 0

    def move_to(self, target: float) -> None:
        if not self.ticks:
            self.set(target)
            return
        self.target, self.left = np.float32(target), self.ticks
        self.step = (self.target - self.value) / np.float32(self.ticks)

    def tick(self) -> None:
        if self.left:
            self.left -= 1
            self.value = self.value + self.step if self.left else self.target


class _Slot:
    """A voice and how its note is played."""

    def __init__(self, voice: Any):
        self.voice = voice
        self.id = self.number = 0  # of the note; how many came before it
        self.pedalled = False  # let go, and held by the pedal
        self.pitch = np.float32(60)
        self.away = self.step = np.float32(0)  # semitones that it isn't there yet, and a tick less
        self.sounding = self.pitch
        self.place = np.float32(0)  # where `spread` puts it, -1 to 1
        self.gain = self.next_gain = np.ones(1, np.float32)  # at the last tick, at the next


class Engine:
    """Events and a block's length in, samples out (csrc/engine/engine.h)."""

    def __init__(
        self,
        instrument: Any,
        sample_rate: int,
        max_block: int,
        max_voices: int,
        seed: int = 0,
        n_channels: int = 1,
    ):
        self._instrument = instrument
        self._rate = round(instrument.sample_rate)
        resampler = _Resampler(self._rate, sample_rate)
        if not 1 <= max_block <= 65536:
            raise ParameterError(f"max_block={max_block}; wanted 1 to 65536")
        if not 1 <= max_voices <= 4096:
            raise ParameterError(f"max_voices={max_voices}; wanted 1 to 4096")
        if n_channels not in (1, 2):
            raise ParameterError(f"n_channels={n_channels}; wanted 1 or 2")
        self.max_block, self.n_channels = max_block, n_channels
        self.latency = resampler.latency
        self._up, self._down = resampler.up, resampler.down
        self._resamplers = [_Resampler(self._rate, sample_rate) for _ in range(n_channels)]
        self._parameters = {
            row["name"]: _Smoother(row["initial"], round(row["smoothing_s"] * self._rate / TICK))
            for row in parameters
        }
        self._slots = [_Slot(instrument.make_voice()) for _ in range(max_voices)]
        # A note that must make room for another fades out in 5 ms.
        n = self._rate // 200
        self._fade = (1 - np.arange(1, n + 1) / (n + 1)).astype(np.float32)
        self.reset(seed)

    def reset(self, seed: int = 0) -> None:
        for slot in self._slots:
            slot.voice.active = slot.pedalled = False
        for row, parameter in zip(parameters, self._parameters.values(), strict=True):
            parameter.set(row["initial"])
        # What is left of notes that made room.
        self._fading = np.zeros((self.n_channels, len(self._fade)), np.float32)
        for resampler in self._resamplers:
            resampler.reset()
        self._seed = seed
        self._host_time = self._model_time = self._n_notes = 0
        self.n_transposed = self.n_stolen = 0
        self._last = self._slots[0]  # where a glide begins
        self._stale = False  # a tick has something to do

    @property
    def n_sounding(self) -> int:
        return sum(slot.voice.active for slot in self._slots)

    def process(self, n: int, events: np.ndarray) -> Array:
        """The next n samples, float32 [n], or [n, 2] of two channels."""
        if n > self.max_block:
            raise ParameterError(f"n={n} is more than max_block={self.max_block}")
        for event in events:
            # The first sample of the model at or after the event.
            at = self._host_time + min(int(event["offset"]), max(n - 1, 0))
            self._advance(-(-at * self._down // self._up))
            self._handle(event)
        if n < 1:
            return np.zeros(0 if self.n_channels == 1 else (0, 2), np.float32)
        self._host_time += n
        self._advance(self._resamplers[0].needed(self._host_time - 1))
        out = [resampler.pull(n) for resampler in self._resamplers]
        return out[0] if self.n_channels == 1 else np.stack(out, axis=1)

    def _value(self, name: str) -> np.float32:
        return self._parameters[name].value

    def _active(self) -> list[_Slot]:
        return [slot for slot in self._slots if slot.voice.active]

    def _advance(self, until: int) -> None:
        while self._model_time < until:
            if self._model_time % TICK == 0 and self._moving():
                self._tick()
            n = until - self._model_time
            if self._moving():
                n = min(n, TICK - self._model_time % TICK)
            self._mix(n)
            self._model_time += n

    def _mix(self, n: int) -> None:
        mix = np.zeros((self.n_channels, n), np.float32)
        part = np.float32(self._model_time % TICK + 1) + np.arange(n, dtype=np.float32)
        for slot in self._active():
            voice = np.zeros(n, np.float32)
            slot.voice.add(voice)
            slope = (slot.next_gain - slot.gain) / np.float32(TICK)
            mix += (slot.gain[:, None] + slope[:, None] * part) * voice
        faded = min(n, len(self._fade))
        mix[:, :faded] += self._fading[:, :faded]
        self._fading = np.pad(self._fading[:, faded:], ((0, 0), (0, faded)))
        for resampler, samples in zip(self._resamplers, mix, strict=True):
            resampler.push(samples)

    def _moving(self) -> bool:
        """Whether anything is on its way, so that ticks matter."""
        return (
            self._stale
            or bool(self._value("vibrato") > 0)
            or any(parameter.left for parameter in self._parameters.values())
            or any(bool(slot.away != 0) for slot in self._active())
        )

    def _tick(self) -> None:
        for parameter in self._parameters.values():
            parameter.tick()
        self._stale = False
        for slot in self._active():
            slot.gain, slot.next_gain = slot.next_gain, self._gain(slot)
            self._stale |= bool((slot.gain != slot.next_gain).any())  # until it has arrived
            nearer = max(np.float32(0), abs(slot.away) - slot.step)
            slot.away = np.copysign(nearer, slot.away)
            pitch = self._pitch(slot)
            if pitch != slot.sounding:
                slot.sounding = pitch
                slot.voice.set_pitch(float(pitch))
            slot.voice.set_morph(self._morph_timbre(), self._value("morph"))

    def _gain(self, slot: _Slot) -> Array:
        """Balance: what is in the middle is as loud on each side as it is alone."""
        volume = self._value("volume") * self._value("expression")
        gain = np.full(self.n_channels, volume**2, np.float32)
        if self.n_channels == 2:
            place = np.clip(self._value("pan") + self._value("spread") * slot.place, -1, 1)
            gain *= np.minimum(np.float32(1), 1 + place * np.array([-1, 1], np.float32))
        return gain

    def _pitch(self, slot: _Slot) -> np.float32:
        pitch = slot.pitch + slot.away + self._value("bend")
        if self._value("vibrato") > 0:
            cycles = VIBRATO_HZ * self._model_time / self._instrument.sample_rate
            pitch += self._value("vibrato") * np.float32(math.sin(2 * math.pi * cycles))
        lowest = min(self._instrument.lowest - FURTHEST_BEND, slot.pitch)
        return np.clip(pitch, lowest, max(self._instrument.highest + FURTHEST_BEND, slot.pitch))

    def _morph_timbre(self) -> int:
        return min(int(np.rint(self._value("morph_timbre"))), self._instrument.n_timbres - 1)

    def _handle(self, event: np.void) -> None:
        kind, value = event["kind"], event["value"]
        if kind == NOTE_OFF:
            for slot in self._active():
                if slot.id == event["id"]:
                    slot.pedalled = bool(self._value("sustain") >= 0.5)
                    if not slot.pedalled:
                        slot.voice.note_off()
        elif kind == NOTE_ON:
            self._note_on(event)
        elif kind == PARAMETER:
            self._set(int(event["id"]), value)
        elif kind == ALL_OFF:
            for slot in self._active():
                if value > 0:
                    self._fade_out(slot)
                    slot.voice.active = False
                else:
                    slot.voice.note_off()

    def _set(self, index: int, value: np.float32) -> None:
        if index >= len(parameters) or not np.isfinite(value):
            return
        row = parameters[index]
        parameter, wanted = (
            self._parameters[row["name"]],
            np.clip(value, row["lowest"], row["highest"]),
        )
        if self.n_sounding == 0:  # nobody hears the step
            parameter.set(float(wanted))
        else:
            parameter.move_to(float(wanted))
        self._stale = True
        if self._value("sustain") < 0.5:
            for slot in self._slots:
                if slot.pedalled and slot.voice.active:
                    slot.voice.note_off()
                slot.pedalled = False

    def _note_on(self, event: np.void) -> None:
        pitch, velocity = event["pitch"], event["value"]
        if not (np.isfinite(pitch) and np.isfinite(velocity)):
            return
        instrument, octave = self._instrument, np.float32(12)
        pitch = np.clip(pitch, np.float32(-128), np.float32(256))
        self.n_transposed += not instrument.lowest <= pitch <= instrument.highest
        while pitch > instrument.highest:
            pitch -= octave
        while pitch < instrument.lowest:
            pitch += octave
        pitch = min(pitch, instrument.highest)  # a range of less than an octave

        before = self._last.pitch + self._last.away
        self._last = slot = self._free_slot()
        slot.id, slot.number, slot.pedalled = int(event["id"]), self._n_notes, False
        self._n_notes += 1
        slot.pitch, slot.away = pitch, np.float32(0)
        ticks = float(self._value("glide")) * instrument.sample_rate / TICK
        if ticks >= 1 and slot.number:
            slot.away = before - pitch
            slot.step = abs(slot.away) / np.float32(ticks)
        slot.place = np.float32(2 * ((0.5 + GOLDEN * slot.number) % 1) - 1)
        slot.gain = slot.next_gain = self._gain(slot)
        slot.sounding = self._pitch(slot)

        timbre = int(event["timbre"])
        timbre = timbre if timbre < instrument.n_timbres else 0
        # What is random in a note depends on the seed and on how many notes came before it.
        seed = (self._seed + SEED_STEP * slot.number) % 2**64
        slot.voice.set_morph(self._morph_timbre(), self._value("morph"))
        slot.voice.note_on(timbre, float(slot.sounding), float(np.clip(velocity, 0, 1)), seed)

    def _free_slot(self) -> _Slot:
        for slot in self._slots:
            if not slot.voice.active:
                return slot
        self.n_stolen += 1
        # Released notes go first, and of those the oldest.
        chosen = min(self._slots, key=lambda slot: (not slot.voice.released, slot.number))
        self._fade_out(chosen)
        return chosen

    def _fade_out(self, slot: _Slot) -> None:
        """Set aside how a voice would go on, to be heard while it plays another note, or none."""
        rest = np.zeros_like(self._fade)
        slot.voice.add(rest)
        self._fading += self._fade * slot.next_gain[:, None] * rest
