// MIDI keyboards at this computer: their bytes go to the server, whose synth reads them.

const CLOCK = 0xf8; // clock and active sensing, up to 0xfe, come often and have no effect
const RESET = 0xff;
const MAX_BYTES = 512; // of one message to the server

// send(message); onKey(holder, pitch, down), which lights a key; onPorts(names); onLost(id) of a
// port that is gone, whose keys no message will release. A holder begins with the id of its port.
export async function listenToMidi(send, onKey, onPorts, onLost) {
  const access = await navigator.requestMIDIAccess();
  let before = [];
  const listen = () => {
    const ports = [...access.inputs.values()].filter(({ state }) => state !== "disconnected");
    const ids = ports.map(({ id }) => id);
    before.filter((id) => !ids.includes(id)).forEach(onLost);
    before = ids;
    for (const port of ports) {
      port.onmidimessage = ({ data }) => {
        if (data[0] >= CLOCK && data[0] < RESET) return;
        for (let i = 0; i < data.length; i += MAX_BYTES) {
          send({ type: "midi", data: [...data.slice(i, i + MAX_BYTES)] });
        }
        showKey(port.id, data, onKey);
      };
    }
    onPorts(ports.map(({ name }) => name));
  };
  access.onstatechange = listen;
  listen();
}

function showKey(port, [status, pitch, velocity], onKey) {
  const kind = status >> 4;
  if (kind !== 8 && kind !== 9) return;
  onKey(`${port} ${status & 15} ${pitch}`, pitch, kind === 9 && velocity > 0);
}
