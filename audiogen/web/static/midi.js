// Keyboards at the computer's MIDI ports.

const BEND_RANGE = 2; // semitones each way
const [WHEEL, PRESSURE] = [-2, -3]; // controllers without a number, as the server's table has them

// notes: a Notes; set(parameter, value); parameters(): the table that the server sent.
export async function listenToMidi(notes, set, parameters, onPorts) {
  const access = await navigator.requestMIDIAccess();
  const listen = () => {
    const names = [];
    for (const port of access.inputs.values()) {
      port.onmidimessage = ({ data }) => receive(data, port.id, notes, set, parameters());
      names.push(port.name);
    }
    onPorts(names);
  };
  access.onstatechange = listen;
  listen();
}

function receive([status, first, second], port, notes, set, parameters) {
  const kind = status >> 4;
  const holder = `midi ${port} ${status & 15} ${first}`;
  const turn = (controller, move) => {
    const knob = parameters.find((parameter) => parameter.controller === controller);
    if (knob) set(knob.name, move(knob));
  };
  const scaled = (value) => ({ lowest, highest }) => lowest + ((highest - lowest) * value) / 127;
  if (kind === 9 && second > 0) notes.press(holder, first, second / 127);
  else if (kind === 9 || kind === 8) notes.release(holder);
  else if (kind === 14) {
    turn(WHEEL, () => BEND_RANGE * Math.max(-1, ((second << 7) + first - 8192) / 8191));
  } else if (kind === 13) turn(PRESSURE, scaled(first));
  else if (kind === 11 && first === 123) notes.releaseAll();
  else if (kind === 11 && first === 64) turn(64, () => Number(second >= 64));
  else if (kind === 11) turn(first, scaled(second));
}
