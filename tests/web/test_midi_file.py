"""MIDI files as the page without a server reads them, in node."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import mido
import pytest

from audiogen.notes import read_midi
from audiogen.web.score import read_file
from tests.plugin.hosts import ROOT

pytestmark = pytest.mark.skipif(not shutil.which("node"), reason="node is not installed (nodejs)")
SOURCE = ROOT / "audiogen" / "web" / "static" / "midi_file.js"


def read_on_the_page(path: Path, kit: str = "false") -> dict[str, Any]:
    module = path.with_suffix(".mjs")
    module.write_text(SOURCE.read_text())
    program = (
        f"import {{ readMidiFile }} from {json.dumps(str(module))};"
        "import { readFileSync } from 'node:fs';"
        f"const read = readMidiFile(readFileSync({json.dumps(str(path))}), 48000, {kit});"
        "console.log(JSON.stringify(read, (_, v) => (v instanceof Uint8Array ? [...v] : v)));"
    )
    done = subprocess.run(
        ["node", "--input-type=module", "-e", program], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("channel", "n_members", "n_drums"), [(0, 9, 0), (0, 8, 1), (15, 6, 0), (15, 5, 1), (3, 15, 1)]
)
def test_a_zone_of_mpe_has_no_drums(
    tmp_path: Path, channel: int, n_members: int, n_drums: int
) -> None:
    track = mido.MidiTrack()
    for number, value in ((101, 0), (100, 6), (6, n_members)):
        track.append(mido.Message("control_change", channel=channel, control=number, value=value))
    for note_channel in (1, 9):
        track.append(mido.Message("note_on", channel=note_channel, note=60, time=10))
        track.append(mido.Message("note_off", channel=note_channel, note=60, time=10))
    file = mido.MidiFile(tracks=[track])
    file.save(tmp_path / "notes.mid")
    read = read_on_the_page(tmp_path / "notes.mid")
    assert (read["notes"], read["drums"]) == (2 - n_drums, n_drums)
    score = read_midi(tmp_path / "notes.mid")
    assert sum(note.is_drum for note in score) == n_drums


def test_a_drum_kit_plays_the_drums_alone(tmp_path: Path) -> None:
    track = mido.MidiTrack()
    for channel, note in ((0, 60), (9, 38), (9, 42)):
        track.append(mido.Message("note_on", channel=channel, note=note, time=10))
    mido.MidiFile(tracks=[track]).save(tmp_path / "both.mid")
    del track[1:]
    mido.MidiFile(tracks=[track]).save(tmp_path / "none.mid")
    both = read_on_the_page(tmp_path / "both.mid", "true")
    assert (both["notes"], both["drums"]) == (2, 0)
    assert [message["data"][:2] for message in both["messages"]] == [[0x99, 38], [0x99, 42]]
    assert read_on_the_page(tmp_path / "none.mid", "true")["notes"] == 1
    for name, notes in (("both", 2), ("none", 1)):
        score, n_drums = read_file((tmp_path / f"{name}.mid").read_bytes(), for_kit=True)
        assert (len(score), n_drums) == (notes, 0)
