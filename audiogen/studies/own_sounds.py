"""Study: a folder of mixed recordings becomes a preset, also if its training is killed half way.

The folder has notes of two instruments in several formats, sample rates and channels, a long take,
silence, and two files that aren't sound. The full size trains on it by `audiogen train FOLDER`.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from audiogen.core.atomic_write import folder_written_whole
from audiogen.data.ingest.folder import ingest_samples
from audiogen.data.render.midi_renderer import RENDER_RATE, midi_file, render_midi
from audiogen.data.render.sf2 import SoundFont, read_soundfont
from audiogen.data.toy_notes import FAMILIES, SAMPLE_RATE, draw_notes
from audiogen.errors import AudiogenError
from audiogen.evaluation.verify import verify_preset
from audiogen.studies import StudyResult, Table
from audiogen.studies.parts import Part, run_parts
from audiogen.studies.sounds import bank_file

RUNS, RECORDINGS = "runs.jsonl", "recordings"
FILES, WHOLE, KILLED = "files", "uninterrupted", "killed and resumed"
PROGRAMS = {"shakuhachi": 77, "ocarina": 79}  # no shipped preset has them
FORMATS = (("wav", 44100, 2), ("flac", 22050, 1), ("wav", 48000, 2), ("ogg", 32000, 1))
TAKE_S, PITCHES = 180.0, range(60, 78)
TAKE, SILENT = "take.wav", "silence.wav"
NOT_SOUND = ("notes to self.wav", "cut short.flac")
POLL_S = 1.0  # between looks for a checkpoint

# Waveform [n_samples, 2] at a sample rate, by file name without its suffix.
Waveforms = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Size:
    """Sizes of a run.

    Parameters
    ----------
    from_bank : bool
        Whether the sounds are those of FluidR3; otherwise parametric notes.
    training : tuple of str or None
        Options of `audiogen train` beside folder, output and licence; None for no training.
    is_evidence : bool
        Whether the run is large enough for the claims.
    """

    from_bank: bool
    training: tuple[str, ...] | None
    is_evidence: bool


SIZES = {
    "smoke": Size(False, None, False),
    "full": Size(True, ("--preview-minutes", "1"), True),
}


def run(
    size: str,
    folder: Path,
    *,
    seed: int,
    jobs: int,
    minutes: float | None,
    progress: Callable[[int, int], None],
) -> StudyResult:
    """Run the study; see `audiogen.studies.run_study`. The two trainings are never parallel."""
    sizes = SIZES[size]
    if not (folder / RECORDINGS).exists():
        make_folder(folder / RECORDINGS, sizes.from_bank, seed)
    parts: list[Part] = [{"part": FILES}]
    if sizes.training is not None:
        parts += [{"part": WHOLE}, {"part": KILLED}]
    lines = run_parts(
        folder / RUNS, parts, partial(_numbers, sizes, folder), minutes=minutes, progress=progress
    )
    of = {line["part"]: line for line in lines}
    rows: list[Any] = [("", "")]
    if files := of.get(FILES):
        rows += [
            ("files used", f"{files['used']} of {files['files']}: {files['notes']} notes"),
            ("left out", "; ".join(f"{file} ({why})" for file, why in files["left_out"])),
        ]
    if whole := of.get(WHOLE):
        faults = "; ".join(whole["faults"]) or "no faults"
        rows += [("time", f"{whole['minutes']:.1f} minutes"), ("audiogen preset verify", faults)]
    if killed := of.get(KILLED):
        rows.append(("killed after the checkpoint of step", str(killed["killed_at"])))
        digests = f"{of[WHOLE]['weights']}, {killed['weights']}"
        rows.append(("SHA-256 of the weights", digests))
    left = len(parts) - len(lines)
    missing = f"{left} of {len(parts)} parts" if left else ""
    return StudyResult([Table("Own sounds", rows)], {"parts": lines}, _checks(of), missing)


def _checks(of: Mapping[str, dict[str, Any]]) -> dict[str, bool]:
    checks = {}
    if files := of.get(FILES):
        left_out = {file for file, _ in files["left_out"]}
        checks["every file with sound is used, and no other"] = left_out == {SILENT, *NOT_SOUND}
    if whole := of.get(WHOLE):
        checks["the preset has no faults"] = not whole["faults"]
    if killed := of.get(KILLED):
        checks["a killed and resumed training has the same weights, to the bit"] = (
            killed["weights"] == of[WHOLE]["weights"]
        )
    return checks


def _numbers(sizes: Size, folder: Path, part: Mapping[str, Any]) -> dict[str, Any]:
    """Read the folder, or train on it."""
    recordings = folder / RECORDINGS
    if part["part"] == FILES:
        report = ingest_samples(recordings, licence="MIT").report
        counts = report["counts"]
        whole_files = [entry for entry in report["left_out"] if entry["at_s"] is None]
        return {
            "files": counts["files"],
            "used": counts["files_used"],
            "notes": counts["notes"],
            "left_out": [[entry["file"], entry["why"]] for entry in whole_files],
        }
    assert sizes.training is not None
    one, two = folder / "one", folder / "two"
    if part["part"] == WHOLE:
        start = time.monotonic()
        train(recordings, one, sizes.training)
        minutes = (time.monotonic() - start) / 60.0
        faults = verify_preset(one).faults
        return {"minutes": round(minutes, 1), "faults": faults, "weights": _digest(one)}
    if not newest_step(two):
        kill_half_way(recordings, two, sizes.training, newest_step(one) // 2)
    killed_at = newest_step(two)
    train(recordings, two, sizes.training)
    return {"killed_at": killed_at, "weights": _digest(two)}


def train(folder: Path, output: Path, options: tuple[str, ...]) -> None:
    """Train a preset by the command, or resume the training that wrote checkpoints.

    Raises
    ------
    AudiogenError
        If the command fails.
    """
    if newest_step(output):
        options = (*options, "--resume")
    done = subprocess.run(_command(folder, output, options), stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise AudiogenError(f"audiogen train failed: {done.stderr.strip().splitlines()[-1:]}")


def kill_half_way(folder: Path, output: Path, options: tuple[str, ...], step: int) -> None:
    """Start a training, and kill it after a checkpoint of a step or later."""
    with subprocess.Popen(_command(folder, output, options), stderr=subprocess.DEVNULL) as training:
        while newest_step(output) < max(1, step):
            if training.poll() is not None:
                raise AudiogenError(f"audiogen train ended before the checkpoint of step {step}")
            time.sleep(POLL_S)
        training.kill()


def newest_step(output: Path) -> int:
    """Return the step of the newest checkpoint of a preset's run; 0 without one."""
    run = output.with_name(f"{output.name}.run")
    steps = [int(path.stem.partition("-")[2]) for path in run.glob("checkpoint-*.pt")]
    return max(steps, default=0)


