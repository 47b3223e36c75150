"""Sound files: written completely or not at all, and read with clear errors."""

from __future__ import annotations

import os
import resource
import shutil
import stat

import numpy as np
import pytest
import soundfile

from audiogen.audio.files import (
    Recording,
    check_output,
    check_sample_rate,
    read_channels,
    write_audio,
)
from audiogen.core.atomic_write import written_whole
from audiogen.errors import FormatError, ParameterError, ShapeError

RATE = 16000


def tone(frequency_hz: float, seconds: float = 1.0) -> np.ndarray:
    return np.sin(2 * np.pi * frequency_hz * np.arange(int(RATE * seconds)) / RATE)


class TestAudioFile:
    @pytest.mark.parametrize("suffix", [".wav", ".flac"])
    def test_24_bits_are_kept(self, tmp_path, suffix):
        samples = np.random.default_rng(0).uniform(-1, 1, 100_001).astype(np.float32)
        assert write_audio(tmp_path / f"a{suffix}", samples, RATE) == 0.0
        read, rate = soundfile.read(tmp_path / f"a{suffix}", dtype="float32")
        assert rate == RATE
        assert np.abs(read - samples).max() <= 2.0**-23

    def test_stereo_and_float64(self, tmp_path):
        samples = np.stack([tone(440), 0.5 * tone(550)], axis=1)
        write_audio(tmp_path / "a.flac", samples, RATE)
        read, _ = soundfile.read(tmp_path / "a.flac")
        assert np.allclose(read, samples, atol=1e-6)

    def test_long_vorbis(self, tmp_path):
        write_audio(tmp_path / "a.ogg", 0.5 * tone(440, 120), RATE)
        assert soundfile.info(tmp_path / "a.ogg").frames == 120 * RATE

    def test_loud_is_turned_down_not_cut_off(self, tmp_path):
        gain_db = write_audio(tmp_path / "a.wav", 3 * tone(441), RATE)
        read, _ = soundfile.read(tmp_path / "a.wav")
        assert np.allclose(read, 3 * 10 ** (gain_db / 20) * tone(441), atol=1e-6)
        assert np.abs(read).max() == pytest.approx(10 ** (-0.1 / 20), abs=1e-6)

    @pytest.mark.parametrize(
        "samples",
        [
            np.zeros(0, np.float32),
            np.zeros((2, 2, 2), np.float32),
            np.zeros(4, np.int16),
            np.array([0.0, np.nan]),
            np.array([0.0, -np.inf]),
        ],
    )
    def test_refuses_samples(self, tmp_path, samples):
        with pytest.raises(ShapeError, match="samples h"):
            write_audio(tmp_path / "a.wav", samples, RATE)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("rate", [0, -1, 7999, 192001, 44100.5, float("nan")])
    def test_refuses_rates(self, rate):
        with pytest.raises(ParameterError, match=r"sample_rate=.* must be a whole number"):
            check_sample_rate(rate)

    def test_new_files_have_usual_permissions(self, tmp_path):
        write_audio(tmp_path / "a.wav", tone(440), RATE)
        (tmp_path / "b").touch()
        assert (tmp_path / "a.wav").stat().st_mode == (tmp_path / "b").stat().st_mode

    @pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
    def test_refuses_a_folder_without_permission(self, tmp_path):
        tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
        with pytest.raises(ParameterError, match="no permission"):
            check_output(tmp_path / "a.wav")

    @pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
    def test_a_full_disk_is_named_with_the_path(self, tmp_path, monkeypatch, suffix):
        """A limit of the file size stands for the disk; libsndfile says "System error." of both."""
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        free = shutil.disk_usage(tmp_path)._replace(free=4096)
        monkeypatch.setattr(shutil, "disk_usage", lambda folder: free)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        try:
            noise = np.random.default_rng(0).uniform(-1, 1, 400_000)
            with pytest.raises(
                ParameterError, match=rf"a{suffix} can't be written: its disk is full"
            ):
                write_audio(tmp_path / f"a{suffix}", noise, RATE)
            with (
                pytest.raises(ParameterError, match="more can't be written: its disk is full"),
                Recording(tmp_path / f"b{suffix}", RATE, n_channels=1) as recording,
            ):
                recording.write(noise[:, None])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert not (tmp_path / f"a{suffix}").exists()

    @pytest.mark.skipif(os.getuid() == 0, reason="root may read anything")
    def test_a_file_without_permission_is_named(self, tmp_path):
        write_audio(tmp_path / "a.wav", tone(440), RATE)
        (tmp_path / "a.wav").chmod(0)
        with pytest.raises(FormatError, match=r"a.wav: can't be read as sound \(Permission denied"):
            read_channels(tmp_path / "a.wav")

    def test_interrupted_leaves_nothing(self, tmp_path):
        with pytest.raises(KeyboardInterrupt), written_whole(tmp_path / "a.wav") as temporary:
            temporary.write_bytes(b"half")
            raise KeyboardInterrupt
        assert not list(tmp_path.iterdir())


def test_a_recording_keeps_what_was_written_before_the_disk_was_full(tmp_path, monkeypatch):
    write, blocks = soundfile.SoundFile.write, []

    def filling(file, block):
        if len(blocks) == 2:
            raise OSError("no space left")
        blocks.append(block)
        write(file, block)

    monkeypatch.setattr(soundfile.SoundFile, "write", filling)
    recording = Recording(tmp_path / "take.wav", RATE, n_channels=1)
    for _ in range(3):
        recording.write(np.full((100, 1), 0.5))
    recording._thread.join()
    assert "ends after" in str(recording.error)
    recording.write(np.full((100, 1), 0.5))
    with pytest.raises(ParameterError, match=r"take.wav ends after .* more can't be written"):
        recording.close()
    assert len(soundfile.read(tmp_path / "take.wav")[0]) == 200 and recording._blocks.qsize() <= 2
