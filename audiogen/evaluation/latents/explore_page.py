"""Page of an exploration: a map of sounds that are played by clicking on them."""

from __future__ import annotations

import html
import json
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from audiogen.audio.files import write_audio
from audiogen.core.atomic_write import write_whole
from audiogen.evaluation.latents.explore import GROUPS, Exploration
from audiogen.evaluation.report_files import check_folder, json_text

PAGE, CONTENT, SOUNDS = "explore.html", "explore.json", "sounds"
PEAK = 0.98  # of the loudest sound
_NOTES = "three notes and a chord", " A note is in tune within 50 cents."
_HITS = (
    "five hits: of a kit's named drum with rising velocities, of others at five pitches",
    "",
)
COLOURS = {"named": "#e8b04b", "half-way": "#6fb7e9", "random": "#c67be0"}


def sound_file(timbre: str) -> str:
    """Name of a timbre's sound file.

    Examples
    --------
    >>> sound_file("random:7"), sound_file("harp+koto")
    ('random-7.flac', 'harp+koto.flac')
    """
    return timbre.replace(":", "-") + ".flac"


def write_exploration(folder: str | PathLike[str], exploration: Exploration) -> list[Path]:
    """Write explore.html, explore.json, and a sound file of each latent.

    Parameters
    ----------
    folder : path
        Folder to write to; it is made if needed.
    exploration : Exploration
        Sounds and their measurements.

    Returns
    -------
    list of Path
        The page and the JSON file.

    Raises
    ------
    ParameterError
        If the folder cannot be written.
    """
    folder = check_folder(folder)
    sounds = check_folder(folder / SOUNDS)
    loudest = max(float(np.abs(sound.phrase).max()) for sound in exploration.sounds)
    gain = min(1.0, PEAK / max(loudest, 1e-9))  # one for all: their levels stay comparable
    for sound in exploration.sounds:
        path = sounds / sound_file(sound.timbre)
        write_audio(path, gain * sound.phrase, exploration.sample_rate)
    write_whole(folder / PAGE, _page(exploration))
    write_whole(folder / CONTENT, json_text(exploration.content()))
    return [folder / PAGE, folder / CONTENT]


def _page(exploration: Exploration) -> str:
    points = [
        {
            "group": sound.group,
            "timbre": sound.timbre,
            "file": f"{SOUNDS}/{sound_file(sound.timbre)}",
            "nNotes": sound.n_notes,
            "inTune": sound.n_in_tune,
            **sound.features,
        }
        for sound in exploration.sounds
    ]
    axes = [
        {"name": f.name, "title": f"{f.measure} ({f.unit})", "log": f.is_log2}
        for f in exploration.features
    ]
    data: dict[str, Any] = {
        "preset": exploration.preset,
        "points": points,
        "axes": axes,
        "colours": COLOURS,
    }
    rows = []
    for index, row in enumerate(exploration.table()):
        tag = "td" if index else "th"
        rows.append("<tr>" + "".join(f"<{tag}>{html.escape(x)}</{tag}>" for x in row) + "</tr>\n")
    legend = "".join(
        f'<span><i style="background:{COLOURS[name]}"></i>{name}</span>'
        for name in GROUPS
        if exploration.group(name)
    )
    phrase, tuning = _NOTES if exploration.has_pitch else _HITS
    return (
        _FORM.replace("{{title}}", html.escape(f"Latents of {exploration.preset}"))
        .replace("{{phrase}}", phrase)
        .replace("{{tuning}}", tuning)
        .replace("{{legend}}", legend)
        .replace("{{rows}}", "".join(rows))
        .replace("{{data}}", json.dumps(data).replace("</", "<\\/"))
    )


