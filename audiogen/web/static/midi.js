// Keyboards at the computer's MIDI ports.

const BEND_RANGE = 2; // semitones each way

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
  const byName = (name) => parameters.find((p) => p.name === name);
  if (kind === 9 && second > 0) notes.press(holder, first, second / 127);
  else if (kind === 9 || kind === 8) notes.release(holder);
  else if (kind === 14 && byName("bend")) {
    set("bend", BEND_RANGE * Math.max(-1, ((second << 7) + first - 8192) / 8191));
  } else if (kind === 13 && byName("vibrato")) set("vibrato", first / 127);
  else if (kind === 11 && first === 123) notes.releaseAll();
  else if (kind === 11) {
    const parameter = parameters.find((p) => p.cc === first);
    if (!parameter) return;
    const { name, min, max } = parameter;
    set(name, name === "sustain" ? +(second >= 64) : min + ((max - min) * second) / 127);
  }
}
