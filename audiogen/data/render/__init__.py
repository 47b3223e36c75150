"""Training data rendered from soundfonts, scores and drum hits."""
