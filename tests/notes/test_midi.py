"""MIDI files: timing, pairing, pedal, programs, and every way to be broken."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import mido
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audiogen.errors import MidiError
from audiogen.notes import (
    Control,
    Note,
    Score,
    expresses_notes,
    midi_file,
    read_midi,
    zone_masters,
)

DEMO = Path(__file__).parents[2] / "presets" / "demo.mid"
END = bytes([0x00, 0xFF, 0x2F, 0x00])


def chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack(">L", len(body)) + body


def midi(*tracks: bytes, kind: int = 1, division: int = 480) -> bytes:
    header = struct.pack(">HHH", kind, len(tracks), division & 0xFFFF)
    return chunk(b"MThd", header) + b"".join(chunk(b"MTrk", track) for track in tracks)


def wait(ticks: int) -> bytes:
    digits = [ticks & 0x7F]
    while ticks := ticks >> 7:
        digits.insert(0, 0x80 | (ticks & 0x7F))
    return bytes(digits)


def on(ticks: int, pitch: int = 60, velocity: int = 100, channel: int = 0) -> bytes:
    return wait(ticks) + bytes([0x90 | channel, pitch, velocity])


def off(ticks: int, pitch: int = 60, channel: int = 0) -> bytes:
    return wait(ticks) + bytes([0x80 | channel, pitch, 0])


def control(ticks: int, number: int, value: int, channel: int = 0) -> bytes:
    return wait(ticks) + bytes([0xB0 | channel, number, value])


def program(ticks: int, number: int, channel: int = 0) -> bytes:
    return wait(ticks) + bytes([0xC0 | channel, number])


def tempo(ticks: int, microseconds: int) -> bytes:
    return wait(ticks) + b"\xff\x51\x03" + microseconds.to_bytes(3, "big")


@pytest.fixture
def read(tmp_path: Path):
    def read_bytes(data: bytes) -> Score:
        path = tmp_path / "score.mid"
        path.write_bytes(data)
        return read_midi(path)

    return read_bytes


def spans(score: Score) -> list[tuple[float, float, float]]:
    return [(note.pitch, round(note.start_s, 6), round(note.end_s, 6)) for note in score]


def test_a_quarter_note_lasts_half_a_second_by_default(read):
    [note] = read(midi(on(480, velocity=127) + off(480) + END))
    assert note == Note(0.5, 0.5, 60, 1.0, 0, 0)


def wheel(ticks: int, value: int, channel: int = 0) -> bytes:
    return wait(ticks) + bytes([0xE0 | channel, value & 127, value >> 7])


def test_wheels_and_faders_are_of_their_channel(read):
    played = control(0, 7, 64, 1) + on(480) + off(480) + on(0, channel=2) + off(480, channel=2)
    moved = wheel(480, 7 << 7, 1) + control(0, 5, 99) + control(0, 64, 0) + wait(240) + b"\xd1\x05"
    score = read(midi(played + END, moved + END))
    assert [(c.time_s, c.channel, c.message.hex()) for c in score.controls] == [
        (0.0, 0, "b00764"),  # General MIDI's, since another channel says its own
        (0.0, 2, "b20764"),
        (0.0, 1, "b10740"),
        (0.5, 1, "e10007"),
        (0.75, 1, "d105"),
    ]
    assert read(midi(wheel(0, 7, 3) + on(0) + off(480) + END)).controls[0].message == b"\xe3\x07\0"
    parts = Score([Note(0.0, 1.0, 60, channel=c) for c in (0, 3, 5)], score.controls).by_channel()
    assert [[n.channel for n in part] for part in parts] == [[0], [3, 5]]
    assert [len(part.controls) for part in parts] == [1, 0]


def test_a_zone_of_mpe_keeps_its_channels_together(read):
    zone = control(0, 101, 0) + control(0, 100, 6) + control(0, 6, 15) + program(0, 40)
    played = on(0, channel=1) + on(0, 64, channel=9) + control(10, 74, 9, 9) + off(470, channel=1)
    score = read(midi(zone + played + off(0, 64, channel=9) + END))
    assert [(note.channel, note.program, note.is_drum) for note in score] == [
        (1, 40, False),
        (9, 40, False),
    ]
    assert score.controls[-1].message == b"\xb9\x4a\x09"
    [part] = score.by_channel()
    assert part == score and zone_masters(score.controls) == dict.fromkeys(range(16), 0)
    # Volume is that of the master channel.
    quiet = read(midi(zone + control(0, 7, 30) + played + off(0, 64, channel=9) + END))
    volumes = [c.message for c in quiet.controls if c.message[1] == 7]
    assert volumes == [b"\xb0\x07\x1e"]
    upper = [Control(0.0, 15, bytes([0xBF, n, v])) for n, v in ((100, 6), (101, 0), (6, 2))]
    assert zone_masters(upper) == {15: 15, 14: 15, 13: 15}
    # Without a zone: percussion, and no controller 74.
    score = read(midi(played + off(0, 64, channel=9) + END))
    assert [note.is_drum for note in score] == [False, True] and not score.controls
    assert zone_masters([Control(0.0, 1, bytes([0xB1, n, v])) for n, v in ((100, 6), (6, 2))]) == {}


def test_key_pressure_is_a_control_of_its_channel(read):
    pressure = wait(240) + bytes((0xA3, 60, 99))
    score = read(midi(on(0, channel=3) + pressure + off(240, channel=3) + END))
    assert score.controls == (Control(0.25, 3, b"\xa3\x3c\x63"),)
    assert expresses_notes(score.controls) and not expresses_notes([])
    assert not expresses_notes([Control(0.0, 3, b"\xd3\x63")])  # of a whole channel


def test_controllers_that_are_followed(read):
    track = b"".join(control(0, number, 99, 2) for number in range(120) if number != 64)
    score = read(midi(track + on(0, channel=2) + off(480, channel=2) + END))
    numbers = [control.message[1] for control in score.controls if control.channel == 2]
    assert numbers == [1, 6, 7, 10, 11, 38, 72, 73, 76, 98, 99, 100, 101]


def test_tempo_change_in_the_middle_of_a_note(read):
    conductor = tempo(240, 1_000_000) + END
    [note] = read(midi(conductor, on(0) + off(480) + END))
    assert note.duration_s == pytest.approx(0.25 + 0.5)


def test_two_tempi_at_one_tick_take_the_later(read):
    conductor = tempo(0, 2_000_000) + tempo(0, 1_000_000) + END
    [note] = read(midi(conductor, on(0) + off(480) + END))
    assert note.duration_s == pytest.approx(1.0)


def test_running_status_and_note_on_of_velocity_0(read):
    body = on(0) + wait(480) + bytes([60, 0]) + wait(0) + bytes([64, 80]) + wait(480)
    score = read(midi(body + bytes([64, 0]) + END, kind=0))
    assert spans(score) == [(60, 0.0, 0.5), (64, 0.5, 1.0)]


def test_overlapping_notes_of_one_key_are_let_go_in_their_order(read):
    score = read(midi(on(0) + on(480) + off(480) + off(480) + END))
    assert spans(score) == [(60, 0.0, 1.0), (60, 0.5, 1.5)]


def test_system_messages_are_skipped_and_do_not_end_running_status(read):
    exclusive = wait(0) + b"\xf0\x02\x40\xf7" + wait(0) + b"\xf8"
    body = on(0) + exclusive + wait(480) + bytes([60, 0]) + END
    assert spans(read(midi(body))) == [(60, 0.0, 0.5)]


def test_many_notes_of_one_key_that_overlap_are_read_in_linear_time(read):
    """Each of the two sizes takes as long per note; quadratic time would be ten times as long."""
    took = []
    for n in (4_000, 40_000):
        seconds = []
        for _ in range(3):  # the quickest counts: other work slows a core
            start = time.process_time()
            assert len(read(midi(b"".join([on(0)] * n + [off(1)] * n) + END))) == n
            seconds.append(time.process_time() - start)
        took.append(min(seconds) / n)
    assert took[1] < 4 * took[0]


def test_missing_note_off_ends_with_the_last_release_of_its_key_or_the_file(read):
    score = read(midi(on(0) + on(480) + off(480) + on(0, 64) + wait(960) + END[1:]))
    assert spans(score) == [(60, 0.0, 1.0), (60, 0.5, 1.0), (64, 1.0, 2.0)]


def test_stray_note_off_is_ignored(read):
    assert len(read(midi(off(0) + on(0) + off(480) + off(0) + END))) == 1


def test_zero_length_note_is_kept(read):
    assert spans(read(midi(on(480) + off(0) + END))) == [(60, 0.5, 0.5)]


@pytest.mark.parametrize("number", [120, 123])
def test_all_notes_off(read, number):
    score = read(midi(on(0) + on(0, 64) + control(480, number, 0) + wait(480) + END[1:]))
    assert spans(score) == [(60, 0.0, 0.5), (64, 0.0, 0.5)]


class TestPedal:
    def test_holds_until_it_is_lifted(self, read):
        body = on(0) + control(240, 64, 127) + off(240) + control(480, 64, 0) + END
        assert spans(read(midi(body))) == [(60, 0.0, 1.0)]

    def test_does_not_hold_notes_let_go_before_it(self, read):
        body = on(0) + off(240) + control(240, 64, 127) + control(480, 64, 0) + END
        assert spans(read(midi(body))) == [(60, 0.0, 0.25)]

    def test_does_not_shorten_a_key_that_is_still_down(self, read):
        body = control(0, 64, 127) + on(0) + control(240, 64, 0) + off(240) + END
        assert spans(read(midi(body))) == [(60, 0.0, 0.5)]

    def test_striking_the_key_again_ends_the_held_note(self, read):
        body = control(0, 64, 127) + on(0) + off(240) + on(240) + off(240) + control(480, 64, 0)
        assert spans(read(midi(body + END))) == [(60, 0.0, 0.5), (60, 0.5, 1.25)]

    def test_changed_at_the_moment_of_release_lets_go(self, read):
        body = control(0, 64, 127) + on(0) + control(480, 64, 0) + control(0, 64, 127)
        assert spans(read(midi(body + off(0) + wait(480) + END[1:]))) == [(60, 0.0, 0.5)]

    def test_never_lifted_holds_to_the_end_of_the_file(self, read):
        body = control(0, 64, 127) + on(0) + off(480) + wait(960) + END[1:]
        assert spans(read(midi(body))) == [(60, 0.0, 1.5)]

    def test_half_way_down_is_where_it_counts(self, read):
        for value, end_s in ((63, 0.5), (64, 1.0)):
            body = control(0, 64, value) + on(0) + off(480) + control(480, 64, 0) + END
            assert spans(read(midi(body))) == [(60, 0.0, end_s)]

    def test_reset_of_all_controllers_lifts_it(self, read):
        body = control(0, 64, 127) + on(0) + off(480) + control(480, 121, 0) + wait(480) + END[1:]
        assert spans(read(midi(body))) == [(60, 0.0, 1.0)]

    def test_of_another_channel_does_not_count(self, read):
        body = control(0, 64, 127, channel=1) + on(0) + off(480) + wait(480) + END[1:]
        assert spans(read(midi(body))) == [(60, 0.0, 0.5)]

    def test_in_another_track_of_the_channel_counts(self, read):
        pedals = control(0, 64, 127) + control(960, 64, 0) + END
        assert spans(read(midi(pedals, on(0) + off(480) + END))) == [(60, 0.0, 1.0)]
        reset = control(0, 121, 0)  # alone it is no pedal of the track's own
        assert spans(read(midi(reset + on(0) + off(480) + END, pedals))) == [(60, 0.0, 1.0)]


class TestPrograms:
    def test_change_in_the_middle_of_a_track(self, read):
        body = program(0, 46) + on(0) + program(240, 11) + off(240) + on(0) + off(480) + END
        assert [note.program for note in read(midi(body))] == [46, 11]

    def test_tracks_that_share_a_channel_keep_their_own(self, read):
        tracks = [
            program(0, number) + on(0, number) + off(480, number) + END for number in (40, 46)
        ]
        assert {note.pitch: note.program for note in read(midi(*tracks))} == {40: 40, 46: 46}

    def test_a_track_without_takes_its_channels(self, read):
        score = read(midi(program(0, 68, channel=3) + END, on(0, channel=3) + off(9, channel=3)))
        assert score.programs == (68,)

    def test_drums_are_marked_and_can_be_left_out(self, read):
        score = read(midi(on(0, channel=9) + on(0) + off(480) + off(0, channel=9) + END))
        assert [note.is_drum for note in score] == [False, True]
        assert len(score.without_drums()) == 1


class TestFileTypes:
    def test_type_0_and_1_give_the_same_notes(self, read):
        body = tempo(0, 700_000) + on(0) + off(480) + END
        assert read(midi(body, kind=0)) == read(midi(body, kind=1))

    def test_type_2_plays_its_patterns_one_after_another_at_their_own_tempo(self, read):
        first = tempo(0, 1_000_000) + on(0) + off(480) + END
        second = on(0, 64) + off(480, 64) + END
        assert spans(read(midi(first, second, kind=2))) == [(60, 0.0, 1.0), (64, 1.0, 1.5)]

    @pytest.mark.parametrize(
        ("frames", "per_s"), [(24, 24.0), (25, 25.0), (29, 30000 / 1001), (30, 30.0)]
    )
    def test_smpte_time_counts_frames_and_knows_no_tempo(self, read, frames, per_s):
        division = (256 - frames) << 8 | 40
        body = tempo(0, 1_000_000) + on(0) + off(400) + END
        [note] = read(midi(body, division=division))
        assert note.duration_s == pytest.approx(400 / 40 / per_s)

    def test_fine_ticks_and_long_waits(self, read):
        body = tempo(0, 60_000_000 // 93) + on(10080 * 1000) + off(1) + END
        [note] = read(midi(body, division=10080))
        assert note.start_s == pytest.approx(1000 * (60_000_000 // 93) / 1e6, abs=1e-9)
        assert note.duration_s == pytest.approx((60_000_000 // 93) / 1e6 / 10080, rel=1e-6)

    def test_foreign_chunks_are_skipped_and_bytes_left_behind_ignored(self, read):
        data = midi(on(0) + off(480) + END)
        foreign = data[:14] + chunk(b"XFIH", b"12345") + data[14:] + b"\0\0\0"
        assert read(foreign) == read(data)

    def test_riff_wrapper_is_taken_off(self, read):
        data = midi(on(0) + off(480) + END)
        riff = b"RIFF" + struct.pack("<L", len(data) + 12) + b"RMIDdata"
        assert read(riff + struct.pack("<L", len(data)) + data + b"LIST\4\0\0\0abcd") == read(data)

    def test_onsets_are_where_mido_plays_them(self):
        onsets, now_s = [], 0.0
        for message in mido.MidiFile(DEMO):
            now_s += message.time
            if message.type == "note_on":
                onsets.append(now_s)
        assert [note.start_s for note in read_midi(DEMO)] == pytest.approx(onsets, abs=1e-9)


class TestBadFiles:
    def test_missing(self, tmp_path):
        with pytest.raises(MidiError, match=r"nowhere\.mid: can't be read \(No such file"):
            read_midi(tmp_path / "nowhere.mid")

    @pytest.mark.parametrize(
        ("data", "sentence"),
        [
            (b"", "is empty"),
            (b"\x89PNG\r\n", "isn't a MIDI file: it begins with 89 50 4e 47, not with 'MThd'"),
            (midi(END), "holds no notes"),
            (midi(), "holds no notes"),
            (midi(on(0)[:-1]), "damaged in track 1: its last event is cut off"),
            (midi(END, b"\x00\x40\x40"), "damaged in track 2: a data byte without a status byte"),
            (midi(b"\x00\x90\xff\x40" + END), "data byte 255; data bytes must be 0 to 127"),
            (midi(b"\xff\xff\xff\xff\x7f\x90\x40\x40" + END), "a number longer than four bytes"),
            (midi(on(0), division=0), "invalid time division 0x0000"),
            (midi(on(0), division=0xEE04), "invalid time division 0xee04"),
            (midi(on(0), kind=7), "has type 7; the type must be 0, 1 or 2"),
            (midi(b"\x00\xf4" + END), "status byte 0xf4, which MIDI does not define"),
            (midi(b"\x00\xff\x01\x7f" + END), "its last event is cut off"),
            (chunk(b"MThd", b"\0\1\0"), "header of 3 bytes; it must have 6"),
        ],
    )
    def test_error_message(self, read, data, sentence):
        with pytest.raises(MidiError, match=rf"score\.mid: .*{sentence}"):
            read(data)

    def test_a_file_beyond_the_limit_is_refused(self, read, monkeypatch):
        monkeypatch.setattr(midi_file, "MAX_FILE_BYTES", 1 << 20)
        comment = b"\x00\xff\x01" + wait(1 << 20) + bytes(1 << 20)
        with pytest.raises(MidiError, match=r"score\.mid: is too large; .* at most 1 MiB"):
            read(midi(comment + on(0) + off(480) + END))

    def test_truncated_at_every_byte(self, read):
        data = midi(tempo(0, 400_000) + END, program(0, 3) + on(0) + off(480) + END)
        assert len(read(data)) == 1
        for length in range(1, len(data)):
            with pytest.raises(MidiError, match=r"score\.mid: (is truncated|isn't a MIDI)"):
                read(data[:length])

    @settings(
        max_examples=300,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=8))
    def test_damaged_bytes_give_a_score_or_an_error(self, read, changes):
        data = bytearray(DEMO.read_bytes()[:401])
        data[10:12] = b"\0\1"  # one track, cut to what is left
        data[18:22] = struct.pack(">L", len(data) - 22)
        for position, value in changes:
            data[position] = value
        try:
            score = read(bytes(data))
        except MidiError:
            return
        assert all(note.duration_s >= 0 for note in score)

    @settings(
        max_examples=200,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(body=st.binary(max_size=60))
    def test_any_bytes_for_a_track_give_a_score_or_an_error(self, read, body):
        try:
            read(midi(on(0) + body))
        except MidiError:
            pass


def test_demo_is_what_its_script_writes(tmp_path):
    import runpy

    script = Path(__file__).parents[1] / "golden" / "make_demo_midi.py"
    runpy.run_path(str(script))["demo"]().save(tmp_path / "demo.mid")
    assert (tmp_path / "demo.mid").read_bytes() == DEMO.read_bytes()


def test_demo_is_a_piece_for_several_timbres():
    score = read_midi(DEMO)
    assert 20 <= score.duration_s <= 40
    assert score.programs == (11, 40, 46, 68)
    assert min(note.duration_s for note in score) > 0.05
