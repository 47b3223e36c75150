"""Conditioning of a SampleRNN that plays notes: pitch, velocity, time and phase of each sample.

The phase is that of the note's fundamental, integrated from its pitch, and is given as sines and
cosines of the first harmonics. With these inputs the network does not have to learn an oscillator
for each pitch: it learns the shape of a period, and pitch bends and glides take effect at once.
Sine inputs follow X. Wang et al., "Neural source-filter-based waveform model", ICASSP 2019.
"""

from __future__ import annotations

import numpy as np

from audiogen.representation.harmonic import pitch_to_hz

N_HARMONICS = 12
ATTACK_S = (0.01, 0.1, 0.5, 2.0)  # time constants of the decays from the note-on
RELEASE_S = (0.05, 0.3)  # time constants of the decays from the note-off
N_NOTE_FEATURES = 3 + len(ATTACK_S) + len(RELEASE_S) + 2 * N_HARMONICS


def note_features(phase, pitch, velocity, since_on_s, since_off_s, sample_rate: float):
    """Compute the conditioning of samples.

    Parameters
    ----------
    phase : array [...], cycles
        Phase of the fundamental.
    pitch : array [...], MIDI number
        Pitch; fractions are allowed.
    velocity : array [...], 0..1
        Velocity of the note.
    since_on_s : array [...], s
        Time since the note-on.
    since_off_s : array [...], s
        Time since the note-off; negative while the note is held.
    sample_rate : float, Hz
        Sample rate of the network.

    Returns
    -------
    array [..., N_NOTE_FEATURES], float32
        ``(pitch - 60) / 24``; ``2 velocity - 1``; 1 while held; decays from the note-on; decays
        from the note-off, 0 while held; then the sine and the cosine of each harmonic's phase,
        faded out from 90 % of the Nyquist frequency to the Nyquist frequency.
    """
    arrays = (phase, pitch, velocity, since_on_s, since_off_s)
    phase, pitch, velocity, on, off = np.broadcast_arrays(
        *(np.asarray(a, np.float64) for a in arrays)
    )
    out = np.empty((*phase.shape, N_NOTE_FEATURES), np.float32)
    held = off < 0.0
    out[..., 0] = (pitch - 60.0) / 24.0
    out[..., 1] = 2.0 * velocity - 1.0
    out[..., 2] = held
    at = 3
    for tau in ATTACK_S:
        out[..., at] = np.exp(-on / tau)
        at += 1
    for tau in RELEASE_S:
        out[..., at] = np.where(held, 0.0, np.exp(-np.maximum(off, 0.0) / tau))
        at += 1
    f0 = pitch_to_hz(pitch)
    nyquist = 0.5 * sample_rate
    turn = 2.0 * np.pi * (phase - np.floor(phase))
    for k in range(1, N_HARMONICS + 1):
        audible = np.clip((nyquist - k * f0) / (0.1 * nyquist), 0.0, 1.0)
        out[..., at] = audible * np.sin(k * turn)
        out[..., at + 1] = audible * np.cos(k * turn)
        at += 2
    return out
