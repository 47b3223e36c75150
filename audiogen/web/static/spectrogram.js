// A scrolling spectrogram: time to the right, frequency upwards (logarithmic), level as colour.

import { levelColours, onTheme } from "./colour.js";

const LOWEST_HZ = 50;
const RANGE_DB = [-86, -22];
const SPEED = 90; // CSS pixels per second

export class Spectrogram {
  constructor(canvas) {
    this.canvas = canvas;
    this.analyser = null;
    this.last = 0;
    new ResizeObserver(() => this.fit()).observe(canvas);
    onTheme(() => this.fit());
    this.fit();
  }

  fit() {
    this.scale = Math.min(2, devicePixelRatio);
    this.canvas.width = Math.max(1, this.canvas.clientWidth * this.scale);
    this.canvas.height = Math.max(1, this.canvas.clientHeight * this.scale);
    this.context = this.canvas.getContext("2d", { alpha: false });
    this.colours = levelColours();
    this.context.fillStyle = `rgb(${this.colours[0]})`;
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    this.column = this.context.createImageData(1, this.canvas.height);
    this.bins = null;
  }

  start(analyser) {
    this.analyser = analyser;
    this.levels = new Float32Array(analyser.frequencyBinCount);
    this.bins = null;
    requestAnimationFrame((now) => this.frame(now));
  }

  // Position of each row among the analyser's bins, with a fraction.
  place() {
    const height = this.canvas.height;
    const nyquist = this.analyser.context.sampleRate / 2;
    const highest = Math.min(10000, nyquist);
    this.bins = Float32Array.from({ length: height }, (_, row) => {
      const hz = LOWEST_HZ * (highest / LOWEST_HZ) ** (1 - (row + 0.5) / height);
      return (hz / nyquist) * this.levels.length;
    });
  }

  frame(now) {
    requestAnimationFrame((then) => this.frame(then));
    const moved = Math.floor(((now - this.last) / 1000) * SPEED * this.scale);
    if (moved < 1) return;
    this.last = now;
    if (!this.bins) this.place();
    this.analyser.getFloatFrequencyData(this.levels);
    const { width, height } = this.canvas;
    const step = Math.min(moved, 24);
    this.context.drawImage(this.canvas, -step, 0);
    const [low, high] = RANGE_DB;
    for (let row = 0; row < height; row++) {
      const bin = Math.floor(this.bins[row]);
      const part = this.bins[row] - bin;
      const next = this.levels[Math.min(bin + 1, this.levels.length - 1)];
      const db = this.levels[bin] * (1 - part) + next * part;
      const level = Math.max(0, Math.min(255, Math.round((255 * (db - low)) / (high - low)))) || 0;
      const [r, g, b] = this.colours[level];
      this.column.data.set([r, g, b, 255], 4 * row);
    }
    for (let x = width - step; x < width; x++) this.context.putImageData(this.column, x, 0);
  }
}
