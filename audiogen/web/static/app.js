// The page: one stream, one preset at a time, and the controls that play it.

import { Dial } from "./dial.js";
import { DrumPads } from "./drum_pads.js";
import { HeldNotes, pitchName } from "./held_notes.js";
import { Keyboard } from "./keyboard.js";
import { KeptTimbres, MAX_NAME, placeOf, randomTimbre, readable, textOfPlace } from "./kept_timbres.js";
import { listenToMidi } from "./midi.js";
import { PresetList } from "./preset_list.js";
import { Spectrogram } from "./spectrogram.js";
import { Stream } from "./stream.js";
import { TimbreMap } from "./timbre_map.js";

const KICK = 36; // key of a kit's bass drum
const GATE_PITCH = 60; // of the note of an unconditional preset, which has no pitch
const MAX_FILE_BYTES = 1 << 20; // of a MIDI file
// Parameters that the timbre map sets, for each preset anew, or replaces.
const OF_THE_MAP = ["timbre_map", "timbre_x", "timbre_y", "morph", "morph_timbre"];
// Parameters with a control of their own; expression, which a MIDI keyboard has; and those of an
// audio input, which the page has not.
const NO_DIAL = new Set([...OF_THE_MAP, "bend", "pitch_wheel", "sustain", "expression", "listen", "monitor"]);
const $ = (id) => document.getElementById(id);

const stored = { get: (key) => localStorage.getItem(key), set: (k, v) => localStorage.setItem(k, v) };
const stream = new Stream(Number(stored.get("lead_ms")) || 60);
const notes = new HeldNotes((message) => stream.send(message));
const spectrogram = new Spectrogram($("spectrogram"));
const keyboard = new Keyboard($("keys"), notes, (down) => press("sustain", down));
const pads = new DrumPads($("pads"), notes);
const map = new TimbreMap($("map"), playPlace);
const kept = new KeptTimbres($("kept"), chooseTimbre);
const presetList = new PresetList($("presets"), $("search"), choosePreset);
const wheel = $("pitch_wheel").querySelector("input");
let preset = { parameters: [], timbres: [] };
let dials = {};
let timbre = null; // of the next notes
let chosen = null; // text of the position or timbre that plays, which can be kept
let wantedTimbre = null; // of the preset that loads
let ofMap = {}; // parameters of the map, as sent or reported last
let isNewConnection = false;
let engineLatency = 0;
const values = {}; // of parameters, as sent or reported last

// --- Presets -------------------------------------------------------------------------------------

function choosePreset(name, timbreName = null) {
  if (name === preset.preset && !document.body.ariaBusy) {
    if (timbreName) map.moveToTimbre(timbreName);
    return;
  }
  wantedTimbre = timbreName;
  showLoading(name);
  stream.send({ type: "preset", preset: name });
}

function showLoading(name) {
  document.body.ariaBusy = name ? "true" : null;
  presetList.mark(preset.preset, name);
  $("now-name").textContent = name ? `Loading ${name} …` : preset.preset;
  $("now-description").textContent = name ? "" : preset.description;
  map.setBusy(Boolean(name));
}

async function showPreset(message) {
  preset = message;
  showLoading(null);
  notes.releaseAll();
  timbre = chosen = null;
  ofMap = { timbre_map: 0, morph: 0 };
  $("play-area").hidden = !message.plays_notes;
  $("timbres").hidden = !message.plays_notes || message.is_kit;
  $("drums").hidden = !message.is_kit;
  $("gate").hidden = message.plays_notes;
  $("random").hidden = !message.has_latents;
  $("keep").hidden = !message.has_latents && !supports("timbre_map");
  $("keep-form").hidden = true;
  document.body.classList.toggle("plays-notes", message.plays_notes);
  showParameters();
  showGate(false);
  map.clear();
  if (!message.plays_notes) return;
  pads.show(message.is_kit ? message.timbres : []);
  keyboard.setRange(...message.pitch_range, message.is_kit ? KICK : undefined);
  showOctave();
  if (message.is_kit) {
    wantedTimbre = null;
    return;
  }
  kept.show(message.preset);
  const start = wantedTimbre ?? message.default_timbre;
  wantedTimbre = null;
  try {
    await map.load(message.timbres, start, `presets/${encodeURIComponent(message.preset)}`);
  } catch (error) {
    notify(error.message);
  }
}

// --- Parameters ----------------------------------------------------------------------------------

