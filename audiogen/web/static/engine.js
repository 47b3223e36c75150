// The engine as a WebAssembly module: opens presets from memory and renders blocks of samples.

const FOLDER = "preset"; // in which the module finds the files of a preset
const EVENT_BYTES = 28;
const MOST_EVENTS = 8192; // of one block
export const MOST_MIDI = 512; // bytes of one call
const [NOTE_OFF, NOTE_ON, PARAMETER, ALL_OFF] = [0, 1, 2, 3];

// Errors and flags of WASI.
const [OK, BAD_FILE, NOT_FOUND, NOT_SUPPORTED] = [0, 8, 44, 58];
const [DIRECTORY, REGULAR_FILE] = [3, 4];
const ROOT = 3; // descriptor of the only folder

// The part of WASI that reading a file needs, on files in memory.
class Files {
  constructor() {
    this.files = new Map(); // path: Uint8Array
    this.open = new Map(); // descriptor: { bytes, at }
    this.next = ROOT + 1;
  }

  imports(memory) {
    const view = () => new DataView(memory().buffer);
    const text = (at, n) => new TextDecoder().decode(new Uint8Array(memory().buffer, at, n).slice());
    const find = (at, n) => this.files.get(text(at, n));
    const stat = (at, type, size) => {
      new Uint8Array(memory().buffer, at, 64).fill(0);
      view().setUint8(at + 16, type);
      view().setBigUint64(at + 32, BigInt(size), true);
      return OK;
    };
    return {
      environ_sizes_get: (count, size) => {
        view().setUint32(count, 0, true);
        view().setUint32(size, 0, true);
        return OK;
      },
      environ_get: () => OK,
      clock_time_get: (_clock, _precision, at) => {
        view().setBigUint64(at, BigInt(Math.round(1e6 * performance.now())), true); // ns
        return OK;
      },
      fd_prestat_get: (file, at) => {
        if (file !== ROOT) return BAD_FILE;
        view().setUint32(at, 0, true); // a folder
        view().setUint32(at + 4, 1, true); // length of its name
        return OK;
      },
      fd_prestat_dir_name: (_file, at) => {
        view().setUint8(at, ".".charCodeAt(0));
        return OK;
      },
      path_filestat_get: (_file, _flags, at, n, result) => {
        if (text(at, n) === FOLDER) return stat(result, DIRECTORY, 0);
        const bytes = find(at, n);
        return bytes ? stat(result, REGULAR_FILE, bytes.length) : NOT_FOUND;
      },
      path_open: (_file, _dirFlags, at, n, _flags, _rights, _inheriting, _fdFlags, result) => {
        const bytes = find(at, n);
        if (!bytes) return NOT_FOUND;
        this.open.set(this.next, { bytes, at: 0 });
        view().setUint32(result, this.next++, true);
        return OK;
      },
      fd_fdstat_get: (file, at) => {
        new Uint8Array(memory().buffer, at, 24).fill(0);
        view().setUint8(at, file === ROOT ? DIRECTORY : REGULAR_FILE);
        view().setBigUint64(at + 8, 0xffffffffn, true); // all rights
        view().setBigUint64(at + 16, 0xffffffffn, true);
        return OK;
      },
      fd_fdstat_set_flags: () => OK,
      fd_read: (file, vectors, count, result) => {
        const opened = this.open.get(file);
        if (!opened) return BAD_FILE;
        let total = 0;
        for (let i = 0; i < count; i++) {
          const to = view().getUint32(vectors + 8 * i, true);
          const part = opened.bytes.subarray(opened.at, opened.at + view().getUint32(vectors + 8 * i + 4, true));
          new Uint8Array(memory().buffer).set(part, to);
          opened.at += part.length;
          total += part.length;
        }
        view().setUint32(result, total, true);
        return OK;
      },
      fd_close: (file) => (this.open.delete(file) ? OK : BAD_FILE),
      fd_seek: () => NOT_SUPPORTED,
      fd_write: () => NOT_SUPPORTED,
      proc_exit: (status) => {
        throw new Error(`the engine stopped with status ${status}`);
      },
    };
  }
}

export class Engine {
  // module: a compiled WebAssembly.Module.
  static async load(module) {
    const engine = new Engine();
    engine.files = new Files();
    const memory = () => engine.exports.memory;
    const fail = (at) => {
      const bytes = new Uint8Array(memory().buffer, at);
      throw new Error(new TextDecoder().decode(bytes.slice(0, bytes.indexOf(0))));
    };
    const instance = await WebAssembly.instantiate(module, {
      page: { fail },
      wasi_snapshot_preview1: engine.files.imports(memory),
    });
    engine.exports = instance.exports;
    engine.exports._initialize();
    return engine;
  }

