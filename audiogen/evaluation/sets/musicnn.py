"""A judge that was trained on other data: musicnn, a tagger of music (MagnaTagATune).

Pons and Serra, "musicnn: pre-trained convolutional neural networks for music audio tagging"
(ISMIR 2019, late-breaking). Its weights are in the package musicnn (ISC), which needs an old
TensorFlow to run; only the weights are read here, and the network is PyTorch's.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from audiogen.audio.files import resample
from audiogen.core.packages import require_package
from audiogen.errors import FormatError, MissingPackageError, ParameterError
from audiogen.evaluation.sets.tensorflow_checkpoint import DATA, read_checkpoint

if TYPE_CHECKING:
    import torch

NAME = "musicnn"
RATE, N_FFT, HOP, N_MELS, N_FRAMES = 16000, 512, 256, 96, 187  # 3 s
N_FEATURES = 200
LEVEL = 0.1  # RMS to which each note is brought: the network's features depend on the level
_AT_ONCE = 32
_EPSILON = 1e-3  # of batch normalisation, TensorFlow's default
N_NORMS, _NORM = 11, ("moving_mean", "moving_variance", "gamma", "beta")
_VARIABLES = {  # shape of each layer's weights: height, width, inputs, outputs
    **{f"conv2d{n}/kernel": (7, w, 1, 204) for n, w in (("", 38), ("_1", 67))},
    **{f"conv2d_{n}/kernel": (h, 1, 1, 51) for n, h in ((2, 128), (3, 64), (4, 32))},
    **{f"conv2d_{n}/kernel": (7, w, 1, 64) for n, w in ((5, 561), (6, 64), (7, 64))},
    "dense/kernel": (1506, N_FEATURES),
}


class MusicnnJudge:
    """The 200 features before musicnn's tags (model MTT_musicnn); it has no classes of pitch.

    Raises
    ------
    MissingPackageError
        If the package musicnn or torch is not installed.
    FormatError
        If the package's weights are not those of the network.
    """

    name = NAME
    evidence = "A tagger of music (MagnaTagATune); its accuracy on sound banks isn't known"
    pitches: tuple[int, ...] = ()

    def __init__(self) -> None:
        require_package("torch", "train", f"the judge {NAME}")
        spec = find_spec(NAME)
        if spec is None or not spec.submodule_search_locations:
            raise MissingPackageError(
                f"the judge {NAME} needs the weights in the package {NAME}: pip install --no-deps"
                f" {NAME}"
            )
        folder = Path(next(iter(spec.submodule_search_locations))) / "MTT_musicnn"
        self._weights = _tensors(read_checkpoint(folder), folder)
        content = (folder / DATA).read_bytes() + inspect.getsource(sys.modules[__name__]).encode()
        self.hash = hashlib.sha256(content).hexdigest()[:16]

    def embed(self, sounds: np.ndarray, sample_rate: int) -> np.ndarray:
        """Return features [n_notes, 200] of the first 3 s of notes [n_notes, n_samples]."""
        torch = require_package("torch", "train", f"the judge {NAME}")
        parts = []
        with torch.no_grad():
            for first in range(0, len(sounds), _AT_ONCE):
                batch = [log_mel(x, sample_rate) for x in sounds[first : first + _AT_ONCE]]
                parts.append(penultimate(torch.from_numpy(np.stack(batch)), self._weights).numpy())
        return np.concatenate(parts) if parts else np.zeros((0, N_FEATURES), np.float32)

    def pitch_probabilities(self, sounds: np.ndarray, sample_rate: int) -> np.ndarray:
        """Raise: this network has no classes of pitch."""
        raise ParameterError(f"pitch probabilities are not supported by the judge {NAME}")


def log_mel(sound: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return the network's input [187, 96] of a note, at a level of `LEVEL`; zeros for silence."""
    librosa = require_package("librosa", "plot", f"the judge {NAME}")
    x = resample(np.asarray(sound, np.float32), sample_rate, RATE)
    x = np.pad(x, (0, max(0, N_FFT - len(x))))[: N_FRAMES * HOP]
    x = x * (LEVEL / max(float(np.sqrt(np.mean(np.square(x)))), 1e-6))
    mel = librosa.feature.melspectrogram(y=x, sr=RATE, hop_length=HOP, n_fft=N_FFT, n_mels=N_MELS)
    out = np.zeros((N_FRAMES, N_MELS), np.float32)
    frames = np.log10(1.0 + 1e4 * mel.T[:N_FRAMES])
    out[: len(frames)] = frames
    return out


