"""The harmonic reference is a harmonic tone, and what it tells a generator is continuous."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from audiogen.representation.config import PAPER_HIGH
from audiogen.representation.harmonic import (
    GOLDEN,
    MOST_MAPS,
    N_MAPS,
    N_TIME_FEATURES,
    bin_centres_hz,
    harmonic_maps,
    nearest_partial,
    onset_centroids,
    pitch_to_hz,
    reference_phase,
    time_features,
)
from audiogen.representation.partials import MOST_PARTIALS, stack, string_partials
from audiogen.representation.spectrogram import spectrogram_to_waveform, waveform_to_spectrogram

HARMONIC = dataclasses.replace(PAPER_HIGH, phase="harmonic")
BIN_HZ = HARMONIC.bin_width_hz


def partial_bins(pitch: float) -> np.ndarray:
    """The bin nearest to each partial."""
    f0 = float(pitch_to_hz(pitch))
    return np.rint(f0 * np.arange(1, int(7900 / f0) + 1) / BIN_HZ).astype(int) - 1


def test_pitches_in_hz() -> None:
    assert pitch_to_hz(69) == 440.0
    np.testing.assert_allclose(pitch_to_hz([57, 60, 69.5]), [220, 261.6255653, 452.8929841])


@pytest.mark.parametrize("pitch", [45.0, 57.3, 60.0, 83.91])
def test_a_tone_of_equal_partials_has_no_deviation(pitch: float) -> None:
    f0 = float(pitch_to_hz(pitch))
    t = np.arange(64000) / 16000
    partials = np.arange(1, int(7900 / f0) + 1)
    angles = 2.0 * np.pi * f0 * np.outer(t, partials) + np.pi * GOLDEN * partials**2
    wave = torch.from_numpy(0.01 * np.cos(angles).sum(axis=1))
    made = waveform_to_spectrogram(wave, HARMONIC, pitch=torch.tensor(pitch, dtype=torch.float64))
    channel = made[1][:, partial_bins(pitch)].numpy()
    # The clip ends in the last three frames.
    assert np.abs(channel[4:125]).max() < 2e-3
    # Frames 1 to 3 hear the onset; the window's centre of gravity stands for what it does.
    assert np.abs(channel[1:4]).max() < 0.15
    # Summed, the phase itself is the reference's too, up to whole turns.
    turns = channel[:125].sum(axis=0) / 2.0
    assert np.abs(turns - np.rint(turns)).max() < 0.01


BELL = np.array([0.62, 1.2, 1.98, 2.92, 4.02, 5.24, 6.58])


@pytest.mark.parametrize("partials", [BELL, string_partials(2e-3)])
@pytest.mark.parametrize("pitch", [57.3, 76.0])
def test_a_tone_of_its_own_partials_has_no_deviation(partials: np.ndarray, pitch: float) -> None:
    f0 = float(pitch_to_hz(pitch))
    hz = f0 * partials[f0 * partials < 7900]
    number = np.arange(1, len(hz) + 1)
    t = np.arange(64000) / 16000
    wave = 0.01 * np.cos(2.0 * np.pi * np.outer(t, hz) + np.pi * GOLDEN * number**2).sum(axis=1)
    note = torch.tensor(pitch, dtype=torch.float64)
    bins = np.rint(hz / BIN_HZ).astype(int) - 1
    made = waveform_to_spectrogram(torch.from_numpy(wave), HARMONIC, pitch=note, partials=partials)
    assert np.abs(made[1][4:125, bins].numpy()).max() < 5e-3
    harmonic = waveform_to_spectrogram(torch.from_numpy(wave), HARMONIC, pitch=note)
    assert np.abs(harmonic[1][4:125, bins].numpy()).max() > 0.2
    back = spectrogram_to_waveform(made, HARMONIC, pitch=note, partials=partials)
    np.testing.assert_allclose(back.numpy(), wave, atol=1e-4)


def test_maps_peak_at_other_partials() -> None:
    for pitch in (60.0, 71.25):
        narrow, cosine = harmonic_maps(pitch, HARMONIC, 1024, partials=BELL)[[1, 3]]
        bins = np.rint(float(pitch_to_hz(pitch)) * BELL / BIN_HZ).astype(int) - 1
        assert (narrow[bins] > 0.85).all() and (cosine[bins] > 0.6).all()
        middle = (bins[3] + bins[4]) // 2
        assert narrow[middle] < 0.01 and cosine[middle] < -0.5


@pytest.mark.parametrize("n_bins", [16, 128, 1024])
def test_harmonic_partials_change_no_map(n_bins: int) -> None:
    pitches = np.array([30.0, 60.5])
    given = np.tile(np.arange(1.0, MOST_PARTIALS + 1.0), (2, 1))
    np.testing.assert_allclose(
        harmonic_maps(pitches, HARMONIC, n_bins, MOST_MAPS, given),
        harmonic_maps(pitches, HARMONIC, n_bins, MOST_MAPS),
        atol=1e-6,
    )


def test_each_note_has_its_own_partials() -> None:
    pitches, partials = np.array([60.0, 60.0]), stack([None, BELL])
    frames = np.arange(3, 6)
    both = reference_phase(pitches, HARMONIC, frames, partials)
    np.testing.assert_allclose(both[0], reference_phase(60.0, HARMONIC, frames), rtol=1e-12)
    np.testing.assert_allclose(both[1], reference_phase(60.0, HARMONIC, frames, BELL), rtol=1e-12)


def test_pitch_is_continuous() -> None:
    """The frequency of each partial follows the pitch: no jump over a cent, nowhere."""
    frames = np.arange(4, 12)
    pitches = np.arange(30.0, 90.0, 0.037)
    phases = reference_phase(pitches, HARMONIC, frames)
    advance = np.diff(phases, axis=1).mean(axis=1)  # rad a frame
    hz = advance * HARMONIC.sample_rate / (2.0 * np.pi * HARMONIC.hop_length)
    found = []
    for row, pitch in zip(hz, pitches, strict=True):
        bins = partial_bins(pitch)[:8]
        cents = 1200.0 * np.log2(row[bins] / np.arange(1, len(bins) + 1) / pitch_to_hz(pitch))
        assert np.abs(cents).max() < 0.01
        found.append(row[bins[0]])
    steps = 1200.0 * np.diff(np.log2(found))
    assert np.abs(steps - 3.7).max() < 0.01


def test_some_frames_are_that_part_of_the_whole() -> None:
    whole = reference_phase([40.0, 61.7], HARMONIC)
    assert whole.shape == (2, 128, 1024) and np.isfinite(whole).all()
    part = reference_phase([40.0, 61.7], HARMONIC, np.arange(2, 9))
    np.testing.assert_array_equal(part, whole[:, 2:9])
    np.testing.assert_array_equal(reference_phase(61.7, HARMONIC), whole[1])


@pytest.mark.parametrize("n_bins", [16, 32, 64, 128, 256, 512, 1024])
def test_maps_are_finite_at_every_level(n_bins: int) -> None:
    pitches = np.array([-20.0, 0.0, 24.0, 60.5, 84.0, 127.0, 140.0])
    maps = harmonic_maps(pitches, HARMONIC, n_bins)
    assert maps.shape == (7, N_MAPS, n_bins) and maps.dtype == np.float32
    assert np.isfinite(maps).all() and np.abs(maps).max() < 8.0
    assert np.abs(maps[:, :5]).max() <= 1.0
    np.testing.assert_array_equal(harmonic_maps(60.5, HARMONIC, n_bins), maps[3])
    # A coarse level can't resolve harmonics, and isn't told where it would be between two.
    if n_bins == 16:
        assert np.abs(maps[2, 3:5]).max() < 0.08


def test_maps_peak_at_the_partials() -> None:
    for pitch in (48.0, 60.0, 71.25):
        narrow, cosine = harmonic_maps(pitch, HARMONIC, 1024)[[1, 3]]
        for bin_ in partial_bins(pitch):
            assert narrow[bin_] > 0.85 and cosine[bin_] > 0.6
        between = (partial_bins(pitch)[4] + partial_bins(pitch)[5]) // 2
        assert narrow[between] < 0.01 and cosine[between] < -0.5


def test_four_maps_tell_partials_apart() -> None:
    for pitch in (48.0, 60.0, 71.25):
        maps = harmonic_maps(pitch, HARMONIC, 1024, MOST_MAPS)
        np.testing.assert_array_equal(maps[:N_MAPS], harmonic_maps(pitch, HARMONIC, 1024))
        for number, bin_ in enumerate(partial_bins(pitch), start=1):
            turns = number / np.array([2.0, 3.0])[:, None] * 2.0 * np.pi
            wanted = np.concatenate([np.cos(turns), np.sin(turns)], axis=1).ravel()
            np.testing.assert_allclose(maps[N_MAPS:, bin_], wanted, rtol=0, atol=0.15)
    coarse = harmonic_maps(48.0, HARMONIC, 16, MOST_MAPS)  # resolves no harmonics
    assert np.abs(coarse[N_MAPS:]).max() < 0.3


def test_maps_tell_the_pitch_and_the_frequency() -> None:
    maps, f = harmonic_maps(60.3, HARMONIC, 64), bin_centres_hz(HARMONIC, 64)
    np.testing.assert_allclose(maps[7], 6.3 / 30.0, rtol=1e-6)
    np.testing.assert_allclose(maps[6], np.log2(f / 1000.0) / 4.0, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(maps[5], np.log2(f / pitch_to_hz(60.3)) / 4.0, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(np.arctanh(maps[0, :8]) * 16.0, [1, 1, 1, 2, 2, 3, 3, 4], rtol=1e-5)


def test_maps_follow_the_pitch() -> None:
    near, far = (np.array([60.0, 60.0 + step]) for step in (0.01, 1.0))
    for n_bins in (16, 1024):
        small = np.abs(np.diff(harmonic_maps(near, HARMONIC, n_bins)[:, 1:], axis=0)).max()
        large = np.abs(np.diff(harmonic_maps(far, HARMONIC, n_bins)[:, 1:], axis=0)).max()
        assert 0.0 < small < 0.2 * large


def test_nearest_partial() -> None:
    f = np.array([0.0, 10.0, 149.0, 150.0, 251.0, 1000.0])
    number, hz = nearest_partial(f, 100.0)
    np.testing.assert_array_equal(number, [1, 1, 1, 2, 3, 10])
    np.testing.assert_array_equal(hz, 100.0 * number)
    number, hz = nearest_partial(f, 100.0, np.array([0.5, 2.0, 2.9]))
    np.testing.assert_array_equal(number, [1, 1, 2, 2, 3, 10])  # a tie goes up, 9.9 is the tenth
    np.testing.assert_allclose(hz, [50, 50, 200, 200, 290, 990])
    centres = bin_centres_hz(HARMONIC, 1024)
    assert centres[0] == BIN_HZ and centres[-1] == 8000.0
    np.testing.assert_allclose(
        bin_centres_hz(HARMONIC, 16), centres.reshape(16, 64).mean(axis=1), rtol=1e-12
    )


def test_time_features() -> None:
    whole = time_features(128, 93, 128)
    assert whole.shape == (128, N_TIME_FEATURES) and whole.dtype == np.float32
    assert whole[0, :4].tolist() == [1.0] * 4 and not whole[:93, 4:].any()
    assert whole[93:, 4].tolist() == [1.0] * 35 and whole[93, 4:].tolist() == [1.0] * 3
    np.testing.assert_allclose(whole[16, 2], np.exp(-1.0), rtol=1e-6)
    for n_rows in (2, 16, 64):
        wanted = whole.reshape(n_rows, -1, N_TIME_FEATURES).mean(axis=1)
        np.testing.assert_allclose(time_features(128, 93, n_rows), wanted, rtol=1e-5, atol=1e-7)


def test_onset_centroids_end_in_the_middle() -> None:
    centroids = onset_centroids(HARMONIC)
    assert len(centroids) == 4 and (np.diff(centroids) < 0.0).all()
    assert centroids[-1] == pytest.approx(1024.0) and centroids[0] > 1536.0
