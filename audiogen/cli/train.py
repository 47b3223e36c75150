"""`audiogen train`: sounds in, a preset out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from audiogen.cli.train_gansynth import gansynth
from audiogen.cli.train_samplernn import samplernn
from audiogen.cli.training_run import run_beside, say
from audiogen.errors import ParameterError

DEFAULT_MINUTES = 50  # of a SampleRNN whose length nobody said


class Families(TyperGroup):
    """The families, and a folder in place of one: then its sounds choose."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0].startswith("-") and args[0] not in ("-h", "--help"):
            raise ParameterError(
                f"{args[0]} stands before the folder of sounds, which comes first:"
                " audiogen train FOLDER -o PRESET"
            )
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] in self.commands:
            return super().resolve_command(ctx, args)
        from audiogen.data.ingest.model_kind import choose_kind

        folder, *rest = args
        family, rest = _taken(rest, "--family")
        if family not in (None, *self.commands):
            raise ParameterError(f"--family {family!r} isn't one of {', '.join(self.commands)}")
        if not Path(folder).is_dir():
            raise ParameterError(
                f"{folder!r} is neither a folder of sounds nor one of {', '.join(self.commands)}"
            )
        if family is None and "--resume" in rest:
            from audiogen.training.run.pack import family_of

            run, output = _taken(rest, "--run")[0], _taken(rest, "--output", "-o")[0]
            if run or output:
                family = family_of(Path(run) if run else run_beside(Path(str(output))))
        if family is None and "--help" not in rest:
            family, why = choose_kind(folder)
            say(f"{family}: {why}; --family overrules")
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
    subcommand_metavar="{gansynth,samplernn,FOLDER} -o PRESET [ARGS]...",
)


@app.callback()
def train() -> None:
    """Train a preset on your own sounds.

    `audiogen train FOLDER -o PRESET` listens to the sounds of a folder and chooses the family:
    single notes with a pitch make an instrument (gansynth); speech, textures, percussion and music
    go on by themselves (samplernn). `--family` overrules; all options of the family can follow.
    """
    from audiogen.training.run.memory import keep_freed_memory

    keep_freed_memory()


app.command()(gansynth)
app.command()(samplernn)
