"""The list of commands, `presets`, `info`, and what failures look like."""

from __future__ import annotations

import importlib
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from audiogen.cli.main import COMMANDS, main, module_of
from audiogen.errors import AudiogenError

SHIPPED = Path(__file__).parents[2] / "presets"
HEAVY = {
    *("numpy", "numba", "librosa", "scipy", "matplotlib", "torch", "soundfile"),
    *("audiogen.presets", "audiogen.engine", "audiogen._native"),
}


@pytest.mark.parametrize("words", [["--help"], ["render", "--help"], ["presets", "--help"]])
def test_help_imports_nothing_heavy(words):
    program = (
        "import sys\n"
        "from audiogen.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "print('\\n', *sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=True
    )
    *text, modules = done.stdout.strip().split("\n")
    assert "Usage: audiogen" in "\n".join(text)
    assert not HEAVY & set(modules.split())


def test_help_lists_every_command(call):
    result = call("--help")
    assert result.status == 0
    for name, summary in COMMANDS.items():
        assert name in result.out and summary.split()[0] in result.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there_and_has_help(call, name):
    assert importlib.import_module(module_of(name)).app
    result = call(f"{name} --help")
    assert result.status == 0
    assert f"Usage: audiogen {name}" in result.out
    assert "completion" not in result.out


def test_version(call):
    result = call("--version")
    assert result.status == 0 and result.out.startswith("audiogen 0.")


def test_unknown_command_suggests(call):
    result = call("rendr x.mid")
    assert result.status == 2 and "Did you mean 'render'" in result.err


def test_presets_lists_what_can_be_played(call, folder, murmur):
    result = call("presets")
    assert result.status == 0
    rows = {line.split()[0]: " ".join(line.split()) for line in result.out.splitlines()}
    assert rows["plucked"] == "plucked harp, guitar, dream CC0-1.0"
    assert rows["struck"] == "struck vibes CC0-1.0"
    assert rows["winds"] == "winds flute, oboe CC0-1.0"
    assert rows["murmur"] == "murmur generates audio freely CC0-1.0"


@pytest.mark.parametrize("width", [40, 50, 80, 120])
def test_no_name_is_broken(call, monkeypatch, width):
    """The shipped presets, at the widths of terminals."""
    from audiogen.presets import load_preset

    monkeypatch.setattr("audiogen.presets.folders.search_folders", lambda: [SHIPPED])
    monkeypatch.setenv("COLUMNS", str(width))
    lines = call("presets").out.splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) <= {40: 105, 50: 68, 80: 45, 120: 32}[width]
    words = {word.strip(",") for line in lines for word in line.split()}
    for name in ("plucked", "struck", "voices", "woodwinds"):
        preset = load_preset(name)
        assert {name, *preset.timbre_names} <= words
        lines = call(f"info {name}").out.splitlines()
        assert max(map(len, lines)) <= width
        if width >= 80:
            text = "\n".join(lines)
            assert {name, *preset.timbre_names} <= set(text.split())
            assert text.index(preset.timbre_names[-1]) < text.index("network")


