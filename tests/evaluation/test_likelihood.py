"""Baselines by counting: entropies that are known."""

from __future__ import annotations

import numpy as np
import pytest

from audiogen.evaluation.likelihood import bigram_bits, unigram_bits


def chain(n: int, seed: int) -> np.ndarray:
    """Levels 0..3; each is the one before with probability 0.9, or one of the others."""
    random = np.random.default_rng(seed)
    steps = np.where(random.random(n) < 0.9, 0, random.integers(1, 4, n))
    return np.cumsum(steps) % 4


def test_a_markov_chain_has_its_own_entropy():
    training, held = chain(400_000, 0), chain(100_000, 1)
    assert unigram_bits(training, held, 256) == pytest.approx(2.0, abs=0.01)
    entropy = -0.9 * np.log2(0.9) - 0.1 * np.log2(0.1 / 3)
    assert bigram_bits(training, held, 256) == pytest.approx(entropy, abs=0.01)


def test_two_bytes_are_guessed_one_after_the_other():
    random = np.random.default_rng(2)
    upper = chain(2_000_000, 3)
    levels = 256 * upper + random.integers(0, 2, len(upper)) + 8 * upper
    training, held = levels[:1_900_000], levels[1_900_000:]
    entropy = -0.9 * np.log2(0.9) - 0.1 * np.log2(0.1 / 3)
    assert unigram_bits(training, held, 65536) == pytest.approx(2.0 + 1.0, abs=0.01)
    assert bigram_bits(training, held, 65536) == pytest.approx(entropy + 1.0, abs=0.01)


def test_what_was_never_seen_costs_but_not_infinitely():
    bits = unigram_bits(np.zeros(1000, int), np.array([255]), 256)
    assert bits == pytest.approx(np.log2(1256))


def test_batches_do_not_run_into_each_other():
    rows = np.array([[0, 0, 0, 0], [1, 1, 1, 1]])
    many = np.tile(rows, (2000, 1))
    assert bigram_bits(many, rows, 256) < 0.1
