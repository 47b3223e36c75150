"""The README is short; its commands, and those of docs/, exist; its words are plain."""

from __future__ import annotations

import importlib
import re
import runpy
import shlex
from pathlib import Path

import pytest
import typer

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted(ROOT.glob("docs/**/*.md"))]
LONGEST = 150  # lines

# Words of a private dialect, and what the field says instead.
DIALECT = {
    r"\b(is|are|was) told\b": "conditioned on",
    r"\b(hears|is heard|are heard)\b": "receives",
    r"\bgone? astray\b": "corrupted inputs",
    r"\btold wrong\b": "corrupted inputs",
    r"\bget(s)? lost\b": "state shuffling",
    r"\blearns? .* by heart\b": "overfits",
    r"\bdoors?\b": "interface, front end",
    r"\bas even as can be\b": "Euclidean rhythms",
    r"\banother one\b": "the thing's name",
    r"\bof the other\b": "the thing's name",
    r"\ba (core|sample|note) \(": "per core, per sample, per note",
    r"\b(voices|bits) a (core|sample)\b": "per core, per sample",
    r"\bbegun with\b|\bto begin with\b": "initialised from",
    r"\bgo(es)? on (from|where)\b": "continue",
    r"\bwhat is drawn\b": "generated samples",
    r"\bin a sentence\b": "error message",
    r"\bWho knows\b": "anyone who knows",
    r"\b(Texture|Player)\b": "Synth",
}


def test_tables_of_presets_have_the_numbers_of_the_cards() -> None:
    tables = runpy.run_path(str(ROOT / "docs" / "preset_tables.py"))
    evaluated = [
        card.parent.name
        for card in ROOT.glob("presets/*/preset.toml")
        if {"frechet_distance_oracle", "pitch_ok"}
        <= set(re.findall(r"^(\w+) = ", card.read_text(encoding="utf-8"), re.MULTILINE))
    ]
    assert len(evaluated) == 8
    for page, wanted in tables["pages"]():
        assert page.read_text(encoding="utf-8") == wanted, "run python docs/preset_tables.py"
        rows = {line.split("`")[1] for line in wanted.splitlines() if line.startswith("| `")}
        assert rows.issuperset(evaluated), "a preset has no row"


def text() -> str:
    return README.read_text(encoding="utf-8")


def code_blocks(markdown: str) -> list[str]:
    """Indented blocks, as lines of commands."""
    lines = [line[4:] for line in markdown.splitlines() if line.startswith("    ")]
    return [line.partition("  #")[0] for line in lines]


def commands(markdown: str) -> list[list[str]]:
    """Arguments of each `audiogen` command of the indented blocks."""
    found = []
    for line in code_blocks(markdown):
        for part in re.split(r"&&|\|", line):
            if part.strip().startswith("audiogen "):
                found.append(shlex.split(part)[1:])
    return found


def option_names(arguments: list[str]) -> tuple[set[str], list[str]]:
    """All options of the command that the arguments name, and the arguments after its name."""
    from audiogen.cli.main import COMMANDS, module_of

    name, *rest = arguments
    assert name in COMMANDS, f"audiogen {name} does not exist"
    command = typer.main.get_command(importlib.import_module(module_of(name)).app)
    subcommands = getattr(command, "commands", {})
    if rest and rest[0] in subcommands:
        command, rest = subcommands[rest[0]], rest[1:]
    elif subcommands:  # `audiogen train FOLDER` takes the options of either kind
        names = [option_names([name, sub, *rest])[0] for sub in subcommands]
        return set.union(*names), rest
    options = {o for p in command.params for o in (*p.opts, *p.secondary_opts)}
    return {o for o in options if o.startswith("-")}, rest


def test_it_is_short():
    assert len(text().splitlines()) <= LONGEST


def test_there_are_commands():
    assert len(commands(text())) > 8


@pytest.mark.parametrize("arguments", commands(text()), ids=" ".join)
def test_commands_and_options_exist(arguments):
    options, rest = option_names(arguments)
    unknown = {a for a in rest if re.match(r"--?[a-z]", a)} - options
    assert not unknown


@pytest.mark.parametrize("page", PAGES[1:], ids=lambda page: page.stem)
def test_commands_and_code_of_the_docs_exist(page):
    markdown = page.read_text(encoding="utf-8")
    for arguments in commands(markdown):
        options, rest = option_names(arguments)
        assert not {a for a in rest if re.match(r"--?[a-z]", a)} - options, arguments
    for block in re.findall(r"```python\n(.*?)```", markdown, re.DOTALL):
        compile(block, str(page), "exec")


def test_an_option_that_does_not_exist_is_found():
    options, _ = option_names(["render", "song.mid", "--loudness"])
    assert "--seed" in options
    assert "--loudness" not in options


def test_python_code_compiles():
    blocks = re.findall(r"```python\n(.*?)```", text(), re.DOTALL)
    assert blocks
    for block in blocks:
        compile(block, str(README), "exec")


def test_python_code_uses_the_public_interface():
    import audiogen

    code = "".join(re.findall(r"```python\n(.*?)```", text(), re.DOTALL))
    for name in re.findall(r"\baudiogen\.(\w+)", code):
        assert name in audiogen.__all__
    for name in re.findall(r"\b(?:synth|speech)\.(\w+)", code):
        assert hasattr(audiogen.Synth, name)


def test_links_lead_to_files():
    links = re.findall(r"\]\(([^)#]+)\)", text())
    missing = [link for link in links if "://" not in link and not (ROOT / link).exists()]
    assert not missing


def test_every_preset_is_in_the_table_with_a_preview():
    for toml in ROOT.glob("presets/*/preset.toml"):
        name = toml.parent.name
        assert f"| `{name}` |" in text(), f"{name} is missing in the table"
        assert f"](presets/{name}/preview.flac)" in text(), f"{name} has no preview"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_words_are_plain(page):
    found = [
        f"{match.group()!r}: write {instead}"
        for pattern, instead in DIALECT.items()
        for match in re.finditer(pattern, page.read_text(encoding="utf-8"))
    ]
    assert not found
