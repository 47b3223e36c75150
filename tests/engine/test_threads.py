"""Samples don't depend on the number of threads, live and offline."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

import audiogen
from audiogen.core import backend
from audiogen.core.cores import n_cores, n_threads
from audiogen.engine.instrument import OpenPreset
from audiogen.engine.offline import MOST_AHEAD, sum_of_streams
from audiogen.errors import ParameterError
from audiogen.notes import Note, Score
from audiogen.presets import load_preset

RATE, BLOCK = 48000, 512
native = pytest.importorskip("audiogen._native", reason="the compiled module isn't built")


def chords(block: int) -> np.ndarray:
    """Events of a block: a chord of eight now and then, some releases, more notes than voices."""
    rows = []
    if block % 12 == 0:
        rows = [(3, 1, 100 * block + i, i % 3, 45.0 + 5 * i + block, 0.9, 0.0) for i in range(8)]
    if block % 12 == 7:
        rows = [(0, 0, 100 * (block - 7) + i, 0, 60.0, 0.0, 0.0) for i in range(5)]
    return np.array(rows, backend.load().event_dtype)


@pytest.fixture(scope="module")
def opened() -> OpenPreset:
    return OpenPreset(load_preset("brass"))


def test_offline(opened):
    def render(threads: int) -> np.ndarray:
        engine = native.Engine(opened.instrument, RATE, BLOCK, 12, 5, 2, 0, threads)
        return np.concatenate([engine.process(BLOCK, chords(b)) for b in range(60)])

    alone = render(1)
    assert np.abs(alone).max() > 0.05
    for threads in (2, 5):
        assert np.array_equal(render(threads), alone)


def test_live(opened):
    n_blocks, lookahead = 40, RATE  # so far ahead that nothing is late
    offline = native.Engine(opened.instrument, RATE, BLOCK, 12, 5, 2, 0)
    wanted = np.concatenate([offline.process(BLOCK, chords(b)) for b in range(n_blocks)])
    live = native.LiveEngine(
        opened.instrument, RATE, BLOCK, 12, 5, n_channels=2, lookahead=lookahead, n_threads=3
    )
    heard = []
    for b in range(n_blocks):
        heard.append(live.process(BLOCK, chords(b)))
        while not live.ready:
            pass
    for _ in range(-(-lookahead // BLOCK)):
        heard.append(live.process(BLOCK, chords(1)))
        while not live.ready:
            pass
    assert live.n_late == live.n_delayed == 0
    sound = np.concatenate(heard)[lookahead:]
    assert np.array_equal(sound[: len(wanted)], wanted)


def test_parts_of_a_score(monkeypatch):
    score = Score(
        Note(0.2 * i, 0.3, 60 + i, 0.7, program) for i in range(4) for program in (0, 40, 73)
    )
    voices = {0: "plucked:harp", 40: "bowed:violin", None: "woodwinds:oboe"}

    def sound(threads: int) -> np.ndarray:
        monkeypatch.setenv("AUDIOGEN_THREADS", str(threads))
        return audiogen.render(score, voices)

    alone = sound(1)
    assert np.abs(alone).max() > 0.02
    for threads in (2, 5):
        assert np.array_equal(sound(threads), alone)


def test_an_error_on_a_thread_is_raised():
    def broken() -> Iterator[np.ndarray]:
        yield np.ones(3, np.float32)
        raise ValueError("broken")

    blocks = sum_of_streams([broken(), iter([np.ones(8, np.float32)])], 2, 0, threads=2)
    assert np.array_equal(next(blocks), [2.0, 2.0])
    with pytest.raises(ValueError, match="broken"):
        list(blocks)


def test_a_closed_sum_reads_no_further():
    n_read = [0, 0]

    def endless(number: int) -> Iterator[np.ndarray]:
        while True:
            n_read[number] += 1
            yield np.ones(4, np.float32)

    others = set(threading.enumerate())  # of other tests' libraries
    blocks = sum_of_streams([endless(0), endless(1)], 4, 0, threads=2)
    for _ in range(1000):
        assert np.array_equal(next(blocks), np.full(4, 2.0, np.float32))
    blocks.close()
    assert all(1000 <= n <= 1000 + 2 * MOST_AHEAD for n in n_read)
    assert set(threading.enumerate()) <= others


def test_progress_comes_from_the_thread_that_asked():
    shares: list[tuple[float, int]] = []
    score = Score(
        Note(0.0, 0.3, 60, 0.7, program, channel) for channel, program in enumerate((0, 73))
    )

    def report(share: float) -> None:
        shares.append((share, threading.get_ident()))

    audiogen.render(score, {0: "plucked:harp", 73: "woodwinds:oboe"}, progress=report)
    assert {thread for _, thread in shares} == {threading.get_ident()}
    assert [share for share, _ in shares] == sorted(share for share, _ in shares)
    assert shares[-1][0] > 0.95


def test_the_variable_sets_the_number(monkeypatch):
    monkeypatch.delenv("AUDIOGEN_THREADS")
    assert n_threads() == n_cores() >= 1
    monkeypatch.setenv("AUDIOGEN_THREADS", "3")
    assert n_threads() == 3
    for wrong in ("0", "65", "two"):
        monkeypatch.setenv("AUDIOGEN_THREADS", wrong)
        with pytest.raises(ParameterError, match=f"AUDIOGEN_THREADS='{wrong}' must be"):
            n_threads()


@pytest.mark.parametrize("threads", [0, 65])
def test_a_number_out_of_range(opened, threads):
    with pytest.raises(ValueError, match=f"n_threads={threads} must be 1 to 64"):
        native.Engine(opened.instrument, RATE, BLOCK, 12, 5, 2, 0, threads)
