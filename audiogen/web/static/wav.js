// WAV files of 32-bit floats, which hold the samples without rounding.

const FLOAT = 3; // WAVE_FORMAT_IEEE_FLOAT

// parts: ArrayBuffers of interleaved little-endian floats, together `frames` frames.
export function floatWav(parts, frames, channels, sampleRate) {
  const head = new DataView(new ArrayBuffer(58));
  const bytes = frames * channels * 4;
  const text = (at, word) => [...word].forEach((c, i) => head.setUint8(at + i, c.charCodeAt(0)));
  text(0, "RIFF");
  head.setUint32(4, 50 + bytes, true);
  text(8, "WAVEfmt ");
  head.setUint32(16, 18, true);
  head.setUint16(20, FLOAT, true);
  head.setUint16(22, channels, true);
  head.setUint32(24, sampleRate, true);
  head.setUint32(28, sampleRate * channels * 4, true);
  head.setUint16(32, channels * 4, true);
  head.setUint16(34, 32, true);
  head.setUint16(36, 0, true); // no extension follows
  text(38, "fact");
  head.setUint32(42, 4, true);
  head.setUint32(46, frames, true);
  text(50, "data");
  head.setUint32(54, bytes, true);
  return new Blob([head.buffer, ...parts], { type: "audio/wav" });
}
