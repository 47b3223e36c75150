"""Timbres of a GANSynth as latents: named, mixed on the sphere, random, or from a file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from numbers import Real

import numpy as np

from audiogen.core.checks import check_seed
from audiogen.errors import ParameterError
from audiogen.presets import GansynthPreset, Preset, check_latent, is_latent_file, read_latent

# A name, a mix such as "harp+koto" or "harp:0.6+koto:0.4", "random" or "random:7", the file of a
# latent, or a latent itself.
Timbre = str | Sequence[float] | np.ndarray

_RANDOM = re.compile(r"random(?::(\d{1,20}))?\Z")


def read_timbre(preset: Preset, timbre: Timbre) -> np.ndarray:
    """The latent of a timbre.

    Parameters
    ----------
    preset : Preset
        Preset whose timbres are meant.
    timbre : str or sequence of float
        Name of a timbre; a mix of names with weights, ``harp+koto`` or ``harp:0.6+koto:0.4``;
        ``random`` or ``random:SEED``; a file that `audiogen encode` wrote (``.json``); or a latent.

    Returns
    -------
    ndarray [latent_size], float64

    Raises
    ------
    PresetError
        If there is no such timbre or file.
    ParameterError
        If the preset has no latents, or the latent is another preset's.
    """
    if not isinstance(timbre, str):
        numbers = [float(number) for number in timbre]
        return np.array(check_latent(numbers, preset, "the latent"))
    if is_latent_file(timbre):
        return np.array(check_latent(read_latent(timbre).z, preset, timbre))
    if match := _RANDOM.match(timbre):
        return random_latent(preset, int(match[1] or 0))
    if "+" in timbre or ":" in timbre:
        return _mixed(preset, timbre)
    chosen = preset.timbre(timbre).name
    return next(np.array(t.z) for t in require_latents(preset).timbres if t.name == chosen)


def check_timbre(preset: Preset, timbre: Timbre) -> None:
    """Raise, as `read_timbre` does, unless a preset can play a timbre."""
    if not isinstance(timbre, str) or timbre not in preset.timbre_names:
        read_timbre(preset, timbre)


def require_latents(preset: Preset) -> GansynthPreset:
    """Return a preset whose timbres are latents; raise `ParameterError` for any other."""
    if isinstance(preset, GansynthPreset):
        return preset
    hint = "; play one of its timbres" if preset.timbres else ""
    raise ParameterError(
        f"latents are not supported by preset {preset.name!r}, a {preset.kind}{hint}"
    )


def random_latent(preset: Preset, seed: int = 0) -> np.ndarray:
    """A random latent, [latent_size], on the sphere that the generator's latents lie on.

    It is drawn from the normal distribution with the mean and the covariance of the timbres'
    latents (Bojanowski et al., "Optimizing the Latent Space of Generative Networks", ICML 2018).
    Far from these a network that learned a few latents extrapolates, by 30 dB of level and more.
    With a ``one_hot`` generator, which learned latents of all directions, and with a single timbre
    it is drawn from N(0, I).
    """
    generator = require_latents(preset).generator
    rng = np.random.default_rng(check_seed(seed))
    known = np.array([timbre.z for timbre in preset.timbres], np.float64)
    if generator.conditioning == "one_hot" or len(known) < 2:
        z = rng.standard_normal(generator.latent_size)
    else:
        known *= np.sqrt(known.shape[1]) / np.linalg.norm(known, axis=1, keepdims=True)
        mean = known.mean(axis=0)
        z = mean + rng.standard_normal(len(known)) @ (known - mean) / np.sqrt(len(known) - 1)
    return z / np.linalg.norm(z) * np.sqrt(len(z))


def mix_latents(first: np.ndarray, second: np.ndarray, amount: float) -> np.ndarray:
    """Spherical interpolation between two latents (Shoemake 1985), at radius sqrt(latent_size).

    Parameters
    ----------
    first, second : ndarray [latent_size]
        Latents, of any length but 0.
    amount : float
        0 is the first, 1 the second.

    Returns
    -------
    ndarray [latent_size], float64

    Raises
    ------
    ParameterError
        If the amount is not from 0 to 1.
    """
    if not (isinstance(amount, Real) and 0.0 <= amount <= 1.0):
        raise ParameterError(f"amount={amount!r} must be from 0 to 1")
    a, b = (z / np.linalg.norm(z) for z in (first, second))
    radius = np.sqrt(len(a))
    angle = np.arccos(np.clip(a @ b, -1.0, 1.0))
    if angle < 1e-6:
        return a * radius
    mixed = (np.sin((1 - amount) * angle) * a + np.sin(amount * angle) * b) / np.sin(angle)
    return mixed * radius


def move_latent(z: np.ndarray, change: np.ndarray) -> np.ndarray:
    """A latent moved by a vector and scaled back to its length, as the engine moves it by macros.

    Parameters
    ----------
    z, change : ndarray [latent_size]
        The latent, and the sum of the macros' directions times their distances.

    Returns
    -------
    ndarray [latent_size], float64
    """
    moved = np.asarray(z, np.float64) + change
    return moved * (np.linalg.norm(z) / max(float(np.linalg.norm(moved)), 1e-12))


def _mixed(preset: Preset, text: str) -> np.ndarray:
    """``harp+koto``, ``harp:0.6+koto:0.4``: pair by pair from the left, by weight."""
    mixed, total = None, 0.0
    for part in text.split("+"):
        name, colon, number = part.strip().rpartition(":")
        try:
            weight = float(number) if colon else 1.0
        except ValueError:
            weight = -1.0
        if not 0.0 < weight < 1e6:
            raise ParameterError(
                f"timbre={text!r}: the weight of {part.strip()!r} must be a number above 0; write"
                " harp:0.6+koto:0.4"
            )
        z = read_timbre(preset, name if colon else part.strip())
        total += weight
        mixed = z if mixed is None else mix_latents(mixed, z, weight / total)
    assert mixed is not None
    return mixed
