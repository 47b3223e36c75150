"""Folders of sounds: labels, rates, lengths; and the four spoiled versions."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from audiogen.data.notes.nsynth import SetWriter
from audiogen.errors import FormatError, ParameterError
from audiogen.evaluation.sets import spoiled
from audiogen.evaluation.sets.sounds import SoundSet, read_sounds, require_labels

RATE = 8000


def tone(hz: float, seconds: float = 1.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)


def a_set(n: int = 6) -> SoundSet:
    sounds = np.stack([tone(200 + 40 * i) for i in range(n)]).astype(np.float32)
    pitches = 69 + 12 * np.log2((200 + 40 * np.arange(n)) / 440)
    return SoundSet("a set", tuple(f"n{i}" for i in range(n)), sounds, pitches, RATE)


def test_files_are_read_with_the_pitches_of_their_names(tmp_path):
    for name, seconds in (("flute_A3.wav", 0.5), ("bass-036-100.wav", 3.5), ("noise.wav", 1.0)):
        soundfile.write(tmp_path / name, tone(220, seconds), RATE)
    read = read_sounds(tmp_path)
    assert read.names == ("bass-036-100.wav", "flute_A3.wav", "noise.wav")
    assert read.pitches.tolist()[:2] == [36, 57] and read.unlabelled == ("noise.wav",)
    assert read.sounds.shape == (3, 3 * RATE)
    assert not read.sounds[1, RATE // 2 :].any()
    assert len(read_sounds(tmp_path, at_most=2)) == 2
    with pytest.raises(ParameterError, match=r"1 of 3 sounds have no pitch \(first: noise.wav\)"):
        require_labels([read], "c2st")


def test_a_table_and_a_note_set_give_pitches_too(tmp_path):
    soundfile.write(tmp_path / "noise.wav", tone(220), RATE)
    (tmp_path / "labels.csv").write_text("file,pitch\nnoise.wav,C4\n")
    assert read_sounds(tmp_path).pitches.tolist() == [60]
    with SetWriter(tmp_path / "set", RATE) as writer:
        for pitch, velocity in ((57, 90), (59, 70)):
            writer.add(
                tone(220), instrument="reed_acoustic_000", family="reed", source="acoustic",
                pitch=pitch, velocity=velocity, qualities=[0] * 10,
            )  # fmt: skip
    assert read_sounds(tmp_path / "set").pitches.tolist() == [57, 59]
    assert read_sounds(tmp_path / "set", velocities=[70]).pitches.tolist() == [59]
    with pytest.raises(ParameterError, match="none of the 2 notes"):
        read_sounds(tmp_path / "set", velocities=[71])
    with pytest.raises(ParameterError, match="isn't a note set, whose sounds have velocities"):
        read_sounds(tmp_path, velocities=[70])


def test_the_encoding_of_a_file_plays_no_part(tmp_path):
    for kind in ("PCM_16", "PCM_24", "FLOAT"):
        (tmp_path / kind).mkdir()
        soundfile.write(tmp_path / kind / "a_A3.wav", tone(220), RATE, kind)
    sets = [read_sounds(tmp_path / kind) for kind in ("PCM_16", "PCM_24", "FLOAT")]
    assert np.abs(sets[1].sounds - sets[2].sounds).max() == 0
    assert np.abs(sets[0].sounds - sets[2].sounds).max() < 3 / 32768
    assert sets[1].hash == sets[2].hash
    assert len(np.unique(np.round(sets[2].sounds * 32767, 3) % 1)) == 1


def test_bad_folders_have_one_clear_error(tmp_path):
    with pytest.raises(FormatError, match="holds no sound file"):
        read_sounds(tmp_path)
    soundfile.write(tmp_path / "a.wav", tone(220), RATE)
    with pytest.raises(FormatError, match=r"1 at 8000 Hz\); all must have 16000 Hz: resample"):
        read_sounds(tmp_path, sample_rate=16000)
    soundfile.write(tmp_path / "b.wav", tone(220), 2 * RATE)
    with pytest.raises(FormatError, match="one sample rate"):
        read_sounds(tmp_path)
    soundfile.write(tmp_path / "b.wav", np.zeros(100), RATE)
    with pytest.raises(FormatError, match=r"b.wav: is silent"):
        read_sounds(tmp_path)


class TestSpoiled:
    def test_random_phases_keep_level_and_pitch_and_change_the_wave(self):
        pytest.importorskip("librosa")
        real = a_set()
        made = spoiled.random_phase(real, 0)
        assert np.abs(made.sounds - real.sounds).mean() > 0.1
        assert made.pitches is real.pitches
        power = np.square(made.sounds).mean() / np.square(real.sounds).mean()
        assert 0.1 < power < 2

    def test_wrong_pitches_are_semitones_away(self):
        made, real = spoiled.wrong_pitch(a_set(), 0), a_set()
        for before, after in zip(real.sounds, made.sounds, strict=True):
            n = RATE // 2  # a faster note is shorter
            hz = [
                np.abs(np.fft.rfft(x[:n], 8 * n)).argmax() * RATE / (8 * n) for x in (before, after)
            ]
            semitones = 12 * np.log2(hz[1] / hz[0])
            assert 0.9 < abs(semitones) < 6.1
            assert abs(semitones - round(semitones)) < 0.1

    def test_a_blur_keeps_steady_tones_and_smears_a_click(self):
        pytest.importorskip("librosa")
        real = a_set(2)
        assert (
            np.abs(spoiled.averaged_over_time(real).sounds - real.sounds)[:, 800:-800].max() < 0.05
        )
        decaying = real.with_sounds(real.sounds * (np.arange(RATE) > RATE // 2))
        made = spoiled.averaged_over_time(decaying).sounds
        before = slice(RATE // 2 - 400, RATE // 2 - 200)
        assert np.abs(decaying.sounds[:, before]).max() == 0
        assert np.abs(made[:, before]).max() > 0.001

    def test_a_memorised_set_repeats_an_eighth(self):
        made = spoiled.memorised(a_set(6), 32, 0)
        assert len(made) == 32 and len(set(made.names)) == 4
        with pytest.raises(ParameterError, match="4 are needed"):
            spoiled.memorised(a_set(3), 32, 0)