function showParameters() {
  dials = {};
  for (const parameter of preset.parameters) {
    if (NO_DIAL.has(parameter.name)) continue;
    dials[parameter.name] = new Dial(parameter, (value) => send(parameter.name, value));
  }
  $("dials").replaceChildren(...Object.values(dials).map((dial) => dial.element));
  for (const name of ["pitch_wheel", "sustain"]) $(name).hidden = !supports(name);
  for (const { name, value } of preset.parameters) showValue(name, value);
  if (isNewConnection) {
    // The server knows nothing of what an earlier connection had set.
    for (const [name, value] of Object.entries(values)) {
      showValue(name, value);
      send(name, value);
    }
  }
  isNewConnection = false;
}

const supports = (name) => preset.parameters.some((parameter) => parameter.name === name);

function send(parameter, value) {
  if (!supports(parameter)) return;
  if (!OF_THE_MAP.includes(parameter)) values[parameter] = value;
  stream.send({ type: "set", parameter, value });
}

function showValue(name, value) {
  dials[name]?.set(value);
  if (name === "pitch_wheel") wheel.value = value;
  if (name === "sustain") $("sustain").ariaPressed = String(value >= 0.5);
}

// What MIDI has changed.
function showChanges(changes) {
  for (const name of OF_THE_MAP) if (name in changes) ofMap[name] = changes[name];
  for (const [name, value] of Object.entries(changes)) {
    if (name === "timbre") {
      timbre = value; // the server has it
      map.moveToTimbre(value);
    } else {
      if (!OF_THE_MAP.includes(name)) values[name] = value;
      showValue(name, value);
    }
  }
}

function press(id, down) {
  if ($(id).ariaPressed === String(down)) return;
  $(id).ariaPressed = String(down);
  send(id, Number(down));
}

// --- Timbres -------------------------------------------------------------------------------------

function sendTimbre(name) {
  if (name !== timbre) stream.send({ type: "timbre", timbre: name });
  timbre = name;
}

function sendToMap(parameter, value) {
  if (value !== ofMap[parameter]) send(parameter, value);
  ofMap[parameter] = value;
}

function showChosen(text, name) {
  chosen = text;
  kept.mark(text);
  $("morph").textContent = name;
}

// The cursor of the map has moved. The map is off on a dot, so that MIDI programs can choose other
// timbres, but not under held notes, which morph to the dot.
function playPlace({ at, nearest, second }) {
  sendTimbre(nearest);
  sendToMap("morph", 0); // a MIDI controller may have moved it
  sendToMap("timbre_x", at[0]);
  sendToMap("timbre_y", at[1]);
  sendToMap("timbre_map", Number(second !== null || notes.count > 0));
  const isBetween = second !== null && supports("timbre_map");
  showChosen(
    isBetween ? textOfPlace(at) : nearest,
    isBetween ? `${readable(nearest)}, towards ${readable(second)}` : readable(nearest),
  );
}

// A kept position or timbre, or a random timbre. Only a random timbre, and a mix that an earlier
// version of the page has kept, is sent as a text: it has no position on the map.
function chooseTimbre(text, name) {
  const place = placeOf(text);
  if (place) map.moveTo(place);
  else if (!map.moveToTimbre(text)) {
    map.deselect();
    sendToMap("timbre_map", 0);
    sendToMap("morph", 0);
    sendTimbre(text);
  }
  showChosen(text, name);
}

$("random").addEventListener("click", () => {
  const random = randomTimbre();
  chooseTimbre(random, readable(random));
});
$("keep").addEventListener("click", () => {
  if (!chosen) return;
  $("keep-form").hidden = !$("keep-form").hidden;
  if ($("keep-form").hidden) return;
  $("keep-name").value = $("morph").textContent.slice(0, MAX_NAME);
  $("keep-name").select();
});
$("keep-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = $("keep-name").value.trim();
  if (!name) return;
  $("keep-form").hidden = true;
  if (!kept.keep(name, chosen)) return notify("No more timbres can be kept; remove one first.");
  chooseTimbre(chosen, name);
});
$("keep-form").addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  $("keep-form").hidden = true;
  $("keep").focus();
});

// --- Unconditional presets -----------------------------------------------------------------------

function showGate(open) {
  $("play").ariaPressed = String(open);
  $("play").textContent = open ? "Stop" : "Play";
}

$("play").addEventListener("click", async () => {
  const open = $("play").ariaPressed !== "true";
  await start();
  showGate(open);
  stream.send(
    open
      ? { type: "note_on", pitch: GATE_PITCH, velocity: 1 }
      : { type: "note_off", pitch: GATE_PITCH },
  );
});

// --- MIDI files ----------------------------------------------------------------------------------

let fileName = "";

async function playFile(file) {
  if (file.size > MAX_FILE_BYTES) return notify(`${file.name} is larger than 1 MiB.`);
  start();
  if (map.at) map.moveTo(map.at); // turns the map off if the cursor is on a dot
  fileName = file.name;
  $("file-name").textContent = `Reading ${file.name} …`;
  $("file").hidden = false;
  stream.sendFile(await file.arrayBuffer());
}

