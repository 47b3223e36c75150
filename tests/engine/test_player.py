"""A player gives the samples of a render, whoever plays it, and does what its knobs say."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("audiogen._native")

from audiogen.engine.midi import MidiReader

from audiogen.core.events import EVENT, NOTE_OFF, NOTE_ON, PARAMETER
from audiogen.core.parameters import INDEX, PARAMETERS, Knobs
from audiogen.engine import Player, Synth
from audiogen.errors import ParameterError, PresetError
from audiogen.notes import Note

RATE = 48000
STEADY = "sustained"  # a preset whose notes have a pitch and go on


@pytest.fixture(scope="module")
def synth() -> Synth:
    return Synth(STEADY)


def played(player: Player, n: int, *sizes: int) -> np.ndarray:
    """The next ``n`` samples, in blocks of these sizes."""
    blocks, left, size = [], n, cycle(sizes or (512,))
    while left:
        blocks.append(player.process(min(left, next(size))))
        left -= len(blocks[-1])
    return np.concatenate(blocks)


def hz_of(samples: np.ndarray, rate: int = RATE) -> float:
    """Frequency of a harmonic sound, by its autocorrelation, about 0.1 % fine."""
    x = samples.astype(np.float64) - samples.mean()
    spectrum = np.abs(np.fft.rfft(x, 2 * len(x))) ** 2
    like = np.fft.irfft(spectrum)[: len(x) // 2] / np.arange(len(x), len(x) - len(x) // 2, -1)
    low = rate // 2000
    peaks = np.flatnonzero((like[1:-1] > like[:-2]) & (like[1:-1] >= like[2:])) + 1
    peaks = peaks[(peaks > low) & (like[peaks] > 0.9 * like[low:].max())]
    at = peaks[0]
    before, here, after = like[at - 1 : at + 2]
    return rate / (at + 0.5 * (before - after) / (before - 2 * here + after))


def level(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))


@pytest.mark.parametrize("rate", [16000, 44100, 48000])
@pytest.mark.parametrize("sizes", [(1, 7, 333, 64), (511,), (1024, 1)])
def test_blocks_of_odd_sizes_are_the_render(
    synth: Synth, rate: int, sizes: tuple[int, ...]
) -> None:
    script = [  # sample, pitch, whether it's struck
        (100, 57.0, True),
        (1501, 64.3, True),
        (rate // 4 + 5, 57.0, False),
        (rate // 3, 69.0, True),
        (rate // 2 + 1, 64.3, False),
        (rate // 2 + 77, 69.0, False),
    ]
    player, blocks = Player(synth, rate, voices=4, seed=3), []
    for at, pitch, struck in script:
        blocks.append(played(player, at - player.position, *sizes))
        if struck:
            player.note_on(pitch, 0.7)
        else:
            player.note_off(pitch)
    blocks.append(played(player, rate, *sizes))
    notes = [
        Note(at / rate, (off - at) / rate, pitch, 0.7)
        for at, pitch, struck in script
        if struck
        for off, other, still in script
        if other == pitch and not still
    ]
    wanted = synth.render(notes, sample_rate=rate, seed=3)
    got = np.concatenate(blocks)[player.latency :]
    n = min(len(got), len(wanted))
    assert n > rate and np.abs(wanted).max() > 0.01
    assert np.array_equal(got[:n, 0], wanted[:n]) and np.array_equal(got[:, 0], got[:, 1])


def test_a_samplernn_too(tmp_path: Path, write_murmur: Callable[..., Path]) -> None:
    synth = Synth(write_murmur(tmp_path / "winds", notes=True))
    player = Player(synth, 16000)
    player.note_on(60, 0.5, "flute")
    head = played(player, 1600, 7, 100)
    player.note_off(60)
    got = np.concatenate([head, played(player, 4000, 333)])[player.latency :, 0]
    wanted = synth.render([(0.0, 0.1, 60.0, 0.5)], sample_rate=16000, timbre="flute")
    assert np.abs(got).max() > 0.01 and np.array_equal(got, wanted[: len(got)])


def test_a_synths_player_draws_as_the_synth_does(
    tmp_path: Path, write_murmur: Callable[..., Path]
) -> None:
    winds = write_murmur(tmp_path / "winds", notes=True)
    other = write_murmur(tmp_path / "other", notes=True)

    def sound(player: Player, change: bool) -> np.ndarray:
        if change:
            player.change_preset(other)
        player.note_on(60)
        return played(player, 4000)

    for change in (False, True):
        said = {"precision": "int8", "temperature": 0.5, "top_p": 0.8}
        synth, plain = Synth(winds, 16000, **said), Synth(winds, 16000)
        got, wanted = (
            sound(Player(synth, 16000), change),
            sound(Player(winds, 16000, **said), change),
        )
        assert np.array_equal(got, wanted) and np.array_equal(sound(synth.player, change), wanted)
        assert not np.array_equal(got, sound(plain.player, change))
    with pytest.raises(ParameterError, match="top_p can't be used with preset 'plucked'"):
        Player("plucked", top_p=0.5)


def test_a_preset_without_notes_sounds_while_a_key_is_down(
    tmp_path: Path, write_murmur: Callable[..., Path]
) -> None:
    with Player(write_murmur(tmp_path / "murmur"), 16000) as player:
        assert (player.timbres, player.timbre, player.morph_timbre) == ([], None, None)
        player.program(3)
        assert not played(player, 1000).any()
        player.note_on(10)
        assert played(player, 4000)[1000:].any() and player.n_sounding == 1
        player.note_off(10)
        played(player, 4000)
        assert player.n_sounding == 0 and not played(player, 1000).any()


class TestKnobs:
    """Each parameter is heard."""

    @pytest.fixture
    def player(self, synth: Synth) -> Iterator[Player]:
        with Player(synth, RATE, voices=4) as player:
            player.note_on("A3", 0.8)
            played(player, RATE // 4)
            yield player

    def test_the_table_is_the_natives_and_each_is_an_attribute(self, player: Player) -> None:
        import audiogen._native as native

        assert [p.name for p in PARAMETERS] == [row["name"] for row in native.parameters]
        knobs = [name for name in vars(Knobs) if not name.startswith("_")]
        assert [name for name in knobs if name not in ("get", "set")] == list(INDEX)
        for p in PARAMETERS:
            if p.name != "morph_timbre":
                assert getattr(player, p.name) == player.get(p.name) == p.initial
                setattr(player, p.name, p.highest)
                assert player.get(p.name) == p.highest
                player.set(p.name, p.lowest)
                assert getattr(player, p.name) == p.lowest

    def test_volume(self, player: Player) -> None:
        before = level(played(player, RATE // 4))
        player.volume = 0.5  # its square is the gain
        played(player, RATE // 20)
        assert level(played(player, RATE // 4)) == pytest.approx(before / 4, rel=0.3)
        player.volume, player.expression = 1.0, 0.5  # both are as one
        played(player, RATE // 20)
        assert level(played(player, RATE // 4)) == pytest.approx(before / 4, rel=0.3)
        player.volume = 0
        played(player, RATE // 20)
        assert not played(player, 1000).any()

    def test_pan_and_spread(self, player: Player) -> None:
        player.pan = -1
        played(player, RATE // 20)
        left, right = played(player, RATE // 4).T
        assert level(left) > 0.001 and level(right) < 1e-3 * level(left)
        player.set("pan", 1.0)
        played(player, RATE // 20)
        left, right = played(player, RATE // 4).T
        assert level(left) < 1e-3 * level(right)
        player.pan, player.spread = 0, 1
        player.note_on("E4")
        played(player, RATE // 20)
        left, right = played(player, RATE // 4).T
        assert level(left - right) > 0.01 * level(left + right)

    def test_bend_and_glide(self, player: Player) -> None:
        assert hz_of(played(player, 8192)[:, 0]) == pytest.approx(220.0, rel=0.01)
        player.bend = 7
        played(player, RATE // 4)
        bent = 220.0 * 2 ** (7 / 12)
        assert hz_of(played(player, 8192)[:, 0]) == pytest.approx(bent, rel=0.01)
        player.bend = 0
        player.note_off("A3")
        played(player, RATE)
        player.glide = 1.0
        player.note_on("A4")
        played(player, RATE // 4)
        assert 220.0 < hz_of(played(player, 8192)[:, 0]) < 400.0
        played(player, RATE)
        assert hz_of(played(player, 8192)[:, 0]) == pytest.approx(440.0, rel=0.01)

    def test_vibrato(self, player: Player) -> None:
        def wobble() -> float:
            """Semitones from the lowest to the highest of a sixth of a second each."""
            pitches = [12 * np.log2(hz_of(played(player, 1600)[:, 0])) for _ in range(12)]
            return float(np.ptp(pitches))

        steady = wobble()
        player.vibrato = 2.0
        played(player, RATE // 4)
        assert steady < 0.5 and wobble() > steady + 1.0

    def test_sustain_holds_what_is_let_go(self, player: Player) -> None:
        player.sustain = 1
        player.note_off("A3")
        played(player, 2 * RATE)
        assert player.n_sounding == 1
        player.sustain = 0
        played(player, 2 * RATE)
        assert player.n_sounding == 0

    def test_morph_leads_to_the_other_timbre(self, synth: Synth) -> None:
        def sound(timbre: str, **knobs: Any) -> np.ndarray:
            player = Player(synth, RATE, voices=4)
            for name, value in knobs.items():
                setattr(player, name, value)
            played(player, RATE // 4)
            player.note_on(57, 0.8, timbre)
            return played(player, RATE)[RATE // 2 :, 0]

        def colour(samples: np.ndarray) -> np.ndarray:
            spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
            bands = np.array([part.sum() for part in np.array_split(spectrum[:6000], 40)])
            return np.log(bands / bands.sum())

        first, second = synth.timbres[0], synth.timbres[-1]
        whole = colour(sound(first, morph=1.0, morph_timbre=second))
        half = colour(sound(first, morph=0.5, morph_timbre=second))
        own, other = colour(sound(first)), colour(sound(second))

        def apart(a: np.ndarray, b: np.ndarray) -> float:
            return float(np.abs(a - b).mean())

        assert apart(whole, other) < 0.5 * apart(own, other)
        assert apart(half, own) > 0.1 * apart(own, other) < apart(half, other)

    def test_all_off(self, player: Player) -> None:
        player.note_on("E4")
        player.all_off()
        assert played(player, 1000).any() and player.n_sounding
        played(player, 2 * RATE)
        assert player.n_sounding == 0
        player.note_on("A3")
        played(player, RATE // 4)
        player.all_off(silence=True)
        played(player, RATE // 100 + player.latency)
        assert not played(player, 1000).any() and player.n_sounding == 0
        player.note_off("A3")  # isn't held any more

    @pytest.mark.parametrize(
        ("name", "value", "sentence"),
        [
            ("volume", 1.5, "volume=1.5 isn't usable; give 0 to 1"),
            ("bend", float("nan"), "bend=nan isn't usable; give -48 to 48 semitones"),
            ("pan", "left", "pan='left' isn't usable; give -1 to 1"),
            ("wah", 0.0, "parameter 'wah' isn't known; there are volume, pan"),
            ("morph_timbre", 4000, "morph_timbre=4000; preset 'sustained' has"),
        ],
    )
    def test_bad_values_are_named(
        self, player: Player, name: str, value: Any, sentence: str
    ) -> None:
        with pytest.raises(ParameterError, match=sentence):
            player.set(name, value)
        with pytest.raises(PresetError, match="timbre 'kazoo' isn't in preset"):
            player.morph_timbre = "kazoo"
        with pytest.raises(ParameterError, match="parameter 'wah' isn't known"):
            player.get("wah")


def test_bad_calls_are_named(synth: Synth) -> None:
    player = Player(synth, RATE, max_block=100, voices=1)
    for n in (0, 101):
        with pytest.raises(ParameterError, match=f"n={n}; a block has 1 to max_block=100"):
            player.process(n)
    for velocity in (0.0, 1.1, float("nan"), "'loud'"):
        with pytest.raises(ParameterError, match=f"velocity={velocity} isn't above 0"):
            player.note_on(60, velocity.strip("'") if isinstance(velocity, str) else velocity)
    for pitch in (-1, 128, float("nan"), None):
        with pytest.raises(ParameterError, match=f"pitch={pitch} isn't a MIDI number"):
            player.note_on(pitch)
    with pytest.raises(ParameterError, match="pitch 'H4' can't be read"):
        player.note_on("H4")
    with pytest.raises(PresetError, match="timbre 'kazoo' isn't in preset"):
        player.timbre = "kazoo"
    assert not played(player, 1000, 100).any() and player.n_sounding == 0
    player.close()
    for play in (lambda: player.process(1), lambda: player.note_on(60)):
        with pytest.raises(ParameterError, match="this player is closed"):
            play()
    for number in (-1, 128):
        with pytest.raises(ParameterError, match=f"program {number} isn't one; give 0 to 127"):
            player.program(number)
    for name, value in (("max_block", 1.5), ("max_block", 0), ("voices", 5000)):
        with pytest.raises(ParameterError, match=f"{name}={value}; give a whole number from 1"):
            Player(synth, RATE, **{name: value})
    for block in (2.0, 0, 8193):
        with pytest.raises(ParameterError, match=f"block={block}; give 1 to 8192 samples"):
            synth.stream(block)
    for rate in (0, 44100.5):
        with pytest.raises(ParameterError, match="give a whole number of Hz"):
            Player(synth, rate)


def test_meters(synth: Synth) -> None:
    with Player(synth, RATE, voices=4) as player:
        assert (player.peak, player.position, player.n_late) == (0.0, 0, 0)
        player.note_on("A3", 1.0)
        sound = played(player, RATE)
        assert player.position == RATE and player.load > 0.0
        assert 0.1 * np.abs(sound).max() < player.peak <= np.abs(sound).max()
        before = player.peak
        player.all_off(silence=True)
        played(player, RATE)
        assert player.peak == pytest.approx(before / 10, rel=0.5)  # falls by 20 dB a second


class Heard:
    """Stands where a player would, and notes what it was told."""

    def __init__(self) -> None:
        self.calls: list[tuple] = []

    def note_on(self, pitch: float, velocity: float) -> None:
        self.calls.append(("on", pitch, round(velocity * 127)))

    def note_off(self, pitch: float) -> None:
        self.calls.append(("off", pitch))

    def set(self, name: str, value: float) -> None:
        self.calls.append((name, value))

    def program(self, number: int) -> None:
        self.calls.append(("program", number))

    def all_off(self, silence: bool = False) -> None:
        self.calls.append(("all off", silence))


@cache
def one_player() -> Player:
    """A small one, for what wants many examples."""
    return Player("plucked", 16000, voices=2)


def heard(*pieces: bytes) -> list[tuple]:
    told = Heard()
    reader = MidiReader()
    for piece in pieces:
        reader.feed(piece, told)
    return told.calls


RESET = [(name, 0.0) for name in ("bend", "vibrato", "sustain", "morph")] + [("expression", 1.0)]


class TestMidi:
    """Bytes become what they mean."""

    @pytest.mark.parametrize(
        ("data", "calls"),
        [
            ("90 3C 40 80 3C 00", [("on", 60, 64), ("off", 60)]),
            ("95 3C 7F 95 3C 00", [("on", 60, 127), ("off", 60)]),
            ("90 3C 40 40 41 3C 00", [("on", 60, 64), ("on", 64, 65), ("off", 60)]),
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
            ("B0 01 7F 05 00", [("morph", 1.0), ("glide", 0.0)]),
            ("E0 00 40 00 00 7F 7F", [("bend", 0.0), ("bend", -2.0), ("bend", 2.0)]),
            ("B0 65 00 64 00 06 0C E0 7F 7F", [("bend", 12.0)]),
            ("B0 65 00 64 00 06 02 26 32 E0 7F 7F", [("bend", 2.5)]),
            ("E0 7F 7F B0 65 00 64 00 06 0C 26 00", [("bend", n) for n in (2.0, 12.0, 12.0)]),
            ("E0 7F 7F B0 79 00 65 00 64 00 06 0C", [("bend", 2.0), *RESET]),
            ("B0 65 00 64 00 06 7F E0 7F 7F", [("bend", 48.0)]),
            ("B0 65 00 64 01 06 0C E0 7F 7F", [("bend", 2.0)]),
            ("B0 65 00 64 00 65 7F 64 7F 06 0C E0 7F 7F", [("bend", 2.0)]),
            ("B0 65 00 64 00 62 00 06 0C E0 7F 7F", [("bend", 2.0)]),
            ("D0 7F 00", [("vibrato", 2.0), ("vibrato", 0.0)]),
            ("C0 28 A0 3C 40", [("program", 40)]),
            ("B0 78 00 7B 00 7D 00", [("all off", True), ("all off", False), ("all off", False)]),
            ("B0 79 00", RESET),
            ("FF", [("all off", True)]),
            ("B0 0B 40 20 01", [("expression", 0.5)]),
        ],
    )
    def test_messages(self, data: str, calls: list[tuple]) -> None:
        whole = bytes.fromhex(data)
        assert heard(whole) == calls
        assert heard(*(bytes([byte]) for byte in whole)) == calls

    @given(st.lists(st.tuples(st.sampled_from([0x80, 0x90, 0xC0]), st.integers(0, 15))), st.data())
    @settings(max_examples=50, deadline=None)
    def test_as_mido_reads_it(self, kinds: list[tuple[int, int]], data: Any) -> None:
        sevens = st.integers(0, 127)
        stream = bytearray()
        for kind, channel in kinds:
            stream += bytes([kind | channel, data.draw(sevens)])
            if kind != 0xC0:
                stream.append(data.draw(sevens))
        parser, wanted = mido.Parser(), []
        parser.feed(stream)
        for message in parser:
            if message.type == "program_change":
                wanted.append(("program", message.program))
            elif message.type == "note_on" and message.velocity:
                wanted.append(("on", message.note, message.velocity))
            else:
                wanted.append(("off", message.note))
        assert heard(bytes(stream)) == wanted

    @given(st.lists(st.binary(max_size=64), max_size=8))
    @settings(max_examples=200, deadline=None)
    def test_any_bytes_are_played(self, pieces: list[bytes]) -> None:
        player = one_player()
        for piece in pieces:
            player.midi(piece)
            assert np.isfinite(player.process(16)).all()

    @given(st.lists(st.tuples(st.integers(0x80, 0xEF), st.binary(min_size=2, max_size=4))))
    @settings(max_examples=200, deadline=None)
    def test_knobs_turn_as_the_native_reader_turns_them(
        self, messages: list[tuple[int, bytes]]
    ) -> None:
        import audiogen._native as native

        stream = b"".join(
            bytes([status]) + bytes(byte & 127 for byte in data) for status, data in messages
        )
        wanted = {
            PARAMETERS[event["id"]].name: event["value"]
            for event in native.MidiReader().read(stream)
            if event["kind"] == PARAMETER
        }
        got = {name: rest[0] for name, *rest in heard(stream) if name in INDEX}
        assert got == pytest.approx(wanted, abs=1e-6)

    def test_a_player_plays_it(self, synth: Synth) -> None:
        by_midi, by_hand = Player(synth, RATE, voices=4), Player(synth, RATE, voices=4)
        by_midi.midi(bytes([0xB0, 7, 64, 0x90, 60]))
        by_midi.midi(bytes([100]))
        by_hand.volume = 0.5
        by_hand.note_on(60, 100 / 127)
        assert np.array_equal(played(by_midi, 8000), played(by_hand, 8000))
        violin = next(t for t in synth.preset.timbres if t.program is not None)
        by_midi.midi(bytes([0xC0, violin.program]))
        assert by_midi.timbre == violin.name


class TestThreads:
    """Many hands on one player, and many players at once."""

    def test_what_many_threads_play_can_be_played_again(self, synth: Synth) -> None:
        player = Player(synth, 16000, voices=6, seed=5, keep_events=True)

        def hammer(number: int) -> None:
            random = np.random.default_rng(number)
            for _ in range(20):
                pitch = int(random.integers(40, 80))
                player.note_on(pitch, float(random.uniform(0.1, 1.0)))
                player.set("bend", float(random.uniform(-2, 2)))
                player.midi(bytes([0xB0, 1, int(random.integers(128))]))
                if random.random() < 0.7:
                    player.note_off(pitch)
                time.sleep(0.002)

        threads = [threading.Thread(target=hammer, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        blocks = []
        while any(thread.is_alive() for thread in threads) or player.position < 8000:
            blocks.append(player.process(64 + player.position % 77))
        for thread in threads:
            thread.join()
        sound = np.concatenate([*blocks, player.process(99)])
        assert np.isfinite(sound).all() and sound.any()
        assert len(player.events) >= 4 * 20 * 3
        engine = again(synth, 16000, 6, 5)
        assert np.array_equal(sound, replay(engine, player.events, len(sound)))

    def test_players_dont_hear_each_other(self, synth: Synth) -> None:
        def sound(pitch: int) -> np.ndarray:
            with Player(synth, RATE, voices=4) as player:
                player.note_on(pitch)
                return played(player, 12000, 100)

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


def again(synth: Synth, rate: int, voices: int, seed: int) -> Any:
    import audiogen._native as native

    return native.Engine(synth._network.instrument(), rate, 1024, voices, seed, n_channels=2)


def replay(engine: Any, log: list[tuple[int, tuple]], n: int) -> np.ndarray:
    """The sound of a player's events, in blocks of another size."""
    blocks = []
    for start in range(0, n, 1000):
        size = min(1000, n - start)
        now = [(at - start, *event[1:]) for at, event in log if start <= at < start + size]
        blocks.append(engine.process(size, np.array(now, EVENT)))
    return np.concatenate(blocks)


