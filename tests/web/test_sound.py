"""What a client hears is what `render` writes for the events in the log, sample for sample."""

from __future__ import annotations

import numpy as np
import pytest

RATE = 48000  # as conftest.py has it
LEAD = 2880  # 60 ms
BLOCK = 256


@pytest.mark.parametrize("preset", ["plucked", "sustained"])
def test_notes_are_those_of_render(make_client, listen, render_log, preset):
    with listen(make_client(preset)) as listener:
        timbre = listener.messages[1]["default_timbre"]
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


def test_knobs_and_preset_changes_can_be_played_again(make_client, listen):
    from audiogen.presets import load_preset
    from audiogen.web.sources import open_source

    with listen(make_client("plucked")) as listener:
        say = listener.say
        say(type="note_on", pitch=60, velocity=0.7)
        listener.listen(0.1)
        say(type="set", parameter="morph_timbre", value="harp")
        say(type="set", parameter="morph", value=0.5)
        say(type="set", parameter="sustain", value=1)
        say(type="note_off", pitch=60)
        listener.listen(0.1)
        say(type="set", parameter="bend", value=-1.5)
        listener.listen(0.1)
        say(type="preset", preset="sustained")
        listener.wait_for("preset")
        say(type="note_on", pitch=67, velocity=0.9)
        listener.listen(0.4)
        events, heard = listener.log(), listener.sound

    playing, again = [], []
    upcoming = list(events)
    for at in range(0, len(heard), BLOCK):
        while upcoming and upcoming[0]["at"] == at:
            event = upcoming.pop(0)
            if event["type"] == "preset":
                for source in playing:
                    source.apply({"type": "all_off"})
                folder = load_preset(event["preset"]).folder
                playing.append(open_source(folder, RATE, BLOCK, event["seed"]))
            else:
                playing[-1].apply(event)
        again.append(sum(source.process(BLOCK) for source in playing))
    assert [event["type"] for event in events].count("preset") == 2
    assert not upcoming
    np.testing.assert_array_equal(heard, np.concatenate(again))


def test_sustained_notes_end_when_the_preset_changes(make_client, listen):
    with listen(make_client("sustained")) as listener:
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


def test_a_texture_starts_and_stops(make_client, listen):
    import soxr

    import audiogen

    with listen(make_client("percussion-sketch")) as listener:
        listener.listen(0.1)
        listener.say(type="play")
        listener.listen(1.0)
        listener.say(type="stop")
        listener.listen(0.2)
        events, heard = listener.log(), listener.sound
    on, off = (next(e["at"] for e in events if e["type"] == kind) for kind in ("play", "stop"))
    texture = audiogen.Texture("percussion-sketch")
    stream = texture.stream(1024)
    drawn = np.concatenate([next(stream) for _ in range(24)])
    wanted = soxr.resample(drawn, texture.sample_rate, RATE, quality="VHQ")
    fade = round(0.01 * RATE)
    assert np.abs(wanted).max() > 0.01
    assert not heard[:on].any()
    assert not heard[off + fade :].any()
    np.testing.assert_allclose(
        heard[on + fade : off, 0], wanted[fade : off - on], atol=2e-6
    )  # soxr in pieces rounds otherwise than in one
    np.testing.assert_array_equal(heard[:, 0], heard[:, 1])


def test_a_texture_s_temperature_acts_at_once(make_client, listen):
    sounds = []
    for temperature in (0.2, 1.2):
        with listen(make_client("percussion-sketch")) as listener:
            listener.say(type="play")
            listener.listen(0.5)
            listener.say(type="set", parameter="temperature", value=temperature)
            listener.listen(0.5)
            events = {event["type"]: event["at"] for event in listener.log()}
            sounds.append((listener.sound[events["play"] :], events["set"] - events["play"]))
    (first, turned), (second, turned_too) = sounds
    same, differs = min(turned, turned_too), max(turned, turned_too) + RATE // 10
    until = min(len(first), len(second))
    np.testing.assert_array_equal(first[:same], second[:same])
    assert np.abs(first[differs:until] - second[differs:until]).max() > 1e-3
