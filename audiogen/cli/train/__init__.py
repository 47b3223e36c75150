"""`audiogen train`: sounds in, a preset out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from audiogen.cli.train.gansynth import GansynthCommand, gansynth
from audiogen.cli.train.run import run_beside, say
from audiogen.cli.train.samplernn import SamplernnCommand, samplernn
from audiogen.errors import ParameterError

DEFAULT_MINUTES = 50  # training of a SampleRNN without --minutes and --steps


class Families(TyperGroup):
    """The commands of the two families; a folder in their place chooses one by its sounds."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Refuse an option before the folder."""
        if args and args[0].startswith("-") and args[0] not in ("-h", "--help"):
            raise ParameterError(
                f"{args[0]} must follow the folder of sounds: audiogen train FOLDER -o PRESET"
            )
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command of a family, or of the family that suits a folder."""
        if args[0] in self.commands:
            return super().resolve_command(ctx, args)
        from audiogen.data.ingest.model_kind import choose_kind

        folder, *rest = args
        family, rest = _taken(rest, "--family")
        if family not in (None, *self.commands):
            raise ParameterError(f"--family {family!r} must be one of {', '.join(self.commands)}")
        if not Path(folder).is_dir():
            raise ParameterError(
                f"{folder!r} is neither a folder of sounds nor one of {', '.join(self.commands)}"
            )
        if family is None and "--resume" in rest:
            from audiogen.training.run.card import read_card

            run, output = _taken(rest, "--run")[0], _taken(rest, "--output", "-o")[0]
            if run or output:
                folder_of_run = Path(run) if run else run_beside(Path(str(output)))
                family = str(read_card(folder_of_run)["fields"]["kind"])
        if family is None and "--help" not in rest:
            family, why = choose_kind(folder)
            say(f"{family}: {why}; --family chooses another")
        family = family or "gansynth"
        length = {option.partition("=")[0] for option in rest} & {"--minutes", "--steps"}
        if family == "samplernn" and not (length or {"--resume", "--help"} & set(rest)):
            rest += ["--minutes", str(DEFAULT_MINUTES)]
        return family, self.commands[family], [folder, *rest]


def _taken(args: list[str], *names: str) -> tuple[str | None, list[str]]:
    """The value of an option, by any of its names, and the arguments without it."""
    for i, arg in enumerate(args):
        if arg in names and i + 1 < len(args):
            return args[i + 1], args[:i] + args[i + 2 :]
        name, _, value = arg.partition("=")
        if name in names and name != arg:
            return value, args[:i] + args[i + 1 :]
    return None, args


app = typer.Typer(
    cls=Families,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",  # joins the lines of a paragraph
    subcommand_metavar="{gansynth,samplernn,FOLDER} -o PRESET [ARGS]...",
)


@app.callback()
def train() -> None:
    """Train a preset on your own sounds.

    `audiogen train FOLDER -o PRESET` chooses the family by the sounds: single notes with a pitch
    make an instrument (gansynth); speech, textures, percussion and music make a preset that
    generates freely (samplernn, 50 minutes). `--family` chooses another, and all options of the
    family can follow: `audiogen train gansynth --help`, `audiogen train samplernn --help`.

    Recipes of gansynth (`--recipe`): `built-in`, an hour on a CPU core; `one-shot`, the same
    for sounds that play to their end, such as percussion; `gansynth-paper`, as published, for a GPU
    and thousands of notes; `gansynth-small`, the same method at sizes for a CPU.
    """
    from audiogen.training.run.memory import keep_freed_memory

    keep_freed_memory()


app.command(cls=GansynthCommand)(gansynth)
app.command(cls=SamplernnCommand)(samplernn)
