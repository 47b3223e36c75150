// The session of a page without a server: takes and sends the messages of audiogen/web/session.py,
// and makes the sound with the engine in this worker.

import { Engine, MOST_MIDI } from "./engine.js";
import { MixedTimbres } from "./latents.js";
import { readMidiFile } from "./midi_file.js";

const SAMPLE_RATE = 48000; // Hz, the server's default
const BLOCK = 256; // samples
const POLYPHONY = 16;
const MOST_AT_ONCE = 8; // blocks between two looks at the messages
const MAX_ENDING = 2; // former presets that ring out at the same time
const LOG_LENGTH = 100_000;
const STATUS_MS = 250;
// All other parameters outlast a change of preset.
const OF_THE_MAP = ["timbre_map", "timbre_x", "timbre_y", "morph", "morph_timbre"];
const [NOTE_ON, PARAMETER, ALL_OFF] = [1, 2, 3]; // kinds of the engine's events
const PROGRAM_CHANGE = 0xc;

// engine: address of the module; presets: address of the folder of presets, with a / at its end.
export async function openLocally(engine, presets, receiver) {
  const answer = await fetched(engine);
  const module = await WebAssembly.compile(await answer.arrayBuffer());
  const list = await (await fetched(new URL("index.json", presets))).json();
  const session = new LocalSession(await Engine.load(module), presets, receiver);
  receiver.message({ type: "hello", sample_rate: SAMPLE_RATE });
  await session.loadPreset(list[0].name);
  return session;
}

