"""`audiogen play`: what is heard, recorded, shown and said, and how keys become notes."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import soundfile

pytest.importorskip("audiogen._native")
cffi = pytest.importorskip("cffi", reason="cffi isn't installed; pip install sounddevice")

import audiogen
from audiogen.cli.keys import HeldKeys, Key, Keyboard, open_keyboard
from audiogen.cli.screen import Status, draw
from audiogen.core.parameters import PARAMETERS
from audiogen.devices.midi_ports import LONGEST_DELIVERY_S, PortClock
from audiogen.devices.sound_card import SoundCard
from audiogen.engine.live import LivePlaying
from audiogen.errors import DeviceError, ParameterError

RATE = 16000


FFI = cffi.FFI()
FFI.cdef("""
    typedef struct {
        int device, channelCount;
        unsigned long sampleFormat;
        double suggestedLatency;
        void *hostApiSpecificStreamInfo;
    } PaStreamParameters;
    typedef struct { double inputBufferAdcTime, currentTime, outputBufferDacTime; } PaTimes;
    typedef void PaStream;
    typedef int PaStreamCallback(
        const void *, void *, unsigned long, const PaTimes *, unsigned long, void *);
""")


class FakeAudio:
    """Stands where sounddevice would: asks for blocks as soon as they are ready, then no more."""

    _ffi = FFI

    class PortAudioError(Exception):
        pass

    class CallbackAbort(Exception):
        pass

    def __init__(self) -> None:
        self.cards = [("front", 2), ("back", 1), ("microphone", 0)]
        self.default = SimpleNamespace(device=(2, 0))
        self.refuses = ""
        self.most = 40  # blocks
        self.grown = 1  # blocks at once, in the end
        self.underflows = 0
        self.heard: list[np.ndarray] = []
        self.asked: dict[str, Any] = {}
        self.synth: Any = None  # the one that the card was connected with last
        self.native = 0  # streams with a native callback
        self._lib = FakeLibrary(self)

    def query_hostapis(self) -> tuple[dict[str, Any], ...]:
        return ({"name": "Pretend"},)

    def query_devices(self) -> list[dict[str, Any]]:
        return [
            {
                "name": n,
                "hostapi": 0,
                "default_samplerate": float(RATE),
                "max_output_channels": c,
                "default_low_output_latency": 0.01,
            }
            for n, c in self.cards
        ]

    def OutputStream(self, **asked: Any) -> Any:
        if self.refuses == "opening":
            raise self.PortAudioError("Invalid sample rate", -9997)
        self.asked = asked
        return FakeStream(self, asked)


class FakeStream:
    """A stream with a Python callback."""

    def __init__(self, audio: FakeAudio, asked: dict[str, Any]) -> None:
        self.latency = 0.01
        self._audio, self._asked = audio, asked
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        if self._audio.refuses == "starting":
            raise self._audio.PortAudioError("Device unavailable", -9985)
        self._thread.start()

    def close(self) -> None:
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        for i in range(self._audio.most):
            while not self._audio.synth._engine.ready:  # nothing is late, however slow the machine
                time.sleep(0.001)
            grown = self._audio.grown if i >= self._audio.most // 2 else 1
            out = np.zeros((self._asked["blocksize"] or 100, self._asked["channels"]), np.float32)
            if not self._call(out, float(i // grown), i < self._audio.underflows):
                return
            self._audio.heard.append(out)

    def _call(self, out: np.ndarray, now_s: float, late: bool) -> bool:
        now = SimpleNamespace(currentTime=now_s)
        try:
            self._asked["callback"](out, len(out), now, SimpleNamespace(output_underflow=late))
        except self._audio.CallbackAbort:
            return False
        return True


class NativeFakeStream(FakeStream):
    """A stream with a native callback."""

    def _call(self, out: np.ndarray, now_s: float, late: bool) -> bool:
        times = FFI.new("PaTimes *", (0.0, now_s, 0.0))
        data, user = FFI.cast("void *", out.ctypes.data), self._asked["user"]
        return self._asked["callback"](FFI.NULL, data, len(out), times, 4 * late, user) == 0


class FakeLibrary:
    """The functions of PortAudio that open a stream with a native callback."""

    paFloat32, paNoFlag = 1, 0

    def __init__(self, audio: FakeAudio) -> None:
        self._audio = audio

    def Pa_OpenStream(self, place: Any, no_input: Any, parameters: Any, *rest: Any) -> int:
        if self._audio.refuses == "opening":
            return -9997
        rate, block, _, callback, user = rest
        self._audio.asked = {
            "device": parameters.device,
            "channels": parameters.channelCount,
            "samplerate": rate,
            "blocksize": block,
            "callback": callback,
            "user": user,
        }
        self._audio.native += 1
        self._stream = NativeFakeStream(self._audio, self._audio.asked)
        place[0] = FFI.cast("PaStream *", 1)
        return 0

    def Pa_GetStreamInfo(self, stream: Any) -> Any:
        return SimpleNamespace(outputLatency=0.01)

    def Pa_StartStream(self, stream: Any) -> int:
        try:
            self._stream.start()
        except FakeAudio.PortAudioError:
            return -9985
        return 0

    def Pa_CloseStream(self, stream: Any) -> int:
        self._stream.close()
        return 0

    def Pa_GetErrorText(self, code: int) -> Any:
        texts = {-9997: b"Invalid sample rate", -9985: b"Device unavailable"}
        self._text = FFI.new("char[]", texts[code])
        return self._text


@pytest.fixture(params=["native"])
def audio(monkeypatch: pytest.MonkeyPatch, request: Any) -> FakeAudio:
    fake = FakeAudio()
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    connect = LivePlaying.connect

    def connected(synth: Any, n_channels: int, n_recorded: int = 0) -> Any:
        fake.synth = synth
        return None if request.param == "python" else connect(synth, n_channels, n_recorded)

    monkeypatch.setattr(LivePlaying, "connect", connected)
    return fake


both_callbacks = pytest.mark.parametrize("audio", ["native", "python"], indirect=True)
python_callback = pytest.mark.parametrize("audio", ["python"], indirect=True)


@pytest.fixture
def no_midi(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """rtmidi on a machine without any MIDI system."""
    fake = SimpleNamespace(
        API_UNIX_JACK=3, RtMidiError=OSError, get_compiled_api=lambda: [], MidiIn=None
    )
    monkeypatch.setitem(sys.modules, "rtmidi", fake)
    return fake


class FakePort:
    """One reader of a fake rtmidi; `play` is what a keyboard would send."""

    names = ("Midi Through 14:0", "Launchkey 20:0", "Digital Piano 24:0")
    opened: ClassVar[list[FakePort]] = []

    def __init__(self, api: int, client: str) -> None:
        self.name = ""
        self.play: Callable[[Any, None], None] = lambda message, data: None

    def get_ports(self) -> list[str]:
        return list(self.names)

    def open_port(self, index: int, name: str) -> None:
        self.name = self.names[index]
        FakePort.opened.append(self)

    def open_virtual_port(self, name: str) -> None:
        raise NotImplementedError

    def set_callback(self, play: Callable[[Any, None], None]) -> None:
        self.play = play

    def cancel_callback(self) -> None:
        self.name = ""

    def close_port(self) -> None: ...

    def delete(self) -> None: ...


@pytest.fixture
def midi(monkeypatch: pytest.MonkeyPatch) -> type[FakePort]:
    """rtmidi on a machine with two keyboards."""
    fake = SimpleNamespace(
        API_UNIX_JACK=3,
        RtMidiError=OSError,
        get_compiled_api=lambda: [2],
        get_api_display_name=lambda api: "Pretend",
        MidiIn=FakePort,
    )
    FakePort.opened = []
    monkeypatch.setitem(sys.modules, "rtmidi", fake)
    return FakePort


class TestCommand:
    """The whole command, on a sound card that is pretended."""

    def test_a_port_that_cannot_be_opened_is_left_out(
        self,
        call: Any,
        murmur: Path,
        audio: FakeAudio,
        midi: type[FakePort],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def open_port(self: FakePort, index: int, name: str) -> None:
            if index == 1:
                raise OSError("it is busy")
            self.name = self.names[index]

        monkeypatch.setattr(FakePort, "open_port", open_port)
        result = call("play murmur --seconds 0.1 --block 64")
        assert result.status == 0 and "front, Digital Piano 24:0" in result.out
        result = call("play murmur --seconds 0.1 --midi launch")
        assert result.status == 2
        assert "MIDI port 'Launchkey 20:0' can't be opened (it is busy)" in result.err

    @both_callbacks
    def test_the_played_audio_is_recorded(
        self, call: Any, folder: Path, murmur: Path, audio: FakeAudio, midi: type[FakePort]
    ) -> None:
        result = call("play murmur --seconds 0.1 --block 64 --record take.flac --seed 3")
        assert result.status == 0, result
        heard = np.concatenate(audio.heard)
        assert len(heard) == 40 * 64 and heard.any()
        taken, rate = soundfile.read(folder / "take.flac", dtype="float32")
        assert rate == RATE
        np.testing.assert_allclose(taken, np.clip(heard, -1, 1), rtol=0, atol=2**-23)
        assert "playing murmur: Pretend: front, Launchkey 20:0, Digital Piano 24:0" in result.out
        assert (
            "played 0.2 s, 0 late blocks" in result.out
            and "take.flac  0.2 s, 16000 Hz" in result.out
        )
        assert result.err == ""

    @both_callbacks
    def test_options_reach_the_card(
        self, call: Any, murmur: Path, audio: FakeAudio, midi: type[FakePort]
    ) -> None:
        line = "play winds:flute --seconds 0.1 --block 0 --device back --sample-rate 8000"
        audio.underflows = 5
        result = call(f"{line} --voices 2 --midi piano")
        assert result.status == 0, result
        asked = audio.asked
        assert (asked["samplerate"], asked["blocksize"], asked["channels"]) == (8000, 0, 1)
        assert asked["device"] == 1
        assert [port.name for port in midi.opened] == [""]  # closed again
        assert "Digital Piano 24:0" in result.out and "Launchkey" not in result.out
        assert "played 0.5 s, 5 late blocks" in result.out

    @both_callbacks
    def test_late_blocks_are_counted_with_a_hint(
        self, call: Any, murmur: Path, audio: FakeAudio, midi: type[FakePort]
    ) -> None:
        audio.most = audio.underflows = 3
        result = call("play murmur --seconds 0.1 --block 4096 --margin 900")
        assert "played 0.8 s, 3 late blocks, 0 delayed notes" in result.out
        assert (
            "blocks were late and sound broke up; try --block 8192 or --margin 1000" in result.out
        )
        audio.underflows = 1
        assert "1 late block," in call("play murmur --seconds 0.1 --block 4096 --margin 900").out
        audio.underflows = 0
        assert "try" not in call("play murmur --seconds 0.1 --block 4096 --margin 900").out

    @pytest.mark.parametrize("words", ["plucked:harp+guitar", "plucked --timbre harp+guitar"])
    def test_a_mix_is_played(
        self, call: Any, murmur: Path, audio: FakeAudio, midi: type[FakePort], words: str
    ) -> None:
        result = call(f"play {words} --seconds 0.1 --block 64")
        assert result.status == 0 and "playing plucked" in result.out

    def test_a_midi_keyboard_plays(
        self, audio: FakeAudio, midi: type[FakePort], murmur: Path
    ) -> None:
        from audiogen.devices.midi_ports import MidiInput

        synth, other = (audiogen.Synth("winds", RATE, polyphony=4) for _ in range(2))
        with MidiInput(synth) as ports:
            assert ports.names == ["Launchkey 20:0", "Digital Piano 24:0"]
            midi.opened[0].play(([0x90, 60, 100], 0.0), None)
            midi.opened[1].play(([0xB0, 7, 64], 0.0), None)
            got = synth.process(1000)
        other.note_on(60, 100 / 127)
        other.volume = 0.5
        assert np.array_equal(got, other.process(1000)) and got.any()

    def test_keyboards_are_connected_and_disconnected(
        self, midi: type[FakePort], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from audiogen.devices.midi_ports import MidiInput

        sent: list[bytes] = []
        synth = SimpleNamespace(midi=lambda data, age_s=0.0: sent.append(data))
        through, launchkey, piano = FakePort.names
        with MidiInput(synth) as ports:
            assert not ports.refresh()
            first, second = midi.opened
            for data in ([0x91, 60, 100], [0x91, 64, 90], [0x91, 60, 0], [0xB2, 64, 127]):
                first.play((data, 0.0), None)
            second.play(([0x90, 72, 100], 0.0), None)
            del sent[:]
            monkeypatch.setattr(FakePort, "names", (through, piano))
            assert ports.refresh() and ports.names == [piano]
            assert sent == [bytes((0x81, 64, 64)), bytes((0xB2, 64, 0))]
            assert second.name == piano  # it stays open
            monkeypatch.setattr(FakePort, "names", (through, piano, launchkey, "Pad 28:0"))
            assert ports.refresh() and ports.names == [piano, launchkey, "Pad 28:0"]
            # Two keyboards of one name: the system doesn't say which of them has gone.
            monkeypatch.setattr(FakePort, "names", (piano, piano))
            assert ports.refresh() and ports.names == [piano, piano]
            monkeypatch.setattr(FakePort, "names", (piano,))
            assert ports.refresh() and ports.names == [piano]
            last = next(port for port in midi.opened if port.name)
        assert not last.name and ports.names == []

    def test_only_the_named_keyboard_is_connected_again(
        self, midi: type[FakePort], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from audiogen.devices.midi_ports import MidiInput

        everything = FakePort.names
        with MidiInput(SimpleNamespace(), "piano") as ports:
            for names, opened in ((everything[:2], []), (everything, [everything[2]])):
                monkeypatch.setattr(FakePort, "names", names)
                assert ports.refresh() and ports.names == opened

    def test_a_keyboard_that_is_connected_later_is_told(
        self,
        call: Any,
        murmur: Path,
        audio: FakeAudio,
        midi: type[FakePort],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        everything, listed = FakePort.names, iter([()])
        monkeypatch.setattr(FakePort, "get_ports", lambda _: list(next(listed, everything)))
        result = call("play winds --seconds 0.5 --block 64")
        assert result.status == 0 and "front, no MIDI\n" in result.out
        assert "MIDI ports: Launchkey 20:0, Digital Piano 24:0\n" in result.out

    def test_lists(
        self, call: Any, folder: Path, audio: FakeAudio, midi: type[FakePort], no_midi: Any
    ) -> None:
        sys.modules["rtmidi"].get_compiled_api = lambda: []
        result = call("play --list")
        assert result.status == 0 and "no MIDI port" in result.out
        lines = [" ".join(line.split()) for line in result.out.splitlines()]
        assert "0 front (default) Pretend 16000 Hz" in lines
        assert "1 back Pretend 16000 Hz" in lines and "microphone" not in result.out
        audio.cards = []
        assert "no sound card" in call("play --list").out

    def test_ports_are_listed(
        self, call: Any, folder: Path, audio: FakeAudio, midi: type[FakePort]
    ) -> None:
        out = call("play --list").out
        assert "Launchkey 20:0" in out and "Midi Through" not in out

    @pytest.mark.parametrize(
        ("line", "sentence"),
        [
            ("--sample-rate 100", "sample_rate=100 "),
            ("--voices 0", "--voices 0 must be from 1 to 256"),
            ("--block 9000", "--block 9000 must be from 1 to 8192, or 0"),
            ("--margin 0", "--margin 0 must be from 0.1 to 1000 ms"),
            ("--ring 0", "--ring 0 must be from 0.05 to 60 s"),
            ("--seconds 0", "--seconds 0 must be above 0"),
            ("--top-p 2", "top_p=2.0 must be from 0.01 to 1"),
            ("--temperature 3", "temperature=3.0 must be from 0 to 2"),
            ("--seed -1", "seed=-1 must be a whole number from 0 to 2^64 - 1"),
            ("--record a.mp3", "output a.mp3 ends in .mp3; use .wav, .flac, .ogg"),
            ("--record no/a.wav", "there is no folder no"),
            ("nowhere", "preset 'nowhere'"),
            ("winds:kazoo", "timbre 'kazoo'"),
            ("winds:flute --timbre oboe", "give one of the two"),
            ("winds:flute+oboe", "latents are not supported by preset 'winds'"),
            ("--device 2", "device '2' not found; give a number or name of 0: front; 1: back"),
            ("--device x", "device 'x' not found"),
            ("--midi organ", "MIDI port 'organ' not found; there are: Launchkey 20:0; Digital"),
            ("--midi virtual", "virtual MIDI ports are not supported by this system"),
            ("--midi none", "the keys of this terminal can't be read, and --midi none opens no"),
        ],
    )
    def test_bad_input_is_named(
        self,
        call: Any,
        murmur: Path,
        folder: Path,
        audio: FakeAudio,
        midi: type[FakePort],
        line: str,
        sentence: str,
    ) -> None:
        preset = "" if line.startswith(("nowhere", "winds")) else "winds"
        result = call(f"play {preset} {line}")
        assert result.status == 2
        assert sentence in result.err and result.err.count("\n") == 1
        assert not list(folder.iterdir()) and not audio.heard

    @both_callbacks
    def test_a_card_with_a_longer_period_is_reported(
        self, call: Any, murmur: Path, audio: FakeAudio, no_midi: Any
    ) -> None:
        audio.grown = 8
        result = call("play murmur --seconds 0.3 --block 64")
        assert result.status == 0, result
        assert result.err.count("takes 512 samples at once now") == 1

    def test_a_name_that_fits_two_cards(self, audio: FakeAudio) -> None:
        from audiogen.devices.sound_card import find_device

        audio.cards = [("usb one", 2), ("usb two", 2), ("USB", 2)]
        with pytest.raises(DeviceError, match="'usb ' is the name of several; give a number or"):
            find_device("usb ")
        assert find_device("usb").index == 2 and find_device(1).name == "usb two"
        audio.default.device = (-1, -1)
        assert find_device().index == 0

    def test_no_card_is_one_line(
        self, call: Any, folder: Path, audio: FakeAudio, midi: type[FakePort]
    ) -> None:
        audio.cards = [("microphone", 0)]
        result = call("play plucked")
        assert result.status == 2 and result.out == ""
        assert result.err.startswith("audiogen: sound card not found; connect one or")
        assert result.err.count("\n") == 1

    @both_callbacks
    def test_a_card_that_refuses(
        self, call: Any, murmur: Path, audio: FakeAudio, midi: type[FakePort]
    ) -> None:
        audio.refuses = "opening"
        result = call("play winds --sample-rate 44100")
        sentence = (
            "front doesn't play at 44100 Hz in blocks of 256 (Invalid sample rate); it is set"
        )
        assert result.status == 2 and sentence in result.err
        audio.refuses = "starting"
        result = call("play winds")
        assert result.status == 2 and "front doesn't start (Device unavailable)" in result.err

    @pytest.mark.parametrize("module", ["sounddevice", "rtmidi"])
    def test_a_missing_package_is_named(
        self,
        call: Any,
        murmur: Path,
        audio: FakeAudio,
        midi: type[FakePort],
        monkeypatch: pytest.MonkeyPatch,
        module: str,
    ) -> None:
        class Missing:
            def find_spec(self, name: str, *_: object) -> None:
                if name == module:
                    raise ModuleNotFoundError(f"No module named {name!r}", name=name)

        monkeypatch.delitem(sys.modules, module)
        monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
        result = call("play winds")
        assert result.status == 2
        wanted = f"this needs {module}, which isn't installed; pip install 'audiogen-synth[live]'"
        assert wanted in result.err

    @python_callback
    def test_a_fault_while_playing_ends_it(
        self,
        call: Any,
        murmur: Path,
        audio: FakeAudio,
        midi: type[FakePort],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def fail(*_: object) -> None:
            raise ParameterError("the engine broke")

        monkeypatch.setattr("audiogen.engine.live.LivePlaying.process", fail)
        result = call("play winds")
        assert result.status == 2 and "the engine broke" in result.err


class TestNativeCallback:
    """What a sound card asks native code for is what `process` would have made."""

    def test_samples_are_those_of_process(self, audio: FakeAudio, murmur: Path) -> None:
        options = {"polyphony": 4, "max_block": 64, "realtime": True, "margin_ms": 100.0}
        synth, other = (audiogen.Synth("winds", RATE, **options) for _ in range(2))
        for each in (synth, other):
            each.volume = 0.6
            each.note_on(60, 0.9)
        recorded: list[np.ndarray] = []
        card = SoundCard(synth, block=64, on_block=recorded.append)
        assert card.is_native and audio.native == 1
        synth.note_on(67, 0.9)
        other.note_on(67, 0.9)
        with pytest.raises(ParameterError, match="is played by a sound card"):
            synth.process(64)
        with card:
            while len(audio.heard) < audio.most:
                time.sleep(0.001)
            timing = card.timing()
        wanted = []
        for _ in range(audio.most):
            wanted.append(other.process(64))
            while not other._engine.ready:
                time.sleep(0.001)
        assert np.abs(np.concatenate(wanted)).max() > 0.01
        assert np.array_equal(np.concatenate(audio.heard), np.concatenate(wanted))
        assert np.array_equal(np.concatenate(recorded), np.concatenate(wanted))
        assert synth.position == other.position == 64 * audio.most and card.n_late == 0
        assert timing.shape == (audio.most, 2) and (timing[:, 1] > 0.0).all()
        synth.process(64)  # by Python again

    @pytest.mark.parametrize(("age_s", "n_late"), [(0.0, 0), (0.5, 1), (None, 0)])
    def test_midi_has_a_time(
        self, audio: FakeAudio, murmur: Path, age_s: float | None, n_late: int
    ) -> None:
        """A message that is older than a block and 1 ms takes effect late, and is counted."""
        block, n_blocks = 4096, 5  # so long that no busy machine makes the others late
        synth = audiogen.Synth("winds", RATE, polyphony=4, max_block=block, realtime=True)
        output = synth.connect(1)
        callback = FFI.cast("PaStreamCallback *", output.callback)
        out, user = np.zeros(block, np.float32), FFI.cast("void *", output.user_data)
        for i in range(n_blocks):
            while not synth._engine.ready:
                time.sleep(0.0005)
            if i == 1:
                synth.midi(bytes([0x90, 60, 100]), age_s)
            times = FFI.new("PaTimes *", (0.0, float(i), 0.0))
            callback(FFI.NULL, FFI.cast("void *", out.ctypes.data), block, times, 0, user)
        while not synth._engine.ready:
            time.sleep(0.0005)
        assert synth.n_sounding == 1 and output.n_samples == n_blocks * block
        assert output.n_late_events == n_late
        synth.disconnect()

    @pytest.mark.skipif(sys.platform != "linux", reason="priorities are those of Linux")
    def test_the_worker_has_real_time_priority_and_others_do_not(
        self, audio: FakeAudio, murmur: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        try:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        except OSError:
            pytest.skip("this user may not ask for real-time priority")
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        policies: list[int] = []
        open_engine = LivePlaying._open_engine

        def opened(synth: Any) -> None:
            policies.append(os.sched_getscheduler(0))  # which the worker inherits
            open_engine(synth)

        monkeypatch.setattr(LivePlaying, "_open_engine", opened)
        interval = sys.getswitchinterval()
        with SoundCard(audiogen.Synth("winds", RATE, max_block=64, realtime=True), block=64):
            assert os.sched_getscheduler(0) == os.SCHED_OTHER
            assert sys.getswitchinterval() < interval
        assert policies == [os.SCHED_RR]
        assert sys.getswitchinterval() == interval

    def test_a_synchronous_synth_has_none(self, audio: FakeAudio, murmur: Path) -> None:
        assert audiogen.Synth("winds", RATE).connect(2) is None


class TestPortClock:
    """Ages of messages, whose callbacks come late."""

    def test_late_callbacks_do_not_move_messages(self) -> None:
        now_s = [0.0]
        clock = PortClock(lambda: now_s[0])
        struck = [5.0, 5.010, 5.013, 5.500, 6.0]
        delivered = [0.0002, 0.004, 0.002, 0.0001, 0.007]
        found = []
        for i, (at, late) in enumerate(zip(struck, delivered, strict=True)):
            now_s[0] = at + late
            age_s = clock.age_s(at - struck[i - 1] if i else 0.0)
            found.append(now_s[0] - age_s)
        # All are as late as the fastest of the messages so far.
        np.testing.assert_allclose(np.array(found) - struck, [2e-4] * 3 + [1e-4] * 2, atol=6e-5)

    def test_a_port_without_times(self) -> None:
        now_s = [0.0]
        clock = PortClock(lambda: now_s[0])
        for _ in range(20):
            now_s[0] += 0.03
            assert 0.0 <= clock.age_s(0.0) <= LONGEST_DELIVERY_S

    def test_a_port_that_is_ahead(self) -> None:
        clock = PortClock(lambda: 1.0)
        assert [clock.age_s(delta) for delta in (0.0, 0.5, 0.5)] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("prepared", [False, True])
def test_what_is_set_while_a_card_plays_outlasts_it(
    audio: FakeAudio, murmur: Path, prepared: bool
) -> None:
    synth = audiogen.Synth("winds")
    if prepared:
        synth.pan = 0.5
        synth.process(10)
    other = next(name for name in synth.timbres if name != synth.timbre)
    with synth.play(block=64) as card:
        assert (synth.sample_rate, synth.realtime, card.device.name) == (RATE, True, "front")
        synth.timbre = other
        synth.vibrato = 0.4
    assert (synth.timbre, synth.vibrato) == (other, 0.4)
    assert (synth.sample_rate, synth.realtime) == (8000, False)
    assert synth.pan == (0.5 if prepared else 0.0)
    with synth.play(block=64):
        assert (synth.timbre, synth.vibrato) == (other, 0.4)
    # Afterwards it plays as a new one does.
    fresh = audiogen.Synth("winds")
    fresh.timbre, fresh.vibrato, fresh.pan = other, 0.4, synth.pan
    for each in (synth, fresh):
        each.note_on(60)
    assert np.array_equal(synth.process(2000), fresh.process(2000))


class TestKeys:
    """What a terminal sends, and the notes of it."""

    @pytest.mark.parametrize(
        ("text", "keys"),
        [
            ("aQ ", [Key("a"), Key("q"), Key("space")]),
            ("\t\x7f\x03", [Key("tab"), Key("backspace"), Key("q")]),
            ("\x1b[A\x1b[B\x1bOC\x1b[D", [Key("up"), Key("down"), Key("right"), Key("left")]),
            ("\x1b[Z\x1b[1;2A", [Key("backtab"), Key("up")]),
            ("\x1b[97u\x1b[97;1:3u", [Key("a"), Key("a", pressed=False)]),
            ("\x1b[97;1:2u", [Key("a", repeated=True)]),
            ("\x1b[1;1:3A\x1b[9;2u", [Key("up", pressed=False), Key("backtab")]),
            ("\x1b[99;5u\x1b[100;5u", [Key("q")]),
            ("\x1b[3~\x1b[15~\x1bOP", []),
            ("\x1b[?1;2u\x1b[1;?A\x1b[97;5:?u\x1b[>1u\x1b[?2026;2$y\x1b[1 q", [Key("up")]),
            ("\x1ba\x1b[[A", [Key("a")]),
            ("é;'", [Key("é"), Key(";"), Key("'")]),
        ],
    )
    def test_parse(self, text: str, keys: list[Key]) -> None:
        assert Keyboard(-1).parse(text) == keys

    def test_a_sequence_without_an_end_is_let_go(self) -> None:
        keyboard = Keyboard(-1)
        for _ in range(3):
            keyboard.parse("\x1b[" + "9" * 5000)
        assert keyboard.parse("ua")[-1] == Key("a")

    @pytest.mark.parametrize("text", ["\x1b[A", "\x1bOA", "\x1b[1;2A", "\x1b[?2026;2$y"])
    def test_a_sequence_may_come_in_pieces(self, text: str) -> None:
        for cut in range(1, len(text)):
            keyboard = Keyboard(-1)
            got = keyboard.parse("d" + text[:cut]) + keyboard.parse(text[cut:] + "f")
            arrow = [Key("up")] if text[-1] == "A" else []
            assert got == [Key("d"), *arrow, Key("f")]

    def test_a_terminal_that_reports_releases_says_so(self) -> None:
        keyboard = Keyboard(-1)
        assert not keyboard.reports_releases
        assert keyboard.parse("\x1b[?0u") == [] and not keyboard.reports_releases
        assert keyboard.parse("\x1b[?11u") == [] and keyboard.reports_releases

    def test_a_real_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import termios

        ours, theirs = os.openpty()
        before = termios.tcgetattr(theirs)
        with os.fdopen(theirs, "r+b", buffering=0) as raw:
            monkeypatch.setattr(sys, "stdin", raw)
            with open_keyboard() as keyboard:
                assert keyboard is not None
                os.write(ours, b"a\x1b[A")
                assert keyboard.read(10.0) == [Key("a"), Key("up")]
                assert keyboard.read(0.0) == []
                assert not termios.tcgetattr(raw)[3] & (termios.ECHO | termios.ICANON)
            assert termios.tcgetattr(raw) == before
        os.close(ours)

    def test_a_terminal_that_is_closed_ends_it(self) -> None:
        ours, theirs = os.openpty()
        keyboard = Keyboard(theirs)
        os.close(ours)
        assert keyboard.read(10.0) == [Key("q")]
        os.close(theirs)

    def test_no_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with open(os.devnull) as nothing:
            monkeypatch.setattr(sys, "stdin", nothing)
            with open_keyboard() as keyboard:
                assert keyboard is None


class Calls:
    """Stands where a synth would, and keeps the calls."""

    def __init__(self) -> None:
        self.calls: list[tuple] = []

    def note_on(self, pitch: float, velocity: float) -> None:
        self.calls.append(("on", pitch, velocity))

    def note_off(self, pitch: float) -> None:
        self.calls.append(("off", pitch))

    def take(self) -> list[tuple]:
        calls, self.calls = self.calls, []
        return calls


class TestHeldKeys:
    """Notes of keys, with and without a word of their release."""

    @pytest.fixture
    def hand(self) -> SimpleNamespace:
        hand = SimpleNamespace(calls=Calls(), now_s=100.0)
        hand.held_keys = HeldKeys(hand.calls, ring_s=0.5, clock=lambda: hand.now_s)
        return hand

    def test_a_note_rings_for_its_time(self, hand: Any) -> None:
        hand.held_keys.press("a", 60, 0.8)
        assert hand.calls.take() == [("on", 60, 0.8)] and hand.held_keys.down == {"a"}
        hand.now_s += 0.4
        hand.held_keys.release_expired()
        assert hand.calls.take() == []
        hand.now_s += 0.2
        hand.held_keys.release_expired()
        assert hand.calls.take() == [("off", 60)] and hand.held_keys.down == set()

    def test_a_key_that_repeats_is_held(self, hand: Any) -> None:
        hand.held_keys.press("a", 60, 0.8)
        hand.calls.take()
        for _ in range(30):
            hand.now_s += 0.033
            hand.held_keys.press("a", 60, 0.8)
            hand.held_keys.release_expired()
        assert hand.calls.take() == []
        hand.now_s += 0.51
        hand.held_keys.release_expired()
        assert hand.calls.take() == [("off", 60)]

    def test_the_delay_before_the_repeats_is_learned(self, hand: Any) -> None:
        for strikes in (2, 1, 1):
            for gap_s in (10.0, 0.45, *10 * [0.033]):
                hand.now_s += gap_s
                hand.held_keys.release_expired()
                hand.held_keys.press("a", 60, 0.8)
            hand.now_s += 0.51
            hand.held_keys.release_expired()
            assert [call[0] for call in hand.calls.take()] == ["on", "off"] * strikes

    def test_a_key_that_is_pressed_again_starts_a_new_note(self, hand: Any) -> None:
        hand.held_keys.press("a", 60, 0.8)
        hand.now_s += 0.2
        hand.held_keys.press("a", 60, 0.9)
        assert hand.calls.take() == [("on", 60, 0.8), ("off", 60), ("on", 60, 0.9)]

    def test_with_releases_nothing_ends_by_itself(self, hand: Any) -> None:
        hand.held_keys.press("a", 60, 0.8, releases=True)
        hand.now_s += 100.0
        hand.held_keys.release_expired()
        assert hand.calls.take() == [("on", 60, 0.8)]
        hand.held_keys.release("a")
        hand.held_keys.release("a")
        assert hand.calls.take() == [("off", 60)]

    def test_two_keys_of_one_pitch(self, hand: Any) -> None:
        hand.held_keys.press("k", 72, 0.8, releases=True)
        hand.held_keys.press("a", 72, 0.8, releases=True)  # an octave up in between
        hand.calls.take()
        hand.held_keys.release("k")
        assert hand.calls.take() == []
        hand.held_keys.release("a")
        assert hand.calls.take() == [("off", 72)]

    def test_all(self, hand: Any) -> None:
        for key, pitch in (("a", 60), ("d", 64)):
            hand.held_keys.press(key, pitch, 0.8)
        hand.calls.take()
        hand.held_keys.release_all()
        assert sorted(hand.calls.take()) == [("off", 60), ("off", 64)]


class TestStage:
    """Keys do what the screen says."""

    @pytest.fixture
    def stage(self, folder: Path, murmur: Path) -> Iterator[Any]:
        from audiogen.cli.play import _Stage
        from audiogen.presets import find_presets

        assert [f.name for f in find_presets()] == ["murmur", "plucked", "struck", "winds"]
        card = SimpleNamespace(
            device=SimpleNamespace(host="Pretend", name="front"),
            latency_s=0.01,
            n_late=2,
            outgrown=0,
            error=None,
        )
        with audiogen.Synth("plucked", 8000, max_block=64, polyphony=4) as synth:
            keyboard = SimpleNamespace(reports_releases=True)
            yield _Stage(synth, card, None, HeldKeys(synth), keyboard, None)

    def press(self, stage: Any, *names: str) -> Any:
        for name in names:
            assert not stage.take(Key(name))
        return stage.status()

    def test_notes(self, stage: Any) -> None:
        status = self.press(stage, "a", "e", "x", "a")
        assert status.down == {"a", "e"} and status.base_pitch == 72
        stage._synth.process(64)
        assert stage.status().n_sounding == 3
        assert not stage.take(Key("e", pressed=False))
        assert stage.status().down == {"a"}
        self.press(stage, *"xxxxxx")
        assert stage.status().base_pitch == 108
        self.press(stage, *"zzzzzzzzzzzz")
        assert stage.status().base_pitch == 12

    def test_velocity_and_timbre(self, stage: Any) -> None:
        assert self.press(stage, "c", "c").velocity == pytest.approx(0.6)
        assert self.press(stage, *"vvvvvvvvv").velocity == 1.0
        assert self.press(stage, *"cccccccccccc").velocity == pytest.approx(0.1)
        assert self.press(stage, "2").timbre == "guitar"
        assert self.press(stage, "9").timbre == "guitar"
        assert self.press(stage, "tab").timbre == "dream"
        assert self.press(stage, "tab").timbre == "harp"
        assert self.press(stage, "backtab").timbre == "dream"

    def test_parameters(self, stage: Any) -> None:
        def values(status: Any) -> dict[str, Any]:
            return {row.name: value for row, value in status.parameters.items()}

        status = self.press(stage, "right", "up", "up", "space")
        assert (status.chosen, values(status)["pan"], values(status)["sustain"]) == ("pan", 0.2, 1)
        assert values(self.press(stage, "space"))["sustain"] == 0.0
        order = list(status.parameters)
        morph_timbre = next(i for i, row in enumerate(order) if row.name == "morph_timbre")
        status = self.press(stage, *["right"] * (morph_timbre - 1), "up")
        assert (status.chosen, values(status)["morph_timbre"]) == ("morph_timbre", "guitar")
        rows = order[morph_timbre + 1 :] + order[:morph_timbre]
        assert len(rows) == 22  # those of a GANSynth without macros
        for row in rows:
            self.press(stage, "right", *["down"] * 200)
            assert stage.status().chosen == row.name
            assert values(stage.status())[row.name] == row.lowest
            self.press(stage, *["up"] * 200)
            assert values(stage.status())[row.name] == row.highest
        status = self.press(stage, "backspace")
        assert all(values(status)[row.name] == row.initial for row in rows)

    def test_presets(self, stage: Any) -> None:
        assert self.press(stage, ".").preset == "struck"
        assert self.press(stage, ".", ".").preset == "murmur"
        stage._synth.process(64)
        assert stage.status().n_sounding == 1  # generates audio freely
        self.press(stage, "backspace")  # it begins again
        assert any(stage._synth.process(64).any() for _ in range(10))
        assert self.press(stage, "tab").timbre is None
        assert {"temperature", "listen"} <= {row.name for row in stage.status().parameters}
        (stage._synth.preset.folder.parent / "plucked" / "weights.safetensors").unlink()
        status = self.press(stage, ".")  # past one that cannot be played
        assert status.preset == "struck" and "weights.safetensors" in status.remark
        assert "weights" not in self.press(stage, ".").remark

    def test_sampling_goes_on_to_another_samplernn(self, murmur: Path, stage: Any) -> None:
        from audiogen.cli.play import _Stage

        sampling = {"precision": "int8", "temperature": 0.5, "top_p": 0.9}
        with audiogen.Synth(murmur, 8000, max_block=64, **sampling) as synth:
            stage = _Stage(synth, stage._card, None, HeldKeys(synth), stage._keyboard, None)
            assert self.press(stage, ",").preset == "winds"
            assert (synth.precision, synth.temperature, synth.top_p) == ("int8", 0.5, 0.9)
            assert self.press(stage, ",").preset == "struck"
            assert synth.precision == "float32"

    def test_mixes_and_latents_have_a_name(self, stage: Any) -> None:
        synth = stage._synth
        synth.timbre, synth.morph_timbre = "harp+guitar", synth.random_latent(1)
        status = stage.status()
        assert status.timbre == "harp+guitar"
        assert "a latent" in status.parameters.values()
        assert self.press(stage, "tab").timbre == "harp"

    def test_late_blocks_are_explained(self, stage: Any) -> None:
        status = stage.status()
        assert status.n_late == 2
        assert status.remark == (
            "blocks were late and sound broke up; try --block 512 or --margin 20"
        )
        stage._card.device.host = "JACK Audio Connection Kit"
        assert "try --margin 20" in stage.late_hint()
        stage._synth._load = 1.5
        assert "load is 150 %" in stage.late_hint() and "--precision auto" in stage.late_hint()
        stage._card.n_late = 0
        assert stage.status().remark == ""

    def test_it_ends(self, stage: Any) -> None:
        assert stage.take(Key("q")) and not stage.take(Key("q", pressed=False))


def shown(width: int = 100, **changes: Any) -> str:
    from rich.console import Console

    rows = [row for row in PARAMETERS if row.name not in ("temperature", "top_p", "listen")]
    status = {
        "preset": "plucked",
        "timbre": "harp",
        "sound": "JACK: system",
        "midi": "no MIDI",
        "timbres": ["harp", "guitar"],
        "sample_rate": 48000,
        "latency_ms": 12.34,
        "parameters": {row: row.initial for row in rows},
    } | changes
    console = Console(width=width, record=True, file=open(os.devnull, "w"))
    console.print(draw(Status(**status), width))
    return console.export_text()


class TestScreen:
    def test_it_shows_what_counts(self) -> None:
        text = shown(
            n_sounding=3, load=0.27, n_late=5, peak=0.5, velocity=0.7, recording="recording a.wav"
        )
        for part in (
            "plucked",
            "1 ▸harp   2 guitar",
            "3 of 16",
            "load 27 %",
            "late blocks 5",
            "latency 12.3 ms",
            "48000 Hz",
            "-6.0 dB",
            "JACK: system  ·  no MIDI",
            "C4   velocity 0.7",
            "reports no released keys: a note lasts 0.7 s",
            "recording a.wav",
            "volume",
            "morph timbre",
            "monitor",
        ):
            assert part in text, text
        assert max(map(len, text.splitlines())) == 80
        assert len(text.splitlines()) <= 24  # the smallest terminal

    @pytest.mark.parametrize("width", [80, 60, 48])
    def test_a_small_terminal_shows_messages_and_ports(self, width: int) -> None:
        many = [f"instrument-{i}" for i in range(13)]
        messages = {
            "recording": "recording " + 60 * "a" + ".wav",
            "remark": "blocks were late and sound broke up; try --block 512 or --margin 20; " * 2,
        }
        text = shown(width, timbres=many, timbre=many[0], **messages)
        assert len(text.splitlines()) <= 24
        for part in ("JACK: system  ·  no MIDI", "recording", "--block 512", "▏ a "):
            assert part in text, text

    def test_it_shows_the_state(self) -> None:
        assert "silence" in shown() and "clips" in shown(peak=1.5)
        assert "reports no released" not in shown(reports_releases=True)
        assert "octave" not in shown(has_keys=False)
        assert "generates audio freely" in shown(timbres=[], timbre=None)
        assert "C6" in shown(base_pitch=84)

    @pytest.mark.parametrize("timbre", ["harp", "guitar"])
    def test_the_chosen_timbre_is_marked_without_colour(self, timbre: str) -> None:
        text = shown(timbre=timbre)
        assert f"▸{timbre}" in text and text.count("▸") == 2  # and the chosen parameter
        assert "▸harp+koto" in shown(timbre="harp+koto")

    @pytest.mark.parametrize("width", [80, 60, 50, 48, 20])
    def test_long_names_stay_inside(self, width: int) -> None:
        many = [f"instrument-number-{i}" for i in range(20)]
        row = next(row for row in PARAMETERS if row.name == "morph_timbre")
        text = shown(width, timbres=many, timbre=many[4], parameters={row: "a-very-long-name"})
        assert max(map(len, text.splitlines())) <= width
        if width == 80:
            for i, name in enumerate(many):
                assert f"{i + 1} {'▸' if i == 4 else ''}{name}" if i < 9 else name in text
        elif width >= 48:
            assert "▸instrument-number-4   5 of 20" in text

    @pytest.mark.parametrize("width", [48, 50, 60, 79])
    def test_a_narrow_terminal_shows_the_keyboard(self, width: int) -> None:
        many = [f"instrument-number-{i}" for i in range(20)]
        text = shown(width, timbres=many, timbre=many[0], n_late=3, remark="blocks were late")
        lines = text.splitlines()
        assert max(map(len, lines)) <= width and len(lines) <= 24
        keys = [i for i, line in enumerate(lines) if "▏ a " in line]
        assert keys and keys[0] < 8
        assert all(f"▏ {key} " in lines[keys[0]] for key in "asdfghjkl;'")
        for part in ("late blocks 3", "volume", "q quit", "octave", "blocks were late"):
            assert part in text, text
