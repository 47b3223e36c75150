"""`audiogen play`: a preset played by MIDI or the computer's keyboard, through the sound card."""

from __future__ import annotations

import math
import signal
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audiogen.cli.sound import (
    PRESET_HELP,
    SEED_HELP,
    TIMBRE_HELP,
    TOP_P_HELP,
    AnyPrecision,
    Precision,
    read_preset,
)
from audiogen.core.counting import counted
from audiogen.errors import AudiogenError, DeviceError, ParameterError

if TYPE_CHECKING:
    from audiogen.audio.files import Recording
    from audiogen.cli.keys import HeldKeys, Key
    from audiogen.cli.screen import Status
    from audiogen.core.parameters import Parameter
    from audiogen.devices.midi_ports import MidiInput
    from audiogen.devices.sound_card import SoundCard
    from audiogen.engine import Synth

app = typer.Typer(add_completion=False)

REFRESH_S = 0.08  # period of the screen
PORT_SEARCH_S = 0.25  # shorter than unplugging a keyboard and plugging it in again
UNKNOWN_BLOCK = 1024  # samples; a card that chooses its block rarely takes more
BASE_PITCH, LOWEST_BASE, HIGHEST_BASE = 60, 12, 108  # MIDI numbers of the piano's first key
MOST_VOICES = 256
HIGHEST_LOAD = 0.9  # above it no block or margin helps


@app.command()
def play(
    preset: Annotated[
        str | None,
        typer.Argument(help=PRESET_HELP, show_default="plucked"),
    ] = None,
    timbre: Annotated[str | None, typer.Option(help=TIMBRE_HELP, show_default=False)] = None,
    device: Annotated[
        str | None,
        typer.Option(help="Sound card: its number or part of its name.", show_default=False),
    ] = None,
    midi: Annotated[
        str | None,
        typer.Option(
            help="MIDI port: part of its name; 'virtual' opens a port that other programs connect "
            "to; 'none' opens none.",
            show_default="all",
        ),
    ] = None,
    list_: Annotated[
        bool, typer.Option("--list", help="List sound cards and MIDI ports, then exit.")
    ] = False,
    block: Annotated[
        int,
        typer.Option(
            help="Block size of the sound card, samples; 0 lets it choose, as JACK always does."
        ),
    ] = 256,
    margin: Annotated[
        float,
        typer.Option(
            help="How far sound is rendered ahead, ms: more for a busy machine, but later."
        ),
    ] = 5.0,
    sample_rate: Annotated[
        int | None, typer.Option(help="Hz, 8000 to 192000.", show_default="the card's")
    ] = None,
    voices: Annotated[
        int, typer.Option(help=f"Notes that sound at once, 1 to {MOST_VOICES}.")
    ] = 16,
    seed: Annotated[int, typer.Option(help=SEED_HELP)] = 0,
    precision: AnyPrecision = Precision.float32,
    temperature: Annotated[
        float | None,
        typer.Option(
            help="Sampling temperature of a SampleRNN, 0 (greedy) to 2.",
            show_default="the preset's",
        ),
    ] = None,
    top_p: Annotated[
        float | None, typer.Option(help=TOP_P_HELP, show_default="the preset's")
    ] = None,
    ring: Annotated[
        float,
        typer.Option(
            help="Length of a typed note, s, where the terminal reports no released keys."
        ),
    ] = 0.7,
    record: Annotated[
        Path | None,
        typer.Option(help="Record into a sound file: .wav, .flac or .ogg.", show_default=False),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="End after this time.", show_default="never")
    ] = None,
) -> None:
    """Play a preset live by MIDI or the computer's keyboard.

    Every MIDI keyboard plays, including those connected later; so do the
    keys of the terminal, as the screen shows. Ctrl-C or q ends.
    """
    from audiogen.audio.files import Recording, check_output, check_sample_rate
    from audiogen.cli.keys import HeldKeys, open_keyboard
    from audiogen.devices.midi_ports import MidiInput
    from audiogen.devices.sound_card import (
        LARGEST_BLOCK,
        SoundCard,
        block_of,
        find_device,
    )
    from audiogen.engine import Synth
    from audiogen.engine.latents import check_timbre
    from audiogen.presets import default_preset, load_preset

    if list_:
        _list()
        return
    if sample_rate is not None:
        check_sample_rate(sample_rate)
    if not 1 <= voices <= MOST_VOICES:
        raise ParameterError(f"--voices {voices} must be from 1 to {MOST_VOICES}")
    if not 0 <= block <= LARGEST_BLOCK:
        raise ParameterError(f"--block {block} must be from 1 to {LARGEST_BLOCK}, or 0")
    if not 0.1 <= margin <= 1000.0:
        raise ParameterError(f"--margin {margin:g} must be from 0.1 to 1000 ms")
    if not 0.05 <= ring <= 60.0:
        raise ParameterError(f"--ring {ring:g} must be from 0.05 to 60 s")
    if seconds is not None and not 0.0 < seconds < math.inf:
        raise ParameterError(f"--seconds {seconds:g} must be above 0")
    if record is not None:
        check_output(record)
    name, timbre = read_preset(preset or default_preset(), timbre)
    loaded = load_preset(name)
    if timbre is not None:
        check_timbre(loaded, timbre)
    card_found = find_device(device)
    rate = sample_rate or card_found.sample_rate
    block = block_of(card_found, rate, block)

    with ExitStack() as stack:
        stack.enter_context(_ended_by_signals())
        synth = stack.enter_context(
            Synth(
                loaded,
                rate,
                seed,
                precision.value,
                temperature,
                top_p,
                polyphony=voices,
                max_block=block or UNKNOWN_BLOCK,
                realtime=True,
                margin_ms=margin,
            )
        )
        if timbre is not None:
            synth.timbre = timbre
        recording = on_block = None
        if record:
            recording = Recording(record, rate)
            stack.callback(_print_recording, recording)  # runs when it is closed, whatever happens
            on_block = stack.enter_context(recording).write
        card = SoundCard(synth, card_found.index, block, on_block)
        on_jack = "JACK" in card_found.host
        ports = None
        if midi != "none":
            ports = stack.enter_context(MidiInput(synth, midi, on_jack))
        keyboard = stack.enter_context(open_keyboard())
        if keyboard is None and loaded.plays_notes and not (ports and ports.can_connect):
            reason = "no MIDI system runs; start JACK or load ALSA's (modprobe snd-seq)"
            if midi == "none":
                reason = "--midi none opens no port; leave it out"
            raise DeviceError(f"the keys of this terminal can't be read, and {reason}")
        held_keys = HeldKeys(synth, ring)
        stage = _Stage(synth, card, ports, held_keys, keyboard, recording, block)
        try:
            stage.announce()
            stack.enter_context(card)
            stage.run(seconds)
        except KeyboardInterrupt:
            pass
        card.close()
        late = counted(stage.n_late, "late block")
        delayed = counted(synth.n_delayed, "delayed note")
        typer.echo(f"played {synth.position / rate:.1f} s, {late}, {delayed}")
        if card.n_unrecorded:
            typer.echo(f"  note: {card.n_unrecorded} samples are missing from the recording")
        if stage.n_late:
            typer.echo(f"  note: {stage.late_hint()}")