function showFile({ notes: n, drums, seconds }) {
  const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
  const length = `${Math.floor(seconds / 60)}:${String(Math.round(seconds % 60)).padStart(2, "0")}`;
  const without = drums ? `, without ${count(drums, "drum note")}` : "";
  $("file-name").textContent = `${fileName}: ${count(n, "note")}${without}, ${length}`;
  $("file").hidden = false;
}

$("open-file").addEventListener("click", () => $("file-input").click());
$("file-input").addEventListener("change", () => {
  const [file] = $("file-input").files;
  if (file) playFile(file);
  $("file-input").value = ""; // so that the same file can be chosen again
});
$("stop-file").addEventListener("click", () => {
  stream.send({ type: "stop_file" });
  $("file").hidden = true;
});
for (const type of ["dragenter", "dragover"]) {
  addEventListener(type, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    document.body.classList.add("dropping");
  });
}
addEventListener("dragleave", (event) => !event.relatedTarget && document.body.classList.remove("dropping"));
addEventListener("drop", (event) => {
  document.body.classList.remove("dropping");
  const [file] = event.dataTransfer?.files ?? [];
  if (!file) return;
  event.preventDefault();
  playFile(file);
});

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

function notify(message, again = false) {
  $("notice").hidden = !message;
  $("notice").querySelector("span").textContent = message;
  $("notice").querySelector("button").hidden = !again;
}

stream.addEventListener("preset", ({ detail }) => showPreset(detail));
stream.addEventListener("changed", ({ detail }) => showChanges(detail.values));
stream.addEventListener("file", ({ detail }) => showFile(detail));
stream.addEventListener("file_end", () => ($("file").hidden = true));
stream.addEventListener("hello", () => {
  notify("");
  isNewConnection = true;
  stream.begin();
});
stream.addEventListener("refused", ({ detail }) => {
  stream.wasRefused = true;
  notify(detail.message, true);
});
stream.addEventListener("closed", async () => {
  const { wasRefused } = stream;
  stream.wasRefused = false;
  $("file").hidden = true;
  map.stopLoading(); // its error would hide the reason
  showLoading(null);
  if (!wasRefused) notify(await whyClosed(), true);
});

async function whyClosed() {
  const answer = await fetch("presets/index.json").catch(() => null);
  if (!answer) return "The server doesn't answer. Is audiogen still running?";
  return answer.status === 403
    ? "audiogen was restarted. Open the address that it printed."
    : "The connection was closed.";
}
stream.addEventListener("error", ({ detail }) => {
  if (detail.preset) showLoading(null);
  if ($("file-name").textContent.startsWith("Reading")) $("file").hidden = true;
  notify(detail.message);
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
for (const id of ["keys", "pads"]) $(id).addEventListener("pointerdown", start);
addEventListener("keydown", (event) => event.target === document.body && event.key.length === 1 && start());

$("sustain").addEventListener("click", () => press("sustain", $("sustain").ariaPressed !== "true"));
$("lower").addEventListener("click", () => keyboard.shift(-1));
$("higher").addEventListener("click", () => keyboard.shift(1));
for (const event of ["click", "keydown"]) addEventListener(event, showOctave);
// After a mouse click the space bar is the pedal again, and doesn't press the button.
addEventListener("click", ({ detail, target }) => detail > 0 && target.closest?.("button")?.blur());

wheel.addEventListener("input", () => send("pitch_wheel", +wheel.value));
for (const end of ["pointerup", "pointercancel", "change", "blur"]) {
  wheel.addEventListener(end, () => {
    if (+wheel.value === 0) return;
    wheel.value = 0;
    send("pitch_wheel", 0);
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
    const showKey = (key, pitch, down) => notes.showMidiKey(key, pitch, down);
    const showPorts = (ports) => {
      $("midi").textContent = ports.length ? `MIDI: ${ports.length}` : "MIDI: no keyboard";
      $("midi").title = ports.join(", ");
    };
    const lose = (port) => {
      stream.send({ type: "set", parameter: "sustain", value: 0 });
      stream.send({ type: "all_off" });
      notes.forgetMidiPort(port);
    };
    listenToMidi((message) => stream.send(message), showKey, showPorts, lose).catch(() => notify("The browser doesn't let this page use MIDI; allow it in the browser's settings."));
    start();
  });
}

stream.connect();
presetList.load().catch(() => notify("The list of presets can't be loaded."));

// For the console and for tests.
window.audiogen = { stream, notes, map, keyboard };
