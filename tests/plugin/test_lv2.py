"""The LV2 plug-in in a lilv host and under the validators: its samples are those of `render`."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest

import audiogen
from audiogen.core.parameters import PARAMETERS
from audiogen.presets import load_preset, places
from tests.plugin.hosts import (
    LV2,
    MPE,
    NOTES,
    OWN_LIBRARIES,
    RATE,
    RESAMPLING,
    ROOT,
    assert_same,
    environment,
    exported,
    fundamental,
    libraries,
    lilv_host,
    needs,
    play_lv2,
    rendered,
    rendered_mpe,
    script_of,
)

pytestmark = needs(LV2, "AUDIOGEN_LV2", "lv2-dev")


def rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def run_tool(*command: object, package: str) -> str:
    """Standard output and error of a tool of LV2."""
    if not shutil.which(str(command[0])):
        pytest.skip(f"{command[0]} is not installed (Debian: {package})")
    done = subprocess.run(
        [*map(str, command)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_the_bundle_is_valid() -> None:
    output = run_tool("lv2_validate", *LV2.glob("*.ttl"), package="lv2-dev sordi")
    assert "Found 0 errors" in output, output[-3000:]


def test_every_parameter_is_a_port() -> None:
    output = run_tool("lv2info", "urn:audiogen:synth", package="lilv-utils")
    for parameter in PARAMETERS:
        assert f"Symbol:      {parameter.name}\n" in output, parameter.name
    assert "plucked: harp" in output  # a timbre is a preset of LV2


def test_lv2bench_plays_it() -> None:
    output = run_tool("lv2bench", "-b", "128", "urn:audiogen:synth", package="lilv-utils")
    assert "urn:audiogen:synth" in output


def test_only_the_entry_point_is_exported() -> None:
    assert exported(LV2 / "audiogen.so") == {"lv2_descriptor"}
    assert libraries(LV2 / "audiogen.so") <= OWN_LIBRARIES


@pytest.mark.parametrize("block", [64, 128, 777])
def test_blocks_give_the_samples_of_render(block: int) -> None:
    played = play_lv2(script_of(), "-b", block, "-n", 30000)
    assert_same(played.samples, rendered())
    assert played.numbers("latency") == [block + 240 + RESAMPLING]


@pytest.mark.parametrize("rate", [22050, 44100, 96000, 192000])
def test_sample_rates(rate: int) -> None:
    played = play_lv2(script_of(rate=rate), "-r", rate, "-n", rate // 2)
    assert_same(played.samples, rendered(rate=rate))


def test_a_note_has_its_pitch() -> None:
    played = play_lv2("0 midi 90 45 64", "-n", 48000)
    assert fundamental(played.samples[4800:13000, 0]) == pytest.approx(440.0, rel=0.01)


def test_an_unconditional_preset_is_a_gate() -> None:
    n, preset = 14400, "percussion-sketch"
    script = f"0 preset {preset}\n0 midi 90 3c 7f\n{n - 2400} midi 80 3c 0"
    played = play_lv2(script, "-n", n + 1000, "-b", 240)
    generated = audiogen.load(ROOT / "presets" / preset, sample_rate=RATE).generate(n / RATE)
    assert_same(played.samples[:, 0], generated[: n - 500])


def test_automation_takes_effect_at_its_sample() -> None:
    script = "0 port morph_timbre 5\n0 midi 90 3c 7f\n4801 port morph 0.7\n9605 port bend 2"
    played = play_lv2(script, "-n", 20000, "-b", 512)
    synth = audiogen.load(ROOT / "presets" / "plucked", sample_rate=RATE)
    synth.set("morph_timbre", 5)
    synth.note_on(60, velocity=1.0)
    blocks = [synth.process(4801)]
    synth.set("morph", 0.7)
    blocks.append(synth.process(4804))
    synth.set("bend", 2.0)
    blocks.append(synth.process(8000))
    assert_same(played.samples, np.concatenate(blocks)[synth.latency :])
    unmoved = play_lv2("0 midi 90 3c 7f", "-n", 20000, "-b", 512).samples
    assert not np.array_equal(played.samples, unmoved)


def test_mpe_moves_single_notes_at_their_samples() -> None:
    script = "\n".join(f"{at} midi {message}" for at, message in MPE)
    for block in (64, 777):
        assert_same(play_lv2(script, "-n", 24000, "-b", block).samples, rendered_mpe())


def test_the_timbre_map_is_that_of_the_page() -> None:
    """The page plays the nearest timbre, morphed to the second nearest in proportion."""
    preset = load_preset(ROOT / "presets" / "plucked")
    x, y = np.float32(0.6), np.float32(0.62)
    distance = np.hypot(*(places(preset).astype(np.float32) - [x, y]).T).astype(np.float32)
    nearest, other = distance.argsort()[:2]
    script = f"0 port timbre_map 1\n0 port timbre_x {x}\n0 port timbre_y {y}\n"
    played = play_lv2(script + script_of(), "-n", 24000)
    synth = audiogen.load(preset.folder, sample_rate=RATE)
    synth.timbre = preset.timbre_names[nearest]
    synth.morph_timbre = preset.timbre_names[other]
    synth.morph = float(distance[nearest] / (distance[nearest] + distance[other]))
    assert synth.morph > 0.1
    expected = synth.render(NOTES, stereo=True)[: len(played.samples)]
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(played.samples[: len(expected)], expected, rtol=0, atol=1e-4)
    # A note that sounds moves with the knobs.
    moved = play_lv2(script + f"{script_of()}\n4801 port timbre_x 0.9", "-n", 24000).samples
    np.testing.assert_array_equal(moved[:4801], played.samples[:4801])
    assert np.abs(moved - played.samples).max() > 0.01


def test_voices_limit_the_notes() -> None:
    notes = "0 midi 90 3c 7f\n4800 midi 90 43 7f"
    limited = play_lv2(f"0 port voices 1\n{notes}", "-n", 24000).samples
    alone = play_lv2("4800 midi 90 43 7f", "-n", 24000).samples
    both = play_lv2(notes, "-n", 24000).samples
    settled = 4800 + 480  # a stolen note fades out in 5 ms
    ratio = rms(limited[settled:]) / rms(alone[settled:])
    assert ratio == pytest.approx(1.0, abs=0.05)
    assert rms(limited[settled:] - both[settled:]) > 0.3 * rms(both[settled:])


def test_bend_range_and_variation_are_those_of_the_engine() -> None:
    bent = play_lv2(f"0 port bend 7\n{script_of()}", "-n", 24000).samples
    wheel = f"0 midi e0 7f 7f\n{script_of()}"
    for bend_range in "0 port bend_range 7", "0 midi b0 65 0\n0 midi b0 64 0\n0 midi b0 6 7":
        assert_same(play_lv2(f"{bend_range}\n{wheel}", "-n", 24000).samples, bent)
    varied = play_lv2("0 port variation 7\n" + script_of(), "-n", 24000).samples
    synth = audiogen.load(ROOT / "presets" / "plucked", sample_rate=RATE, seed=7)
    assert_same(varied, synth.render(NOTES, stereo=True))


def test_another_preset_plays_while_the_old_one_fades() -> None:
    at, block = 9600, 480
    script = f"0 midi 90 3c 7f\n{at} preset brass\n{script_of(start=at + block)}"
    played = play_lv2(script, "-n", 40000, "-b", block)
    assert played.messages.count("preset plucked") == 1
    assert played.messages.count("preset brass") == 1
    before = play_lv2("0 midi 90 3c 7f", "-n", at + block, "-b", block).samples
    n = at - 400
    np.testing.assert_array_equal(played.samples[:n], before[:n])
    # Where the old note has faded out, 20 ms after the change, a preset that was there from the
    # start would play the same.
    fresh = rendered("brass")
    settled = at + block + 960 + block
    n = min(len(played.samples), at + block + len(fresh)) - settled
    np.testing.assert_array_equal(
        played.samples[settled : settled + n], fresh[settled - at - block :][:n]
    )
    assert np.abs(np.diff(played.samples[:, 0])).max() < 0.35


def test_a_timbre_is_chosen_by_port_and_by_program() -> None:
    timbres = audiogen.load(ROOT / "presets" / "plucked").timbres
    harp = timbres.index("harp")
    by_port = play_lv2(f"0 port timbre {harp}\n{script_of()}", "-n", 30000)
    assert_same(by_port.samples, rendered(timbre="harp"))
    by_program = play_lv2(f"0 midi c0 2e\n{script_of()}", "-n", 30000)  # General MIDI 46: harp
    assert_same(by_program.samples, rendered(timbre="harp"))


def test_a_state_is_recalled_exactly(tmp_path: Path) -> None:
    state = tmp_path / "state.ttl"
    setup = "0 port timbre 3\n0 port morph 0.4\n0 port morph_timbre 2\n0 preset woodwinds\n"
    first = play_lv2(setup + script_of(), "-n", 30000, "-T", state)
    text = state.read_text()
    assert "audiogen-state 1" in text and "preset woodwinds" in text and "morph 0.4" in text
    again = play_lv2(script_of(), "-n", 30000, "-t", state, "-T", tmp_path / "again.ttl")
    np.testing.assert_array_equal(again.raw, first.raw)
    assert (tmp_path / "again.ttl").read_text() == text


def test_a_preset_of_the_host_chooses_a_timbre(tmp_path: Path) -> None:
    state = tmp_path / "preset.ttl"
    state.write_text(
        "@prefix lv2: <http://lv2plug.in/ns/lv2core#> .\n"
        "@prefix pset: <http://lv2plug.in/ns/ext/presets#> .\n"
        "@prefix state: <http://lv2plug.in/ns/ext/state#> .\n"
        "<> a pset:Preset ; lv2:appliesTo <urn:audiogen:synth> ;\n"
        ' state:state [ <urn:audiogen:synth#preset> "plucked" ;'
        ' <urn:audiogen:synth#timbre> "harp" ] .\n'
    )
    assert_same(play_lv2(script_of(), "-n", 30000, "-t", state).samples, rendered(timbre="harp"))


def test_a_missing_preset_is_silent_and_kept(tmp_path: Path) -> None:
    mine, state, kept = tmp_path / "mine", tmp_path / "state.ttl", tmp_path / "kept.ttl"
    shutil.copytree(ROOT / "presets" / "woodwinds", mine / "of-mine")
    setup = "0 port timbre 3\n0 port morph 0.25\n0 preset of-mine\n"
    first = play_lv2(setup + script_of(), "-n", 30000, "-T", state, AUDIOGEN_PRESETS=str(mine))
    assert np.abs(first.raw).max() > 0.01
    silent = play_lv2(script_of(), "-n", 30000, "-t", state, "-T", kept)
    assert not silent.raw.any()
    assert "preset 'of-mine' not found" in silent.messages
    assert silent.numbers("missing") == [1.0]
    assert kept.read_text() == state.read_text()
    back = play_lv2(script_of(), "-n", 30000, "-t", kept, AUDIOGEN_PRESETS=str(mine))
    np.testing.assert_array_equal(back.raw, first.raw)
    # Another preset ends the silence.
    other = play_lv2("0 preset plucked\n" + script_of(), "-n", 30000, "-t", state)
    assert np.abs(other.raw).max() > 0.01 and other.numbers("missing")[-1:] != [1.0]


def test_the_window_is_sent_held_keys_and_program_changes() -> None:
    preset = load_preset(ROOT / "presets" / "plucked")
    koto = next(t for t in preset.timbres if t.name == "koto")
    script = (
        f"0 midi 90 3c 7f\n4800 midi 90 30 7f\n9600 midi 80 3c 0\n14400 midi c0 {koto.program:x}\n"
    )
    script += "19200 midi 80 30 0\n"
    messages = play_lv2(script, "-n", 24000).messages
    keys = [int(n, 16) for n in re.findall(r"^keys (\w+)$", messages, re.MULTILINE)]
    assert keys == [1 << 60, 1 << 60 | 1 << 48, 1 << 48, 0]
    playing = [int(n) for n in re.findall(r"^playing (-?\d+)$", messages, re.MULTILINE)]
    default = preset.timbre_names.index(preset.default_timbre)
    assert playing == [default, preset.timbre_names.index("koto")]


def test_a_changed_preset_plays_and_says_so(tmp_path: Path) -> None:
    mine, state = tmp_path / "mine", tmp_path / "state.ttl"
    shutil.copytree(ROOT / "presets" / "plucked", mine / "of-mine")
    play_lv2("0 preset of-mine", "-n", 100, "-T", state, AUDIOGEN_PRESETS=str(mine))
    with (mine / "of-mine" / "preset.toml").open("a") as file:
        file.write("# changed\n")
    played = play_lv2(script_of(), "-n", 30000, "-t", state, AUDIOGEN_PRESETS=str(mine))
    assert "has changed since the project was saved" in played.messages
    assert_same(played.samples, rendered())


def test_a_damaged_state_changes_nothing(tmp_path: Path) -> None:
    state = tmp_path / "state.ttl"
    play_lv2("0 preset woodwinds", "-n", 100, "-T", state)
    state.write_text(state.read_text().replace("preset woodwinds", "preset struck"))
    played = play_lv2(script_of(), "-n", 30000, "-t", state)
    assert "the state is damaged" in played.messages
    assert_same(played.samples, rendered())


def test_a_host_that_hides_its_speed_loses_nothing() -> None:
    start = 9600  # the plug-in has noticed by then
    played = play_lv2(script_of(start=start), "-n", 48000, "-q", "-b", 256)
    assert played.numbers("seconds")[0] < 1.0, "slower than real time: nothing was tested"
    assert_same(played.samples[start:], rendered())


def test_the_side_chain_is_heard() -> None:
    script = "0 port monitor 1\n"
    played = play_lv2(script, "-n", 9600, "-c", 9600)
    synth = audiogen.load(ROOT / "presets" / "plucked", sample_rate=RATE)
    synth.set("monitor", 1.0)
    ramp = (np.arange(9600) / np.float32(9600)).astype(np.float32)
    stereo = np.stack([ramp, ramp], 1)
    blocks = [synth.process(480, stereo[i : i + 480]) for i in range(0, 9600, 480)]
    assert_same(played.samples, np.concatenate(blocks)[synth.latency :])


def test_eight_instances_share_the_weights(tmp_path: Path) -> None:
    """Eight instances of one preset take less memory than of eight presets, by seven weights."""
    mine, state = tmp_path / "mine", tmp_path / "state.ttl"
    for i in range(8):
        shutil.copytree(ROOT / "presets" / "plucked", mine / f"copy-{i}")
        variables = {"AUDIOGEN_PRESETS": str(mine)}
        play_lv2(f"0 preset copy-{i}", "-n", 64, "-T", tmp_path / f"state.ttl{i}", **variables)
    shutil.copy(tmp_path / "state.ttl0", state)
    arguments = ("-n", 64, "-i", 8, "-t", state)
    separate = play_lv2("", *arguments, **variables).numbers("rss_kb")
    for i in range(8):
        (tmp_path / f"state.ttl{i}").unlink()
    shared = play_lv2("", *arguments, **variables).numbers("rss_kb")
    weights_kb = (ROOT / "presets/plucked/weights.safetensors").stat().st_size / 1024
    assert len(shared) == len(separate) == 8
    # The file's tensors and the network packed from them.
    assert separate[-1] - shared[-1] > 7 * 1.5 * weights_kb, (separate, shared)


@pytest.mark.slow
def test_loading_100_times_leaks_nothing() -> None:
    played = play_lv2("0 midi 90 3c 7f", "-n", 4800, "-l", 100)
    memory = played.numbers("rss_kb")
    assert len(memory) == 100 and played.numbers("load_ms")[0] > 0
    assert memory[-1] - memory[20] < 2048, memory


def random_script(rng: random.Random, n_samples: int) -> str:
    symbols = [parameter.name for parameter in PARAMETERS]
    lines = []
    for at in sorted(rng.randrange(n_samples) for _ in range(n_samples // 400)):
        kind = rng.random()
        if kind < 0.5:
            status = rng.choice([0x80, 0x90, 0x90, 0xB0, 0xC0, 0xD0, 0xE0]) | rng.randrange(16)
            lines.append(f"{at} midi {status:x} {rng.randrange(128):x} {rng.randrange(128):x}")
        elif kind < 0.95:
            value = rng.choice([rng.uniform(-2, 2), 0.0, 1.0, float("nan"), 1e30, -1e30])
            lines.append(f"{at} port {rng.choice([*symbols, 'timbre'])} {value}")
        else:
            name = rng.choice(["plucked", "struck", "percussion-sketch", "no-such-preset"])
            lines.append(f"{at} preset {name}")
    return "\n".join(lines)


def random_state(rng: random.Random) -> str:
    """An LV2 preset with the plug-in's state: known and unknown keywords, sound and damaged."""
    damaged = rng.random() < 0.5
    lines = [f"audiogen-state {rng.choice([1, 1, 1, 2, 0])}"]
    for _ in range(rng.randrange(40)):
        value = f"{rng.uniform(-3, 3)}"
        if damaged:
            value = rng.choice([value, "1e38", "nan", "-0", "x", ""])
        line = rng.choice(
            [
                f"preset {rng.choice(['plucked', 'struck', 'bowed', 'no such preset', ''])}",
                f"timbre {rng.choice(['harp', 'marimba', 'no such timbre'])}",
                f"seed {rng.randrange(1 << 65)}",
                "latent " + " ".join(f"{rng.gauss(0, 2)}" for _ in range(rng.choice([8, 64, 65]))),
                f"parameter {rng.choice(PARAMETERS).name} {value}",
                f"keyword-of-a-later-version {value}",
            ]
        )
        if damaged and rng.random() < 0.1:
            line = line[: rng.randrange(len(line) + 1)] + chr(rng.randrange(32, 127))
        lines.append(line)
    body = "\n".join(lines) + "\n"
    crc = zlib.crc32(body.encode()) ^ (rng.random() < 0.1)
    text = (body + f"end {crc:08x}\n").replace("\\", "\\\\").replace('"', '\\"')
    return (
        "@prefix lv2: <http://lv2plug.in/ns/lv2core#> .\n"
        "@prefix pset: <http://lv2plug.in/ns/ext/presets#> .\n"
        "@prefix state: <http://lv2plug.in/ns/ext/state#> .\n"
        "<> a pset:Preset ; lv2:appliesTo <urn:audiogen:synth> ;\n"
        f'  state:state [ <urn:audiogen:synth#state> """{text}""" ] .\n'
    )


