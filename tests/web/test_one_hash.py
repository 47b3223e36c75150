"""One preset, the same events, one seed: one hash through every interface."""

from __future__ import annotations

import hashlib
import time
from itertools import cycle

import numpy as np
import pytest

from audiogen.core import backend as _native
from audiogen.engine import Synth
from audiogen.notes import Note, Score

RATE, SECONDS = 48000, 3.0


def hash_of(samples: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(samples, np.float32).tobytes()).hexdigest()


@pytest.mark.skipif(_native.find() is None, reason="audiogen._native is not built")
def test_render_blocks_of_odd_sizes_a_thread_of_its_own_and_the_web_are_one(make_client, listen):
    with listen(make_client("woodwinds")) as listener:
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
    rendered = Synth("woodwinds", RATE, seed).render(Score(tuple(notes)), timbre=timbre)
    rendered = np.pad(rendered, (0, n))[:n]
    hashes = {"render": hash_of(np.stack((rendered, rendered), axis=1)), "web": hash_of(web[:n])}

    for name, sizes, realtime in (
        ("blocks of odd sizes", (1, 7, 64, 127, 1000), False),
        ("blocks of 256", (256,), False),
        ("a thread of its own", (240, 1, 63), True),
    ):
        with Synth("woodwinds", RATE, seed, realtime=realtime) as synth:
            hashes[name] = hash_of(_play(synth, ons, offs, timbre, sizes, n))
    assert np.abs(rendered).max() > 0.01
    assert len(set(hashes.values())) == 1, hashes


@pytest.mark.skipif(_native.find() is None, reason="audiogen._native is not built")
@pytest.mark.parametrize("preset", ["percussion-sketch", "speech-sketch"])
def test_generate_a_gate_in_blocks_of_odd_sizes_and_the_web_are_one(make_client, listen, preset):
    with listen(make_client(preset), start=False) as listener:
        listener.say(type="note_on", pitch=60, velocity=1.0)
        listener.say(type="start", lead_ms=60)  # the note begins at sample 0, as `generate` does
        listener.listen(1.0)
        listener.say(type="note_off", pitch=60)
        listener.listen(0.5)
        latency = listener.wait_for("status")["latency"]
        (opening, on, off), sound = listener.log(), listener.sound
    n = off["at"]
    sounds = {"web": sound[latency:]}
    for name, sizes, realtime in (
        ("blocks of odd sizes", (1, 7, 64, 127, 1000), False),
        ("a thread of its own", (240, 1, 63), True),
    ):
        with Synth(preset, RATE, opening["seed"], realtime=realtime) as synth:
            sounds[name] = _play(synth, [on], {60: n}, None, sizes, n)
    # `generate` fades out before its end, and the resampler's filter looks ahead.
    sounds["generate"] = np.repeat(
        Synth(preset, RATE, opening["seed"]).generate(n / RATE + 0.1)[:, None], 2, axis=1
    )
    hashes = {name: hash_of(samples[: n - 128]) for name, samples in sounds.items()}
    assert np.abs(sounds["web"]).max() > 0.01
    assert len(set(hashes.values())) == 1, hashes


def _play(synth, ons, offs, timbre, sizes, n) -> np.ndarray:
    moments = sorted({*(on["at"] for on in ons), *offs.values()})
    blocks, size = [], cycle(sizes)
    while synth.position < n + synth.latency:
        while synth.realtime and not synth._engine.ready:  # never late, even on a slow machine
            time.sleep(0.0005)
        here = synth.position
        for on in ons:
            if on["at"] == here:
                synth.note_on(on["pitch"], on["velocity"], timbre)
        for pitch, at in offs.items():
            if at == here:
                synth.note_off(pitch)
        until = min([at for at in moments if at > here] + [n + synth.latency])
        blocks.append(synth.process(min(next(size), until - here)))
    return np.concatenate(blocks)[synth.latency :][:n]