def test_events_are_kept_if_asked_for(synth: Synth) -> None:
    player = Player(synth, RATE, voices=4)
    player.note_on(60)
    player.process(10)
    assert player.events == []
    player = Player(synth, RATE, voices=4, keep_events=True)
    player.process(10)
    assert player.note_on(60, 0.5) == 1
    player.process(10)
    player.note_off(60)
    player.process(1)
    index = synth.timbres.index(player.timbre)
    assert player.events == [
        (10, (0, NOTE_ON, 1, index, 60.0, 0.5)),
        (20, (0, NOTE_OFF, 1, 0, 0.0, 0.0)),
    ]


def test_a_key_that_is_struck_again_is_let_go_first(synth: Synth) -> None:
    player = Player(synth, RATE, voices=4)
    assert [player.note_on(60), player.note_on(60)] == [1, 2]
    player.process(10)
    assert player.n_sounding == 2
    player.note_off(60)
    played(player, 2 * RATE)
    assert player.n_sounding == 0


def test_in_real_time_the_samples_are_the_same(synth: Synth) -> None:
    size = 256
    live = Player(synth, RATE, size, voices=4, realtime=True, margin_ms=20.0)
    plain = Player(synth, RATE, size, voices=4)
    assert live.latency - plain.latency == size + RATE * 20 // 1000
    got, wanted = [], []
    for i in range(150):
        while not live._engine.ready:  # never late, however slow the machine
            time.sleep(0.001)
        for player in (live, plain):
            if i % 20 == 3:
                player.note_on(50 + i // 5, 0.7, synth.timbres[i % len(synth.timbres)])
            elif i % 20 == 19:
                player.note_off(50 + (i - 16) // 5)
            player.morph = i / 150
        got.append(live.process(size))
        wanted.append(plain.process(size))
    shift = live.latency - plain.latency
    live_sound, sound = np.concatenate(got), np.concatenate(wanted)
    assert np.array_equal(live_sound[shift:], sound[:-shift]) and sound.any()
    assert not live_sound[:shift].any() and live.n_late == 0 and plain.n_late == 0
    live.close()


@pytest.mark.parametrize("margin_ms", [0.0, -1.0, 5001.0, float("nan")])
def test_a_bad_margin_is_named(synth: Synth, margin_ms: float) -> None:
    with pytest.raises(ParameterError, match=f"margin_ms={margin_ms:g}; give more than 0"):
        Player(synth, margin_ms=margin_ms)


def test_another_preset(synth: Synth) -> None:
    with Player("plucked", RATE, voices=4, keep_events=True) as player:
        player.pan = -1
        player.note_on(60)
        played(player, 4800)
        player.change_preset(STEADY)
        assert player.preset.name == STEADY and player.timbres == synth.timbres
        assert player.timbre == synth.preset.default_timbre and player.pan == -1
        played(player, 2 * RATE)
        assert player.n_sounding == 0
        player.note_on(60, 0.8)
        left, right = played(player, RATE // 2).T
        assert level(left) > 0.001 and level(right) < 1e-3 * level(left)
        assert (4800, STEADY) in player.events
        with pytest.raises(PresetError, match="preset 'kazoo' not found"):
            player.change_preset("kazoo")
        assert player.preset.name == STEADY and played(player, 1000).any()


def test_a_note_that_waits_is_the_new_presets() -> None:
    """It had the number of a timbre of the old one."""
    sounds = []
    for before in (True, False):
        with Player("struck", RATE, voices=4) as player:
            if before:
                player.note_on(60, timbre=player.timbres[-1])
            player.change_preset(STEADY)
            if not before:
                player.note_on(60)
            sounds.append(played(player, 4800))
    assert np.array_equal(*sounds) and sounds[0].any()


class TestSynth:
    """A synth is a player, too."""

    def test_stream_is_live(self, synth: Synth) -> None:
        live, player = Synth(STEADY, sample_rate=RATE, seed=2), Player(synth, RATE, seed=2)
        stream = live.stream(block=100)
        got, wanted = [next(stream)], [player.process(100)]
        for hands in (live, player):
            hands.note_on("A3", velocity=0.7)
            hands.bend = 0.5
        got += [next(stream) for _ in range(20)]
        wanted += [player.process(100) for _ in range(20)]
        for hands in (live, player):
            hands.note_off("A3")
            hands.volume = 0.3
            assert (hands.bend, hands.get("volume")) == (0.5, 0.3)
        got.append(next(stream))
        wanted.append(player.process(100))
        assert np.array_equal(np.concatenate(got), np.concatenate(wanted)) and got[-1].any()
        live.all_off(silence=True)
        next(live.stream(block=8192))
        assert live.player.n_sounding == 0
        for block in (0, 8193):
            with pytest.raises(ParameterError, match=f"block={block}; give 1 to 8192"):
                live.stream(block)

    @pytest.mark.parametrize("block", [1, 100, 1024])
    def test_notes_piece_by_piece_are_the_render(self, block: int) -> None:
        synth = Synth("plucked")
        notes = "C4:0.1 r:0.3 [E4 G4]:0.2"
        pieces = list(synth.stream_notes(notes, block, sample_rate=22050, seed=4))
        assert np.array_equal(
            np.concatenate(pieces), synth.render(notes, sample_rate=22050, seed=4)
        )
        with pytest.raises(ParameterError, match="block=0; give 1 to 1024"):
            synth.stream_notes(notes, 0)
        with pytest.warns(UserWarning, match="1 notes lie outside the pitches"):
            list(synth.stream_notes([(0.0, 0.01, 1.0)]))
