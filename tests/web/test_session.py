"""MIDI, MIDI files and changes of preset in one session."""

from __future__ import annotations

import asyncio
import io
import threading
import time

import mido
import numpy as np
import pytest

RATE = 48000  # as conftest.py has it
HOUR = 3600 * 960  # ticks: a test's client plays faster than real time, and never gets to its end


def midi_file(*tracks: list[mido.Message], **options: int) -> bytes:
    """A standard MIDI file of 480 ticks per beat, 120 beats per minute."""
    file = mido.MidiFile(type=1, ticks_per_beat=480)
    file.tracks.extend(mido.MidiTrack(track) for track in tracks)
    data = io.BytesIO()
    file.save(file=data)
    return data.getvalue()


def note(pitch: int, ticks: int, channel: int = 0, wait: int = 0) -> list[mido.Message]:
    return [
        mido.Message("note_on", note=pitch, velocity=90, channel=channel, time=wait),
        mido.Message("note_off", note=pitch, channel=channel, time=ticks),
    ]


def wait_for_changes(listener, *names: str) -> dict:
    """The last value of all that was reported to have changed, when these are among it."""
    while True:
        changes: dict = {}
        for message in listener.messages:
            changes |= message["values"] if message["type"] == "changed" else {}
        if set(names) <= set(changes):
            return changes
        listener.listen(0.05)


@pytest.mark.usefixtures("midi_reader")
def test_midi_plays_and_the_page_receives_the_changes(make_client, listen, replay_log):
    with listen(make_client("plucked")) as listener:
        timbres = [timbre["name"] for timbre in listener.messages[1]["timbres"]]
        for data in ([0x90, 60, 127], [0xE0, 127, 127], [0xB0, 64, 127, 0xB0, 7], [64]):
            listener.say(type="midi", data=data)
            listener.listen(0.1)
        first = wait_for_changes(listener, "pitch_wheel", "sustain", "volume")
        listener.say(type="set", parameter="pan", value=0.5)  # not reported: the page knows it
        listener.say(type="midi", data=[0xC0, 46])
        listener.say(type="midi", data=[0x80, 60, 0])
        listener.listen(0.5)
        chosen = wait_for_changes(listener, "timbre")
        listener.messages.clear()
        listener.say(type="midi", data=[0xB0, 121, 0])
        reset = wait_for_changes(listener, "pitch_wheel")
        listener.listen(0.3)
        events, sound = listener.log(), listener.sound
    assert first == {"pitch_wheel": 1.0, "sustain": 1.0, "volume": 0.5}
    assert chosen["timbre"] in timbres and "pan" not in chosen
    assert reset == {"pitch_wheel": 0.0, "sustain": 0.0}
    assert np.abs(sound).max() > 0.01
    np.testing.assert_array_equal(sound, replay_log(events, len(sound)))


