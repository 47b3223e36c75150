"""SampleRNN: sizes as published, causal, state carried exactly, weights in and out."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from audiogen.errors import ParameterError
from audiogen.models.samplernn import (
    PRISM,
    SampleRNN,
    SampleRNNConfig,
    export_weights,
    import_weights,
)

TINY = SampleRNNConfig(frame_sizes=(8, 2), dim=12, embedding_size=5)
VARIANTS = {
    "three tiers": TINY,
    "two tiers": dataclasses.replace(TINY, frame_sizes=(4,)),
    "flat": dataclasses.replace(TINY, frame_sizes=(1,)),
    "equation 2": dataclasses.replace(TINY, frame_sizes=(1,), embedding_size=0),
    "equation 2, 16 bits": dataclasses.replace(
        TINY, frame_sizes=(1,), embedding_size=0, q_levels=65536
    ),
    "four tiers, two layers": dataclasses.replace(TINY, frame_sizes=(8, 4, 2), n_rnn=2),
    "lstm": dataclasses.replace(TINY, rnn="lstm", n_rnn=2),
    "16 bits": dataclasses.replace(TINY, q_levels=65536, quantisation="mu_law"),
    "classes": dataclasses.replace(TINY, conditioning="class", n_classes=3),
    "notes": dataclasses.replace(TINY, conditioning="note", n_classes=2, q_levels=65536),
    "plain weights": dataclasses.replace(TINY, weight_norm=False, learn_h0=False),
}


def make(config: SampleRNNConfig, seed: int = 0) -> SampleRNN:
    torch.manual_seed(seed)
    model = SampleRNN(config)
    with torch.no_grad():
        for tier in model.tiers:
            tier.h0 += 0.3 * torch.randn_like(tier.h0)
    return model


def sound(config: SampleRNNConfig, n: int, batch: int = 2):
    """Random levels with their past, and features."""
    generator = torch.Generator().manual_seed(7)
    size = (batch, config.frame_sizes[0] + n)
    levels = torch.randint(0, config.q_levels, size, generator=generator)
    features = torch.randn(batch, n, config.n_features, generator=generator)
    return levels, features if config.n_features else None


def logits_of(model: SampleRNN, levels, features, state=None):
    state = model.initial_state(len(levels)) if state is None else state
    upper, lower, state = model(levels, state, features)
    return upper if lower is None else torch.cat((upper, lower), dim=-1), state


def test_the_papers_size():
    config = SampleRNNConfig()
    assert (config.frame_sizes, config.dim, config.q_levels) == ((8, 2), 1024, 256)
    model = SampleRNN(config)
    n = {name: p.numel() for name, p in model.named_parameters()}
    weights = sum(size for name, size in n.items() if name.endswith(".weight"))
    assert weights == 18_638_848  # 18.64 M: the fact sheet's count, by tiers
    top = sum(n[f"tiers.0.{part}.weight"] for part in ("ih.0", "hh.0", "upsample"))
    below = sum(n[f"tiers.1.{part}.weight"] for part in ("input", "ih.0", "hh.0", "upsample"))
    assert (top, below) == (7_364_608, 8_390_656)
    assert weights - top - below == 2_883_584
    assert n["sample.embedding"] == 65_536


@pytest.mark.slow
def test_prisms_settings():
    assert (PRISM.frame_sizes, PRISM.n_rnn, PRISM.quantisation) == ((64, 16), 4, "mu_law")
    n = sum(p.numel() for p in SampleRNN(PRISM).parameters())
    # As published, where the top tier's frame passes a layer of 1024 before it meets the gates.
    assert n + 1024 * (64 + 1 + 3072) - 64 * 3072 == pytest.approx(78.06e6, rel=0.001)


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
def test_no_logit_knows_its_own_sample_or_later_ones(config):
    model = make(config)
    levels, features = sound(config, 16, batch=1)
    before, _ = logits_of(model, levels, features)
    for place in (0, 5, 15):
        changed = levels.clone()
        index = config.frame_sizes[0] + place
        changed[0, index] = (changed[0, index] + config.q_levels // 2) % config.q_levels
        after, _ = logits_of(model, changed, features)
        until = slice(0, place) if config.two_bytes else slice(0, place + 1)
        assert torch.equal(after[:, until], before[:, until])
        if config.two_bytes:  # the lower byte knows the upper one of its own sample
            assert torch.equal(after[:, place, :256], before[:, place, :256])
            assert not torch.equal(after[:, place, 256:], before[:, place, 256:])
        if place < 15:
            assert not torch.equal(after[:, place + 1 :], before[:, place + 1 :])


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
def test_a_stretch_cut_in_two_is_the_whole(config):
    model = make(config)
    levels, features = sound(config, 48)
    top = config.frame_sizes[0]
    whole, end = logits_of(model, levels, features)
    first, state = logits_of(model, levels[:, : top + 16], _part(features, slice(0, 16)))
    last, state = logits_of(model, levels[:, 16:], _part(features, slice(16, 48)), state)
    torch.testing.assert_close(torch.cat((first, last), dim=1), whole, rtol=1e-5, atol=1e-5)
    for ours, theirs in zip(state, end, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def _part(features, where):
    return None if features is None else features[:, where]


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
def test_every_weight_learns_and_travels(config):
    model = make(config)
    levels, features = sound(config, 32)
    model.bits(levels, model.initial_state(2), features)[0].mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
    other = make(config, seed=1)
    import_weights(other, export_weights(model))
    ours, theirs = (logits_of(m, levels, features)[0] for m in (other, model))
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_equation_2_is_torchs_gru_and_three_layers():
    model = make(VARIANTS["equation 2"])
    levels, _ = sound(model.config, 16)
    weights = {name: torch.from_numpy(w) for name, w in export_weights(model).items()}
    gru = torch.nn.GRU(1, 12, batch_first=True)
    gru.load_state_dict(
        {
            f"{theirs}_l0": weights[f"tiers.0.{ours}"]
            for ours, theirs in {
                "ih.0.weight": "weight_ih",
                "ih.0.bias": "bias_ih",
                "hh.0.weight": "weight_hh",
                "hh.0.bias": "bias_hh",
            }.items()
        }
    )
    x = levels[:, :-1, None] * (4.0 / 255.0) - 2.0
    x, _ = gru(x, weights["tiers.0.h0"][:, None].expand(-1, 2, -1).contiguous())
    for layer in ("tiers.0.upsample", "sample.layer2", "sample.layer3", "sample.output"):
        x = torch.nn.functional.linear(x, weights[f"{layer}.weight"], weights[f"{layer}.bias"])
        x = x.relu() if layer in ("sample.layer2", "sample.layer3") else x
    torch.testing.assert_close(logits_of(model, levels, None)[0], x, rtol=1e-5, atol=1e-5)


def test_weight_norm_keeps_the_length_that_was_learned():
    model = make(TINY)
    layer = model.sample.layer2
    with torch.no_grad():
        layer.weight *= 7.0  # the direction alone counts
        layer.gain.fill_(2.0)
    torch.testing.assert_close(layer.effective().norm(dim=1), torch.full((12,), 2.0))


def test_the_state_of_an_lstm_has_h_and_c():
    config = VARIANTS["lstm"]
    model = make(config)
    levels, _ = sound(config, 8)
    state = model.initial_state(2)
    assert [tuple(s.shape) for s in state] == [(4, 2, 12)] * 2
    _, end = logits_of(model, levels, None)
    assert [tuple(s.shape) for s in end] == [(4, 2, 12)] * 2
    h, c = end[0][:2], end[0][2:]
    assert (h.abs() < c.tanh().abs()).all()  # h is the tanh of c behind a gate


def test_bits_are_those_of_the_softmax():
    config = VARIANTS["16 bits"]
    model = make(config)
    levels, _ = sound(config, 8)
    bits, _ = model.bits(levels, model.initial_state(2))
    logits, _ = logits_of(model, levels, None)
    upper, lower = (part.log_softmax(-1) for part in logits.split(256, dim=-1))
    for b in range(2):
        for n in range(8):
            level = int(levels[b, 8 + n])
            nats = -(upper[b, n, level // 256] + lower[b, n, level % 256]).item()
            assert bits[b, n].item() == pytest.approx(nats / math.log(2.0), rel=1e-5)
    assert bits.mean() > 16.0  # untrained, nothing is known


def test_note_features_reach_every_tier():
    config = VARIANTS["notes"]
    model = make(config)
    levels, features = sound(config, 16)
    before, _ = logits_of(model, levels, features)
    for sample, first in ((0, 0), (3, 3), (8, 8)):
        changed = features.clone()
        changed[:, sample] += 1.0
        after, _ = logits_of(model, levels, changed)
        same = [torch.equal(after[:, n], before[:, n]) for n in range(16)]
        assert same.index(False) == first
        # A feature at a frame's first sample goes on in the states of the tiers.
        assert all(same[sample + 1 :]) == (sample % 2 == 1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"frame_sizes": ()}, "frame_sizes"),
        ({"frame_sizes": (2, 8)}, "sizes that fall"),
        ({"frame_sizes": (8, 3)}, "multiple"),
        ({"rnn": "rnn"}, "'gru' or 'lstm'"),
        ({"q_levels": 1024}, "65536"),
        ({"quantisation": "a_law"}, "mu_law"),
        ({"conditioning": "class", "n_classes": 1}, "must be 2 to"),
        ({"conditioning": "note"}, "must be 1 to"),
        ({"n_classes": 3}, "use 0"),
        ({"conditioning": "text"}, "class"),
    ],
)
def test_a_wrong_config_is_named(change, words):
    with pytest.raises(ParameterError, match=words):
        dataclasses.replace(TINY, **change)


def test_a_stretch_that_is_no_multiple_is_refused():
    model = make(TINY)
    with pytest.raises(ParameterError, match="multiple of 8"):
        model(torch.zeros(1, 13, dtype=torch.int64), model.initial_state(1))


def test_exported_names():
    names = set(export_weights(make(VARIANTS["notes"])))
    assert {"tiers.0.ih.0.weight", "tiers.1.features.weight", "sample.upper"} <= names
    assert not [name for name in names if name.endswith("gain")]
    assert all(a.dtype == np.float32 for a in export_weights(make(TINY)).values())
