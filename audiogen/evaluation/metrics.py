"""Metrics of notes: pitch, level, faults, and distances between sets of features."""

from __future__ import annotations

import numpy as np

from audiogen.audio.pitch import cents_error
from audiogen.core.packages import require_package
from audiogen.errors import ParameterError, ShapeError

SILENCE_DB = -60.0  # peak, dBFS
CLICK_RATIO = 30.0  # value of `click_ratio` above which a note is said to click
_FLOOR = 1e-10  # -200 dBFS; keeps logarithms finite


def pitch_accuracy(
    measured: np.ndarray,
    wanted: np.ndarray,
    *,
    tolerance_cents: float = 50.0,
    octave_free: bool = False,
) -> float:
    """Return the fraction of notes within half a semitone of the pitch asked for.

    Parameters
    ----------
    measured : array [n_notes], MIDI numbers
        Measured pitches; NaN, for a note without a pitch, counts as wrong.
    wanted : array [n_notes], MIDI numbers
        Pitches asked for.
    tolerance_cents : float
        Largest error of a note that is in tune.
    octave_free : bool
        Whether to ignore errors of whole octaves.

    Raises
    ------
    ShapeError
        If there are no notes, or the two differ in number.

    Examples
    --------
    >>> pitch_accuracy(np.array([60.1, 72.0, np.nan, 64.0]), np.array([60, 60, 62, 64]))
    0.5
    """
    measured, wanted = np.asarray(measured, float), np.asarray(wanted, float)
    if measured.shape != wanted.shape or measured.size == 0:
        raise ShapeError(
            f"measured has shape {measured.shape} and wanted {wanted.shape}; "
            "the shapes must be equal and not empty"
        )
    cents = cents_error(measured, wanted, octave_free=octave_free)
    return float(np.mean(np.abs(cents) <= tolerance_cents))


def peak_db(waveform: np.ndarray) -> float:
    """Return the largest absolute sample in dBFS (-200 for silence)."""
    return float(20 * np.log10(max(float(np.max(np.abs(waveform), initial=0.0)), _FLOOR)))


def level_db(waveform: np.ndarray) -> float:
    """Return the root mean square in dBFS (-200 for silence, -3.01 for a full-scale sine)."""
    waveform = np.asarray(waveform, np.float64)
    power = float(np.mean(np.square(waveform))) if waveform.size else 0.0
    return float(20 * np.log10(max(np.sqrt(power), _FLOOR)))


def is_silent(waveform: np.ndarray) -> bool:
    """Return whether the peak is below -60 dBFS."""
    return peak_db(waveform) < SILENCE_DB


def dc_offset(waveform: np.ndarray) -> float:
    """Return the mean divided by the root mean square, from -1 to 1 (0 for silence)."""
    waveform = np.asarray(waveform, np.float64)
    rms = float(np.sqrt(np.mean(np.square(waveform)))) if waveform.size else 0.0
    return float(np.mean(waveform)) / rms if rms > _FLOOR else 0.0


def click_ratio(waveform: np.ndarray, sample_rate: int, *, skip_s: float = 0.06) -> float:
    """Return the largest ratio of a waveform's second difference to its surroundings.

    The second difference turns a jump or a corner into a spike. Each value is divided by the root
    mean square of its neighbours within 35 ms, without the nearest 1 ms on either side. A sine
    has 1.4 at any frequency, white noise 4 to 5, recorded notes about 4 and hardly ever more than
    `CLICK_RATIO`; a 220 Hz sine with a phase jump of 1 rad has 168.

    Parameters
    ----------
    waveform : array [n_samples], float
        Samples of one channel.
    sample_rate : int, Hz
        Sample rate of the samples.
    skip_s : float, s
        Beginning that is excluded, because an attack is not a click.

    Returns
    -------
    float
        Largest ratio; 0 for silence and for waveforms shorter than 70 ms.
    """
    waveform = np.asarray(waveform, np.float64)
    bend = np.square(np.diff(waveform, 2))
    # 35 ms exceed a period of C1, 31 ms, so that a pulse is compared with the next one.
    near, far = max(1, round(0.001 * sample_rate)), round(0.035 * sample_rate)
    if len(bend) < 2 * far + 1:
        return 0.0
    total = np.concatenate([[0.0], np.cumsum(bend)])
    index = np.arange(len(bend))

    def sum_within(radius: int) -> tuple[np.ndarray, np.ndarray]:
        low, high = np.maximum(index - radius, 0), np.minimum(index + radius + 1, len(bend))
        return total[high] - total[low], high - low

    outer, inner = sum_within(far), sum_within(near)
    around = np.maximum(outer[0] - inner[0], 0.0) / (outer[1] - inner[1])
    # 100 dB below the largest value is rounding error.
    floor = 1e-10 * float(bend.max()) + 1e-24
    ratio = np.sqrt(bend / (around + floor))[round(skip_s * sample_rate) :]
    return float(ratio.max(initial=0.0))


