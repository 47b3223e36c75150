"""Finding the latent of a preset that sounds like a recorded note."""