async function fetched(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${new URL(address).pathname} is missing (${answer.status})`);
  return answer;
}

// One preset that plays, or rings out.
class Synth {
  constructor(engine, description, toml, weights) {
    const preset = engine.open(toml, weights);
    const settings = { sampleRate: SAMPLE_RATE, maxBlock: BLOCK, polyphony: POLYPHONY };
    this.player = engine.player(preset, settings);
    engine.close(preset);
    this.description = description;
    this.timbres = new MixedTimbres(description, this.player);
    this.timbre = description.default_timbre;
    this.held = new Map(); // pitch: number of its note
    this.notes = 0;
    this.midiTimbre = null; // index that MIDI notes have; null: the one that a program chose
  }

  noteOn(pitch, velocity, timbre) {
    const index = this.timbres.index(timbre ?? this.timbre);
    this.noteOff(pitch);
    this.held.set(pitch, ++this.notes);
    this.player.noteOn(this.notes, pitch, velocity, index);
  }

  noteOff(pitch) {
    if (this.held.has(pitch)) this.player.noteOff(this.held.get(pitch));
    this.held.delete(pitch);
  }

  allOff() {
    this.held.clear();
    this.player.allOff();
  }

  set(name, value) {
    const index = this.description.indices[name];
    if (index === undefined) throw new Error(`parameter '${name}' not found`);
    if (name === "morph_timbre") this.player.set(index, this.timbres.index(value));
    else this.player.set(index, Number(value));
  }

  choose(timbre) {
    this.midiTimbre = this.timbres.index(timbre);
    this.player.chooseTimbre(this.midiTimbre); // and no program's transposition
    this.timbre = timbre;
  }

  // Returns what has changed: values of parameters, and the timbre.
  midi(bytes) {
    const changed = {};
    for (let at = 0; at < bytes.length; at += MOST_MIDI) {
      const part = bytes.slice(at, at + MOST_MIDI);
      if (part.some((byte) => byte >> 4 === PROGRAM_CHANGE)) this.midiTimbre = null;
      for (const event of this.player.readMidi(part)) {
        if (event.kind === PARAMETER) changed[this.name(event.id)] = event.value;
        else if (event.kind === ALL_OFF) this.held.clear();
        else if (event.kind === NOTE_ON) {
          if (this.midiTimbre !== null) event.setTimbre(this.midiTimbre);
          else if (this.description.timbres[event.timbre]?.name !== this.timbre) {
            this.timbre = changed.timbre = this.description.timbres[event.timbre].name;
          }
        }
      }
    }
    return changed;
  }

  name(index) {
    return Object.entries(this.description.indices).find(([, i]) => i === index)[0];
  }
}

class LocalSession {
  constructor(engine, presets, receiver) {
    Object.assign(this, { engine, presets, receiver });
    this.position = 0; // samples made
    this.played = 0;
    this.lead = 0; // samples, 0 before the start
    this.waiting = []; // events of the next block
    this.file = []; // messages of a MIDI file that are not played yet
    this.programs = new Map(); // its program changes by status byte
    this.fileStart = 0; // position
    this.ending = [];
    this.values = {}; // of parameters that were set
    this.log = [];
    this.forgotten = 0;
    this.busyMs = 0;
    this.busySince = 0; // position
    this.clock = setInterval(() => this.report(), STATUS_MS);
    const { port1, port2 } = new MessageChannel(); // a timer would wait 4 ms
    this.again = () => port2.postMessage(null);
    port1.onmessage = () => this.pump();
  }

  close() {
    clearInterval(this.clock);
    this.lead = 0;
    for (const synth of [this.synth, ...this.ending]) synth?.player.destroy();
    this.isClosed = true;
  }

  send(message) {
    if (message.type === "played") this.played = Math.min(message.position, this.position);
    else if (message.type === "start") this.lead = Math.max(BLOCK, Math.round((message.lead_ms / 1000) * SAMPLE_RATE));
    else if (message.type === "preset") return void this.choosePreset(message.preset);
    else if (message.type === "log") return this.sendLog();
    else this.waiting.push(message);
    this.pump();
  }

  // bytes: an ArrayBuffer, a standard MIDI file, which is played instead of the one before.
  sendFile(bytes) {
    try {
      const { preset, plays_notes: playsNotes, is_kit: isKit } = this.synth.description;
      if (!playsNotes) throw new Error(`a MIDI file is not supported by preset '${preset}', which is unconditional`);
      const { messages, ...file } = readMidiFile(new Uint8Array(bytes), SAMPLE_RATE, isKit);
      if (this.file.length) this.take({ type: "all_off" });
      this.file = messages;
      this.programs.clear();
      this.fileStart = this.position;
      this.receiver.message({ type: "file", ...file });
    } catch (error) {
      this.fail(error.message);
    }
  }

  // Plays the messages of the file that are due; returns the samples until the next.
  playFile() {
    let n = 0;
    while (n < this.file.length && this.fileStart + this.file[n].at <= this.position) {
      const { data } = this.file[n++];
      if (data[0] >> 4 === PROGRAM_CHANGE) this.programs.set(data[0], data);
      this.take({ type: "midi", data });
    }
    if (!n) return this.file.length ? this.fileStart + this.file[0].at - this.position : BLOCK;
    this.file = this.file.slice(n);
    if (!this.file.length) this.receiver.message({ type: "file_end" });
    return this.playFile();
  }

  fail(text, more = {}) {
    this.receiver.message({ type: "error", message: text, ...more });
  }

  // Of the presets that are chosen while another loads, the last is loaded.
  async choosePreset(name) {
    this.wanted = name;
    if (this.loading) return;
    this.loading = true;
    while (this.wanted) {
      const next = this.wanted;
      this.wanted = null;
      try {
        await this.loadPreset(next);
      } catch (error) {
        if (!this.wanted) this.fail(error.message, { preset: next });
      }
    }
    this.loading = false;
  }

  async loadPreset(name) {
    const folder = new URL(`${encodeURIComponent(name)}/`, this.presets);
    const [description, toml, weights] = await Promise.all([
      fetched(new URL("preset.json", folder)).then((answer) => answer.json()),
      ...["preset.toml", "weights.safetensors"].map(async (file) =>
        new Uint8Array(await (await fetched(new URL(file, folder))).arrayBuffer()),
      ),
    ]);
    if (this.isClosed || this.wanted) return;
    const synth = new Synth(this.engine, description, toml, weights);
    if (this.lead) this.apply();
    else {
      // Before the start only parameters count: notes were meant for the former preset.
      this.waiting = this.waiting.filter(({ type }) => type === "set");
      if (this.synth) this.apply();
    }
    if (this.synth) {
      if (!description.plays_notes) this.take({ type: "stop_file" });
      this.synth.allOff();
      this.ending.push(this.synth);
      while (this.ending.length > MAX_ENDING) this.ending.shift().player.destroy();
    }
    this.begin(synth);
    if (!this.file.length) return; // its programs choose timbres of the new preset
    for (const data of this.programs.values()) this.take({ type: "midi", data });
  }

  begin(synth) {
    this.synth = synth;
    const { description } = synth;
    const { preset, parameters } = description;
    this.remember({ type: "preset", preset, sample_rate: SAMPLE_RATE, seed: 0, polyphony: POLYPHONY, block: BLOCK });
    for (const parameter of parameters) {
      const value = this.values[parameter.name];
      if (value === undefined) continue;
      parameter.value = value;
      synth.set(parameter.name, value);
      this.remember({ type: "set", parameter: parameter.name, value });
    }
    this.receiver.message({ type: "preset", at: this.position, ...description });
  }

  remember(event) {
    this.log.push({ at: this.position, ...event });
    if (this.log.length <= LOG_LENGTH) return;
    this.log.shift();
    this.forgotten++;
  }

  sendLog() {
    const { position, log, forgotten } = this;
    this.receiver.message({ type: "log", position, events: log, forgotten });
  }

  // Applies the events that wait, at the beginning of the next block.
  apply() {
    const events = this.waiting;
    this.waiting = [];
    for (const event of events) {
      try {
        this.take(event);
      } catch (error) {
        this.fail(error.message);
      }
    }
  }

  take(event) {
    const { synth } = this;
    if (event.type === "note_on") synth.noteOn(event.pitch, event.velocity, event.timbre);
    else if (event.type === "note_off") synth.noteOff(event.pitch);
    else if (event.type === "all_off") synth.allOff();
    else if (event.type === "timbre") synth.choose(event.timbre);
    else if (event.type === "set") {
      synth.set(event.parameter, event.value);
      if (!OF_THE_MAP.includes(event.parameter)) this.values[event.parameter] = event.value;
    } else if (event.type === "midi") {
      const changed = synth.midi(event.data);
      for (const [name, value] of Object.entries(changed)) {
        if (name !== "timbre" && !OF_THE_MAP.includes(name)) this.values[name] = value;
      }
      if (Object.keys(changed).length) this.receiver.message({ type: "changed", values: changed });
    } else if (event.type === "stop_file") {
      if (!this.file.length) return;
      this.file = [];
      this.receiver.message({ type: "file_end" });
      return this.take({ type: "all_off" });
    } else return;
    const logged = event.type === "note_on" ? { ...event, timbre: event.timbre ?? null } : event;
    this.remember(logged);
  }

  // Makes sound up to the lead, with pauses in which messages arrive.
  pump() {
    if (!this.synth || this.isClosed) return;
    const missing = Math.ceil((this.lead - (this.position - this.played)) / BLOCK);
    const n = Math.min(missing, MOST_AT_ONCE);
    if (n <= 0) return;
    const began = performance.now();
    const buffer = new ArrayBuffer(8 + 8 * n * BLOCK);
    new DataView(buffer).setBigUint64(0, BigInt(this.position), true);
    const sound = new Float32Array(buffer, 8);
    for (let i = 0; i < n; i++) this.block(sound.subarray(2 * i * BLOCK, 2 * (i + 1) * BLOCK));
    this.busyMs += performance.now() - began;
    this.receiver.sound(buffer);
    if (missing > n) this.again();
  }

  block(sound) {
    this.apply();
    for (let at = 0; at < BLOCK; ) {
      const n = Math.min(BLOCK - at, this.playFile());
      this.render(sound.subarray(2 * at, 2 * (at + n)), n);
      at += n;
    }
  }

  render(sound, n) {
    for (const synth of [this.synth, ...this.ending]) {
      const [left, right] = synth.player.process(n);
      let isSilent = true;
      for (let i = 0; i < n; i++) {
        sound[2 * i] += left[i];
        sound[2 * i + 1] += right[i];
        isSilent &&= left[i] === 0 && right[i] === 0;
      }
      if (synth !== this.synth && isSilent && !synth.player.nSounding) {
        synth.player.destroy();
        this.ending = this.ending.filter((other) => other !== synth);
      }
    }
    this.position += n;
  }

  report() {
    if (!this.synth) return;
    const madeMs = (1000 * (this.position - this.busySince)) / SAMPLE_RATE;
    const load = madeMs ? this.busyMs / madeMs : 0;
    this.busyMs = 0;
    this.busySince = this.position;
    const { nSounding: voices, latency } = this.synth.player;
    this.receiver.message({ type: "status", voices, latency, load });
  }
}