def frechet_distance(features_a: np.ndarray, features_b: np.ndarray) -> float:
    """Return the Frechet distance of two sets of features, modelled as Gaussians.

    |m_a - m_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)), with means m and covariances S.

    Parameters
    ----------
    features_a, features_b : array [n_a, n_features], array [n_b, n_features]
        Features of notes. The estimate is biased upwards for few notes, so only results from
        equal numbers are comparable.

    Raises
    ------
    ShapeError
        If the numbers of features differ, or a set has fewer than two notes.

    References
    ----------
    Dowson and Landau, "The Frechet distance between multivariate normal distributions", 1982.
    Heusel et al., "GANs trained by a two time-scale update rule", NeurIPS 2017, equation 6.
    """
    a, b = _feature_pair(features_a, features_b)
    covariance_a = np.atleast_2d(np.cov(a, rowvar=False))
    covariance_b = np.atleast_2d(np.cov(b, rowvar=False))
    # tr (S_a S_b)^(1/2) = sum of the singular values of S_a^(1/2) S_b^(1/2).
    mixed = np.linalg.svd(_root(covariance_a) @ _root(covariance_b), compute_uv=False).sum()
    shift = np.sum(np.square(a.mean(axis=0) - b.mean(axis=0)))
    return float(shift + np.trace(covariance_a) + np.trace(covariance_b) - 2 * mixed)


def kernel_distance(features_a: np.ndarray, features_b: np.ndarray) -> float:
    """Return the unbiased kernel distance of two sets of features, 0 on average for equal ones.

    The squared maximum mean discrepancy with the kernel (x.y / n_features + 1)^3; it can be
    negative.

    Parameters
    ----------
    features_a, features_b : array [n_a, n_features], array [n_b, n_features]
        Features of notes.

    Raises
    ------
    ShapeError
        If the numbers of features differ, or a set has fewer than two notes.

    References
    ----------
    Binkowski et al., "Demystifying MMD GANs", ICLR 2018, section 4.
    """
    a, b = _feature_pair(features_a, features_b)

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (x @ y.T / a.shape[1] + 1) ** 3

    def mean_of_others(x: np.ndarray) -> float:
        gram = kernel(x, x)
        return float((gram.sum() - np.trace(gram)) / (len(x) * (len(x) - 1)))

    return mean_of_others(a) + mean_of_others(b) - 2 * float(kernel(a, b).mean())


def ndb(
    reference: np.ndarray,
    generated: np.ndarray,
    *,
    n_bins: int = 50,
    significance: float = 0.05,
    seed: int = 0,
) -> float:
    """Return the fraction of statistically different bins, a measure of missing modes.

    The reference is divided into k-means cells. A cell is different if the shares of reference and
    generated notes in it fail a two-proportion z-test. Two sets from one source have about
    `significance`.

    Parameters
    ----------
    reference, generated : array [n_notes, n_features]
        Features of notes.
    n_bins : int
        Number of cells; at most half the notes of the reference.
    significance : float
        Probability of a false positive in each test.
    seed : int
        Seed of the k-means initialisation.

    Raises
    ------
    ShapeError
        If the numbers of features differ.
    ParameterError
        If `n_bins` is above half the number of reference notes.
    MissingPackageError
        If scipy is not installed.

    References
    ----------
    Richardson and Weiss, "On GANs and GMMs", NeurIPS 2018, section 3; GANSynth uses it, too.
    """
    vq = require_package("scipy.cluster.vq", "train", "the share of different bins")
    norm = require_package("scipy.stats", "train", "the share of different bins").norm
    reference, generated = _feature_pair(reference, generated)
    if not 1 <= n_bins <= len(reference) // 2:
        raise ParameterError(
            f"n_bins={n_bins} must be from 1 to half the reference's {len(reference)} notes"
        )
    scale = reference.std(axis=0)
    scale[scale == 0] = 1.0
    reference, generated = reference / scale, generated / scale
    rng = np.random.default_rng(seed)
    centres, labels = vq.kmeans2(reference, n_bins, minit="++", iter=50, rng=rng, missing="warn")
    cells = (labels, vq.vq(generated, centres)[0])
    counts = [np.bincount(numbers, minlength=n_bins) for numbers in cells]
    n = np.array([[len(reference)], [len(generated)]])
    share = np.array(counts) / n
    pooled = np.sum(counts, axis=0) / n.sum()
    error = np.sqrt(pooled * (1 - pooled) * np.sum(1 / n))
    z = np.abs(share[0] - share[1]) / np.where(error > 0, error, np.inf)
    return float(np.mean(z > norm.ppf(1 - significance / 2)))


def _root(covariance: np.ndarray) -> np.ndarray:
    """Return the symmetric square root; small negative eigenvalues are rounding errors."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T


def _feature_pair(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise ShapeError(
            f"features of shapes {a.shape} and {b.shape} must be [n_notes, n_features], with "
            "equal n_features and two notes or more"
        )
    return a, b
