"""A user's folder of sounds becomes a data set."""
