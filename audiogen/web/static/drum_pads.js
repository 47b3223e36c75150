// The drums of a kit as pads: mouse and several fingers; held keys light up, whoever plays them.

import { pitchName } from "./held_notes.js";

export class DrumPads {
  // element: holds the pads; notes: HeldNotes.
  constructor(element, notes) {
    this.element = element;
    this.notes = notes;
    this.pads = new Map(); // key -> button
    element.addEventListener("pointerdown", (event) => this.down(event));
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      element.addEventListener(end, (event) => notes.release(`pad ${event.pointerId}`));
    }
    element.addEventListener("contextmenu", (event) => event.preventDefault());
    element.addEventListener("keydown", (event) => this.typed(event));
    addEventListener("keyup", () => notes.release("pad")); // wherever the focus is now
    notes.addEventListener("change", ({ detail }) => {
      this.pads.get(detail.pitch)?.classList.toggle("held", detail.held);
    });
  }

  // timbres: [{ name, key }]; empty for a preset that isn't a kit.
  show(timbres) {
    this.pads.clear();
    const pads = timbres
      .toSorted((a, b) => a.key - b.key)
      .map(({ name, key }) => {
        const pad = document.createElement("button");
        pad.type = "button";
        pad.className = "pad";
        pad.dataset.key = key;
        const readable = document.createElement("span");
        readable.textContent = name.replaceAll("-", " ");
        const note = document.createElement("small");
        note.textContent = pitchName(key);
        pad.append(readable, note);
        this.pads.set(key, pad);
        return pad;
      });
    this.element.replaceChildren(...pads);
  }

  // Louder towards the bottom of the pad, as on the keyboard.
  down(event) {
    const pad = event.target.closest(".pad");
    if (!pad || event.button > 0) return;
    event.preventDefault();
    this.element.setPointerCapture(event.pointerId);
    const { top, height } = pad.getBoundingClientRect();
    const depth = Math.min(1, Math.max(0, (event.clientY - top) / height));
    this.notes.press(`pad ${event.pointerId}`, +pad.dataset.key, 0.45 + 0.55 * depth);
  }

  typed(event) {
    const pad = event.target.closest(".pad");
    if (!pad || (event.key !== "Enter" && event.code !== "Space")) return;
    event.preventDefault();
    event.stopPropagation();
    if (!event.repeat) this.notes.press("pad", +pad.dataset.key);
  }
}
