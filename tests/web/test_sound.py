"""A client receives the samples that a Synth makes of the events in the log."""

from __future__ import annotations

import numpy as np
import pytest

RATE = 48000  # as conftest.py has it
LEAD_MS = 60
LEAD = RATE * LEAD_MS // 1000
BLOCK = 256


@pytest.mark.parametrize("preset", ["plucked", "woodwinds"])
def test_notes_are_those_of_render(make_client, listen, render_log, preset):
    with listen(make_client(preset)) as listener:
        timbre = listener.messages[1]["timbres"][2]["name"]
        for pitch in (60, 64, 67.5):
            listener.say(type="note_on", pitch=pitch, velocity=0.7, timbre=timbre)
            listener.listen(0.11)
        for pitch in (64, 60, 67.5):
            listener.say(type="note_off", pitch=pitch)
            listener.listen(0.07)
        listener.listen(2.5)
        latency = listener.wait_for("status")["latency"]
        events, heard = listener.log(), listener.sound
    assert [event["type"] for event in events].count("note_on") == 3
    assert len({event["at"] for event in events}) > 3
    starts = [event["at"] for event in events if event["type"] == "note_on"]
    wanted = render_log(events)
    assert np.abs(wanted).max() > 0.01
    assert not heard[: starts[0]].any()
    np.testing.assert_array_equal(heard[latency : latency + len(wanted)], wanted)
    assert not heard[latency + len(wanted) :].any()


@pytest.mark.slow
def test_parameters_and_preset_changes_can_be_replayed(make_client, listen, replay_log):
    with listen(make_client("plucked")) as listener:
        say = listener.say
        say(type="timbre", timbre="harp:0.6+koto:0.4")
        say(type="note_on", pitch=60, velocity=0.7)
        listener.listen(0.1)
        say(type="set", parameter="morph_timbre", value="random:7")
        say(type="set", parameter="morph", value=0.5)
        say(type="set", parameter="sustain", value=1)
        say(type="note_off", pitch=60)
        listener.listen(0.1)
        say(type="set", parameter="bend", value=-1.5)
        listener.listen(0.1)
        say(type="preset", preset="woodwinds")
        listener.wait_for("preset")
        say(type="note_on", pitch=67, velocity=0.9, timbre="random:3")
        listener.listen(0.4)
        say(type="preset", preset="percussion-sketch")
        listener.wait_for("preset")
        say(type="note_on", pitch=60, velocity=0.9)
        listener.listen(0.4)
        events, sound = listener.log(), listener.sound
    presets = [message for message in listener.messages if message["type"] == "preset"]
    values = [{p["name"]: p["value"] for p in preset["parameters"]} for preset in presets]
    assert [value["bend"] for value in values] == [0.0, -1.5, -1.5]
    assert [value["sustain"] for value in values] == [0.0, 1.0, 1.0]
    assert [value.get("morph") for value in values] == [0.0, 0.0, None]
    assert [event["type"] for event in events].count("preset") == 3
    np.testing.assert_array_equal(sound, replay_log(events, len(sound)))


def test_sustained_notes_end_when_the_preset_changes(make_client, listen):
    with listen(make_client("woodwinds")) as listener:
        listener.say(type="set", parameter="sustain", value=1)
        listener.say(type="note_on", pitch=60, velocity=0.9)
        listener.listen(0.5)
        listener.say(type="preset", preset="plucked")
        listener.wait_for("preset")
        listener.listen(4.0)
        heard = listener.sound
    assert np.abs(heard[: RATE // 2]).max() > 0.01
    assert not heard[-RATE // 2 :].any()


def test_sound_flows_no_further_than_the_lead(client, listen):
    with listen(client) as listener:
        while listener.position < LEAD:
            listener.receive()
        # Only reports come now, whatever is asked.
        for _ in range(3):
            assert listener.receive() is not None
        listener.say(type="log")
        listener.wait_for("log")
        assert LEAD <= listener.position < LEAD + BLOCK
        listener.say(type="played", position=LEAD // 2)
        while listener.position < LEAD + LEAD // 2:
            listener.receive()
        # Nobody can have played what hasn't been sent.
        sent = listener.position
        listener.say(type="played", position=10**9)
        while listener.position < sent + LEAD:
            listener.receive()
        assert listener.receive() is not None


@pytest.mark.parametrize("preset", ["percussion-sketch", "speech-sketch"])
def test_a_gate_starts_and_stops_generated_audio(make_client, listen, replay_log, preset):
    with listen(make_client(preset)) as listener:
        listener.listen(0.1)
        listener.say(type="note_on", pitch=60, velocity=1.0)
        listener.listen(1.0)
        listener.say(type="set", parameter="temperature", value=0.2)
        listener.listen(0.5)
        listener.say(type="note_off", pitch=60)
        listener.listen(0.5)
        latency = listener.wait_for("status")["latency"]
        events, sound = listener.log(), listener.sound
    on, _, off = (event["at"] for event in events[1:])
    assert np.abs(sound[on:off]).max() > 0.01
    assert not sound[:on].any()
    assert not sound[off + latency + RATE // 10 :].any()
    np.testing.assert_array_equal(sound[:, 0], sound[:, 1])
    np.testing.assert_array_equal(sound, replay_log(events, len(sound)))


def test_temperature_acts_while_audio_is_generated(make_client, listen):
    sounds = []
    for temperature in (0.2, 1.2):
        with listen(make_client("percussion-sketch"), start=False) as listener:
            listener.say(type="note_on", pitch=60, velocity=1.0)
            listener.say(type="start", lead_ms=LEAD_MS)
            listener.listen(0.5)
            listener.say(type="set", parameter="temperature", value=temperature)
            listener.listen(0.5)
            at = {event["type"]: event["at"] for event in listener.log()}
            sounds.append((listener.sound, at["set"]))
    (first, changed), (second, changed_too) = sounds
    same, differs = min(changed, changed_too), max(changed, changed_too) + RATE // 10
    until = min(len(first), len(second))
    np.testing.assert_array_equal(first[:same], second[:same])
    assert np.abs(first[differs:until] - second[differs:until]).max() > 1e-3
