"""Generate audio freely, then let a preset continue it.

python examples/generate_and_continue.py [FOLDER]
"""

import sys
from pathlib import Path

import numpy as np
import soundfile

import audiogen

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
synth = audiogen.load("speech-sketch", precision="int8")

# The temperature may be a curve of (seconds, temperature).
intro = synth.generate(2.0, temperature=[(0.0, 0.8), (2.0, 1.0)], seed=3)

# A continuation begins where the prompt ends, without a step.
outro = synth.generate(2.0, prompt=intro, temperature=0.9, seed=4)
soundfile.write(folder / "speech.wav", np.concatenate([intro, outro]), synth.sample_rate)

# Several results at once, [variations, n_samples]; the first is that of variations=1.
takes = synth.generate(1.0, seed=3, variations=3)
for number, take in enumerate(takes, start=1):
    soundfile.write(folder / f"take-{number}.wav", take, synth.sample_rate)
