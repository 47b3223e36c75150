"""`audiogen tag`: instrument family and pitch of sound files."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from audiogen.core.counting import counted
from audiogen.errors import ParameterError

app = typer.Typer(add_completion=False)


@app.command()
def tag(
    files: Annotated[
        list[Path],
        typer.Argument(help="Sound files of single notes, or folders.", show_default=False),
    ],
    judge: Annotated[
        Path | None,
        typer.Option(help="File of audiogen domains judge.", show_default="the package's judge"),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object for each file.")
    ] = False,
) -> None:
    """Name the instrument family and pitch (36 to 84) of each sound.

    A sound that is unlike all of the judge's training data is marked as novel;
    its family and pitch are less reliable. Only the first second of a file
    counts.
    """
    from audiogen.evaluation.domains.judge import read_domain_judge, shipped_judge
    from audiogen.evaluation.domains.tag import expand, tag_files
    from audiogen.notes.text import pitch_name

    reader = shipped_judge() if judge is None else read_domain_judge(judge)
    failed = []
    for one in tag_files(expand(files), reader):
        if one.error:
            failed.append(one.error)
        elif as_json:
            typer.echo(json.dumps(asdict(one)))
        else:
            mark = "  novel" if one.is_novel else ""
            typer.echo(
                f"{one.path}  {one.family} {one.family_probability:.0%}"
                f"  {pitch_name(one.pitch)} {one.pitch_probability:.0%}{mark}"
            )
    typer.echo(f"Judge {reader.name}, hash {reader.hash}. {reader.evidence}.", err=True)
    if failed:
        raise ParameterError(
            "\n".join([f"{counted(len(failed), 'file')} can't be tagged:", *failed])
        )
