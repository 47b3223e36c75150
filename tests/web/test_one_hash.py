"""One preset, one score, one seed: one hash through every door."""

from __future__ import annotations

import hashlib
import time
from itertools import cycle

import numpy as np
import pytest

from audiogen.core import backend as _native
from audiogen.engine import Player, Synth
from audiogen.notes import Note, Score

RATE, SECONDS = 48000, 3.0


def hash_of(samples: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(samples, np.float32).tobytes()).hexdigest()


@pytest.mark.skipif(_native.find() is None, reason="audiogen._native is not built")
def test_render_blocks_of_odd_sizes_a_thread_of_its_own_and_the_web_are_one(make_client, listen):
    with listen(make_client("sustained")) as listener:
        timbre = listener.messages[1]["default_timbre"]
        for pitch in (55, 62, 66.5):
            listener.say(type="note_on", pitch=pitch, velocity=0.7, timbre=timbre)
            listener.listen(0.13)
        for pitch in (62, 55, 66.5):
            listener.say(type="note_off", pitch=pitch)
            listener.listen(0.09)
        listener.listen(SECONDS)
        latency = listener.wait_for("status")["latency"]
        events, web = listener.log(), listener.sound[latency:]
    ons = [event for event in events if event["type"] == "note_on"]
    offs = {event["pitch"]: event["at"] for event in events if event["type"] == "note_off"}
    seed = next(event["seed"] for event in events if event["type"] == "preset")
    n = round(SECONDS * RATE)

    notes = [
        Note(on["at"] / RATE, (offs[on["pitch"]] - on["at"]) / RATE, on["pitch"], on["velocity"])
        for on in ons
    ]
    rendered = Synth("sustained", RATE, seed).render(Score(tuple(notes)), timbre=timbre)
    rendered = np.pad(rendered, (0, n))[:n]
    hashes = {"render": hash_of(np.stack((rendered, rendered), axis=1)), "web": hash_of(web[:n])}

    for name, sizes, realtime in (
        ("blocks of odd sizes", (1, 7, 64, 127, 1000), False),
        ("blocks of 256", (256,), False),
        ("a thread of its own", (240, 1, 63), True),
    ):
        with Player("sustained", RATE, seed=seed, realtime=realtime) as player:
            hashes[name] = hash_of(_play(player, ons, offs, timbre, sizes, n))
    assert np.abs(rendered).max() > 0.01
    assert len(set(hashes.values())) == 1, hashes


def _play(player, ons, offs, timbre, sizes, n) -> np.ndarray:
    moments = sorted({*(on["at"] for on in ons), *offs.values()})
    blocks, size = [], cycle(sizes)
    while player.position < n + player.latency:
        while player.realtime and not player._engine.ready:  # never late, however slow the machine
            time.sleep(0.0005)
        here = player.position
        for on in ons:
            if on["at"] == here:
                player.note_on(on["pitch"], on["velocity"], timbre)
        for pitch, at in offs.items():
            if at == here:
                player.note_off(pitch)
        until = min([at for at in moments if at > here] + [n + player.latency])
        blocks.append(player.process(min(next(size), until - here)))
    return np.concatenate(blocks)[player.latency :][:n]
