"""Attack, release and macros in both engines: what they change, and that 0 changes no sample."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from audiogen import _fallback as fallback
from audiogen.core.events import Event, event_array, note_off, note_on, set_parameter
from audiogen.core.parameters import INDEX
from audiogen.engine import Synth
from audiogen.errors import ParameterError, PresetError
from audiogen.presets import change_fields, load_preset

from .sounds import frequency_hz, second_difference

PRESETS = Path(__file__).parents[2] / "presets"
RATE, HOP = 16000, 64
TOLERANCE = 2e-5


@pytest.fixture(params=["native", "fallback"])
def module(request: pytest.FixtureRequest) -> ModuleType:
    return fallback if request.param == "fallback" else request.getfixturevalue("native")


@pytest.fixture
def folder(make_preset: Callable[..., Path]) -> Path:
    """A preset with two macros, in random directions."""
    folder = make_preset()
    change_fields(folder, {"macros": macros(len(load_preset(folder).timbres[0].z))})
    return folder


def macros(latent_size: int) -> list[dict[str, Any]]:
    random = np.random.default_rng(3)
    first, second = random.standard_normal((2, latent_size)).round(4).tolist()
    return [
        {"name": "bright", "help": "Brightness.", "direction": first, "range": [-0.5, 2.0]},
        {
            "name": "hard",
            "help": "Hardness.",
            "direction": second,
            "range": [-1.0, 1.0],
            "effect": "Rises.",
        },
    ]


def engine(module: ModuleType, folder: Path, n_channels: int = 1, **options: Any) -> Any:
    instrument = module.open_preset(folder).instrument(**options)
    return module.Engine(instrument, RATE, 8192, 4, 7, n_channels)


def play(engine: Any, n: int, events: list[Event], block: int = 1000) -> np.ndarray:
    """Samples of events whose offsets count from the start."""
    table, pieces = event_array(sorted(events, key=lambda event: event[0])), []
    for start in range(0, n, block):
        size = min(block, n - start)
        now = table[(table["offset"] >= start) & (table["offset"] < start + size)].copy()
        now["offset"] -= np.uint32(start)
        pieces.append(engine.process(size, now))
    return np.concatenate(pieces)[:, 0]


def put(offset: int, **values: float) -> list[Event]:
    return [set_parameter(INDEX[name], value, offset=offset) for name, value in values.items()]


def on(offset: int = 0, id: int = 1, pitch: float = 55.0, timbre: int = 0) -> Event:
    return note_on(id, pitch, 0.8, timbre, offset=offset)


def off(offset: int, id: int = 1) -> Event:
    return note_off(id, offset)


def score() -> list[Event]:
    """Every kind of shape, on notes that start, sound, morph and end."""
    return [
        *put(0, attack=0.2, macro_1=0.6, morph_timbre=1.0),
        on(),
        *put(500, macro_1=-0.7, macro_2=0.3, morph=0.5),
        *put(900, attack=-0.6, release=0.4),
        on(1000, 2, 61.0, 1),
        *put(1400, tilt=4.0, noise=-9.0),
        *put(1800, macro_2=1.0, bend=7.0),
        off(2500),
        *put(2900, release=-0.5, morph=0.0),
        off(3300, 2),
        *put(4000, macro_1=0.0, macro_2=0.0, release=1.0),
    ]


class TestBothEngines:
    def test_the_fallback_equals_the_native_engine(self, native: ModuleType, folder: Path) -> None:
        wanted = play(engine(native, folder), 6000, score())
        got = play(engine(fallback, folder), 6000, score())
        assert np.abs(wanted).max() > 1e-3
        assert np.abs(got - wanted).max() < TOLERANCE

    def test_any_blocks_give_the_same_bits(self, module: ModuleType, folder: Path) -> None:
        wanted = play(engine(module, folder), 6000, score())
        for block in (64, 777, 6000):
            assert np.array_equal(play(engine(module, folder), 6000, score(), block), wanted)

    def test_zero_changes_no_sample(
        self, module: ModuleType, folder: Path, make_preset: Callable[..., Path]
    ) -> None:
        plain = make_preset("plain")
        events = [on(), on(700, 2, 66.0, 1), off(3000), off(3100, 2)]
        wanted = play(engine(module, plain), 5000, events)
        zeros = put(0, attack=0.0, release=0.0, tilt=0.0, noise=0.0, macro_1=0.0, macro_8=0.0)
        assert np.array_equal(play(engine(module, folder), 5000, zeros + events), wanted)
        # Of a macro that the preset lacks, all values are without effect.
        other = put(0, macro_3=1.0) + put(1000, macro_8=-1.0)
        assert np.array_equal(play(engine(module, folder), 5000, other + events), wanted)


class TestAttack:
    def test_a_longer_one_fades_in(self, module: ModuleType, folder: Path) -> None:
        n = RATE * 5 // 4
        events = put(0, attack=0.5)  # 4 s * 0.5 * 0.5
        plain = play(engine(module, folder), n, [on()])
        shaped = play(engine(module, folder), n, [*events, on()])
        ramp = np.minimum(1.0, np.arange(n) / RATE)
        assert np.abs(shaped - ramp * plain).max() < 0.01 * np.abs(plain).max()

    def test_a_faster_one_skips_frames(self, module: ModuleType, folder: Path) -> None:
        """At 8 times the speed the second frame is the ninth of the note."""
        generator = module.open_preset(folder).network()
        z = load_preset(folder).timbres[0].z
        levels = generator.generate(z, 55.0, 0.8, 7)[0]

        def spectra(attack: float) -> np.ndarray:
            sound = play(engine(module, folder), 3000, [*put(0, attack=attack), on()])
            at = np.arange(4, 20)[:, None] * HOP + np.arange(256)
            return np.log(np.abs(np.fft.rfft(np.hanning(256) * sound[at])) + 1e-4)

        assert np.ptp(levels, axis=0).max() > 0  # the note changes
        plain, fast = spectra(0.0), spectra(-1.0)
        same, ahead = np.abs(fast[:8] - plain[:8]).mean(), np.abs(fast[:8] - plain[7:15]).mean()
        assert ahead < 0.5 * same


class TestRelease:
    @staticmethod
    def samples_left(module: ModuleType, folder: Path, release: float) -> int:
        """Samples that a note sounds after its release."""
        played = engine(module, folder)
        play(played, 3000, [*put(0, release=release), on(), off(2999)])
        n = 0
        while played.n_sounding:
            played.process(HOP, event_array([]))
            n += HOP
        return n

    def test_its_duration_scales(self, module: ModuleType, folder: Path) -> None:
        own = self.samples_left(module, folder, 0.0)
        tail = 4 * HOP  # the last frame's window
        for release in (-1.0, -1 / 3, 1 / 3, 1.0):
            wanted = (own - tail) * 8.0**release + tail
            # To a frame before and one after, each as long as the release makes it.
            tolerance = 2 * HOP * (1 + 8.0**release)
            assert abs(self.samples_left(module, folder, release) - wanted) <= tolerance

    def test_a_slow_one_does_not_click(self, module: ModuleType, folder: Path) -> None:
        plain = play(engine(module, folder), 4000, [on(), off(2000)])
        slow = play(engine(module, folder), 4000, [*put(0, release=0.7), on(), off(2000)])
        assert np.array_equal(plain[:2000], slow[:2000])
        around = slice(1990, 2000 + 8 * HOP)  # the release
        roughness = second_difference(slow[around]).max()
        assert roughness < 1.2 * second_difference(plain).max()

    @pytest.mark.parametrize("release", [-0.5, 1.0])
    def test_the_pitch_stays(self, native: ModuleType, release: float) -> None:
        sounds = []
        for value in (0.0, release):
            events = [*put(0, release=value), on(0, 1, 60.0), off(16000)]
            sounds.append(play(engine(native, PRESETS / "brass"), 20000, events))
        end = 17200 if release < 0 else 20000
        assert frequency_hz(sounds[1][16000:end], RATE) == pytest.approx(261.6, rel=0.006)
        levels = [np.square(sound[16800:17200]).mean() for sound in sounds]
        assert (levels[1] > levels[0]) == (release > 0)


class TestBalance:
    """Of high and low partials, and of partials and noise."""

    @staticmethod
    def held(native: ModuleType, preset: str, **values: float) -> np.ndarray:
        instrument = native.open_preset(PRESETS / preset).instrument()
        played = native.Engine(instrument, 32000, 8192, 4, 7, 1)
        sound = play(played, 64000, [*put(0, **values), on(0, 1, 60.0)])
        return sound[32000:]

    @pytest.mark.parametrize("tilt", [-6.0, 3.0])
    def test_tilt_is_a_slope_at_equal_power(self, native: ModuleType, tilt: float) -> None:
        plain = self.held(native, "brass")
        tilted = self.held(native, "brass", tilt=tilt)
        power = [np.square(sound).mean() for sound in (plain, tilted)]
        assert 10 * np.log10(power[1] / power[0]) == pytest.approx(0.0, abs=0.3)
        spectra = [np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) for sound in (plain, tilted)]
        f0 = 440.0 * 2 ** (-9 / 12)
        partials = [round(h * f0) for h in (1, 2, 4, 8)]  # bins of 1 Hz
        level = [[20 * np.log10(s[b - 5 : b + 6].max()) for b in partials] for s in spectra]
        change = np.subtract(level[1], level[0])
        assert np.diff(change) == pytest.approx([tilt] * 3, abs=0.5)

    @pytest.mark.parametrize("noise", [-24.0, -6.0, 12.0])
    def test_noise_is_between_partials(self, native: ModuleType, noise: float) -> None:
        plain = self.held(native, "bowed")
        changed = self.held(native, "bowed", noise=noise)
        power = [np.square(sound).mean() for sound in (plain, changed)]
        assert 10 * np.log10(power[1] / power[0]) == pytest.approx(0.0, abs=1.0)
        f0 = 440.0 * 2 ** (-9 / 12)
        window = np.blackman(len(plain))
        spectra = [np.square(np.abs(np.fft.rfft(sound * window))) for sound in (plain, changed)]
        halves = [round((h + 0.5) * f0) for h in range(1, 12)]  # bins of 1 Hz
        between = [sum(s[b - 40 : b + 41].sum() for b in halves) for s in spectra]
        assert 10 * np.log10(between[1] / between[0]) == pytest.approx(noise, abs=2.0)

    def test_a_sounding_note_follows_without_a_click(
        self, module: ModuleType, folder: Path
    ) -> None:
        sounds = [
            # At this pitch there are bins far enough from partials for `noise`.
            play(engine(module, folder), 5000, [on(pitch=80.0), *events])
            for events in ([], put(1500, tilt=-6.0), put(1500, noise=12.0))
        ]
        roughness = [second_difference(sound).max() for sound in sounds]
        for i in (1, 2):
            assert np.array_equal(sounds[0][:1500], sounds[i][:1500])
            assert not np.array_equal(sounds[0], sounds[i])
            assert roughness[i] < 1.2 * roughness[0]


class TestMacros:
    @pytest.mark.parametrize("amount", [1.0, 0.35, -1.0])
    def test_a_note_is_that_of_the_moved_latent(
        self, module: ModuleType, folder: Path, amount: float
    ) -> None:
        preset = load_preset(folder)
        z = np.array(preset.timbres[0].z, np.float32)
        moved = z + amount * (2.0 if amount > 0 else 0.5) * np.array(preset.macros[0].direction)
        moved *= np.linalg.norm(z) / np.linalg.norm(moved)
        got = play(engine(module, folder), 3000, [*put(0, macro_1=amount), on()])
        wanted = play(engine(module, folder, latent=moved.tolist()), 3000, [on()])
        plain = play(engine(module, folder), 3000, [on()])
        assert np.abs(got - wanted).max() < TOLERANCE
        assert np.abs(got - plain).max() > 100 * TOLERANCE

    def test_a_sounding_note_follows_without_a_click(
        self, module: ModuleType, folder: Path
    ) -> None:
        start = play(engine(module, folder), 5000, [on()])
        end = play(engine(module, folder), 5000, [*put(0, macro_1=1.0), on()])
        moved = play(engine(module, folder), 5000, [on(), *put(1500, macro_1=1.0)])
        assert np.array_equal(moved[:1500], start[:1500])
        # Levels arrive at those of a note that was moved from its beginning; phases may differ.
        levels = np.abs(np.fft.rfft([np.hanning(256) * x[2496:2752] for x in (start, end, moved)]))
        from_start, from_end = (np.abs(levels[2] - levels[i]).sum() for i in (0, 1))
        assert from_end < 0.25 * from_start
        roughness = [second_difference(x).max() for x in (start, end, moved)]
        assert roughness[2] < 1.2 * max(roughness[:2])

    def test_a_name_of_a_parameter_is_refused(self, module: ModuleType, folder: Path) -> None:
        tables = [{**macros(1)[0], "direction": load_preset(folder).macros[0].direction}]
        tables[0]["name"] = "attack"
        change_fields(folder, {"macros": tables})
        with pytest.raises(ParameterError, match=r"^macro 'attack' of preset .* another name$"):
            module.open_preset(folder).instrument()


class TestSynth:
    @pytest.fixture
    def synth(self, folder: Path) -> Synth:
        return Synth(folder)

    def test_macros_have_the_presets_names(self, synth: Synth) -> None:
        rows = {row.name: row for row in synth.parameters}
        assert {"attack", "release", "bright", "hard"} <= set(rows)
        assert not {"macro_1", "macro_3"} & set(rows)
        assert rows["hard"].help == "Hardness. Rises."
        assert (rows["hard"].lowest, rows["hard"].initial, rows["hard"].controller) == (-1, 0, 71)

    def test_a_macro_is_an_attribute(self, synth: Synth) -> None:
        synth.bright = 0.5
        assert synth.get("bright") == synth.bright == synth.macro_1 == 0.5
        synth.macro_2 = -0.25
        assert synth.hard == -0.25
        plain = Synth(synth.preset).render("C4:0.2")
        assert not np.array_equal(synth.render("C4:0.2"), plain)
        synth.reset_parameters()
        assert np.array_equal(synth.render("C4:0.2"), plain)

    def test_wrong_names_and_values_are_refused(self, synth: Synth) -> None:
        with pytest.raises(ParameterError, match=r"bright=2 must be from -1 to 1"):
            synth.bright = 2
        with pytest.raises(ParameterError, match=r"parameter 'brigth' not found; did you mean"):
            synth.set("brigth", 0.1)
        with pytest.raises(AttributeError, match="has no attribute 'breath'"):
            synth.breath = 0.1

    def test_render_plays_the_live_samples(self, folder: Path) -> None:
        live, offline = Synth(folder, 16000), Synth(folder, 16000)
        for synth in (live, offline):
            synth.set("hard", 0.5)
            synth.attack = 0.1
        live.note_on("C4", 1.0)
        got = live.process(2000)[:, 0]
        assert np.array_equal(got, offline.render([(0.0, 1.0, 60, 1.0)])[:2000])

    def test_a_long_release_steals_no_voice(self, folder: Path) -> None:
        """The render has as many voices as the longer tails need."""
        notes = [(0.05 * i, 0.04, 50 + i, 0.8) for i in range(12)]
        synth = Synth(folder)
        synth.release = 0.8
        alone = [synth.render([note]) for note in notes[:1]]
        together = synth.render(notes)
        assert len(together) > len(alone[0])
        n = round(0.05 * 16000)
        assert np.array_equal(together[:n], alone[0][:n])


class TestTables:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"range": [1.0, 2.0]}, r"macros\[1\]\.range=\[1\.0, 2\.0\] must be a distance of 0"),
            ({"range": [-1.0]}, r"macros\[1\]\.range=\[-1\.0\] must be a distance of 0 or less"),
            ({"direction": [1.0]}, r"macros\[1\]\.direction has 1 numbers; it must have generator"),
            ({"name": "bright"}, r"macros\[1\]\.name='bright' must differ from the names of the"),
            ({"help": ""}, r"macros\[1\]\.help='' must be a text"),
            ({"colour": 1}, r"field macros\[1\]\.colour not found"),
        ],
    )
    def test_a_wrong_field_is_named(
        self, module: ModuleType, folder: Path, change: dict[str, Any], message: str
    ) -> None:
        fields = load_preset(folder).to_fields()
        fields["macros"][1].update(change)
        checked, faults = module.check_preset_fields(fields)
        assert checked is None
        assert len(faults) == 1
        with pytest.raises(PresetError, match=message):
            raise PresetError(faults[0])

    def test_nine_are_too_many(self, module: ModuleType, folder: Path) -> None:
        fields = load_preset(folder).to_fields()
        fields["macros"] = [
            {**copy.deepcopy(fields["macros"][0]), "name": f"m{i}"} for i in range(9)
        ]
        _, (fault,) = module.check_preset_fields(fields)
        assert fault.startswith("macros=[") and fault.endswith("must be up to 8 tables [[macros]]")

    def test_written_and_read_back(self, folder: Path) -> None:
        preset = load_preset(folder)
        assert [macro.effect for macro in preset.macros] == [None, "Rises."]
        change_fields(folder, {"macros": []})
        assert load_preset(folder).macros == []