@pytest.mark.usefixtures("midi_reader")
def test_midi_notes_have_the_timbre_that_was_chosen_last(make_client, listen):
    sounds = []
    for message in (
        {"type": "midi", "data": [0x90, 60, 127]},
        {"type": "note_on", "pitch": 60, "velocity": 1.0},
    ):
        with listen(make_client("plucked"), start=False) as listener:
            listener.say(type="timbre", timbre="koto")
            listener.say(**message)
            listener.say(type="start", lead_ms=60)
            listener.listen(0.5)
            sounds.append(listener.sound[: RATE // 2])
    np.testing.assert_array_equal(*sounds)


@pytest.mark.usefixtures("midi_reader")
def test_what_midi_has_set_outlasts_a_change_of_preset(make_client, listen):
    with listen(make_client("plucked")) as listener:
        listener.say(type="midi", data=[0xB0, 7, 0])
        listener.listen(0.1)
        listener.say(type="preset", preset="struck")
        preset = listener.wait_for("preset")
    assert {p["name"]: p["value"] for p in preset["parameters"]}["volume"] == 0.0


@pytest.mark.usefixtures("midi_reader")
def test_a_midi_file_plays_on_the_synth_to_the_sample(make_client, listen, replay_log, tmp_path):
    import audiogen

    data = midi_file([*note(60, 240), *note(64, 241), *note(67, 480, wait=7)])
    with listen(make_client("plucked")) as listener:
        listener.listen(0.1)
        listener.send_file(data)
        assert listener.wait_for("file") == {
            "type": "file",
            "notes": 3,
            "drums": 0,
            "seconds": pytest.approx(968 / 960, abs=1e-3),
        }
        listener.wait_for("file_end")
        listener.listen(2.5)
        latency = listener.wait_for("status")["latency"]
        events, sound = listener.log(), listener.sound
    np.testing.assert_array_equal(sound, replay_log(events, len(sound)))
    (tmp_path / "song.mid").write_bytes(data)
    start = next(event["at"] for event in events if event["type"] == "midi")
    synth = audiogen.Synth("plucked", RATE)
    rendered = synth.render(tmp_path / "song.mid", timbre=synth.timbres[0])
    if synth.preset.default_timbre in (None, synth.timbres[0]):
        played = sound[start + latency :][: len(rendered), 0]
        np.testing.assert_array_equal(played, rendered)


@pytest.mark.usefixtures("midi_reader")
def test_channels_of_a_midi_file_keep_their_keys_and_drums_are_left_out(make_client, listen):
    tracks = [
        [mido.Message("program_change", program=46), *note(60, 480)],
        [mido.Message("program_change", program=12, channel=1), *note(60, 240, channel=1)],
        note(38, 480, channel=9),
    ]
    with listen(make_client("plucked")) as listener:
        listener.send_file(midi_file(*tracks))
        assert listener.wait_for("file")["drums"] == 1
        listener.wait_for("file_end")
        messages = [event["data"] for event in listener.log() if event["type"] == "midi"]
    assert messages == [
        *([0xC0, 46], [0x90, 60, 90], [0xC1, 12], [0x91, 60, 90]),
        *([0x81, 60, 0], [0x80, 60, 0]),
    ]


@pytest.mark.usefixtures("midi_reader")
def test_programs_of_a_midi_file_choose_timbres_of_the_next_preset(make_client, listen, replay_log):
    program = mido.Message("program_change", program=8)
    data = midi_file([program, *note(60, HOUR)])
    with listen(make_client("plucked")) as listener:
        listener.send_file(data)
        listener.wait_for("file")
        listener.listen(0.3)  # it has begun
        listener.say(type="preset", preset="struck")
        listener.wait_for("preset")
        listener.listen(0.1)
        events, sound = listener.log(), listener.sound
    changes = [event for event in events if event.get("data") == [0xC0, 8]]
    assert len(changes) == 2  # for each of the presets
    np.testing.assert_array_equal(sound, replay_log(events, len(sound)))


@pytest.mark.usefixtures("midi_reader")
def test_a_midi_file_can_be_stopped_and_replaced(make_client, listen):
    with listen(make_client("plucked")) as listener:
        listener.send_file(midi_file(note(60, HOUR)))
        listener.wait_for("file")
        listener.listen(0.2)
        listener.send_file(midi_file(note(72, HOUR)))
        listener.wait_for("file")
        listener.listen(0.2)
        listener.say(type="stop_file")
        listener.wait_for("file_end")
        listener.listen(3.0)
        events = [(e["type"], e.get("data")) for e in listener.log()[1:]]
        assert not listener.sound[-RATE // 4 :].any()
    assert events == [
        ("midi", [0x90, 60, 90]),
        ("all_off", None),
        ("midi", [0x90, 72, 90]),
        ("all_off", None),
    ]


@pytest.mark.parametrize(
    ("preset", "data", "said"),
    [
        ("plucked", b"RIFFnonsense", "MIDI file"),
        ("plucked", b"MThd" + bytes((1 << 20) - 3), "1048577 bytes"),
        ("plucked", midi_file(note(38, 480, channel=9)), "only drum notes"),
        ("plucked", midi_file([]), "no notes"),
        ("percussion-sketch", midi_file(note(60, 480)), "unconditional"),
    ],
    ids=["damaged", "large", "drums", "empty", "unconditional"],
)
def test_a_midi_file_that_cannot_be_played_is_refused(make_client, listen, preset, data, said):
    with listen(make_client(preset)) as listener:
        listener.send_file(data)
        message = listener.wait_for("error")["message"]
        assert said in message
        assert "/" not in message  # no path of the server
        listener.listen(0.1)


@pytest.mark.slow
def test_one_preset_is_loaded_at_a_time_and_the_last_choice_wins(make_client, listen, monkeypatch):
    from audiogen.web import server

    loading, most, loaded = 0, 0, []
    lock = threading.Lock()

    class SlowSynth(server.Synth):
        def __init__(self, preset, *arguments, **options):
            nonlocal loading, most
            with lock:
                loading += 1
                most = max(most, loading)
                loaded.append(preset.name)
            time.sleep(0.3)
            super().__init__(preset, *arguments, **options)
            with lock:
                loading -= 1

    client = make_client("plucked")
    with listen(client) as first, listen(client) as second:
        monkeypatch.setattr(server, "Synth", SlowSynth)
        for listener in (first, second):
            for name in ("struck", "bowed", "brass", "nothing", "woodwinds") * 3:
                listener.say(type="preset", preset=name)
        for listener in (first, second):
            assert listener.wait_for("preset")["preset"] == "woodwinds"
            assert [m["type"] for m in listener.messages].count("error") == 0
    assert most == 1
    assert len(loaded) <= 4


def test_a_preset_that_cannot_be_loaded_is_named(client, listen):
    with listen(client) as listener:
        listener.say(type="preset", preset="nothing")
        error = listener.wait_for("error")
        assert error["preset"] == "nothing" and "not found" in error["message"]
        listener.say(type="note_on", pitch=60, velocity=0.8)
        listener.listen(0.3)
        assert np.abs(listener.sound).max() > 0.01


def test_parameters_that_are_set_before_any_sound_outlast_a_change_of_preset(client, listen):
    with listen(client, start=False) as listener:
        listener.say(type="set", parameter="pan", value=-0.5)
        listener.say(type="note_on", pitch=60, velocity=0.8)
        listener.say(type="preset", preset="struck")
        preset = listener.wait_for("preset")
        assert {p["name"]: p["value"] for p in preset["parameters"]}["pan"] == -0.5
        listener.say(type="start", lead_ms=60)
        listener.listen(0.2)
        assert not listener.sound.any()


def test_the_number_of_latents_is_limited(make_client, listen, write_tiny, tmp_path):
    """The engine keeps 1024 latents; one more is refused, and the sound goes on."""
    from audiogen.engine import Synth
    from audiogen.web.session import Session

    async def play() -> list[dict]:
        sent = []

        async def send(message):
            sent.append(message)

        synth = Synth(write_tiny(tmp_path / "tiny"), RATE, max_block=256)
        session = Session(synth, send, send, send)
        for start in range(0, 1030, 103):
            for seed in range(start, start + 103):
                await session.handle({"type": "timbre", "timbre": f"random:{seed}"})
            session._make_blocks(1)
        await session.handle({"type": "timbre", "timbre": "random:2000"})
        news = session._make_blocks(1)[1]
        session.close()
        return news

    (news,) = asyncio.run(play())
    assert news["type"] == "error" and "1024 latents" in news["message"]
