"""Make audio block by block: a score, free generation, and live notes.

python examples/stream_blocks.py [FOLDER]
"""

import sys
from itertools import islice
from pathlib import Path

import numpy as np
import soundfile

import audiogen

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
synth = audiogen.load("bowed", sample_rate=48000)

# The blocks of a score, one after another, are the samples of `render`.
with soundfile.SoundFile(folder / "score.wav", "w", synth.sample_rate, 1) as file:
    for block in synth.stream(512, "C4:0.5 E4 G4", timbre="violin", seed=1):
        file.write(block)
whole = synth.render("C4:0.5 E4 G4", timbre="violin", seed=1)
streamed, _ = soundfile.read(folder / "score.wav", dtype="float32")
print("largest difference from render, after 16-bit rounding:", np.abs(whole - streamed).max())

# Live: blocks never end, and a change between two blocks takes effect in the second.
blocks = []
for number, block in enumerate(islice(synth.stream(256), 500)):
    if number == 0:
        synth.note_on("C4", velocity=0.8, timbre="cello")
    if number == 150:
        synth.bend = 2.0  # semitones
    if number == 300:
        synth.note_off("C4")
    blocks.append(block)
soundfile.write(folder / "live.wav", np.concatenate(blocks), synth.sample_rate)

# Without a length, an unconditional preset generates audio until the loop ends.
speech = audiogen.load("speech-sketch", precision="int8")
first_second = islice(speech.generate_stream(block=1000, seed=1), 16)
soundfile.write(folder / "speech.wav", np.concatenate(list(first_second)), speech.sample_rate)
