"""`audiogen explore`: the page, the printed table, the card, and bad input."""

from __future__ import annotations

import pytest

from audiogen.presets import load_preset


def test_latents_are_measured_and_written(call, folder, write_tiny):
    pytest.importorskip("parselmouth", reason="the tracker praat needs praat-parselmouth")
    write_tiny(folder / "mine")
    result = call("explore mine -o out --latents 2 --seed 3 --card")
    assert result.status == 0, result.err
    assert "half-way" in result.out and "notes in tune" in result.out
    assert "out/explore.html" in result.out
    assert {"random-3.flac", "random-4.flac"} < {p.name for p in (folder / "out/sounds").iterdir()}
    assert {"random_in_tune", "half_way_in_tune"} < set(load_preset("mine").measured)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("explore murmur", "latents are not supported by preset 'murmur', a samplernn"),
        ("explore kazoo", "'kazoo'"),
        ("explore plucked --latents 0", "--latents"),
        ("explore plucked --data nowhere", "nowhere"),
    ],
)
def test_bad_input_ends_with_an_error_message(call, folder, murmur, line, message):
    result = call(line)
    assert result.status == 2
    assert message in " ".join(result.err.split()) and "Traceback" not in result.err
    assert not (folder / "explore").exists()
