"""A generator as an ONNX graph: latent, pitch and velocity in, spectrogram frames out."""

from __future__ import annotations

import json
import os
import warnings
from typing import Any

import torch
from torch import Tensor, nn

from audiogen.core.atomic_write import written_whole
from audiogen.core.packages import require_package
from audiogen.export.frame_network import (
    FrameNetwork,
    nearest_partial,
    partial_table,
    require_generator,
    spectrogram_of,
)
from audiogen.presets import Preset
from audiogen.representation.harmonic import bin_centres_hz
from audiogen.representation.partials import MOST_PARTIALS

OPSET = 17


class _WholeNotes(nn.Module):
    """The graph's signature: whole notes, and the frequency of steady partials added.

    Without ``partials``, those of all notes are harmonic.
    """

    def __init__(self, network: FrameNetwork, centres_hz: Tensor, hop_s: float, harmonic: bool):
        super().__init__()
        self.network, self.hop_s, self.harmonic = network, hop_s, harmonic
        self.register_buffer(
            "series", torch.arange(1.0, MOST_PARTIALS + 1.0, dtype=torch.float64)[None]
        )
        self.register_buffer("centres_hz", centres_hz)

    def forward(
        self,
        z: Tensor,
        pitch: Tensor,
        velocity: Tensor,
        noise: list[Tensor],
        partials: Tensor | None = None,
    ):
        network = self.network
        ratios = partials.double() if partials is not None else self.series.expand(z.shape[0], -1)
        log_magnitude, frequency = network(z, pitch, velocity, ratios, noise, 0, network.n_frames)
        if self.harmonic:
            f0 = 440.0 * torch.pow(
                torch.full([1, 1], 2.0, dtype=torch.float64), (pitch.double()[:, None] - 69) / 12
            )
            half_turns = 2.0 * nearest_partial(self.centres_hz, f0, ratios)[1] * self.hop_s
            whole = 2.0 * torch.floor(0.5 * half_turns + 0.5)
            frequency = frequency + (half_turns - whole).float()[:, None]
            frequency = frequency - 2.0 * torch.floor(0.5 * frequency + 0.5)
        return log_magnitude, frequency


def export_onnx(preset: Preset, path: str | os.PathLike[str]) -> list[str]:
    """Write a GANSynth's generator as an ONNX file.

    Inputs are ``z`` [batch, latent_size], ``pitch`` and ``velocity`` [batch], and ``noise_0`` ...
    [batch, n_frames_b, n_bins_b], uniform in -sqrt 3 to sqrt 3; a ``one_hot`` generator has neither
    velocity nor noise. That of a preset with inharmonic timbres also has ``partials``
    [batch, 64], ratios to the pitch. Outputs are ``log_magnitude`` [batch, n_frames, n_bins],
    natural logarithm, and ``instantaneous_frequency``, the phase's advance per hop in units of pi,
    -1 to 1. The sizes and the timbres' latents, gains and partials are in the file's metadata.

    Parameters
    ----------
    preset : Preset
        A GANSynth preset.
    path : path
        File to write, ``.onnx``.

    Returns
    -------
    list of str
        Names of the inputs.

    Raises
    ------
    ParameterError
        If the preset has no generator.
    MissingPackageError
        If onnx is not installed.
    """
    chosen = require_generator(preset, "onnx")
    onnx = require_package("onnx", "export", "exporting to onnx")
    network = FrameNetwork(chosen).eval()
    spectrogram = spectrogram_of(chosen)
    centres = torch.as_tensor(bin_centres_hz(spectrogram, network.n_bins), dtype=torch.float64)
    hop_s = spectrogram.hop_length / spectrogram.sample_rate
    graph = _WholeNotes(network, centres, hop_s, spectrogram.phase == "harmonic").eval()
    z = torch.ones(1, network.latent_size)
    noise = network.draw_noise(1)
    pitch, velocity = torch.full((1,), 60.0), torch.full((1,), 0.8)
    arguments: list[Any] = [z, pitch, velocity, noise]
    inputs = ["z", "pitch", "velocity", *(f"noise_{b}" for b in range(len(noise)))]
    table = partial_table(chosen)
    own = [t.name for t in chosen.timbres if t.partials or t.inharmonicity]
    if own:
        arguments.append(torch.from_numpy(table[0, :1]).float())
        inputs.append("partials")
    outputs = ["log_magnitude", "instantaneous_frequency"]
    with written_whole(path) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tracer: sizes are constants, which is intended
        torch.onnx.export(
            graph,
            tuple(arguments),
            str(temporary),
            input_names=inputs,
            output_names=outputs,
            dynamic_axes={name: {0: "batch"} for name in (*inputs, *outputs)},
            opset_version=OPSET,
            dynamo=False,
        )
        model = onnx.load(str(temporary))
        metadata = {
            "preset": chosen.name,
            "licence": chosen.licence,
            "spectrogram": json.dumps({**chosen.spectrogram.table(), "rate": chosen.sample_rate}),
            "timbres": json.dumps({timbre.name: timbre.z for timbre in chosen.timbres}),
            "gains_db": json.dumps(
                {timbre.name: timbre.gain_db or 0.0 for timbre in chosen.timbres}
            ),
            "partials": json.dumps(
                {
                    timbre.name: {"lowest_pitch": chosen.generator.pitch_min, "ratios": keys}
                    for timbre, keys in zip(chosen.timbres, table.round(5).tolist(), strict=True)
                    if timbre.name in own
                }
            ),
        }
        onnx.helper.set_model_props(model, metadata)
        onnx.checker.check_model(model)
        onnx.save(model, str(temporary))
    return [value.name for value in model.graph.input]