def _print_recording(recording: Any) -> None:
    if not recording.path.exists():  # it could not be written; the error message says so
        return
    length_s = recording.n_samples / recording.sample_rate
    typer.echo(f"{recording.path}  {length_s:.1f} s, {recording.sample_rate} Hz")
    if recording.n_clipped:
        typer.echo(
            f"  note: {counted(recording.n_clipped, 'sample')} over full scale clipped; turn the"
            " volume down"
        )


def _list() -> None:
    """Print sound cards and MIDI ports."""
    from rich.console import Console
    from rich.table import Table

    from audiogen.devices.midi_ports import ports
    from audiogen.devices.sound_card import devices

    cards = devices()
    on_jack = any("JACK" in card.host for card in cards)
    console = Console(highlight=False)
    if cards:
        table = Table("sound card", "", "system", "rate", box=None, pad_edge=False)
        for card in cards:
            name = card.name + (" (default)" if card.is_default else "")
            table.add_row(str(card.index), name, card.host, f"{card.sample_rate} Hz")
        console.print(table)
    else:
        typer.echo("no sound card")
    inputs = ports(on_jack)
    if inputs:
        table = Table("MIDI port", "system", box=None, pad_edge=False)
        for port in inputs:
            table.add_row(port.name, port.system)
        console.print(table)
    else:
        typer.echo("no MIDI port")


class _ended_by_signals:
    """Ends a performance on SIGTERM, Ctrl-\\ and a closed terminal as on Ctrl-C."""

    def __enter__(self) -> None:
        names = ("SIGTERM", "SIGHUP", "SIGQUIT")  # not on every system
        self._before = {
            number: signal.signal(number, signal.default_int_handler)
            for name in names
            if (number := getattr(signal, name, None)) is not None
        }

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)


