// The page: one stream, one preset at a time, and everything that moves them.

import { Stream } from "./audio.js";
import { Dial } from "./dial.js";
import { Keyboard } from "./keyboard.js";
import { listenToMidi } from "./midi.js";
import { Notes, pitchName } from "./notes.js";
import { Pad } from "./pad.js";
import { Shelf } from "./shelf.js";
import { Spectrogram } from "./spectrogram.js";

const BEND_RANGE = 2; // semitones each way
// They have a wheel, a pedal, the pad; the last is a MIDI keyboard's own.
const NO_DIAL = new Set(["bend", "sustain", "morph_timbre", "expression"]);
const $ = (id) => document.getElementById(id);

const stored = { get: (key) => localStorage.getItem(key), set: (k, v) => localStorage.setItem(k, v) };
const stream = new Stream(Number(stored.get("lead_ms")) || 60);
const notes = new Notes((message) => stream.send(message));
const spectrogram = new Spectrogram($("spectrogram"));
const keyboard = new Keyboard($("keys"), notes, (down) => press("sustain", down));
const pad = new Pad($("pad"), notes, lean);
const shelf = new Shelf($("presets"), (name) => stream.send({ type: "preset", preset: name }));
const wheel = $("bend").querySelector("input");
let preset = { parameters: [], timbres: [] };
let dials = {};
const turned = {}; // where knobs were turned to
let engineLatency = 0;

// --- What is played ------------------------------------------------------------------------------

async function showPreset(message) {
  preset = message;
  notes.releaseAll();
  notes.timbre = null;
  $("now-name").textContent = message.preset;
  $("now-description").textContent = message.description;
  $("timbres").hidden = $("play-area").hidden = !message.plays_notes;
  $("texture").hidden = message.plays_notes;
  document.body.classList.toggle("plays-notes", message.plays_notes);
  showParameters();
  shelf.mark(message.preset);
  playing(false);
  if (!message.plays_notes) return;
  keyboard.setRange(...message.pitch_range);
  showOctave();
  pad.clear();
  const base = `/presets/${encodeURIComponent(message.preset)}`;
  const [{ places, width, height }, pictures] = await Promise.all([
    fetch(`${base}/pad`).then((answer) => answer.json()),
    fetch(`${base}/pictures`).then((answer) => answer.arrayBuffer()),
  ]);
  if (preset !== message) return; // another one came meanwhile
  pad.show(message.timbres, message.default_timbre, places, new Uint8Array(pictures), width, height);
}

function showParameters() {
  dials = {};
  for (const parameter of preset.parameters) {
    if (NO_DIAL.has(parameter.name)) continue;
    const dial = new Dial(parameter, (value) => send(parameter.name, value));
    dials[parameter.name] = dial;
    // A new player stands at the defaults; the page's dials stay where they are.
    const value = turned[parameter.name];
    if (value === undefined || value === parameter.initial) continue;
    dial.set(value);
    send(parameter.name, value);
  }
  $("dials").replaceChildren(...Object.values(dials).map((dial) => dial.element));
  for (const [id, name] of [["bend", "bend"], ["sustain", "sustain"]]) {
    $(id).hidden = !preset.parameters.some((p) => p.name === name);
  }
  if ($("sustain").ariaPressed === "true") send("sustain", 1);
  if (turned.bend) send("bend", turned.bend);
}

function send(parameter, value) {
  if (preset.parameters.some((p) => p.name === parameter)) {
    turned[parameter] = value;
    stream.send({ type: "set", parameter, value });
  }
}

// From outside of the page: MIDI controllers.
function set(parameter, value) {
  dials[parameter]?.set(value);
  if (parameter === "morph") leaning = {}; // the pad's next one is said anew
  if (parameter === "bend") wheel.value = value / BEND_RANGE;
  if (parameter === "sustain") press("sustain", value > 0);
  else send(parameter, value);
}

function chooseProgram(number) {
  pad.moveToTimbre(preset.programs[number]);
}

let leaning = {};

function lean({ timbre, from, other, amount }) {
  notes.timbre = timbre;
  if (other !== leaning.other) send("morph_timbre", other);
  dials.morph?.set(amount);
  if (amount !== leaning.amount) send("morph", amount);
  leaning = { other, amount };
  const share = Math.round(100 * amount);
  const named = (name) => name.replaceAll("-", " ");
  $("lean").textContent = share ? `${named(from)}, ${share} % ${named(other)}` : named(from);
}

function press(id, down) {
  if ($(id).ariaPressed === String(down)) return;
  $(id).ariaPressed = String(down);
  send(id, Number(down));
}

function playing(on) {
  $("play").ariaPressed = String(on);
  $("play").textContent = on ? "Stop" : "Play";
}

function showOctave() {
  $("octave").textContent = pitchName(keyboard.base);
}

