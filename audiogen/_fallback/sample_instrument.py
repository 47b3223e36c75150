"""A SampleRNN preset as an instrument: notes of a network conditioned on notes, or gates.

Python twin of csrc/engine/samples/sample_instrument.h and sample_voice.h.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from audiogen._fallback.instrument import (
    AnyInstrument,
    Array,
    Note,
    Voice,
    Voices,
    require,
    stretch_of,
)
from audiogen._fallback.parameter_table import ROWS
from audiogen._fallback.samplernn import SampleRNN, Stream
from audiogen.representation.levels import quantise

QUIET, QUIET_S = 1e-3, 0.05  # a released note that is as quiet for so long has ended
LONGEST_RELEASE_S, NOTE_FADE_S = 2.0, 0.02  # release of a note
FADE_IN_S, FADE_OUT_S = 0.005, 0.05  # fades of an unconditional note


class SampleInstrument(AnyInstrument):
    """A SampleRNN preset.

    Parameters
    ----------
    network : SampleRNN
        Network of the preset.
    temperature, top_p : float
        Initial values of the parameters of these names.
    pitch_range : tuple of float, MIDI numbers
        Lowest and highest trained pitch, MIDI numbers.
    n_timbres : int
        The network's classes, from the first on.
    """

    def __init__(
        self,
        network: SampleRNN,
        temperature: float = 1.0,
        top_p: float = 1.0,
        pitch_range: tuple[float, float] = (-128.0, 256.0),
        n_timbres: int = 1,
    ):
        super().__init__(network.sample_rate, pitch_range, n_timbres)
        self._initial = {"temperature": temperature, "top_p": top_p}
        for name, value in self._initial.items():
            lowest, highest = ROWS[name]["lowest"], ROWS[name]["highest"]
            require(
                lowest <= np.float32(value) <= highest,
                f"{name}={value} must be from {lowest:g} to {highest:g}",
            )
        most = max(1, network.config.n_classes)
        require(n_timbres <= most, f"n_timbres={n_timbres} must be 1 to {most}")
        self.network = network

    def initial(self, parameter: str) -> float:
        return self._initial.get(parameter, super().initial(parameter))

    def make_voices(self, n: int, n_inputs: int) -> Voices:
        return _SampleVoices(self.network, n, n_inputs)


class _SampleVoices(Voices):
    """The voices of one network, which share its sampling, and a stream for each input."""

    def __init__(self, network: SampleRNN, n: int, n_inputs: int):
        kind = _NoteVoice if network.plays_notes else _GateVoice
        self._sample_voices = [kind(network) for _ in range(n)]
        super().__init__(self._sample_voices)
        self._network = network
        self._listeners = [Stream(network) for _ in range(0 if network.plays_notes else n_inputs)]
        self._last_samples = [0.0] * len(self._listeners)

    def note_on(self, i: int, note: Note) -> None:
        voice = self._sample_voices[i]
        voice.note_on(note)
        if not (note.continues and self._listeners and isinstance(voice, _GateVoice)):
            return
        channel = min(note.input, len(self._listeners) - 1)
        # The network was never trained from a state within its first frame.
        if self._listeners[channel].position >= self._network.config.frame_sizes[0]:
            voice.continue_from(self._listeners[channel], self._last_samples[channel])

    def set_sampling(self, temperature: np.float32, top_p: np.float32) -> None:
        for voice in self._sample_voices:
            voice.sampling = temperature, top_p

    def start_listening(self, timbre: int) -> None:
        for listener in self._listeners:
            listener.start_note(index=timbre)
        self._last_samples = [0.0] * len(self._listeners)

    def receive(self, channels: Array) -> None:
        c = self._network.config
        for i, listener in enumerate(self._listeners):
            samples = np.where(np.isfinite(channels[i]), channels[i], np.float32(0))
            listener.feed(quantise(samples, c.q_levels, c.quantisation).astype(np.int64))
            self._last_samples[i] = float(samples[-1])


class _SampleVoice(Voice):
    """A stream as a voice; `_shaped` gives its samples their loudness."""

    def __init__(self, network: SampleRNN):
        self._stream = Stream(network)
        self._rate, self._dc_pole = network.sample_rate, network.dc_pole
        self.sampling = np.float32(1), np.float32(1)  # temperature, top_p

    def note_on(self, note: Note) -> None:
        self._stream.reset(note.seed, 0)
        self._stream.start_note(note.pitch, note.velocity, note.timbre)
        self.active, self.released = True, False

    def note_off(self) -> None:
        self.released = True

    def add(self, out: Array) -> None:
        if self.active:
            temperature, top_p = self.sampling
            samples = self._stream.draw(len(out), temperature, top_p)[1]
            out += self._shaped(samples)

    @abstractmethod
    def _shaped(self, samples: Array) -> Array:
        """Apply the envelope of the note to its next samples."""

    def _n_samples(self, seconds: float) -> int:
        return int(seconds * self._rate + 0.5)


class _NoteVoice(_SampleVoice):
    """A note of a network that receives the release, until it is quiet or too long."""

    def note_on(self, note: Note) -> None:
        super().note_on(note)
        self._n_quiet = 0  # samples since the last louder one after the note-off
        self._release_left = self._n_samples(LONGEST_RELEASE_S)
        # Gains of the fade at the end, and the position in them.
        self._fall = np.arange(self._n_samples(NOTE_FADE_S), -1, -1).astype(np.float32)
        self._fall /= self._fall[0]
        self._fade_step, self._faded = 1.0, 0.0

    def note_off(self) -> None:
        if not self.released:
            self._stream.release()
            # The network can't release faster or slower: a shorter release is faded out, and a
            # longer one may last longer if the network still sounds.
            longest = float(self._release_left * stretch_of(float(self.shaping.release)))
            self._release_left = 0 if self.shaping.release < 0 else int(longest)
            if self.shaping.release < 0:
                self._fade_step = (len(self._fall) - 1) / longest
        super().note_off()

    def set_pitch(self, pitch: float) -> None:
        self._stream.pitch = pitch

    def _shaped(self, samples: Array) -> Array:
        if self.released:
            samples *= np.array([self._release_gain(sample) for sample in samples], np.float32)
        return samples

    def _release_gain(self, sample: np.float32) -> np.float32:
        """Gain of the next sample after the note-off; counts to the end of the note."""
        if self._release_left:
            self._release_left -= 1
            self._n_quiet = self._n_quiet + 1 if abs(sample) < QUIET else 0
            if self._n_quiet == self._n_samples(QUIET_S):
                self._release_left = 0
            return np.float32(1)
        if not self.active:
            return np.float32(0)
        gain = _at(self._fall, np.array([self._faded]))[0]
        self._faded += self._fade_step
        self.active = self._faded < len(self._fall) - 1
        return np.float32(gain)


class _GateVoice(_SampleVoice):
    """Audio of an unconditional network from note-on to note-off, at the level of the velocity."""

    def __init__(self, network: SampleRNN):
        super().__init__(network)
        self._rise = _hann_rise(self._n_samples(FADE_IN_S))
        self._fall = np.append(_hann_rise(self._n_samples(FADE_OUT_S))[::-1], np.float32(0))

    def note_on(self, note: Note) -> None:
        super().note_on(note)
        self._level = np.float32(note.velocity)
        self._step = 0.0  # from the stream to the input that it continues
        self._fade_in = self._rise  # gains of the next samples
        self._faded, self._fade_step = 0.0, 1.0

    def note_off(self) -> None:
        if not self.released:
            self._fade_step = 1.0 / float(stretch_of(float(self.shaping.release)))
        super().note_off()

    def continue_from(self, listener: Stream, last_sample: float) -> None:
        """Continue an input without a step; right after `note_on`."""
        self._stream.continue_from(listener)
        self._step = last_sample - listener.last_output
        self._fade_in = self._fade_in[:0]

    def _shaped(self, samples: Array) -> Array:
        if self._step:  # it decays as the DC blocker does
            n = len(samples)
            steps = np.multiply.accumulate(np.append(self._step, np.full(n, self._dc_pole)))
            samples += steps[1:].astype(np.float32)
            self._step = float(steps[-1])
        samples *= self._level
        gains, self._fade_in = np.split(self._fade_in, [len(samples)])
        samples[: len(gains)] *= gains
        if self.released:
            at = self._faded + self._fade_step * np.arange(len(samples) + 1)
            self._faded = float(at[-1])
            samples *= _at(self._fall, at[:-1])
            self.active = self._faded < len(self._fall) - 1
        return samples


def _at(gains: Array, positions: np.ndarray) -> Array:
    """Gains between samples, interpolated; 0 beyond the last."""
    return np.interp(positions, np.arange(len(gains)), gains, right=0.0).astype(np.float32)


def _hann_rise(n: int) -> Array:
    """The rising half of a Hann window of n samples, without its 0 and its 1."""
    return (0.5 - 0.5 * np.cos(np.pi * np.arange(1, n + 1) / (n + 1))).astype(np.float32)
