// Holds the socket in a worker, so that drawing the page never delays the sound.

import { floatWav } from "./wav.js";

const LONGEST_RECORDING_S = 1200;

let socket = null;
let ring = null; // the port of the worklet
let sampleRate = 48000;
let recording = null; // { parts, frames } while it runs
let shown = 0;

self.onmessage = ({ data }) => {
  if (data.connect) connect(data.connect);
  else if (data.ring) {
    ring = data.ring;
    ring.onmessage = ({ data }) => fromRing(data);
  } else if (data.send) send(JSON.stringify(data.send));
  else if (data.file) send(data.file);
  else if (data.record) recording = { parts: [], frames: 0 };
  else if (data.finish) finish();
};

function connect(address) {
  socket?.close();
  const opened = new WebSocket(address);
  socket = opened;
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }) => {
    if (socket !== opened) return;
    if (typeof data === "string") fromServer(JSON.parse(data));
    else fromServerSound(data);
  };
  socket.onclose = () => {
    if (socket === opened) self.postMessage({ type: "closed" });
  };
}

// data: text, or the bytes of a MIDI file.
function send(data) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(data);
}

function fromServer(message) {
  if (message.type === "hello") sampleRate = message.sample_rate;
  self.postMessage(message);
}

function fromServerSound(buffer) {
  if (recording) {
    recording.parts.push(buffer.slice(8));
    recording.frames += (buffer.byteLength - 8) / 8;
    if (recording.frames > LONGEST_RECORDING_S * sampleRate) finish();
  }
  ring?.postMessage(buffer, [buffer]);
}

function fromRing({ played, fill, late }) {
  send(JSON.stringify({ type: "played", position: played }));
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