class TestSearch:
    @pytest.mark.parametrize(
        ("query", "rows"),
        [
            ("harp", ["plucked harp CC0-1.0"]),
            ("HARP", ["plucked harp CC0-1.0"]),
            ("orchestral harp", ["plucked harp CC0-1.0"]),  # General MIDI's name
            ("guitar", ["plucked guitar CC0-1.0"]),
            ("vibraphone", ["struck vibes CC0-1.0"]),
            ("synth lead", ["plucked dream CC0-1.0"]),  # a family
            ("struck", ["struck vibes CC0-1.0"]),  # a preset's name
            ("texture", ["murmur generates audio freely CC0-1.0"]),  # a description
            ("reed", ["winds oboe CC0-1.0"]),
        ],
    )
    def test_presets_and_timbres_that_match(self, call, folder, murmur, query, rows):
        changed = murmur.parent / "winds" / "preset.toml"
        changed.write_text(changed.read_text().replace("A texture for tests.", "Winds."))
        result = call(f"presets {query}")
        assert result.status == 0, result
        listed = [" ".join(line.split()) for line in result.out.splitlines()]
        assert listed[1 : listed.index("")] == rows
        name, timbre = rows[0].split()[:2]
        spec = "murmur" if name == "murmur" else f"{name}:{timbre}"
        assert listed[-1] == f"play: audiogen play {spec}"

    @pytest.mark.parametrize(
        ("query", "hint"),
        [
            ("gutar", "did you mean guitar?"),
            ("vibrafone", "did you mean vibraphone?"),
            ("oboo", "did you mean oboe?"),
            ("zzz", "`audiogen presets` lists all"),
        ],
    )
    def test_nothing_matches(self, call, folder, murmur, query, hint):
        result = call(f"presets {query}")
        assert (result.status, result.out) == (2, "")
        assert result.err == f"audiogen: instrument '{query}' not found in any preset; {hint}\n"

    def test_the_shipped_ones(self, call, monkeypatch):
        monkeypatch.setattr("audiogen.presets.folders.search_folders", lambda: [SHIPPED])
        out = call("presets cello").out
        assert [line.split()[:2] for line in out.splitlines()[1:2]] == [["bowed", "cello"]]
        assert "woodwinds" in call("presets accordion").out
        assert "did you mean accordion" in call("presets accordian").err
        assert "did you mean accordion" in call("presets acordeon").err


def test_broken_presets_are_listed(call, folder):
    (folder.parent / "presets" / "struck" / "preset.toml").write_text("format = 2")
    result = call("presets")
    assert result.status == 0
    assert "plucked" in result.out and "struck" not in result.out
    assert "broken: " in result.err and "format" in result.err


def test_without_presets_the_searched_folders_are_listed(call, tmp_path, monkeypatch):
    for module in ("audiogen.presets", "audiogen.presets.folders"):
        monkeypatch.setattr(f"{module}.search_folders", lambda: [tmp_path / "nowhere"])
    result = call("presets")
    assert result.status == 0 and str(tmp_path / "nowhere") in result.out


def test_info_shows_a_preset(call, folder):
    result = call("info plucked")
    assert result.status == 0
    for fact in (
        *("16000 Hz; nothing sounds above 8 kHz", "C2 to C6 (MIDI 36 to 84)", "CC0-1.0"),
        *("audiogen train tiny", "harp (default)", "46 orchestral harp", "0.95"),
        *("4 notes of harp", "audiogen play plucked"),
    ):
        assert fact in result.out


def test_info_shows_the_vibrato_of_timbres(call, folder, write_tiny):
    timbre = {"name": "viola", "z": [1.0, 0.0, 0.0], "family": "string", "program": 41}
    for vibrato, shown in (
        ([12.4, 5.25, 0.2], "12 cents, 5.2 Hz"),
        ([12.4, 5.25, 0.2, 1.44, -20.0], "12 cents, 5.2 Hz, 1.4 dB"),
    ):
        wavering = {**timbre, "vibrato": vibrato}
        write_tiny(folder.parent / "presets" / "wavy", timbres=[wavering], default_timbre="viola")
        text = " ".join(call("info wavy").out.split())
        assert f"General MIDI vibrato viola (default) string 41 viola {shown}" in text
    assert "General MIDI vibrato" not in " ".join(call("info plucked").out.split())


def test_info_shows_which_partials_are_not_harmonic(call, folder, write_tiny, preset_fields):
    timbre = {"name": "harp", "z": [1.0, 0.0, 0.0], "family": "string"}
    n = preset_fields["generator"]["n_pitches"]
    others = [
        {**timbre, "name": "bell", "partials": [1.0, 2.4]},
        {**timbre, "name": "piano", "inharmonicity": [0.001] * n},
    ]
    timbres = [timbre, *others]
    write_tiny(folder.parent / "presets" / "rung", timbres=timbres, default_timbre="harp")
    text = " ".join(call("info rung").out.split())
    assert "General MIDI partials harp (default) string bell string inharmonic" in text
    assert "piano string stretched" in text


