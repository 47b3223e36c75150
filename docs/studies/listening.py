"""Sounds and rainbowgrams of the same notes: recorded, by the oracle, and by two presets.

    python docs/studies/listening.py PRESET FORMER DATA -o docs/listening

plays four notes of DATA (a set in NSynth's layout) with PRESET and its former version FORMER, of a
drum kit the keys of --keys; writes a FLAC file of each and a picture into the folder PRESET of the
output, and prints the table of the page.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

import audiogen
from audiogen.audio.plots import TEXT_COLOUR, dark_figure, rainbow_image, save, style_axes
from audiogen.cli.evaluate import preset_spectrogram
from audiogen.data.notes.nsynth import read_notes
from audiogen.evaluation.note_report import draw_real, own_notes
from audiogen.evaluation.oracle import oracle
from audiogen.notes import pitch_name
from audiogen.presets import load_preset

LENGTH_S, HOLD_S = 2.2, 2.0
KINDS = ("recording", "oracle", "former", "preset")
VELOCITIES = (70, 110)  # that no training had
KIT_VELOCITY = 100


def chosen_notes(
    data: Path, preset: audiogen.presets.Preset, former: audiogen.presets.Preset, n: int
) -> list:
    """Notes of different timbres of both presets, at velocities that were not trained."""
    real = read_notes(data, sample_rate=preset.sample_rate).filter(velocities=VELOCITIES)
    low, high = preset.pitch_range
    drawn = draw_real(real, preset.timbres, len(real), np.random.default_rng(0))
    firsts = {}
    for name, note in drawn:
        if low + 7 <= note.pitch <= high - 7:
            firsts.setdefault(name, note)
    names = [t.name for t in preset.timbres if t.name in firsts and t.name in former.timbre_names]
    spread = [names[i] for i in np.linspace(0, len(names) - 1, n).round().astype(int)]
    return [(name, firsts[name], real.waveform(firsts[name])) for name in spread]


def chosen_hits(data: Path, kit: audiogen.presets.Preset, keys: list[int]) -> list:
    """Recordings of a drum kit's keys, at a velocity that was not trained."""
    real = read_notes(data, sample_rate=kit.sample_rate).filter(velocities=[KIT_VELOCITY])
    own = own_notes(real, kit.timbres, kit.drums)
    by_key = {kit.drums[name][0]: (name, notes[0]) for name, notes in own.items() if notes}
    return [(*by_key[key], real.waveform(by_key[key][1])) for key in keys]


def trimmed(sound: np.ndarray, rate: int) -> np.ndarray:
    """The first 2.2 s, faded out at the end."""
    n = round(LENGTH_S * rate)
    sound = np.pad(np.asarray(sound, np.float32)[:n], (0, max(0, n - len(sound))))
    return sound * np.clip((n - np.arange(n)) / (0.05 * rate), 0, 1).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("preset")
    parser.add_argument("former")
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/listening"))
    parser.add_argument("--notes", type=int, default=4)
    parser.add_argument("--keys", type=int, nargs="+", default=[36, 38, 46, 49], help="of a kit")
    given = parser.parse_args()
    preset = load_preset(given.preset)
    rate = preset.sample_rate
    if preset.drums:
        notes = chosen_hits(given.data, preset, given.keys)
    else:
        notes = chosen_notes(given.data, preset, load_preset(given.former), given.notes)
    config = preset_spectrogram(preset)
    pitches = [preset.drums.get(timbre, (0, float(note.pitch)))[1] for timbre, note, _ in notes]
    partials = [preset.partials[timbre].at(note.pitch) for timbre, note, _ in notes]
    sounds = {
        "recording": [waveform for _, _, waveform in notes],
        "oracle": oracle([waveform for _, _, waveform in notes], pitches, config, partials),
    }
    for kind, name in (("former", given.former), ("preset", given.preset)):
        synth = audiogen.load(name)
        sounds[kind] = [
            synth.render(
                [(0.0, HOLD_S, preset.drums.get(timbre, (note.pitch, 0))[0], note.velocity / 127)],
                timbre=None if preset.drums else timbre, sample_rate=rate, stereo=False,
            )
            for timbre, note, _ in notes
        ]  # fmt: skip
    folder = given.output / preset.name
    folder.mkdir(parents=True, exist_ok=True)
    figure = dark_figure(11.0, 1.9 * len(notes) + 0.5, layout="constrained")
    axes = figure.subplots(len(notes), len(KINDS), squeeze=False, sharex=True, sharey=True)
    print("| note |", " | ".join(KINDS), "|\n|---|" + "---|" * len(KINDS))
    for row, (timbre, note, _) in enumerate(notes):
        key = "" if preset.drums else f"{pitch_name(note.pitch)}, "
        title = f"{timbre}, {key}velocity {note.velocity}"
        cells = []
        for column, kind in enumerate(KINDS):
            sound = trimmed(sounds[kind][row], rate)
            path = folder / f"{timbre}-{kind}.flac"
            soundfile.write(path, np.clip(sound, -1.0, 1.0), rate, subtype="PCM_16")
            cells.append(f'<audio controls preload="none" src="{preset.name}/{path.name}"></audio>')
            image, hop_length = rainbow_image(sound, rate)
            axis = axes[row][column]
            style_axes(axis)
            extent = (0.0, image.shape[1] * hop_length / rate, 0.0, len(image) / 40)
            axis.imshow(image, origin="lower", aspect="auto", extent=extent)
            axis.set_yticks(range(0, 9, 2), [f"C{octave + 1}" for octave in range(0, 9, 2)])
            axis.set_title(kind if column else title, color=TEXT_COLOUR, fontsize=8)
        print(f"| {title} |", " | ".join(cells), "|")
    for axis in axes[-1]:
        axis.set_xlabel("s", fontsize=8)
    picture = folder / "rainbowgrams.png"
    save(figure, picture)
    Image.open(picture).convert("RGB").quantize(192).save(picture, optimize=True)


if __name__ == "__main__":
    main()
