"""Training a SampleRNN: the trainer, its excerpts, and the export to a preset."""
