"""Losses and GAN objectives, each with its equation and its paper."""
