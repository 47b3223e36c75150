// The notes that are held, and by which key or finger: a pitch ends when its last holder lets go.

export class HeldNotes extends EventTarget {
  constructor(send) {
    super();
    this.send = send;
    this.holders = new Map(); // pitch -> set of holders
    this.pitchOf = new Map(); // holder -> pitch
    this.midiKeys = new Map(); // key of a MIDI keyboard -> pitch; the server plays these
  }

  get count() {
    return this.holders.size + this.midiKeys.size;
  }

  isHeld(pitch) {
    return this.holders.has(pitch) || [...this.midiKeys.values()].includes(pitch);
  }

  press(holder, pitch, velocity = 0.8) {
    this.release(holder);
    const others = this.holders.get(pitch) ?? new Set();
    this.holders.set(pitch, others.add(holder));
    this.pitchOf.set(holder, pitch);
    this.send({ type: "note_on", pitch, velocity: Math.max(0.01, velocity) });
    this.changed(pitch);
  }

  release(holder) {
    const pitch = this.pitchOf.get(holder);
    if (pitch === undefined) return;
    this.pitchOf.delete(holder);
    const others = this.holders.get(pitch);
    others.delete(holder);
    if (others.size) return;
    this.holders.delete(pitch);
    this.send({ type: "note_off", pitch });
    this.changed(pitch);
  }

  releaseAll() {
    for (const holder of [...this.pitchOf.keys()]) this.release(holder);
  }

  // Shows a key of a MIDI keyboard.
  showMidiKey(key, pitch, down) {
    if (down) this.midiKeys.set(key, pitch);
    else this.midiKeys.delete(key);
    this.changed(pitch);
  }

  // Shows no key of a MIDI keyboard that is gone.
  forgetMidiPort(port) {
    for (const [key, pitch] of this.midiKeys) {
      if (key.startsWith(`${port} `)) this.showMidiKey(key, pitch, false);
    }
  }

  changed(pitch) {
    this.dispatchEvent(new CustomEvent("change", { detail: { pitch, held: this.isHeld(pitch) } }));
  }
}

const NAMES = ["C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B"];

// 60 is C4, middle C.
export const pitchName = (pitch) => NAMES[pitch % 12] + (Math.floor(pitch / 12) - 1);
export const isBlack = (pitch) => NAMES[pitch % 12].length > 1;