  // Calls the module; an error leaves its stack as it was.
  call(name, ...values) {
    const stack = this.exports.__stack_pointer;
    const before = stack.value;
    try {
      return this.exports[name](...values);
    } catch (error) {
      stack.value = before;
      throw error;
    }
  }

  // Runs work(address) with a copy of bytes in the module's memory.
  withBytes(bytes, work) {
    const at = this.call("page_allocate", bytes.length);
    new Uint8Array(this.exports.memory.buffer).set(bytes, at);
    try {
      return work(at);
    } finally {
      this.call("page_free", at);
    }
  }

  // toml, weights: the files of a preset, as Uint8Arrays. Throws if something in them is wrong.
  open(toml, weights) {
    this.files.files.set(`${FOLDER}/preset.toml`, toml);
    this.files.files.set(`${FOLDER}/weights.safetensors`, weights);
    try {
      const name = new TextEncoder().encode(`${FOLDER}\0`);
      return this.withBytes(name, (at) => this.call("page_open", at));
    } finally {
      this.files.files.clear();
      this.files.open.clear();
    }
  }

  // Returns a player of a preset that `open` returned, which may then be closed.
  player(preset, { sampleRate, maxBlock, polyphony, seed = 0 }) {
    return new Player(this, this.call("page_create", preset, sampleRate, maxBlock, polyphony, seed), maxBlock);
  }

  close(preset) {
    this.call("page_close", preset);
  }
}

class Player {
  constructor(engine, address, maxBlock) {
    this.engine = engine;
    this.address = address;
    this.maxBlock = maxBlock;
    this.nEvents = 0; // of the next block
    for (const name of ["samples", "events", "midi"]) this[name] = engine.call(`page_${name}`, address);
  }

  destroy() {
    this.engine.call("page_destroy", this.address);
  }

  // --- Events at the beginning of the next block ------------------------------------------------

  noteOn(id, pitch, velocity, timbre, pan = 0) {
    this.add(NOTE_ON, id, timbre, pitch, velocity, pan);
  }

  noteOff(id) {
    this.add(NOTE_OFF, id);
  }

  allOff() {
    this.add(ALL_OFF);
  }

  // index: row of the parameter table.
  set(index, value) {
    this.add(PARAMETER, index, 0, 0, value);
  }

  add(kind, id = 0, timbre = 0, pitch = 0, value = 0, pan = 0) {
    if (this.nEvents >= MOST_EVENTS) throw new Error(`${MOST_EVENTS} events wait for one block, which is the limit`);
    const view = new DataView(this.engine.exports.memory.buffer, this.events + EVENT_BYTES * this.nEvents++);
    [0, kind, id, timbre].forEach((word, i) => view.setUint32(4 * i, word, true));
    [pitch, value, pan].forEach((number, i) => view.setFloat32(16 + 4 * i, number, true));
  }

  // Reads at most MOST_MIDI bytes of MIDI, cut anywhere; returns the events that they complete.
  readMidi(bytes) {
    const first = this.nEvents;
    new Uint8Array(this.engine.exports.memory.buffer).set(bytes, this.midi);
    this.nEvents = this.engine.call("page_read_midi", this.address, bytes.length, first);
    return Array.from({ length: this.nEvents - first }, (_, i) => {
      const view = new DataView(this.engine.exports.memory.buffer, this.events + EVENT_BYTES * (first + i));
      return {
        kind: view.getUint32(4, true),
        id: view.getUint32(8, true),
        timbre: view.getUint32(12, true),
        value: view.getFloat32(20, true),
        setTimbre: (index) => view.setUint32(12, index, true),
      };
    });
  }

  // Chooses the timbre of later MIDI notes, by index, until a program change.
  chooseTimbre(index) {
    this.engine.call("page_choose_timbre", this.address, index);
  }

  // z: a latent. Returns the number of its timbre.
  addTimbre(z) {
    const bytes = new Uint8Array(Float32Array.from(z).buffer);
    return this.engine.withBytes(bytes, (at) => this.engine.call("page_add_timbre", this.address, at, z.length));
  }

  // --- Sound ------------------------------------------------------------------------------------

  // Renders n samples of each channel; the arrays are valid until the next call of the module.
  process(n) {
    this.engine.call("page_process", this.address, n, this.nEvents);
    this.nEvents = 0;
    const { buffer } = this.engine.exports.memory;
    return [0, 1].map((c) => new Float32Array(buffer, this.samples + 4 * c * this.maxBlock, n));
  }

  get latency() {
    return this.engine.call("page_latency", this.address);
  }

  get nSounding() {
    return this.engine.call("page_n_sounding", this.address);
  }
}
