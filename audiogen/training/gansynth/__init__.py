"""Training a GANSynth: the trainers, their data, and the export to a preset."""
