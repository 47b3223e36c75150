"""A folder of 40 mixed recordings becomes a preset, also when its training is killed half way.

    python docs/studies/own_sounds.py FONT.sf2 WORK

makes the folder, trains on it twice by one command, once without a stop and once killed and gone on
with, and prints how long it took, what was left out, and whether both presets are the same.
"""

import hashlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import mido
import numpy as np
import soundfile
import soxr

from audiogen.data.render.midi_renderer import midi_file, render_midi
from audiogen.data.render.sf2 import SoundFont, read_soundfont

FONT_RATE = 44100  # Hz
PROGRAMS = {"shakuhachi": 77, "ocarina": 79}  # no shipped preset has them
KINDS = (("wav", 44100, 2), ("flac", 22050, 1), ("wav", 48000, 2), ("ogg", 32000, 1))
TAKE_S = 180.0


def main(font_path: Path, work: Path) -> None:
    folder = work / "recordings"
    font = read_soundfont(font_path)
    make_folder(font, folder)
    print(f"{len(list(folder.iterdir()))} files in {folder.name}", flush=True)
    start = time.monotonic()
    said = train(folder, work / "one")
    print(f"uninterrupted: {(time.monotonic() - start) / 60.0:.1f} minutes")
    print("\n".join(line for line in said.splitlines() if "left out" in line or "notes of" in line))

    killed = subprocess.Popen(command(folder, work / "two"), stderr=subprocess.DEVNULL)
    half = next(steps_of(work / "one.run")) // 2
    while newest_step(work / "two.run") < half:
        time.sleep(1.0)
    killed.kill()
    killed.wait()
    print(f"killed after the checkpoint of step {newest_step(work / 'two.run')}")
    train(folder, work / "two", "--resume")
    one, two = (digest(work / name / "weights.safetensors") for name in ("one", "two"))
    print(f"weights uninterrupted {one[:16]}, killed and resumed {two[:16]}: {one == two}")


def command(folder: Path, output: Path, *more: str) -> list[str]:
    words = ("train", folder, "-o", output, "--licence", "MIT", "--preview-minutes", "1", *more)
    return [sys.executable, "-m", "audiogen.cli.main", *map(str, words)]


def train(folder: Path, output: Path, *more: str) -> str:
    """What it says."""
    done = subprocess.run(
        command(folder, output, *more), check=True, stderr=subprocess.PIPE, text=True
    )
    return done.stderr


def steps_of(run: Path) -> Iterator[int]:
    """Of its checkpoints, from the last."""
    steps = [int(path.stem.partition("-")[2]) for path in run.glob("checkpoint-*.pt")]
    return iter(sorted(steps, reverse=True))


def newest_step(run: Path) -> int:
    return next(steps_of(run), 0)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def make_folder(font: SoundFont, folder: Path) -> None:
    """36 notes of two instruments, a take of three minutes, silence, and two that aren't sound."""
    folder.mkdir(parents=True)
    index = 0
    for name, program in PROGRAMS.items():
        for pitch in range(60, 78):
            sound = play(font, program, [(0.1, pitch, 60 + 3 * (pitch % 20), 2.0)], 3.5)
            kind, rate, channels = KINDS[index % len(KINDS)]
            put(folder / f"{name} {index:02d}.{kind}", sound, rate, channels)
            index += 1
    random = np.random.default_rng(0)
    melody = [
        (start, int(random.integers(60, 78)), int(random.integers(50, 120)), 1.8)
        for start in np.arange(0.5, TAKE_S - 3.0, 2.5)
    ]
    put(folder / "take.wav", play(font, PROGRAMS["shakuhachi"], melody, TAKE_S), 48000, 2)
    put(folder / "silence.wav", np.zeros((FONT_RATE * 3, 2)), 44100, 2)
    (folder / "notes to self.wav").write_text("shakuhachi: more breath!")
    (folder / "cut short.flac").write_bytes((folder / "shakuhachi 01.flac").read_bytes()[:60])


def play(
    font: SoundFont, program: int, notes: list[tuple[float, int, int, float]], seconds: float
) -> np.ndarray:
    """Notes (start in s, pitch, velocity, length in s) as sound [n_samples, 2] at `FONT_RATE`."""
    events = []
    for start, pitch, velocity, length in notes:
        events.append((start, mido.Message("note_on", note=pitch, velocity=velocity)))
        events.append((start + length, mido.Message("note_off", note=pitch)))
    # The renderer goes on until the last event.
    events.append((seconds, mido.Message("control_change", control=120, value=0)))
    midi = midi_file(font.presets[0, program], events, volume=100)
    return render_midi(font, midi)[: round(seconds * FONT_RATE)] / 32768.0


def put(path: Path, sound: np.ndarray, rate: int, channels: int) -> None:
    sound = soxr.resample(sound, FONT_RATE, rate)
    soundfile.write(path, sound if channels == 2 else sound.mean(axis=1), rate)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
