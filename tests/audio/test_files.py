"""Sound files and pictures as the library writes them."""

from __future__ import annotations

import os
import stat

import numpy as np
import pytest
import soundfile

from audiogen.audio.files import Recording, check_output, check_sample_rate, write_audio
from audiogen.audio.plots import (
    BINS_PER_OCTAVE,
    plot_rainbowgram,
    plot_timbres,
    rainbow_image,
)
from audiogen.core.atomic_write import written_whole
from audiogen.errors import ParameterError, ShapeError

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
        with pytest.raises(ParameterError, match=r"sample_rate=.* isn't usable"):
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

    def test_interrupted_leaves_nothing(self, tmp_path):
        with pytest.raises(KeyboardInterrupt), written_whole(tmp_path / "a.wav") as temporary:
            temporary.write_bytes(b"half")
            raise KeyboardInterrupt
        assert not list(tmp_path.iterdir())


class TestPlot:
    @pytest.mark.parametrize("pitch", [45, 69, 93])
    def test_tone_is_bright_at_its_row_and_of_one_colour(self, pitch):
        image, hop_length = rainbow_image(tone(440 * 2 ** ((pitch - 69) / 12), 2), RATE)
        assert hop_length == 256 and image.shape[2] == 3
        middle = image[:, 30:-30]
        row = round((pitch - 24) * BINS_PER_OCTAVE / 12)
        assert abs(int(middle.sum(axis=(1, 2)).argmax()) - row) <= 2
        assert middle[row].max(axis=1).min() > 0.8
        assert np.ptp(middle[row], axis=0).max() < 0.1

    def test_silence_is_black(self):
        image, _ = rainbow_image(np.zeros(RATE), RATE)
        assert image.max() == 0

    def test_long_sounds_get_longer_hops(self):
        image, hop_length = rainbow_image(np.zeros(RATE * 120), RATE)
        assert hop_length == 1024 and image.shape[1] == 1 + RATE * 120 // 1024

    @pytest.mark.parametrize("n_samples", [1, 100, 5000])
    def test_short_sounds_and_other_rates(self, tmp_path, n_samples):
        plot_rainbowgram(tone(440)[:n_samples], 44100, tmp_path / "a.png", "a title")
        assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
        assert len(list(tmp_path.iterdir())) == 1

    def test_refuses(self, tmp_path):
        for wrong in (np.zeros((2, 9)), np.zeros(0), np.array([np.nan])):
            with pytest.raises(ShapeError, match="can't be drawn"):
                plot_rainbowgram(wrong, RATE, tmp_path / "a.png")
        with pytest.raises(ParameterError, match=r"ends in \.pdf; use \.png"):
            plot_rainbowgram(tone(440), RATE, tmp_path / "a.pdf")
        assert not list(tmp_path.iterdir())


def test_a_map_of_timbres_has_a_dot_for_each(tmp_path):
    from matplotlib import image

    places = np.array([[0.2, 0.2], [0.8, 0.2], [0.5, 0.8]])
    plot_timbres(places, ["a", "b", "c"], ["reed", "reed", "organ"], tmp_path / "map.png")
    pixels = image.imread(tmp_path / "map.png")[..., :3]
    colourful = (pixels.max(axis=2) - pixels.min(axis=2)) > 0.15  # dots, not names
    map_width = 0.8 * pixels.shape[1]  # beside it stands the legend
    dots = np.argwhere(colourful[:, : round(map_width)])
    height, width = np.ptp(dots, axis=0) / [pixels.shape[0], map_width]
    assert height == pytest.approx(0.6, abs=0.1) and width == pytest.approx(0.6, abs=0.15)
    lowest = dots[dots[:, 0] > 0.6 * pixels.shape[0]]
    assert len(lowest) == pytest.approx(len(dots) / 3, rel=0.2)
    with pytest.raises(ParameterError, match=r"use \.png"):
        plot_timbres(places, ["a"] * 3, ["b"] * 3, tmp_path / "map.svg")


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
    assert len(soundfile.read(tmp_path / "take.wav")[0]) == 200 and recording._waiting.qsize() <= 2
