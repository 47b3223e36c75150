"""Compare drum kits of any sample rate with recordings, all at the recordings' rate.

    python docs/studies/compare_kits.py DATA KIT ... [--velocities 40,60,80,100,120]

DATA is made by `audiogen data drums`, at velocities that were not trained and 127, which sets its
gain. Prints the areas under the curve of three classifiers each (0.5: indistinguishable), the
median attack, and the error of the level of each key, lowest and highest.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from librosa.util import fix_length

import audiogen
from audiogen.data.notes.nsynth import read_notes
from audiogen.evaluation.note_comparison import compare_notes
from audiogen.evaluation.note_report import own_notes

HELD_S, LENGTH_S = 2.0, 3.0


def main() -> None:
    """Print a block of lines for each kit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("kits", nargs="+")
    parser.add_argument("--velocities", default="40,60,80,100,120")
    given = parser.parse_args()
    notes = read_notes(given.data).filter(velocities=[int(v) for v in given.velocities.split(",")])
    rate = next(iter(notes)).sample_rate
    length = round(LENGTH_S * rate)

    for kit in given.kits:
        synth = audiogen.load(kit)
        drums = synth.preset.drums
        real, played, keys, timbres = [], [], [], []
        for timbre, own in own_notes(notes, synth.preset.timbres, drums).items():
            for info in own:
                note = (0.0, HELD_S, drums[timbre][0], info.velocity / 127)
                options = {"timbre": timbre, "seed": len(keys), "stereo": False}
                played.append(
                    fix_length(synth.render([note], sample_rate=rate, **options), size=length)
                )
                real.append(fix_length(notes.waveform(info), size=length))
                keys.append(float(drums[timbre][0]))
                timbres.append(timbre)
        compared = compare_notes(
            {"real": np.stack(real), kit: np.stack(played)},
            np.array(keys),
            rate,
            pitched=[False] * len(keys),
            timbres=timbres,
        )
        print(f"{kit}, {len(keys)} sounds at {rate} Hz")
        for name, area in compared.areas[kit].items():
            print(f"  AUC, {name}: {' '.join(f'{value:.2f}' for value in area.values)}")
        levels = compared.levels[kit].values()
        print(f"  levels of keys: {min(levels):.1f} to {max(levels):.1f} dB")
        for median in compared.medians:
            if median.name == "attack_ms":
                both = median.values
                print(f"  attack, {median.group}: {both[kit]:.1f} ms, real {both['real']:.1f}")


if __name__ == "__main__":
    main()
