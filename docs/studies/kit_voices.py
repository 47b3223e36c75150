"""How many long sounds of a drum kit a core plays in real time.

    OMP_NUM_THREADS=1 python docs/studies/kit_voices.py KIT ...

Cymbals, open hi-hat and triangle are struck twice each at 48 kHz; the next 0.8 s are timed.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from audiogen.engine import Synth

RATE, BLOCK, N_BLOCKS = 48000, 256, 150
KEYS = (49, 57, 51, 59, 52, 53, 46, 81)

for kit in sys.argv[1:]:
    synth = Synth(kit, RATE, polyphony=2 * len(KEYS), max_block=BLOCK)
    for key in 2 * KEYS:
        synth.note_on(key)
        synth.process(BLOCK)
    seconds, sounding = [], []
    for _ in range(N_BLOCKS):
        start = time.perf_counter()
        synth.process(BLOCK)
        seconds.append(time.perf_counter() - start)
        sounding.append(synth.n_sounding)
    voices = np.mean(sounding) * BLOCK / RATE / np.mean(seconds)
    print(f"{kit}: {voices:.0f} voices per core, worst block {1e3 * max(seconds):.1f} ms")
