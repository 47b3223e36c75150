// Which notes are held, by whom: a pitch ends when nobody holds it any more.

export class Notes extends EventTarget {
  constructor(send) {
    super();
    this.send = send;
    this.timbre = null; // of the next notes
    this.holders = new Map(); // pitch -> set of holders
    this.pitchOf = new Map(); // holder -> pitch
  }

  get count() {
    return this.holders.size;
  }

  press(holder, pitch, velocity = 0.8) {
    this.release(holder);
    const others = this.holders.get(pitch) ?? new Set();
    this.holders.set(pitch, others.add(holder));
    this.pitchOf.set(holder, pitch);
    this.send({ type: "note_on", pitch, velocity: Math.max(0.01, velocity), timbre: this.timbre });
    this.changed(pitch, true);
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
    this.changed(pitch, false);
  }

  releaseAll() {
    for (const holder of [...this.pitchOf.keys()]) this.release(holder);
  }

  changed(pitch, held) {
    this.dispatchEvent(new CustomEvent("change", { detail: { pitch, held } }));
  }
}

const NAMES = ["C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B"];

// 60 is C4, middle C.
export const pitchName = (pitch) => NAMES[pitch % 12] + (Math.floor(pitch / 12) - 1);
export const isBlack = (pitch) => NAMES[pitch % 12].length > 1;
