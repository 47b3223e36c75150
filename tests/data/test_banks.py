"""Sound banks: GUS patches, notes of banks, recordings that two banks share."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from audiogen.data.render import bank_overlap
from audiogen.data.render.bank_notes import render_bank
from audiogen.data.render.bank_overlap import (
    bank_recordings,
    require_independent,
    shared_recordings,
)
from audiogen.data.render.gus_patch import play_patch, read_patch, read_patch_bank
from audiogen.data.render.sf2 import read_font_samples
from audiogen.errors import FormatError, ParameterError

RATE = 22050


def patch(sounds, *, mode=1, loop=(0, 0), keys=(69,)):
    """A .pat file of 16-bit recordings, each of a key."""
    samples = b""
    for sound, key in zip(sounds, keys, strict=True):
        data = np.round(np.asarray(sound) * 32767).astype("<i2").tobytes()
        mhz = [round(440_000 * 2 ** ((k - 69) / 12)) for k in (key - 2, key + 2, key)]
        header = struct.pack("<7sBIIIHIIIhB", b"TAKE", 0, len(data), *loop, RATE, *mhz, 1, 7)
        samples += header + bytes(18) + bytes([mode]) + bytes(40) + data
    head = b"GF1PATCH110\0ID#000002\0" + bytes(107) + bytes(63) + bytes(6)
    return head + bytes([len(sounds)]) + bytes(40) + samples


def tone(hz, n=RATE, seed=None):
    wave = 0.5 * np.sin(2 * np.pi * hz * np.arange(n) / RATE)
    if seed is not None:
        wave = wave * np.exp(-3 * np.arange(n) / RATE)
        wave += 0.1 * np.random.default_rng(seed).standard_normal(n)
    return wave


@pytest.fixture
def bank(tmp_path):
    folder = tmp_path / "pats"
    (folder / "Tone_000").mkdir(parents=True)
    (folder / "Drum_000").mkdir()
    (folder / "Tone_000" / "073_Flute.pat").write_bytes(patch([tone(440)]))
    (folder / "Tone_000" / "000_Piano.pat").write_bytes(
        patch([tone(440, seed=1), tone(880, seed=2)], keys=(69, 81))
    )
    (folder / "Drum_000" / "040_Snare.pat").write_bytes(patch([tone(100)]))
    return folder


def test_a_patch_plays_the_key_that_is_asked_for(bank):
    samples = read_patch(bank / "Tone_000" / "073_Flute.pat")
    assert len(samples) == 1 and samples[0].recorded_key == pytest.approx(69, abs=0.01)
    assert samples[0].data == pytest.approx(tone(440), abs=1e-4)
    for key in (64, 69, 74):
        note = play_patch(samples, key, 0.5, 16000)
        hz = np.fft.rfftfreq(8000, 1 / 16000)[np.abs(np.fft.rfft(note)).argmax()]
        assert len(note) == 8000 and hz == pytest.approx(440 * 2 ** ((key - 69) / 12), abs=2)


def test_loops_are_repeated_and_formats_decoded(tmp_path):
    short = tone(441, 500)  # ten periods of 50 samples
    path = tmp_path / "x.pat"
    path.write_bytes(patch([short], mode=1 | 4, loop=(200, 1000)))
    sample = read_patch(path)[0]
    assert sample.loop == (100, 500)
    note = play_patch((sample,), 69, 0.5, RATE)
    assert note[600:10000] == pytest.approx(tone(441)[600:10000], abs=0.01)
    path.write_bytes(patch([short], mode=1 | 4 | 8, loop=(200, 1000)))
    there_and_back = read_patch(path)[0]
    assert there_and_back.loop == (100, 900)
    assert there_and_back.data[500:900] == pytest.approx(sample.data[100:500][::-1])
    path.write_bytes(patch([short], mode=1 | 16))
    assert read_patch(path)[0].data == pytest.approx(sample.data[::-1])
    unsigned = np.clip(short + 0.0, -1, 1)
    data = (np.round(unsigned * 127) + 128).astype("u1").tobytes()
    content = bytearray(patch([short[:250]], mode=2))
    path.write_bytes(bytes(content[:-500]) + data)
    assert read_patch(path)[0].data == pytest.approx(short, abs=0.02)


def test_bad_patches_are_refused(tmp_path, bank):
    path = tmp_path / "x.pat"
    for content, message in (
        (b"RIFF", "no GF1PATCH110 header"),
        (patch([tone(440)])[:-10], "its samples extend beyond the end of the file"),
        (patch([tone(440)])[:260], "isn't a whole GUS patch"),
    ):
        path.write_bytes(content)
        with pytest.raises(FormatError, match=message):
            read_patch(path)
    with pytest.raises(FormatError, match=r"has no GUS patches"):
        read_patch_bank(tmp_path / "empty")
    assert sorted(read_patch_bank(bank)) == [0, 73]


def test_notes_of_patches_are_near_recorded_keys(bank):
    notes = render_bank(bank, n_keys=5, pitches=(60, 90), seconds=0.2)
    assert notes.waveforms.shape == (10, 3200)
    assert set(notes.programs) == {0, 73}
    assert all(62 <= p <= 76 for p in notes.pitches[notes.programs == 73])
    assert set(
        render_bank(bank, n_keys=5, pitches=(60, 90), seconds=0.2, without={0}).programs
    ) == {73}
    with pytest.raises(FormatError, match=r"no audible note"):
        render_bank(bank, n_keys=5, pitches=(20, 25), seconds=0.2)


def test_notes_of_a_font_have_their_programs_and_pitches(tiny_font):
    pytest.importorskip("midirenderer", reason="midirenderer isn't installed")
    notes = render_bank(tiny_font, n_keys=4, pitches=(55, 65), seconds=0.3)
    assert set(notes.programs) == {0, 73} and len(notes.waveforms) == 8  # program 1 is silent
    for note, pitch in zip(notes.waveforms, notes.pitches, strict=True):
        hz = np.fft.rfftfreq(len(note), 1 / 16000)[np.abs(np.fft.rfft(note)).argmax()]
        cents = 1200 * np.log2(hz / (440 * 2 ** ((pitch - 69) / 12)))
        assert abs(cents) < 60  # program 73 is tuned 50 cents high
    assert notes.licence == "CC0-1.0"


def test_samples_of_a_font_are_read(tiny_font):
    samples = read_font_samples(tiny_font)
    assert [s.name for s in samples] == ["Sine", "Silence"]
    assert len(samples[0].data) == 1680 and samples[0].data.max() > 19000
    assert samples[1].data.max() == 0 and samples[0].sample_rate == 43953


def test_shared_recordings_are_found_at_any_level_and_shift(tmp_path):
    def bank_of(name, sounds):
        folder = tmp_path / name
        folder.mkdir()
        for i, sound in enumerate(sounds):
            (folder / f"{i:03d}_{name}.pat").write_bytes(patch([sound]))
        return bank_recordings(folder)

    takes = [tone(200 + 37 * i, seed=i) for i in range(6)]
    first = bank_of("first", takes)
    fresh = bank_of("fresh", [tone(200 + 37 * i, seed=i + 50) for i in range(6)])
    assert shared_recordings(first, fresh) == []
    assert set(require_independent({"a": first, "b": fresh}).values()) == {0}
    copied = [0.3 * takes[2], np.concatenate([np.zeros(100), takes[4]]), *(tone(99, seed=9),) * 4]
    thief = bank_of("thief", copied)
    assert [name[:3] for name, _ in shared_recordings(first, thief)] == ["002", "004"]
    with pytest.raises(ParameterError, match=r"banks a and b overlap: 2 of 6 .* leave one of them"):
        require_independent({"a": first, "b": thief})


def test_equal_headers_count_as_shared(monkeypatch):
    noise = np.random.default_rng(0).standard_normal((2, 2560)).astype(np.float32)
    first, second = ([bank_overlap.BankRecording("Piano C4", 5000, sound)] for sound in noise)
    assert shared_recordings(first, second) == [("Piano C4", "Piano C4")]
    other = [bank_overlap.BankRecording("Piano C4", 5001, noise[1])]
    assert shared_recordings(first, other) == []


def test_domains_are_built_with_provenance_and_overlaps_refused(bank, tmp_path):
    torch = pytest.importorskip("torch")
    assert torch
    from audiogen.evaluation.domains.banks import build_domains, read_domains, read_provenance

    other = tmp_path / "other"
    other.mkdir()
    (other / "056_Trumpet.pat").write_bytes(patch([tone(500, seed=7)]))
    counts = build_domains({"pats": bank, "more": other}, tmp_path / "dg", n_keys=3)
    assert counts == {"pats": 6, "more": 3}
    more, pats = read_domains(tmp_path / "dg")
    assert (more.name, pats.name) == ("more", "pats")
    assert set(more.labels[:, 0]) == {1} and set(pats.labels[:, 0]) == {2, 4}
    tables = {table["name"]: table for table in read_provenance(tmp_path / "dg")["banks"]}
    assert tables["pats"]["file"] == "pats" and len(tables["pats"]["sha256"]) == 64
    (other / "057_Trombone.pat").write_bytes((bank / "Tone_000" / "000_Piano.pat").read_bytes())
    with pytest.raises(ParameterError, match=r"overlap: 2 of 3 recordings of"):
        build_domains({"pats": bank, "more": other}, tmp_path / "no", n_keys=3)
    assert not (tmp_path / "no").exists()
    with pytest.raises(ParameterError, match=r"must be named by letters"):
        build_domains({"a/b": bank, "more": other}, tmp_path / "no")
