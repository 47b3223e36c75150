"""Render notes with one preset, and with several.

python examples/render_notes.py [FOLDER]
"""

import sys
from pathlib import Path

import soundfile

import audiogen

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")

# A note string: pitch:seconds@velocity, chords in brackets, r for a rest.
synth = audiogen.load("plucked", sample_rate=48000)
audio = synth.render("C4:0.3 E4 G4 r [C4 E4 G4]:1@0.9", timbre="harp", seed=1)
soundfile.write(folder / "notes.wav", audio, synth.sample_rate)

# Notes as tuples: start (s), length (s), pitch (MIDI number, fractions allowed), velocity.
audio = synth.render([(0.0, 1.0, 60, 0.8), (0.5, 1.0, 67.5, 0.6)], timbre="koto")
soundfile.write(folder / "tuples.wav", audio, synth.sample_rate)

# Several presets at once: one for each General MIDI program, and None for all other programs.
# The first argument may as well be the path of a MIDI file.
notes = [(0.0, 1.0, 60, 0.8, 46), (0.5, 1.0, 67, 0.8, 9)]  # the fifth number is the program
audio = audiogen.render(notes, {46: "plucked:harp", None: "struck:celesta"}, normalize=True)
soundfile.write(folder / "two-presets.wav", audio, 16000)
