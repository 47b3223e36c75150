// Passes sound from its source, the server or the engine in this worker, to the ring, so that
// drawing the page never delays it; records it on the way.

import { connectToServer } from "./server_link.js";
import { floatWav } from "./wav.js";

const LONGEST_RECORDING_S = 1200;

let link = null; // to the source: { send(message), sendFile(bytes), close() }
let ring = null; // the port of the worklet
let sampleRate = 48000;
let recording = null; // { parts, frames } while it runs
let shown = 0;

self.onmessage = ({ data }) => {
  if (data.connect) connect(data.connect);
  else if (data.ring) {
    ring = data.ring;
    ring.onmessage = ({ data }) => fromRing(data);
  } else if (data.send) link?.send(data.send);
  else if (data.file) link?.sendFile(data.file);
  else if (data.record) recording = { parts: [], frames: 0 };
  else if (data.finish) finish();
};

const receiver = {
  message(message) {
    if (message.type === "hello") sampleRate = message.sample_rate;
    self.postMessage(message);
  },
  sound(buffer) {
    if (recording) {
      recording.parts.push(buffer.slice(8));
      recording.frames += (buffer.byteLength - 8) / 8;
      if (recording.frames > LONGEST_RECORDING_S * sampleRate) finish();
    }
    ring?.postMessage(buffer, [buffer]);
  },
  closed: () => self.postMessage({ type: "closed" }),
};

// socket: address of the server; or engine: address of the module, presets: of their folder.
async function connect({ socket, engine, presets }) {
  link?.close();
  if (socket) {
    link = connectToServer(socket, receiver);
    return;
  }
  const { openLocally } = await import("./local_session.js");
  try {
    link = await openLocally(engine, presets, receiver);
  } catch (error) {
    receiver.message({ type: "refused", message: `The engine can't start: ${error.message}` });
    receiver.closed();
  }
}

function fromRing({ played, fill, late }) {
  link?.send({ type: "played", position: played });
  if (performance.now() - shown > 100) {
    shown = performance.now();
    self.postMessage({ type: "ring", played, fill, late });
  }
}

function finish() {
  if (!recording) return;
  const { parts, frames } = recording;
  recording = null;
  self.postMessage({ type: "recorded", frames, file: floatWav(parts, frames, 2, sampleRate) });
}
