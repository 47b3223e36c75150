// Plays the server's sound from a ring buffer and counts how often the buffer ran empty.

const FEWEST_BLOCKS = 4; // of 128 frames, between two reports of the position played
const PER_THRESHOLD = 6; // reports in the time that a full buffer lasts

class Ring extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    this.capacity = processorOptions.capacity; // frames
    this.threshold = processorOptions.threshold; // frames before it starts
    this.left = new Float32Array(this.capacity);
    this.right = new Float32Array(this.capacity);
    this.written = 0; // positions in the stream, in frames
    this.played = 0;
    this.late = 0;
    this.running = false;
    this.interrupted = false;
    this.sinceReport = 0;
    this.port.onmessage = ({ data }) => this.command(data);
  }

  command(data) {
    if (data.port) {
      this.stream = data.port; // to the worker that holds the socket
      this.stream.onmessage = ({ data }) => this.write(data);
    }
    if (data.threshold) this.threshold = data.threshold;
    if (data.reset) {
      this.written = this.played = 0;
      this.running = this.interrupted = false;
    }
  }

  write(buffer) {
    const position = Number(new DataView(buffer).getBigUint64(0, true));
    const frames = new Float32Array(buffer, 8);
    if (position !== this.written) this.played = position; // a new stream
    for (let i = 0, at = position; i < frames.length; i += 2, at++) {
      this.left[at % this.capacity] = frames[i];
      this.right[at % this.capacity] = frames[i + 1];
    }
    this.written = position + frames.length / 2;
  }

  process(_inputs, [[left, right]]) {
    const fill = this.written - this.played;
    if (!this.running && fill >= this.threshold) {
      this.running = true;
      this.port.postMessage({ frame: currentFrame, position: this.played });
    }
    if (this.running) {
      const n = Math.min(left.length, fill);
      for (let i = 0; i < n; i++) {
        left[i] = this.left[(this.played + i) % this.capacity];
        right[i] = this.right[(this.played + i) % this.capacity];
      }
      if (n < left.length) this.starve(left, right, n);
      else if (this.interrupted) this.fadeIn(left, right);
      this.interrupted = n < left.length;
      this.played += n;
    }
    const pause = Math.max(FEWEST_BLOCKS, this.threshold / 128 / PER_THRESHOLD);
    if (++this.sinceReport >= pause) {
      this.sinceReport = 0;
      this.stream?.postMessage({
        played: this.played,
        fill: this.written - this.played,
        late: this.late,
      });
    }
    return true;
  }

  // Fades from the last sample to silence; the sound continues when the buffer has filled again.
  starve(left, right, n) {
    this.late++;
    this.running = false;
    const last = (this.played + n + this.capacity - 1) % this.capacity;
    for (let i = n; i < left.length; i++) {
      const gain = 1 - (i - n + 1) / (left.length - n);
      left[i] = gain * this.left[last];
      right[i] = gain * this.right[last];
    }
  }

  fadeIn(left, right) {
    for (let i = 0; i < left.length; i++) {
      left[i] *= (i + 1) / left.length;
      right[i] *= (i + 1) / left.length;
    }
  }
}

registerProcessor("ring", Ring);
