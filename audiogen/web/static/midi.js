// Keyboards at the computer's MIDI ports, read as `audiogen play` reads them; but programs move the
// pad's cursor, and all sound off lets notes go.

const LARGEST_BEND = 48; // semitones
const [WHEEL, PRESSURE] = [-2, -3]; // controllers without a number, as the server's table has them
const RESET = ["bend", "vibrato", "sustain", "morph", "expression"]; // what controller 121 puts back: RP-015
const [NO_PARAMETER, BEND_RANGE] = ["127 127", "0 0"]; // registered parameters, upper byte first

// notes: a Notes; set(parameter, value); choose(program); parameters(): the server's table.
export async function listenToMidi(notes, set, choose, parameters, onPorts) {
  const access = await navigator.requestMIDIAccess();
  const readers = new Map();
  const listen = () => {
    const names = [];
    for (const port of access.inputs.values()) {
      if (!readers.has(port.id)) readers.set(port.id, new Reader(port.id, notes, set, choose));
      port.onmidimessage = ({ data }) => readers.get(port.id).receive(data, parameters());
      names.push(port.name);
    }
    onPorts(names);
  };
  access.onstatechange = listen;
  listen();
}

// Of one port.
class Reader {
  constructor(port, notes, set, choose) {
    Object.assign(this, { port, notes, set, choose });
    this.registered = NO_PARAMETER;
    this.range = [2, 0]; // of the wheel: semitones, cents
    this.wheel = 0; // -1 to 1
  }

  receive([status, first, second], parameters) {
    const kind = status >> 4;
    const holder = `midi ${this.port} ${status & 15} ${first}`;
    if (kind === 9 && second > 0) this.notes.press(holder, first, second / 127);
    else if (kind === 9 || kind === 8) this.notes.release(holder);
    else if (kind === 11) this.control(first, second, parameters);
    else if (kind === 12) this.choose(first);
    else if (kind === 13) this.turn(PRESSURE, first, parameters);
    else if (kind === 14) {
      const way = (second << 7) + first - 8192;
      this.wheel = way / (way < 0 ? 8192 : 8191);
      this.bend(parameters);
    }
  }

  control(number, value, parameters) {
    const [upper, lower] = this.registered.split(" ");
    if (number === 98 || number === 99) this.registered = NO_PARAMETER;
    else if (number === 100) this.registered = `${upper} ${value}`;
    else if (number === 101) this.registered = `${value} ${lower}`;
    else if (number === 6 || number === 38) {
      if (this.registered !== BEND_RANGE) return;
      this.range[number === 6 ? 0 : 1] = value;
      if (this.wheel) this.bend(parameters);
    } else if (number === 120 || number >= 123) this.notes.releaseAll();
    else if (number === 121) {
      for (const { name, initial } of parameters) if (RESET.includes(name)) this.set(name, initial);
      this.registered = NO_PARAMETER;
      this.wheel = 0;
    } else this.turn(number, value, parameters);
  }

  bend(parameters) {
    const knob = parameters.find(({ controller }) => controller === WHEEL);
    const range = Math.min(this.range[0] + this.range[1] / 100, LARGEST_BEND);
    if (knob) this.set(knob.name, this.wheel * range);
  }

  // 64 is the middle; a pedal is up or down.
  turn(controller, value, parameters) {
    const knob = parameters.find((parameter) => parameter.controller === controller);
    if (!knob) return;
    const part = value <= 64 ? value / 128 : 0.5 + (value - 64) / 126;
    const { name, lowest, highest } = knob;
    this.set(name, name === "sustain" ? Number(value >= 64) : lowest + part * (highest - lowest));
  }
}
