"""The networks, each a file to be read top to bottom."""
