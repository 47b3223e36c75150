"""`Synth` played live: notes, knobs, MIDI, threads, and another preset while it sounds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

native = pytest.importorskip("audiogen._native")

from audiogen.core.events import ALL_OFF, EVENT, NOTE_OFF, NOTE_ON, PARAMETER
from audiogen.core.parameters import INDEX, PARAMETERS, ParameterAttributes
from audiogen.engine import Synth
from audiogen.errors import ParameterError, PresetError, ShapeError
from audiogen.notes import Control, Note, Score

from .sounds import frequency_hz, played, rms

RATE = 48000
STEADY = "woodwinds"  # a preset whose notes have a pitch and go on


@pytest.fixture(scope="module")
def preset() -> Any:
    return Synth(STEADY).preset


def hz_of(samples: np.ndarray) -> float:
    return frequency_hz(samples[:, 0], RATE)


def test_the_stream_is_live(preset: Any) -> None:
    live, other = (Synth(preset, RATE, seed=2) for _ in range(2))
    stream = live.stream(block=100)
    got, wanted = [next(stream)], [other.process(100)]
    for synth in (live, other):
        synth.note_on("A3", velocity=0.7)
        synth.bend = 0.5
    got += [next(stream) for _ in range(20)]
    wanted += [other.process(100) for _ in range(20)]
    for synth in (live, other):
        synth.note_off("A3")
        synth.volume = 0.3
        assert (synth.bend, synth.get("volume")) == (0.5, 0.3)
    got.append(next(stream))
    wanted.append(other.process(100))
    assert np.array_equal(np.concatenate(got), np.concatenate(wanted)) and got[-1].any()
    live.all_off(silence=True)
    next(live.stream(block=8192))
    assert live.n_sounding == 0
    for block in (2.0, 0, 8193):
        with pytest.raises(ParameterError, match=f"block={block} must be a whole number from 1 to"):
            live.stream(block)


class TestKnobs:
    """Each parameter has its effect."""

    @pytest.fixture
    def synth(self, preset: Any) -> Iterator[Synth]:
        with Synth(preset, RATE, polyphony=4) as synth:
            synth.note_on("A3", 0.8)
            played(synth, RATE // 4)
            yield synth

    def test_the_table_is_the_natives_and_each_is_an_attribute(self, synth: Synth) -> None:
        assert [p.name for p in PARAMETERS] == [row["name"] for row in native.parameters]
        knobs = [name for name in vars(ParameterAttributes) if not name.startswith("_")]
        assert knobs == list(INDEX)
        for p in PARAMETERS:
            assert p.help in getattr(ParameterAttributes, p.name).__doc__
            if p.name != "morph_timbre":
                assert getattr(synth, p.name) == synth.get(p.name) == p.initial
                setattr(synth, p.name, p.highest)
                assert synth.get(p.name) == p.highest
                synth.set(p.name, p.lowest)
                assert getattr(synth, p.name) == p.lowest
        synth.reset_parameters()
        assert all(synth.get(p.name) == p.initial for p in PARAMETERS if p.name != "morph_timbre")
        assert {"temperature", "listen"}.isdisjoint(row.name for row in synth.parameters)

    def test_volume(self, synth: Synth) -> None:
        played(synth, RATE // 2)  # past the attack
        before = rms(played(synth, RATE // 4))
        synth.volume = 0.5  # its square is the gain
        played(synth, RATE // 20)
        assert rms(played(synth, RATE // 4)) == pytest.approx(before / 4, rel=0.3)
        synth.volume, synth.expression = 1.0, 0.5  # both multiply
        played(synth, RATE // 20)
        assert rms(played(synth, RATE // 4)) == pytest.approx(before / 4, rel=0.3)
        synth.volume = 0
        played(synth, RATE // 20)
        assert not played(synth, 1000).any()

    def test_pan_and_spread(self, synth: Synth) -> None:
        synth.pan = -1
        played(synth, RATE // 20)
        left, right = played(synth, RATE // 4).T
        assert rms(left) > 0.001 and rms(right) < 1e-3 * rms(left)
        synth.set("pan", 1.0)
        played(synth, RATE // 20)
        left, right = played(synth, RATE // 4).T
        assert rms(left) < 1e-3 * rms(right)
        synth.pan, synth.spread = 0, 1
        synth.note_on("E4")
        played(synth, RATE // 20)
        left, right = played(synth, RATE // 4).T
        assert rms(left - right) > 0.01 * rms(left + right)

    def test_a_note_may_have_its_own_pan(self, preset: Any) -> None:
        sounds = []
        for pan in (0.0, -1.0, 1.0):
            live = Synth(preset, RATE)
            live.note_on(60, pan=pan)
            sounds.append(played(live, 4800))
        middle, left, right = sounds
        assert np.array_equal(left[:, 0], middle[:, 0]) and not left[:, 1].any()
        assert np.array_equal(right[:, 1], middle[:, 1]) and not right[:, 0].any()

    def test_bend_and_glide(self, synth: Synth) -> None:
        assert hz_of(played(synth, 8192)) == pytest.approx(220.0, rel=0.01)
        synth.bend = 7
        played(synth, RATE // 4)
        assert hz_of(played(synth, 8192)) == pytest.approx(220.0 * 2 ** (7 / 12), rel=0.01)
        synth.bend = 0
        synth.note_off("A3")
        played(synth, RATE)
        synth.glide = 1.0
        synth.note_on("A4")
        played(synth, RATE // 4)
        assert 220.0 < hz_of(played(synth, 8192)) < 400.0
        played(synth, RATE)
        assert hz_of(played(synth, 8192)) == pytest.approx(440.0, rel=0.01)

    def test_vibrato(self, synth: Synth) -> None:
        def range_semitones() -> float:
            """Semitones from the lowest to the highest of a sixth of a second each."""
            return float(np.ptp([12 * np.log2(hz_of(played(synth, 1600))) for _ in range(12)]))

        steady = range_semitones()
        synth.vibrato = 2.0
        played(synth, RATE // 4)
        assert steady < 0.5 and range_semitones() > steady + 1.0

    def test_sustain_holds_released_notes(self, synth: Synth) -> None:
        synth.sustain = 1
        synth.note_off("A3")
        played(synth, 2 * RATE)
        assert synth.n_sounding == 1
        synth.sustain = 0
        played(synth, 2 * RATE)
        assert synth.n_sounding == 0

    def test_morph_leads_to_the_other_timbre(self, preset: Any) -> None:
        def log_bands(timbre: str, **knobs: Any) -> np.ndarray:
            live = Synth(preset, RATE, polyphony=4)
            for name, value in knobs.items():
                setattr(live, name, value)
            played(live, RATE // 4)
            live.note_on(57, 0.8, timbre)
            samples = played(live, RATE)[RATE // 2 :, 0]
            spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
            bands = np.array([part.sum() for part in np.array_split(spectrum[:6000], 40)])
            return np.log(bands / bands.sum())

        first, second = preset.timbre_names[0], preset.timbre_names[-1]
        whole = log_bands(first, morph=1.0, morph_timbre=second)
        half = log_bands(first, morph=0.5, morph_timbre=second)
        own, other = log_bands(first), log_bands(second)

        def distance(a: np.ndarray, b: np.ndarray) -> float:
            return float(np.abs(a - b).mean())

        assert distance(whole, other) < 0.5 * distance(own, other)
        assert distance(half, own) > 0.1 * distance(own, other) < distance(half, other)

    def test_one_note_is_expressed(self, synth: Synth) -> None:
        def sound(**expression: float) -> np.ndarray:
            with Synth(synth.preset, max_block=RATE) as fresh:
                numbers = [fresh.note_on("E4"), fresh.note_on("C5")]
                fresh.express(numbers[0], **expression)
                return played(fresh, RATE // 2)

        plain = sound()
        for name, value in ("bend", 5.0), ("level", 0.0):
            assert np.abs(sound(**{name: value}) - plain).max() > 0.01, name
        for values, message in (
            ({"bend": 49.0}, "bend=49.0 must be from -48 to 48"),
            ({"level": -0.1}, "level=-0.1 must be from 0 to 4"),
            ({"slide": "up"}, "slide='up' must be from -1 to 1"),
        ):
            with pytest.raises(ParameterError, match=message):
                synth.express(1, **values)
        with pytest.raises(ParameterError, match="note=0 must be a whole number from 1 to"):
            synth.express(0)

    def test_all_off(self, synth: Synth) -> None:
        synth.note_on("E4")
        synth.all_off()
        assert played(synth, 1000).any() and synth.n_sounding
        played(synth, 2 * RATE)
        assert synth.n_sounding == 0
        synth.note_on("A3")
        played(synth, RATE // 4)
        synth.all_off(silence=True)
        played(synth, RATE // 100 + synth.latency)
        assert not played(synth, 1000).any() and synth.n_sounding == 0
        synth.note_off("A3")  # is not held any more

    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("volume", 1.5, "volume=1.5 must be from 0 to 1"),
            ("bend", float("nan"), "bend=nan must be from -48 to 48 semitones"),
            ("pan", "left", "pan='left' must be from -1 to 1"),
            ("pan", "0.5", "pan='0.5' must be from -1 to 1"),
            ("glide", None, "glide=None must be from 0 to 10 s"),
            ("wah", 0.0, "parameter 'wah' not found; there are .*volume, pan"),
            ("volum", 0.0, "parameter 'volum' not found; did you mean volume"),
            ("morph_timbre", 4000, "morph_timbre=4000 must be a timbre of preset 'woodwinds', or"),
            ("morph_timbre", 0.5, "morph_timbre=0.5 must be a timbre of preset 'woodwinds', or"),
        ],
    )
    def test_bad_values_are_named(self, synth: Synth, name: str, value: Any, message: str) -> None:
        with pytest.raises(ParameterError, match=message):
            synth.set(name, value)
        with pytest.raises(PresetError, match="timbre 'kazoo'"):
            synth.morph_timbre = "kazoo"
        for read in (synth.get, synth.initial):
            with pytest.raises(ParameterError, match="parameter 'wah' not found"):
                read("wah")


def test_bad_calls_are_named(preset: Any) -> None:
    synth = Synth(preset, RATE, max_block=100, polyphony=1)
    for n in (0, 101, 1.5):
        with pytest.raises(ParameterError, match=f"n={n} must be a whole number from 1 to 100"):
            synth.process(n)
    for velocity in (0.0, 1.1, float("nan"), "loud"):
        with pytest.raises(ParameterError, match=f"velocity={velocity!r} must be above 0"):
            synth.note_on(60, velocity)
    for pitch in (-1, 128, float("nan"), None):
        with pytest.raises(ParameterError, match=f"pitch={pitch} must be a MIDI number"):
            synth.note_on(pitch)
    for pan in (-1.1, float("nan"), "left"):
        with pytest.raises(ParameterError, match=f"pan={pan!r} must be from -1 to 1"):
            synth.note_on(60, pan=pan)
    with pytest.raises(ParameterError, match="'H4'"):
        synth.note_on("H4")
    with pytest.raises(PresetError, match="timbre 'kazoo'"):
        synth.timbre = "kazoo"
    assert not played(synth, 1000, 100).any() and synth.n_sounding == 0
    synth.close()
    for play in (
        lambda: synth.process(1),
        lambda: synth.note_on(60),
        lambda: synth.midi(b"\x90"),
        lambda: next(synth.stream(10)),
    ):
        with pytest.raises(ParameterError, match="synth 'woodwinds' is closed"):
            play()
    for number in (-1, 128, 1.5):
        with pytest.raises(ParameterError, match=f"program={number} must be a whole number from 0"):
            synth.program(number)
    for name, value in (("max_block", 1.5), ("max_block", 0), ("polyphony", 5000)):
        with pytest.raises(ParameterError, match=f"{name}={value} must be a whole number from 1"):
            Synth(preset, RATE, **{name: value})
    for margin_ms in (0.0, -1.0, 5001.0, float("nan")):
        with pytest.raises(ParameterError, match=f"margin_ms={margin_ms:g} must be above 0"):
            Synth(preset, margin_ms=margin_ms)


def test_meters(preset: Any) -> None:
    with Synth(preset, RATE, polyphony=4) as synth:
        assert (synth.peak, synth.position, synth.n_late, synth.load) == (0.0, 0, 0, 0.0)
        synth.note_on("A3", 1.0)
        sound = played(synth, RATE)
        assert synth.position == RATE and synth.load > 0.0
        assert 0.1 * np.abs(sound).max() < synth.peak <= np.abs(sound).max()
        before = synth.peak
        synth.all_off(silence=True)
        played(synth, RATE)
        assert synth.peak == pytest.approx(before / 10, rel=0.5)  # falls by 20 dB a second


# --- MIDI ---------------------------------------------------------------------------------------


def calls_of(*pieces: bytes, instrument: Any = None) -> list[tuple]:
    """What the native reader of MIDI makes of bytes, in words."""
    reader, calls = native.MidiReader(), list[tuple]()
    if instrument is not None:
        reader.set_programs(instrument)
    pitches: dict[int, float] = {}
    for piece in pieces:
        for event in reader.read(piece):
            kind, number, value = event["kind"], int(event["id"]), float(event["value"])
            if kind == NOTE_ON:
                pitches[number] = float(event["pitch"])
                timbre = () if instrument is None else (int(event["timbre"]),)
                calls.append(("on", pitches[number], round(value * 127), *timbre))
            elif kind == NOTE_OFF:
                calls.append(("off", pitches[number]))
            elif kind == PARAMETER:
                calls.append((PARAMETERS[number].name, pytest.approx(value, abs=1e-6)))
            else:
                assert kind == ALL_OFF
                calls.append(("all off", value == 1.0))
    return calls


@cache
def small_synth() -> Synth:
    """A small one, for what wants many examples."""
    return Synth("plucked", 16000, polyphony=2)


RESET = [(name, 0.0) for name in ("pitch_wheel", "vibrato", "sustain")]
RESET.append(("expression", 1.0))


class TestMidi:
    """Bytes become what they mean."""

    @pytest.mark.parametrize(
        ("data", "calls"),
        [
            ("90 3C 40 80 3C 00", [("on", 60, 64), ("off", 60)]),
            ("95 3C 7F 95 3C 00", [("on", 60, 127), ("off", 60)]),
            ("90 3C 40 40 41 3C 00", [("on", 60, 64), ("on", 64, 65), ("off", 60)]),
            ("90 3C 40 90 3C 41", [("on", 60, 64), ("off", 60), ("on", 60, 65)]),
            ("90 3C F8 40 FE", [("on", 60, 64)]),
            ("3C 40 90 3C 40", [("on", 60, 64)]),
            ("90 3C 90 3D 01", [("on", 61, 1)]),
            ("F0 7E 00 09 01 F7 90 3C 40", [("on", 60, 64)]),
            ("F0 7E 00 90 3C 40", [("on", 60, 64)]),
            ("F1 01 F2 01 02 F3 01 F6 3C 40", []),
            ("F1 01 3C 40 90 3C 40", [("on", 60, 64)]),
            ("B0 07 7F 07 00 07 40", [("volume", 1.0), ("volume", 0.0), ("volume", 0.5)]),
            ("B0 0A 00 0A 40 0A 7F", [("pan", -1.0), ("pan", 0.0), ("pan", 1.0)]),
            ("B0 40 3F 40 40", [("sustain", 0.0), ("sustain", 1.0)]),
            ("B0 01 7F 05 00", [("vibrato", 0.5), ("glide", 0.0)]),
            ("B0 10 7F 10 40", [("morph", 1.0), ("morph", 0.5)]),
            ("E0 00 40 00 00 7F 7F", [("pitch_wheel", n) for n in (0.0, -1.0, 1.0)]),
            ("B0 65 00 64 00 06 0C E0 7F 7F", [("bend_range", 12.0), ("pitch_wheel", 1.0)]),
            ("B0 65 00 64 00 06 02 26 32", [("bend_range", 2.0), ("bend_range", 2.5)]),
            ("E0 7F 7F B0 79 00", [("pitch_wheel", 1.0), *RESET]),
            ("B0 65 00 64 00 06 7F", [("bend_range", 48.0)]),
            ("B0 65 00 64 01 06 0C E0 7F 7F", [("pitch_wheel", 1.0)]),
            ("B0 65 00 64 00 65 7F 64 7F 06 0C E0 7F 7F", [("pitch_wheel", 1.0)]),
            ("B0 65 00 64 00 62 00 06 0C E0 7F 7F", [("pitch_wheel", 1.0)]),
            ("D0 7F 00", [("vibrato", 0.5), ("vibrato", 0.0)]),
            ("C0 28 A0 3C 40", []),
            ("B0 78 00 7B 00 7D 00", [("all off", True), ("all off", False), ("all off", False)]),
            ("B0 79 00", RESET),
            ("FF", [("all off", True)]),
            ("B0 0B 40 20 01", [("expression", 0.5)]),
        ],
    )
    def test_messages(self, data: str, calls: list[tuple]) -> None:
        whole = bytes.fromhex(data)
        assert calls_of(whole) == calls
        assert calls_of(*(bytes([byte]) for byte in whole)) == calls

    @given(st.lists(st.tuples(st.sampled_from([0x80, 0x90, 0xC0]), st.integers(0, 15))), st.data())
    @settings(max_examples=50, deadline=None)
    def test_as_mido_reads_it(self, kinds: list[tuple[int, int]], data: Any) -> None:
        sevens = st.integers(0, 127)
        stream = bytearray()
        for kind, channel in kinds:
            stream += bytes([kind | channel, data.draw(sevens)])
            if kind != 0xC0:
                stream.append(data.draw(sevens))
        instrument = small_synth()._opened.instrument
        timbres = dict.fromkeys(range(16), instrument.default_timbre)
        parser, wanted, held = mido.Parser(), list[tuple](), set[tuple[int, int]]()
        parser.feed(stream)
        for message in parser:
            if message.type == "program_change":
                timbres[message.channel] = instrument.programs[message.program]
                continue
            key = message.channel, message.note
            if key in held:
                wanted.append(("off", message.note))
                held.remove(key)
            if message.type == "note_on" and message.velocity:
                timbre = timbres[message.channel]
                wanted.append(("on", message.note, message.velocity, timbre))
                held.add(key)
        assert calls_of(bytes(stream), instrument=instrument) == wanted

    @given(st.lists(st.binary(max_size=64), max_size=8))
    @settings(max_examples=200, deadline=None)
    def test_any_bytes_are_played(self, pieces: list[bytes]) -> None:
        synth = small_synth()
        for piece in pieces:
            synth.midi(piece)
            assert np.isfinite(synth.process(16)).all()

    def test_a_synth_plays_it(self, preset: Any) -> None:
        by_midi, by_hand = (Synth(preset, RATE, polyphony=4) for _ in range(2))
        by_midi.midi(bytes([0xB0, 7, 64, 0x90, 60]))
        by_midi.midi(bytes([100]))
        by_hand.volume = 0.5
        by_hand.note_on(60, 100 / 127)
        assert by_midi.volume == 0.5
        assert np.array_equal(played(by_midi, 8000), played(by_hand, 8000))

    def test_program_changes_choose_the_nearest_timbre(self, preset: Any) -> None:
        by_midi, by_hand = (Synth(preset, RATE, polyphony=4) for _ in range(2))
        exact = {t.program: t.name for t in preset.timbres if t.program is not None}
        for program, name in exact.items():
            by_midi.midi(bytes([0xC0, program]))
            assert by_midi.timbre == name
        for program in range(128):
            by_midi.midi(bytes([0xC0, program]))
            by_hand.program(program)
            assert by_midi.timbre == by_hand.timbre == exact.get(program, by_hand.timbre)
        # On two channels at once.
        first, second = list(exact.items())[:2]
        by_midi.midi(bytes([0xC0, first[0], 0xC1, second[0], 0x90, 60, 127, 0x91, 67, 127]))
        by_hand.note_on(60, 1.0, first[1])
        by_hand.note_on(67, 1.0, second[1])
        assert np.array_equal(played(by_midi, 4800), played(by_hand, 4800))

    def test_all_off_forgets_held_keys(self, preset: Any) -> None:
        synth = Synth(preset, RATE, polyphony=4, keep_events=True)
        synth.note_on(60)
        synth.midi(bytes([0xB0, 120, 0]))
        synth.note_off(60)  # nothing is held any more
        played(synth, RATE // 20)
        assert synth.n_sounding == 0
        assert [event[1] for _, event in synth.events] == [NOTE_ON, ALL_OFF]
        synth.note_on(60)
        played(synth, 100)
        assert synth.n_sounding == 1


# --- Threads ------------------------------------------------------------------------------------


class TestThreads:
    """Many threads play one synth, and many synths play at once."""

    def test_what_many_threads_play_can_be_played_again(self, preset: Any) -> None:
        synth = Synth(preset, 16000, polyphony=6, seed=5, keep_events=True)

        def hammer(number: int) -> None:
            random = np.random.default_rng(number)
            for _ in range(20):
                pitch = int(random.integers(40, 80))
                synth.note_on(pitch, float(random.uniform(0.1, 1.0)))
                synth.set("bend", float(random.uniform(-2, 2)))
                synth.midi(bytes([0xB0, 1, int(random.integers(128))]))
                if random.random() < 0.7:
                    synth.note_off(pitch)
                time.sleep(0.002)

        threads = [threading.Thread(target=hammer, args=(i,)) for i in range(4)]
        blocks = [synth.process(64)]  # makes the engine, so that all events are kept
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads) or synth.position < 8000:
            blocks.append(synth.process(64 + synth.position % 77))
        for thread in threads:
            thread.join()
        sound = np.concatenate([*blocks, synth.process(99)])
        assert np.isfinite(sound).all() and sound.any()
        assert len(synth.events) >= 4 * 20 * 3
        engine = native.Engine(synth._opened.instrument, 16000, 1024, 6, 5, n_channels=2)
        assert np.array_equal(sound, replayed(engine, synth.events, len(sound)))

    def test_synths_are_independent(self, preset: Any) -> None:
        def sound(pitch: int) -> np.ndarray:
            with Synth(preset, RATE, polyphony=4) as synth:
                synth.note_on(pitch)
                return played(synth, 12000, 100)

        wanted = [sound(pitch) for pitch in (50, 60, 70)]
        got: dict[int, np.ndarray] = {}

        def play(i: int) -> None:
            got[i] = sound(50 + 10 * i)

        threads = [threading.Thread(target=play, args=(i,)) for i in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for i in range(3):
            assert np.array_equal(got[i], wanted[i])

    def test_a_render_while_it_plays_is_the_same(self, preset: Any) -> None:
        synth = Synth(preset, polyphony=4)
        wanted = synth.render("C4:0.3 E4")
        synth.note_on(60)
        renders: list[np.ndarray] = []
        thread = threading.Thread(target=lambda: renders.append(synth.render("C4:0.3 E4")))
        thread.start()
        while thread.is_alive():
            synth.process(256)
        thread.join()
        assert np.array_equal(renders[0], wanted)


def replayed(engine: Any, log: list[tuple[int, tuple]], n: int) -> np.ndarray:
    """The sound of a synth's events, in blocks of another size."""
    blocks = []
    for start in range(0, n, 1000):
        size = min(1000, n - start)
        now = [(at - start, *event[1:]) for at, event in log if start <= at < start + size]
        blocks.append(engine.process(size, np.array(now, EVENT)))
    return np.concatenate(blocks)