def _command(folder: Path, output: Path, options: tuple[str, ...]) -> list[str]:
    words = ("train", folder, "-o", output, "--licence", "MIT", *options)
    return [sys.executable, "-m", "audiogen.cli.main", *map(str, words)]


def _digest(preset: Path) -> str:
    return hashlib.sha256((preset / "weights.safetensors").read_bytes()).hexdigest()[:16]


def make_folder(folder: Path, from_bank: bool, seed: int) -> None:
    """Write notes of two instruments, a take, silence, and two files that aren't sound."""
    waveforms, rate = _bank_waveforms(seed) if from_bank else _parametric_waveforms(seed)
    with folder_written_whole(folder) as draft:
        for index, (name, sound) in enumerate(waveforms.items()):
            suffix, sample_rate, channels = FORMATS[index % len(FORMATS)]
            if f"{name}.wav" in (TAKE, SILENT):
                suffix, sample_rate, channels = FORMATS[0]
            _write(draft / f"{name}.{suffix}", sound, rate, sample_rate, channels)
        (draft / NOT_SOUND[0]).write_text("shakuhachi: more breath!")
        flac = next(iter(sorted(draft.glob("*.flac"))))
        (draft / NOT_SOUND[1]).write_bytes(flac.read_bytes()[:60])


def _bank_waveforms(seed: int) -> tuple[Waveforms, int]:
    """36 notes and a take of three minutes, of FluidR3."""
    font = read_soundfont(bank_file("fluid"))
    waveforms: dict[str, np.ndarray] = {}
    for name, program in PROGRAMS.items():
        for pitch in PITCHES:
            note = (0.1, pitch, 60 + 3 * (pitch % 20), 2.0)
            waveforms[f"{name} {len(waveforms):02d}"] = _play(font, program, [note], 3.5)
    random = np.random.default_rng(seed)
    melody = [
        (start, int(random.choice(PITCHES)), int(random.integers(50, 120)), 1.8)
        for start in np.arange(0.5, TAKE_S - 3.0, 2.5)
    ]
    waveforms["take"] = _play(font, PROGRAMS["shakuhachi"], melody, TAKE_S)
    waveforms["silence"] = np.zeros((3 * RENDER_RATE, 2))
    return waveforms, RENDER_RATE


def _parametric_waveforms(seed: int) -> tuple[Waveforms, int]:
    """Eight notes, and a take of them."""
    notes = draw_notes(8, seed)
    waveforms: dict[str, np.ndarray] = {}
    for index, (sound, family) in enumerate(zip(notes.sounds, notes.families, strict=True)):
        waveforms[f"{FAMILIES[family]} {index:02d}"] = np.stack([sound, sound], axis=1)
    rest = np.zeros((SAMPLE_RATE // 2, 2))
    waveforms["take"] = np.concatenate([x for note in waveforms.values() for x in (note, rest)])
    waveforms["silence"] = np.zeros((3 * SAMPLE_RATE, 2))
    return waveforms, SAMPLE_RATE


def _play(
    font: SoundFont, program: int, notes: list[tuple[float, int, int, float]], seconds: float
) -> np.ndarray:
    """Render notes (start in s, pitch, velocity, length in s) to [n_samples, 2]."""
    import mido

    events: list[tuple[float, Any]] = []
    for start, pitch, velocity, length in notes:
        events.append((start, mido.Message("note_on", note=pitch, velocity=velocity)))
        events.append((start + length, mido.Message("note_off", note=pitch)))
    # The renderer stops after the last event.
    events.append((seconds, mido.Message("control_change", control=120, value=0)))
    midi = midi_file(font.presets[0, program], events, volume=100)
    return render_midi(font, midi)[: round(seconds * RENDER_RATE)] / 32768.0


def _write(path: Path, sound: np.ndarray, rate: int, sample_rate: int, channels: int) -> None:
    import soundfile

    sound = soxr.resample(sound, rate, sample_rate)
    soundfile.write(path, sound if channels == 2 else sound.mean(axis=1), sample_rate)