// --- Sound -----------------------------------------------------------------------------------------

async function start() {
  try {
    await stream.start();
  } catch (error) {
    notify(error.message);
  }
}

function notify(sentence, again = false) {
  $("notice").hidden = !sentence;
  $("notice").querySelector("span").textContent = sentence;
  $("notice").querySelector("button").hidden = !again;
}

stream.addEventListener("preset", ({ detail }) => {
  leaning = {};
  showPreset(detail);
});
stream.addEventListener("hello", () => {
  notify("");
  stream.begin();
});
stream.addEventListener("refused", ({ detail }) => {
  stream.wasRefused = true;
  notify(detail.sentence, true);
});
stream.addEventListener("closed", async () => {
  const told = stream.wasRefused;
  stream.wasRefused = false;
  if (!told) notify(await whyClosed(), true);
});

async function whyClosed() {
  const answer = await fetch("/presets").catch(() => null);
  if (!answer) return "The server has gone. Is audiogen still running?";
  return answer.status === 403
    ? "audiogen was started anew, and wants the address that it printed then."
    : "The connection has ended.";
}
stream.addEventListener("error", ({ detail }) => {
  notify(detail.sentence);
  clearTimeout(stream.fading);
  stream.fading = setTimeout(() => notify(""), 6000);
});
stream.addEventListener("running", () => {
  $("start").hidden = true;
  spectrogram.start(stream.analyser);
});
stream.addEventListener("status", ({ detail }) => {
  stream.status = detail;
  $("voices").textContent = detail.voices;
  $("load").textContent = stream.running ? `${Math.round(100 * detail.load)} %` : "–";
  engineLatency = (1000 * detail.latency) / stream.sampleRate;
  if (stream.running) {
    $("latency").textContent = `${Math.round(stream.latencyMs + engineLatency)} ms`;
    $("late").textContent = stream.ring.late;
    $("late").classList.toggle("warn", stream.ring.late > 0);
  }
});

// --- Buttons ---------------------------------------------------------------------------------------

$("start").addEventListener("click", start);
$("keys").addEventListener("pointerdown", start);
addEventListener("keydown", (event) => event.target === document.body && event.key.length === 1 && start());

$("play").addEventListener("click", async () => {
  const on = $("play").ariaPressed !== "true";
  await start();
  playing(on);
  stream.send({ type: on ? "play" : "stop" });
});

$("sustain").addEventListener("click", () => press("sustain", $("sustain").ariaPressed !== "true"));
$("lower").addEventListener("click", () => keyboard.shift(-1));
$("higher").addEventListener("click", () => keyboard.shift(1));
for (const event of ["click", "keydown"]) addEventListener(event, showOctave);
// After a click of the mouse the space bar is the pedal again, not the button's.
addEventListener("click", ({ detail, target }) => detail > 0 && target.closest?.("button")?.blur());

wheel.addEventListener("input", () => send("bend", BEND_RANGE * wheel.value));
for (const end of ["pointerup", "pointercancel", "change", "blur"]) {
  wheel.addEventListener(end, () => {
    if (+wheel.value === 0) return;
    wheel.value = 0;
    send("bend", 0);
  });
}

$("notice").querySelector("button").addEventListener("click", () => stream.connect());

$("record").addEventListener("click", async () => {
  if ($("record").ariaPressed === "true") return stream.finishRecording();
  await start();
  stream.record();
  const began = performance.now();
  $("record").ariaPressed = "true";
  const show = () => {
    const s = Math.floor((performance.now() - began) / 1000);
    $("record").querySelector("span").textContent =
      `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
  };
  show();
  stream.clock = setInterval(show, 250);
});
stream.addEventListener("recorded", ({ detail }) => {
  clearInterval(stream.clock);
  $("record").ariaPressed = "false";
  $("record").querySelector("span").textContent = "Record";
  const link = document.createElement("a");
  link.href = URL.createObjectURL(detail.file);
  const now = new Date().toISOString().slice(0, 19).replaceAll(":", "-");
  link.download = `audiogen-${preset.preset}-${now}.wav`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
});

$("lead").value = String(stream.leadMs);
$("lead").addEventListener("change", () => {
  stored.set("lead_ms", $("lead").value);
  stream.setLead(Number($("lead").value));
});

if (navigator.requestMIDIAccess) {
  $("midi").hidden = false;
  $("midi").addEventListener("click", () => {
    listenToMidi(notes, set, chooseProgram, () => preset.parameters, (ports) => {
      $("midi").textContent = ports.length ? `MIDI: ${ports.length}` : "MIDI: no keyboard";
      $("midi").title = ports.join(", ");
    }).catch(() => notify("This browser doesn't let the page use MIDI; its settings can allow it."));
    start();
  });
}

stream.connect();
shelf.load();

// For the console, and for tests.
window.audiogen = { stream, notes, pad, keyboard };
