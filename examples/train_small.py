"""Train a SampleRNN on synthesised sounds at tiny sizes, then generate with it.

It runs in about a minute and shows the steps; the result is not a good preset. Leave out the sizes
and give `--minutes 60` for one.

python examples/train_small.py [FOLDER]
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile

import audiogen

RATE = 16000
folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
recordings = folder / "recordings"
recordings.mkdir()

# Ten recordings of decaying tones with random pitches.
random = np.random.default_rng(0)
time_s = np.arange(RATE // 2) / RATE
for number in range(10):
    tones = [
        0.5 * np.exp(-6.0 * time_s) * np.sin(2 * np.pi * random.uniform(100, 800) * time_s)
        for _ in range(8)
    ]
    soundfile.write(recordings / f"{number}.wav", np.concatenate(tones), RATE)

# The command line does the whole job: it reads the folder, trains, writes a report and a preset.
options = "--steps 40 --dim 32 --embedding 16 --batch 8 --chunk 256 --preview-minutes 0"
command = [sys.executable, "-m", "audiogen.cli.main", "train", "samplernn", str(recordings)]
command += ["--output", str(folder / "tones"), "--licence", "CC0-1.0", *options.split()]
subprocess.run(command, check=True)

# The preset is a folder of data; the Python library and every front end play it.
synth = audiogen.load(folder / "tones")
print(synth, synth.preset.measured)
soundfile.write(folder / "tones.wav", synth.generate(2.0, temperature=0.9), synth.sample_rate)
