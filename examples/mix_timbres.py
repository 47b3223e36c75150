"""Mix timbres of a GANSynth preset, play random ones, and morph a note while it sounds.

python examples/mix_timbres.py [FOLDER]
"""

import sys
from pathlib import Path

import numpy as np
import soundfile

import audiogen

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
synth = audiogen.load("plucked")

# Latents between two timbres. A latent is played like a timbre.
notes = []
for amount in (0.0, 0.25, 0.5, 0.75, 1.0):
    between = synth.mix("harp", "koto", amount)
    notes.append(synth.render("C4:0.5", timbre=between))
soundfile.write(folder / "mixed.wav", np.concatenate(notes), synth.sample_rate)

# The same mix as text, as the command line and the page write it; and a random latent.
audio = synth.render("C4:0.5 G4", timbre="harp:0.6+koto:0.4")
soundfile.write(folder / "mixed-by-name.wav", audio, synth.sample_rate)
audio = synth.render("C4:0.5 G4", timbre=synth.random_latent(seed=7))
soundfile.write(folder / "random.wav", audio, synth.sample_rate)

# Live: one held note morphs from its timbre to another.
synth.timbre, synth.morph_timbre = "harp", "banjo"
synth.note_on("C4")
blocks = []
for amount in np.linspace(0.0, 1.0, 100):
    synth.morph = amount
    blocks.append(synth.process(256))
soundfile.write(folder / "morphed.wav", np.concatenate(blocks), synth.sample_rate)