def penultimate(mel: torch.Tensor, weights: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return features [n, 200] of log-mel spectrograms [n, 187, 96].

    Two filters over 7 frames and many bands respond to timbre, three over one band and up to 128
    frames to rhythm; each is pooled over frequency. Three convolutions over time, the last two
    residual, follow. The dense layer receives maxima and means over time of them all.
    """
    import torch
    import torch.nn.functional as F

    def conv(x: torch.Tensor, name: str) -> torch.Tensor:
        return F.relu(F.conv2d(x, weights[f"{name}/kernel"], weights[f"{name}/bias"]))

    def norm(x: torch.Tensor, n: int) -> torch.Tensor:
        mean, variance, gamma, beta = (weights[_norm_name(n, part)] for part in _NORM)
        return F.batch_norm(x, mean, variance, gamma, beta, eps=_EPSILON)

    x = norm(mel[:, None], 0)  # [n, 1, time, bands]
    layers = []
    for n, name in enumerate(("conv2d", "conv2d_1", "conv2d_2", "conv2d_3", "conv2d_4"), 1):
        height = weights[f"{name}/kernel"].shape[2]
        before = (height - 1) // 2  # of an even height the later side has one more, as TensorFlow's
        padded = F.pad(x, (0, 0, before, height - 1 - before))
        layers.append(norm(conv(padded, name), n).amax(dim=3))
    front = torch.cat(layers, dim=1)  # [n, 561, time]
    deep = [front]
    for n, name in enumerate(("conv2d_5", "conv2d_6", "conv2d_7"), 6):
        padded = F.pad(deep[-1].transpose(1, 2)[:, None], (0, 0, 3, 3))
        out = norm(conv(padded, name), n)[..., 0]
        deep.append(out if n == 6 else out + deep[-1])
    every = torch.cat(deep, dim=1)  # [n, 753, time]
    # TensorFlow flattens [features, maximum and mean].
    pooled = torch.stack([every.amax(dim=2), every.mean(dim=2)], dim=2).flatten(1)
    dense = F.relu(norm(pooled, 9) @ weights["dense/kernel"] + weights["dense/bias"])
    return norm(dense, 10)


def _norm_name(number: int, part: str) -> str:
    return f"batch_normalization{f'_{number}' if number else ''}/{part}"


def _tensors(variables: dict[str, np.ndarray], folder: Path) -> dict[str, Any]:
    """The variables as tensors, convolutions as [outputs, inputs, height, width]."""
    import torch

    for name, shape in _VARIABLES.items():
        shapes = {name: shape, name.replace("kernel", "bias"): shape[-1:]}
        for each, wanted in shapes.items():
            found = variables[each].shape if each in variables else None
            if found != wanted:
                raise FormatError(f"{folder}: {each} has the shape {found} and must have {wanted}")
    for number in range(N_NORMS):
        for part in _NORM:
            if _norm_name(number, part) not in variables:
                raise FormatError(f"{folder}: {_norm_name(number, part)} not found")
    return {
        name: torch.from_numpy(
            np.array(np.transpose(x, (3, 2, 0, 1)) if x.ndim == 4 else x, order="C")
        )
        for name, x in variables.items()
        if "Adam" not in name
    }
