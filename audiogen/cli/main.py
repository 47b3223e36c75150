"""The command `audiogen`: the list of commands, and messages for failures."""

from __future__ import annotations

import importlib
import keyword
import os
import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from audiogen import __version__
from audiogen.errors import AudiogenError

# Each has a module (`module_of`) with an `app = typer.Typer(add_completion=False)`; it is imported
# when it's called.
COMMANDS = {
    "render": "Render a score, or audio from an unconditional preset, into a sound file.",
    "batch": "Render many scores, presets and seeds on all cores or on a cluster.",
    "play": "Play a preset live, by MIDI or the computer's keyboard.",
    "stream": "Write samples to a pipe as they are made.",
    "continue": "Continue a sound file with an unconditional preset.",
    "web": "Play presets on a page in a browser.",
    "plugin": "Build the LV2, VST3 and Pd plug-ins and install them.",
    "presets": "List presets, or search them by instrument.",
    "preset": "Check a preset, export one from a stopped training, or save a timbre.",
    "info": "Show the contents and origin of a preset.",
    "explore": "Listen to and measure the latents between and beyond a preset's timbres.",
    "encode": "Find the latent of a preset that sounds like a recorded note.",
    "data": "Prepare data sets of notes and recordings for training.",
    "train": "Train a preset on your own sounds.",
    "export": "Write a preset for samplers, ONNX runtimes, or Max and Pure Data.",
    "evaluate": "Measure a preset or a folder of sounds, beside real sounds.",
    "domains": "Train judges that are accurate on unseen sound banks.",
    "tag": "Name the instrument family and pitch of sound files.",
    "study": "Run the experiments behind the documented claims.",
    "bench": "Measure speed on this machine, beside other implementations.",
}
EXTRAS = {  # the extra that installs each optional package
    "librosa": "plot",
    "matplotlib": "plot",
    "numba": "fallback",
    "scipy": "fallback",
    "PIL": "train",
    "torch": "train",
    "torchaudio": "train",
    "tensorboard": "train",
    "lightning_fabric": "train",
    "midirenderer": "soundfont",
    "parselmouth": "eval",
    "silero_vad": "eval",
    "ray": "ray",
    "sounddevice": "live",
    "rtmidi": "live",
    "onnx": "export",
    "anyio": "web",
    "starlette": "web",
    "uvicorn": "web",
    "websockets": "web",
}
EXIT_BAD_INPUT, EXIT_INTERNAL = 2, 1


def module_of(command: str) -> str:
    """Name of the module of a command; one that is a word of Python ends in _."""
    return f"audiogen.cli.{command}{'_' * keyword.iskeyword(command)}"


class LazyGroup(TyperGroup):
    """Shows the commands of `COMMANDS` without importing them."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, summary in COMMANDS.items():
            self.add_command(TyperCommand(name, help=summary))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        if name in COMMANDS:
            module = importlib.import_module(module_of(name))
            command = typer.main.get_command(module.app)
        return name, command, rest


app = typer.Typer(
    cls=LazyGroup,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"audiogen {__version__}")
        raise typer.Exit()


@app.callback()
def root(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
    debug: bool = typer.Option(
        False, "--debug", help="Show the traceback of an error. Works after a command, too."
    ),
) -> None:
    """A neural synthesiser: play trained sounds, or train your own."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit.

    The exit status is 0, 2 for bad input (with an error message), or 1 for an internal
    error.
    """
    _fill_closed_streams()
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    try:
        typer.main.get_command(app)([w for w in words if w != "--debug"], prog_name="audiogen")
    except Exception as error:
        if debug:
            raise
        message, status = _explain(error)
        typer.echo(f"audiogen: {message}", err=True)
        sys.exit(status)


def _fill_closed_streams() -> None:
    """Let no file get the number of a standard stream that was closed, which others write to.

    `sys.stdout` stays None, so that a command can tell.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
    sys.stdin = sys.stdin or open(os.devnull)
    sys.stderr = sys.stderr or open(os.devnull, "w")


def _explain(error: Exception) -> tuple[str, int]:
    """Return the error message for an exception, and the exit status."""
    if isinstance(error, AudiogenError):
        return str(error), EXIT_BAD_INPUT
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.partition(".")[0]
        if package in EXTRAS:
            return (
                f"this needs {package}, which isn't installed; "
                f"pip install 'audiogen-synth[{EXTRAS[package]}]'",
                EXIT_BAD_INPUT,
            )
    if _lacks_memory(error):
        return (
            "not enough memory; ask for less at once, such as fewer seconds, or"
            " train a smaller network (of samplernn: --dim, --batch, --chunk)",
            EXIT_BAD_INPUT,
        )
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror or error}", EXIT_BAD_INPUT
    text = f"{type(error).__name__}: {error}".rstrip(": ")
    return f"internal error ({text}); --debug shows where", EXIT_INTERNAL


def _lacks_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError):
        return True
    of_torch = ("can't allocate memory", "out of memory")  # on the CPU, on a GPU
    return isinstance(error, RuntimeError) and any(words in str(error) for words in of_torch)


if __name__ == "__main__":
    main()