_FORM = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{title}}</title>
<style>
body { background: #0b0c10; color-scheme: dark; color: #d8dae3;
  font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { font-weight: 500; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
td, th { padding: 0.15rem 0.8rem 0.15rem 0; text-align: right; white-space: nowrap; }
td:first-child { text-align: left; white-space: normal; }
tr:nth-child(even) { background: #14161d; }
th { font-weight: 500; color: #8b8fa0; }
svg { width: 100%; background: #14161d; border-radius: 6px; }
svg text { fill: #a4a8b8; font-size: 12px; pointer-events: none; }
circle { cursor: pointer; stroke: #0b0c10; }
circle:focus, circle.chosen { outline: none; stroke: #fff; stroke-width: 2.5; }
select { background: #14161d; color: inherit; border: 1px solid #333746; padding: 0.2rem; }
.bar { display: flex; flex-wrap: wrap; gap: 0.4rem 1.2rem; align-items: center; margin: 0.6rem 0; }
.bar i { display: inline-block; width: 0.8em; height: 0.8em; border-radius: 50%;
  margin-right: 0.35em; }
audio { width: 100%; margin-top: 0.4rem; }
code { background: #14161d; padding: 0.1rem 0.35rem; border-radius: 4px; }
</style>
</head>
<body>
<h1>{{title}}</h1>
<div class="bar">{{legend}}
<label>across <select id="x"></select></label>
<label>up <select id="y"></select></label></div>
<svg id="map" viewBox="0 0 720 440" role="group" aria-label="Map of sounds"></svg>
<audio id="player" controls></audio>
<p id="chosen">Click on a dot to hear {{phrase}}.</p>
<h2>Groups</h2>
<table>
{{rows}}</table>
<p>Medians of the latents, with the 10th and 90th percentile.{{tuning}}</p>
<script>
const data = {{data}};
const byId = (id) => document.getElementById(id);
const [map, player, chosen] = ["map", "player", "chosen"].map(byId);
const selects = [byId("x"), byId("y")];
const SVG = "http://www.w3.org/2000/svg";
const LEFT = 20, RIGHT = 700, TOP = 20, BOTTOM = 400;

selects.forEach((select, index) => {
  data.axes.forEach((axis, i) => select.add(new Option(axis.name, i, i === index, i === index)));
  select.onchange = draw;
});

function scale(axis, from, to) {
  const place = axis.log ? Math.log : Number;
  const values = data.points.map((point) => place(point[axis.name]));
  const low = Math.min(...values), width = Math.max(...values) - low || 1;
  return (value) => from + ((place(value) - low) / width) * (to - from);
}

function add(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  map.append(element);
  return element;
}

function overlap(a, b) {  // of boxes [left, top, right, bottom]
  return a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
}

function play(point, dot) {
  player.src = point.file;
  player.play();
  map.querySelectorAll(".chosen").forEach((other) => other.classList.remove("chosen"));
  dot.classList.add("chosen");
  const command = document.createElement("code");
  command.textContent = `audiogen play ${data.preset} --timbre ${point.timbre}`;
  const inTune = point.inTune === null ? "" : `, ${point.inTune} of ${point.nNotes} notes in tune`;
  chosen.replaceChildren(`${point.timbre}${inTune}. `, command);
}

function draw() {
  const [across, up] = selects.map((select) => data.axes[select.value]);
  const x = scale(across, LEFT + 30, RIGHT - 60), y = scale(up, BOTTOM - 20, TOP + 10);
  map.replaceChildren();
  add("text", { x: RIGHT, y: 430, "text-anchor": "end" }, `${across.title} →`);
  const title = add("text", { x: LEFT, y: 16 }, `↑ ${up.title}`).getBBox();
  for (const point of data.points) {
    const [cx, cy] = [x(point[across.name]), y(point[up.name])];
    const dot = add("circle", {
      cx, cy, r: point.group === "named" ? 8 : 5.5, fill: data.colours[point.group],
      tabindex: 0, role: "button",
      "aria-label": `${point.group}: ${point.timbre}`,
    });
    dot.append(document.createElementNS(SVG, "title"));
    dot.firstChild.textContent = point.timbre;
    dot.onclick = () => play(point, dot);
    dot.onkeydown = (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); dot.onclick(); }
    };
  }
  const named = data.points.filter((point) => point.group === "named")
    .map((point) => [point.timbre, x(point[across.name]), y(point[up.name])]);
  const taken = named.map(([, cx, cy]) => [cx - 8, cy - 8, cx + 8, cy + 8]);
  taken.push([title.x, title.y, title.x + title.width, title.y + title.height]);
  for (const [timbre, cx, cy] of named) {
    const label = add("text", {}, timbre), width = label.getComputedTextLength();
    const middle = Math.min(Math.max(cx - width / 2, 4), 716 - width);
    const box = [[cx + 11, cy - 6], [cx - 11 - width, cy - 6], [middle, cy - 21], [middle, cy + 9]]
      .map(([left, top]) => [left, top, left + width, top + 12])
      .find((box) => box[0] >= 4 && box[2] <= 716 && !taken.some((other) => overlap(box, other)));
    if (!box) { label.remove(); continue; }  // the dot's tooltip has its name
    label.setAttribute("x", box[0]);
    label.setAttribute("y", box[1] + 10);
    taken.push(box);
  }
}
draw();
</script>
</body>
</html>
"""