def test_info_shows_the_keys_of_a_kit(call, folder, write_kit):
    write_kit(folder.parent / "presets" / "kit")
    text = " ".join(call("info kit").out.split())
    for fact in ("timbre family key", "kick percussion 36 C2", "keys C2 to F#2 (MIDI 36 to 42)"):
        assert fact in text
    assert "General MIDI" not in text and "pitches" not in text


def test_info_shows_a_samplernn(call, folder, murmur):
    result = call("info murmur")
    text = " ".join(result.out.split())
    assert result.status == 0
    for fact in (
        *("samplernn, 0.0", "plays unconditional: it generates audio freely", "3 files, 0.2 min"),
        *("frames of 8, 2 samples, 1 x gru 12 wide", "levels 256, linear", "held out bits 3.5"),
        *("temperature 0.9, top-p 1", "8000 Hz", "audiogen render --preset murmur --seconds"),
    ):
        assert fact in text
    assert "pitches" not in text and "General MIDI" not in text
    text = " ".join(call("info winds").out.split())
    assert "pitches C2 to C6" in text and "oboe (default)" in text


def test_info_of_an_unknown_preset(call, folder):
    result = call("info pluck")
    assert result.status == 2 and result.err.startswith("audiogen: preset 'pluck'")
    assert result.err.endswith("did you mean plucked?\n") and result.err.count("\n") == 1


class TestFailures:
    @pytest.fixture
    def fail(self, call, monkeypatch):
        def fail_with(error: Exception):
            def raise_it(*_: object) -> None:
                raise error

            monkeypatch.setattr("audiogen.presets.find_presets", raise_it)
            return call("presets")

        return fail_with

    def test_users_fault(self, fail):
        result = fail(AudiogenError("mend this"))
        assert (result.status, result.err) == (2, "audiogen: mend this\n")

    def test_a_place_that_cannot_be_written(self, fail):
        result = fail(PermissionError(13, "Permission denied", "/music/take.wav"))
        assert (result.status, result.err) == (2, "audiogen: /music/take.wav: Permission denied\n")

    @pytest.mark.parametrize(
        "error",
        [
            MemoryError(),
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 12 b"),
            RuntimeError("CUDA out of memory. Tried to allocate 12.00 GiB"),
        ],
        ids=["numpy", "torch", "cuda"],
    )
    def test_too_much_for_the_memory(self, fail, error):
        result = fail(error)
        assert result.status == 2
        assert "not enough memory; ask for less" in result.err

    def test_closed_streams(self, tmp_path):
        """Their numbers stay taken: what is written to them must not reach a file."""
        code = (
            "import sys; from audiogen.cli import main;"
            "main._fill_closed_streams();"
            f"number = open({str(tmp_path / 'take')!r}, 'w').fileno();"
            "sys.exit(number if number > 2 and sys.stdin and sys.stderr else 1)"
        )
        for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
            line = f"exec {shlex.quote(sys.executable)} -c {shlex.quote(code)} {closed}"
            assert subprocess.run(["sh", "-c", line], check=False).returncode > 2, closed

    def test_missing_package(self, fail):
        result = fail(ModuleNotFoundError("No module named 'torch'", name="torch.nn"))
        assert result.status == 2
        assert (
            "this needs torch, which isn't installed; pip install 'audiogen-synth[train]'"
            in result.err
        )

    def test_own_fault_is_one_line_and_status_1(self, fail):
        result = fail(ZeroDivisionError("division by zero"))
        assert result.status == 1
        assert result.err == (
            "audiogen: internal error (ZeroDivisionError: division by zero); --debug shows where\n"
        )

    def test_debug_shows_where(self, monkeypatch):
        def fail() -> None:
            raise ZeroDivisionError

        monkeypatch.setattr("audiogen.presets.find_presets", fail)
        with pytest.raises(ZeroDivisionError):
            main(["presets", "--debug"])
