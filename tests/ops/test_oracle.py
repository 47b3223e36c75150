"""Every implementation of an op agrees with the float64 reference."""

from __future__ import annotations

import os

import numpy as np
import pytest

from audiogen.core import backend as _native
from audiogen.ops import reference

from .cases import ISTFT_SHAPES, SHAPES, circle_distance, rng, wrapped_phase

# Half a float32 step of a phase of up to pi, times the few operations of a kernel.
PHASE_TOLERANCE = 1e-6


@pytest.mark.parametrize("shape", SHAPES)
def test_wrap(kernels, shape):
    x = (1000 * rng(*shape).standard_normal(shape)).astype(np.float32)
    y = kernels.wrap(x)
    assert y.shape == shape and y.dtype == np.float32
    assert np.all((y >= np.float32(-np.pi)) & (y < np.float32(np.pi)))
    assert circle_distance(y, reference.wrap(x)).max(initial=0) < PHASE_TOLERANCE


def test_wrap_at_the_seam(kernels):
    pi = np.float32(np.pi)
    x = np.array([pi, -pi, 3 * pi, 0, -0.0, np.nan, np.nextafter(pi, np.float32(0))], np.float32)
    y = kernels.wrap(x)
    assert np.isnan(y[5])
    inside = np.delete(y, 5)
    assert np.all((inside >= -pi) & (inside < pi))
    np.testing.assert_array_equal(y[[3, 4, 6]], x[[3, 4, 6]])


@pytest.mark.parametrize("shape", SHAPES)
def test_unwrap(kernels, shape):
    x = wrapped_phase(shape)
    y = kernels.unwrap(x, axis=1)
    expected = reference.unwrap(x, axis=1)
    assert y.shape == shape and y.dtype == np.float32
    # The result's own step in float32: a long phase grows coarse.
    step = np.spacing(np.float32(np.abs(expected).max(initial=1)))
    np.testing.assert_allclose(y, expected, rtol=0, atol=max(2 * step, PHASE_TOLERANCE))


def test_unwrap_leaves_steps_of_exactly_pi_alone(kernels):
    pi = np.float32(np.pi)
    x = np.array([0, pi, 0, -pi, 0, 3, -3], np.float32)
    np.testing.assert_allclose(kernels.unwrap(x, axis=0), np.unwrap(x), atol=1e-6)


def test_unwrap_takes_many_turns_off(kernels):
    x = (500 * rng(1).standard_normal((64, 7))).astype(np.float32)
    np.testing.assert_allclose(kernels.unwrap(x), reference.unwrap(x), atol=1e-3)


def test_unwrap_passes_nan_on(kernels):
    x = wrapped_phase((10, 20))
    x[4, 3] = np.nan
    y = kernels.unwrap(x)
    assert np.isnan(y[4:, 3]).all() and np.isfinite(np.delete(y, 3, axis=1)).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_instantaneous_frequency(kernels, shape):
    x = wrapped_phase(shape)
    y = kernels.instantaneous_frequency(x, axis=1)
    assert y.shape == shape and y.dtype == np.float32
    expected = reference.instantaneous_frequency(x, axis=1)
    np.testing.assert_allclose(y, expected, rtol=0, atol=PHASE_TOLERANCE)


@pytest.mark.parametrize("shape", SHAPES)
def test_integrate(kernels, shape):
    x = rng(*shape).uniform(-1, 1, shape).astype(np.float32)
    y = kernels.integrate(x, axis=1)
    assert y.shape == shape and y.dtype == np.float32
    # Rounding errors add up like a random walk, with steps of at most 2e-7 rad.
    tolerance = PHASE_TOLERANCE + 2e-6 * np.sqrt(shape[1])
    assert circle_distance(y, reference.integrate(x, axis=1)).max(initial=0) < tolerance


def test_all_frames_of_a_frequency_are_wrapped(kernels):
    x = (7 * rng(3).standard_normal((9, 33))).astype(np.float32)
    y = kernels.instantaneous_frequency(x)
    assert np.abs(y).max() <= 1.0
    assert circle_distance(np.pi * y[0], x[0]).max() < PHASE_TOLERANCE