@pytest.mark.parametrize("duration_s", [5, pytest.param(60, marks=pytest.mark.slow)])
def test_random_input_gives_bounded_output(duration_s: int, tmp_path: Path) -> None:
    rng, n_samples, state = random.Random(3), 5 * RATE, tmp_path / "state.ttl"
    peaks, n_refused = [], 0
    for _ in range(duration_s // 5):
        state.write_text(random_state(rng))
        script = random_script(rng, n_samples)
        played = play_lv2(script, "-n", n_samples, "-b", 333, "-t", state)
        assert np.isfinite(played.raw).all()
        peaks.append(np.abs(played.raw).max())
        n_refused += "the state is damaged" in played.messages
    assert max(peaks) > 0.01 and max(peaks) < 20.0
    assert duration_s < 60 or 0 < n_refused < len(peaks)


@pytest.mark.slow
def test_the_audio_thread_never_blocks() -> None:
    """RealtimeSanitizer watches the host's calls of the plug-in, which plays in real time."""
    options = ("-fsanitize=realtime", "-Wno-unknown-attributes", "-Wno-attributes")
    host = lilv_host("clang-22", *options)
    script = "0 port morph 0.3\n4800 preset woodwinds\n" + script_of(NOTES * 2)
    bad = play_lv2(script, "-n", 2048, "-p", "-x", host=host, check=False)
    assert "RealtimeSanitizer: unsafe-library-call" in bad.messages, bad.messages[:2000]
    # Five seconds, in which a busy machine opens the preset, too.
    good = play_lv2(script, "-n", 240000, "-b", 256, "-p", host=host)
    assert "RealtimeSanitizer" not in good.messages
    assert "preset woodwinds" in good.messages and np.abs(good.raw).max() > 0.01