class _Stage:
    """A performance: reads keys, controls the synth and draws the screen."""

    def __init__(
        self,
        synth: Synth,
        card: SoundCard,
        ports: MidiInput | None,
        held_keys: HeldKeys,
        keyboard: Any,
        recording: Recording | None,
        block: int = 0,
    ):
        from rich.console import Console

        self._console = Console()
        self._synth, self._card, self._held_keys = synth, card, held_keys
        self._keyboard, self._recording = keyboard, recording
        self._ports, self._looked_s = ports, time.monotonic()
        self._block = block
        self._chosen = 0
        self._base, self._velocity = BASE_PITCH, 0.8
        self._remark = ""
        self._is_outgrown = False

    def announce(self) -> None:
        """Print what plays, where there is no screen."""
        if not self._console.is_terminal:
            typer.echo(f"playing {self._synth.preset.name}: {self._sound()}, {self._midi()}")

    def run(self, seconds: float | None) -> None:
        """Run until q, or for some seconds."""
        from rich.live import Live

        console, shown = self._console, self._console.is_terminal
        began_s = drawn_s = time.monotonic()
        self._start_texture()
        with (
            Live(self._screen(), console=console, auto_refresh=False, screen=shown)
            if shown
            else _Nothing() as live
        ):
            while seconds is None or time.monotonic() - began_s < seconds:
                self._look_at_card()
                self._look_for_ports()
                for key in self._wait(REFRESH_S):
                    if self.take(key):
                        return
                self._held_keys.release_expired()
                if shown and time.monotonic() - drawn_s > REFRESH_S:
                    drawn_s = time.monotonic()
                    live.update(self._screen(), refresh=True)

    def _screen(self) -> Any:
        from audiogen.cli.screen import draw

        return draw(self.status(), self._console.width, self._console.height)

    @property
    def n_late(self) -> int:
        """Blocks that were not ready in time, by the synth's count and the card's."""
        return self._synth.n_late + self._card.n_late

    def late_hint(self) -> str:
        """Return advice on late blocks."""
        if self._synth.load > HIGHEST_LOAD:
            return (
                f"blocks were late, and the load is {100 * self._synth.load:.0f} %: this machine is"
                " too slow; try fewer --voices, or --precision auto"
            )
        margin_ms = min(max(20.0, 2.0 * self._synth.margin_ms), 1000.0)
        larger = min(2 * (self._block or 256), 8192)
        block = "" if "JACK" in self._card.device.host else f"--block {larger} or "
        return f"blocks were late and sound broke up; try {block}--margin {margin_ms:g}"

    def _look_at_card(self) -> None:
        self._card.check()
        if self._card.outgrown and not self._is_outgrown:
            self._is_outgrown = True
            margin_ms = math.ceil(1e3 * self._card.outgrown / self._synth.sample_rate)
            self._remark = (
                f"{self._card.device.host} takes {self._card.outgrown} samples at once now, more"
                f" than are ready: sound breaks up; play again, with --margin {margin_ms}"
            )
            if not self._console.is_terminal:
                typer.echo(self._remark, err=True)

    def _look_for_ports(self) -> None:
        now_s = time.monotonic()
        if self._ports is None or now_s - self._looked_s < PORT_SEARCH_S:
            return
        self._looked_s = now_s
        if self._ports.refresh() and not self._console.is_terminal:
            typer.echo(f"MIDI ports: {self._midi()}")

    def _wait(self, timeout_s: float) -> list[Key]:
        if self._keyboard is not None:
            return self._keyboard.read(timeout_s)
        time.sleep(timeout_s)
        return []

    def _midi(self) -> str:
        return ", ".join(self._ports.names if self._ports else ()) or "no MIDI"

    def _sound(self) -> str:
        return f"{self._card.device.host}: {self._card.device.name}"

    def status(self) -> Status:
        """Return the content of the screen."""
        from audiogen.cli.screen import Status

        synth, recording = self._synth, self._recording
        latency_s = synth.latency / synth.sample_rate + self._card.latency_s
        return Status(
            preset=synth.preset.name,
            timbre=_name_of(synth.timbre),
            sound=self._sound(),
            midi=self._midi(),
            timbres=synth.timbres,
            sample_rate=synth.sample_rate,
            latency_ms=1e3 * latency_s,
            n_sounding=synth.n_sounding,
            voices=synth.polyphony,
            n_late=self.n_late,
            load=synth.load,
            peak=synth.peak,
            parameters={row: self._value(row) for row in synth.parameters},
            chosen=self._parameter().name,
            base_pitch=self._base,
            velocity=self._velocity,
            down=self._held_keys.down,
            has_keys=self._keyboard is not None,
            reports_releases=self._keyboard is not None and self._keyboard.reports_releases,
            ring_s=self._held_keys.ring_s,
            recording=f"recording {recording.path}" if recording and not recording.error else "",
            remark=self._shown_remark(),
        )

    def _shown_remark(self) -> str:
        if self._recording and self._recording.error:
            return str(self._recording.error)
        return self._remark or (self.late_hint() if self.n_late else "")

    def _value(self, row: Parameter) -> Any:
        value = self._synth.get(row.name)
        return _name_of(value) if row.name == "morph_timbre" else value

    def take(self, key: Key) -> bool:
        """Do what a key stands for; True if it is the one that ends the performance."""
        from audiogen.cli.keys import PIANO

        name = key.name
        if name in PIANO:
            self._strike(key, self._base + PIANO[name])
            return False
        if not key.pressed:
            return False
        synth = self._synth
        if name == "q":
            return True
        if name in ("z", "x"):
            self._base += 12 if name == "x" else -12
            self._base = min(max(self._base, LOWEST_BASE), HIGHEST_BASE)
        elif name in ("c", "v"):
            self._velocity += 0.1 if name == "v" else -0.1
            self._velocity = min(max(round(self._velocity, 1), 0.1), 1.0)
        elif name == "space":
            synth.sustain = 0.0 if synth.sustain else 1.0
        elif name == "backspace":
            self._reset()
        elif name in ("left", "right"):
            step = 1 if name == "right" else -1
            self._chosen = (self._chosen + step) % len(synth.parameters)
        elif name in ("up", "down"):
            self._move(1 if name == "up" else -1)
        elif name in ("tab", "backtab") and synth.timbres:
            synth.timbre = _beside(
                synth.timbres, _name_of(synth.timbre), 1 if name == "tab" else -1
            )
        elif name.isdecimal() and 1 <= int(name) <= len(synth.timbres):
            synth.timbre = synth.timbres[int(name) - 1]
        elif name in (",", "."):
            self._change_preset(1 if name == "." else -1)
        return False

    def _strike(self, key: Key, pitch: int) -> None:
        if not key.pressed:
            self._held_keys.release(key.name)
        elif not key.repeated and pitch < 128:
            releases = self._keyboard is not None and self._keyboard.reports_releases
            self._held_keys.press(key.name, pitch, self._velocity, releases)

    def _reset(self) -> None:
        self._held_keys.release_all()
        self._synth.all_off(silence=True)
        self._synth.reset_parameters()
        self._start_texture()

    def _start_texture(self) -> None:
        """Start the sound of a preset that plays no notes."""
        if not self._synth.preset.plays_notes:
            self._synth.note_on(BASE_PITCH)

    def _parameter(self) -> Parameter:
        """The parameter that the arrow keys move."""
        rows = self._synth.parameters
        return rows[self._chosen % len(rows)]

    def _move(self, steps: int) -> None:
        parameter, synth = self._parameter(), self._synth
        if parameter.name == "morph_timbre":
            if synth.timbres:
                synth.morph_timbre = _beside(synth.timbres, _name_of(synth.morph_timbre), steps)
            return
        whole = dict.fromkeys(("sustain", "listen", "bend_range", "variation"), 1.0) | {"bend": 0.5}
        step = whole.get(parameter.name, (parameter.highest - parameter.lowest) / 20.0)
        value = round(synth.get(parameter.name) + steps * step, 3)
        synth.set(parameter.name, min(max(value, parameter.lowest), parameter.highest))

    def _change_preset(self, steps: int) -> None:
        from audiogen.presets import find_presets

        folders = find_presets()
        names = [folder.name for folder in folders]
        here = self._synth.preset.folder.name
        self._held_keys.release_all()
        self._remark = ""
        for _ in names:  # skip those that cannot be played
            here = _beside(names, here, steps)
            try:
                self._synth.change_preset(folders[names.index(here)])
            except AudiogenError as error:
                self._remark = str(error)
                continue
            self._start_texture()
            return


def _name_of(timbre: Any) -> str | None:
    """A timbre's name, a mix, or a file; an array has none."""
    return timbre if isinstance(timbre, str) or timbre is None else "a latent"


class _Nothing:
    """A context without a screen."""

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def _beside(names: list[str], name: str | None, steps: int) -> str:
    """The name some places further on, cyclically."""
    if name not in names:
        return names[0] if names else ""
    return names[(names.index(name) + steps) % len(names)]