def test_events_are_kept_if_asked_for(preset: Any) -> None:
    synth = Synth(preset, RATE, polyphony=4)
    synth.note_on(60)
    synth.process(10)
    assert synth.events == []
    synth = Synth(preset, RATE, polyphony=4, keep_events=True)
    synth.process(10)
    assert synth.note_on(60, 0.5) == 1
    synth.process(10)
    synth.note_off(60)
    synth.process(1)
    index = synth.timbres.index(synth.timbre)
    assert synth.events == [
        (10, (0, NOTE_ON, 1, index, 60.0, 0.5, 0.0)),
        (20, (0, NOTE_OFF, 1, 0, 0.0, 0.0, 0.0)),
    ]


def test_a_held_key_that_is_pressed_again_is_released_first(preset: Any) -> None:
    synth = Synth(preset, RATE, polyphony=4)
    assert [synth.note_on(60), synth.note_on(60)] == [1, 2]
    synth.process(10)
    assert synth.n_sounding == 2
    synth.note_off(60)
    played(synth, 2 * RATE)
    assert synth.n_sounding == 0


def test_in_real_time_the_samples_are_the_same(preset: Any) -> None:
    size = 256
    # The blocks may come slower than in real time, and a note waits when the worker has little time
    # left for it: a margin of a second is left on any machine.
    live = Synth(preset, RATE, polyphony=4, max_block=size, realtime=True, margin_ms=1000.0)
    plain = Synth(preset, RATE, polyphony=4, max_block=size)
    shift = live.latency - plain.latency
    assert shift == size + RATE
    got, wanted = [], []
    for i in range(300):
        while not live._engine.ready:  # never late, however slow the machine
            time.sleep(0.001)
        for synth in (live, plain):
            if i % 20 == 3:
                synth.note_on(40 + i // 5, 0.7, live.timbres[i % len(live.timbres)])
            elif i % 20 == 19:
                synth.note_off(40 + (i - 16) // 5)
            synth.morph = i / 300
        got.append(live.process(size))
        wanted.append(plain.process(size))
    live_sound, sound = np.concatenate(got), np.concatenate(wanted)
    assert np.array_equal(live_sound[shift:], sound[:-shift]) and sound.any()
    assert not live_sound[:shift].any() and live.n_late == 0 and plain.n_late == 0
    live.close()


# --- Another preset -----------------------------------------------------------------------------


def test_another_preset(preset: Any) -> None:
    with Synth("plucked", RATE, polyphony=4, keep_events=True) as synth:
        synth.pan = -1
        synth.note_on(60)
        played(synth, 4800)
        synth.change_preset(STEADY)
        assert synth.name == STEADY and synth.timbres == preset.timbre_names
        assert synth.timbre == preset.default_timbre and synth.pan == -1
        played(synth, 2 * RATE)
        assert synth.n_sounding == 0
        synth.note_on(60, 0.8)
        left, right = played(synth, RATE // 2).T
        assert rms(left) > 0.001 and rms(right) < 1e-3 * rms(left)
        assert (4800, STEADY) in synth.events
        with pytest.raises(PresetError, match="'kazoo'"):
            synth.change_preset("kazoo")
        assert synth.name == STEADY and played(synth, 1000).any()


def test_a_note_that_waits_is_the_new_presets(preset: Any) -> None:
    """It had the number of a timbre of the old one."""
    sounds = []
    for strikes_first in (True, False):
        with Synth("struck", RATE, polyphony=4) as synth:
            if strikes_first:
                synth.note_on(60, timbre=synth.timbres[-1])
            synth.change_preset(preset)
            if not strikes_first:
                synth.note_on(60)
            sounds.append(played(synth, 4800))
    assert np.array_equal(*sounds) and sounds[0].any()


@pytest.mark.parametrize("plays", [False, True])
def test_another_preset_keeps_what_was_set(
    tmp_path: Path, write_murmur: Callable[..., Path], plays: bool
) -> None:
    """Precision and sampling go on to a preset of the same kind, before or while it plays."""
    winds = write_murmur(tmp_path / "winds", notes=True)
    other = write_murmur(tmp_path / "other", notes=True, sampling={"temperature": 0.2})
    changed = Synth(winds, 16000, precision="int8", temperature=0.5, top_p=0.8)
    own = Synth(winds, 16000)
    if plays:
        changed.process(10)
        own.process(10)
    changed.change_preset(other)
    own.change_preset(other)
    assert (changed.precision, changed.temperature, changed.top_p) == ("int8", 0.5, 0.8)
    wanted = Synth(other, 16000, precision="int8", temperature=0.5, top_p=0.8)
    assert own.temperature == pytest.approx(0.2)  # was never set
    as_set, as_shipped = [], []
    for synths, sounds in (((changed, wanted), as_set), ((own, Synth(other, 16000)), as_shipped)):
        for synth in synths:
            played(synth, 800 - synth.position)
            synth.note_on(60)
            sounds.append(played(synth, 4000))
        assert np.array_equal(*sounds)
    assert not np.array_equal(as_set[0], as_shipped[0])
    changed.change_preset("plucked")
    assert changed.precision == "float32"


class TestPresetsAndParameters:
    """Parameters and timbres over renders, presets and resets."""

    def test_a_pedal_that_is_down_does_not_hold_a_render(self, make_preset: Any) -> None:
        synth = Synth(make_preset())
        expected = synth.render("C4:0.1")
        synth.sustain = 1.0
        np.testing.assert_array_equal(synth.render("C4:0.1"), expected)

    def test_a_score_that_leaves_the_pedal_down_ends(self, make_preset: Any) -> None:
        score = Score([Note(0.0, 0.1, 60.0)], [Control(0.0, 0, b"\xb0\x40\x7f")])
        assert len(Synth(make_preset()).render(score)) < 16000 * 10

    def test_any_number_of_latents_can_be_rendered(self, make_preset: Any) -> None:
        synth = Synth(make_preset())
        for seed in range(1100):
            synth.stream(notes=[(0.0, 0.01, 60.0)], timbre=synth.random_latent(seed))

    def test_a_reset_takes_the_initial_values_of_each_preset(
        self, tmp_path: Path, write_murmur: Any
    ) -> None:
        first = write_murmur(tmp_path / "a", sampling={"temperature": 0.5})
        second = write_murmur(tmp_path / "b", sampling={"temperature": 0.9})
        synth = Synth(first, temperature=0.7)
        synth.process(64)
        synth.reset_parameters()
        assert synth.temperature == 0.5
        synth.change_preset(second)
        assert synth.temperature == 0.9
        synth.note_on(velocity=1.0)
        sound = np.concatenate([synth.process(500) for _ in range(4)])
        fresh = Synth(second)
        fresh.process(64)
        fresh.note_on(velocity=1.0)
        expected = np.concatenate([fresh.process(500) for _ in range(4)])
        np.testing.assert_array_equal(sound, expected)

    def test_a_value_equal_to_an_initial_one_stays_over_a_change(
        self, tmp_path: Path, write_murmur: Any
    ) -> None:
        first = write_murmur(tmp_path / "a", sampling={"temperature": 0.5})
        second = write_murmur(tmp_path / "b", sampling={"temperature": 1.0})
        synth = Synth(first, temperature=0.5)
        synth.process(64)
        synth.change_preset(second)
        assert synth.temperature == 0.5
        synth.note_on(velocity=1.0)
        sound = np.concatenate([synth.process(500) for _ in range(4)])
        fresh = Synth(second, temperature=0.5)
        fresh.process(64)
        fresh.note_on(velocity=1.0)
        expected = np.concatenate([fresh.process(500) for _ in range(4)])
        np.testing.assert_array_equal(sound, expected)

    def test_a_gansynth_that_becomes_a_samplernn_has_an_input(
        self, make_preset: Any, tmp_path: Path, write_murmur: Any
    ) -> None:
        synth = Synth(make_preset())
        synth.process(64)
        synth.change_preset(write_murmur(tmp_path / "murmur"))
        synth.listen = 1.0
        synth.note_on()
        synth.process(64, np.zeros((64, 2)))
        assert synth.n_sounding == 1

    def test_a_wrong_input_keeps_the_events(self, make_preset: Any) -> None:
        synth = Synth(make_preset())
        synth.note_on(60)
        with pytest.raises(ShapeError, match=r"must be \[64, 2\]"):
            synth.process(64, np.zeros((64, 1)))
        synth.process(64)
        assert synth.n_sounding == 1

    def test_the_rate_is_that_of_the_live_engine(self, make_preset: Any) -> None:
        synth = Synth(make_preset())
        assert synth.sample_rate == 16000
        synth.process(64)
        synth.change_preset(make_preset("other", sample_rate=24000))
        assert synth.sample_rate == 16000

    def test_no_timbre_to_morph_to_is_refused(self, make_preset: Any) -> None:
        with pytest.raises(ParameterError, match="must be a timbre"):
            Synth(make_preset()).morph_timbre = None