def test_integrate_inverts_instantaneous_frequency_for_a_long_time(kernels):
    x = wrapped_phase((200_000, 2))
    again = kernels.integrate(kernels.instantaneous_frequency(x))
    assert circle_distance(again, x).max() < 1e-3


@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1, -2, -4])
@pytest.mark.parametrize("op", ["unwrap", "instantaneous_frequency", "integrate"])
def test_every_axis(kernels, op, axis):
    x = wrapped_phase((3, 4, 5, 6))
    expected = getattr(reference, op)(x, axis=axis)
    y = getattr(kernels, op)(x, axis=axis)
    assert circle_distance(y, expected).max() < 1e-5


@pytest.mark.parametrize("shape", SHAPES)
def test_polar_to_rectangular(kernels, shape):
    log_magnitude = rng(*shape).uniform(-14, 12, shape).astype(np.float32)
    phase = (50 * rng(*shape, 1).standard_normal(shape)).astype(np.float32)
    z = kernels.polar_to_rectangular(log_magnitude, phase)
    expected = reference.polar_to_rectangular(log_magnitude, phase)
    assert z.shape == shape and z.dtype == np.complex64
    error = np.abs(z - expected) / np.abs(expected)
    assert error.max(initial=0) < 6e-7  # exp and sincos, each within 2e-7, and the product


@pytest.mark.parametrize("shape", ISTFT_SHAPES)
def test_istft(kernels, shape):
    n_batch, n_frames, n_fft, hop_length = shape
    parts = rng(*shape).standard_normal((2, n_batch, n_frames, n_fft // 2 + 1))
    spectrum = (parts[0] + 1j * parts[1]).astype(np.complex64)
    y = kernels.istft(spectrum, n_fft, hop_length)
    expected = reference.istft(spectrum, n_fft, hop_length)
    assert y.shape == expected.shape and y.dtype == np.float32
    scale = np.abs(expected).max(initial=1e-9)
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-6 * scale)


def test_istft_inverts_the_windowed_transform(kernels):
    n_fft, hop_length, n_frames = 256, 64, 20
    signal = rng(2).standard_normal(hop_length * (n_frames - 1) + n_fft)
    starts = hop_length * np.arange(n_frames)
    frames = np.stack([signal[s : s + n_fft] for s in starts]) * reference.hann_window(n_fft)
    y = kernels.istft(np.fft.rfft(frames).astype(np.complex64), n_fft, hop_length)
    edge = n_fft // 15  # where the gain is bounded
    error = (y - signal)[edge:-edge]
    snr_db = 10 * np.log10(np.mean(signal**2) / np.mean(error**2))
    assert snr_db > 110


@pytest.mark.parametrize("op", ["wrap", "unwrap", "instantaneous_frequency", "integrate"])
def test_non_contiguous(kernels, op):
    base = wrapped_phase((6, 14, 22))
    view = base[::2, ::-2, 1::3].swapaxes(0, 1)
    np.testing.assert_array_equal(getattr(kernels, op)(view), getattr(kernels, op)(view.copy()))


def test_input_is_not_changed(kernels):
    x = 3 * wrapped_phase((3, 4))
    before = x.copy()
    kernels.unwrap(x)
    kernels.wrap(x)
    kernels.integrate(x)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("n", [0, 1, 3, 4, 5, 1001])
@pytest.mark.parametrize("key", [(0, 0, 0), (2**64 - 1, 2**32 - 1, 2**32 - 1), (2**40 + 7, 3, 5)])
def test_philox_uniform(kernels, key, n):
    if kernels.name in ("cuda", "torch"):
        pytest.skip("drawn on the CPU alone")
    y = kernels.philox_uniform(*key, n)
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, reference.philox_uniform(*key, n))


def test_philox_matches_the_published_vectors():
    # Known answers of Random123 (kat_vectors, philox4x32 10): counter 0 key 0, and all ones.
    zero = [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    expected = [np.float32((word >> 8) * 2.0**-24) for word in zero]
    assert reference.philox_uniform(0, 0, 0, 4).tolist() == expected


@pytest.mark.skipif("AUDIOGEN_ISA" not in os.environ, reason="no instruction set was asked for")
def test_the_instruction_set_asked_for_serves():
    assert _native.require().isa() == os.environ["AUDIOGEN_ISA"]
