// The piano keyboard: mouse, several fingers, the computer's keys.

import { isBlack, pitchName } from "./held_notes.js";

// Physical keys, whatever the layout prints on them: white keys from A on, black keys above.
const CODES = [
  "KeyA", "KeyW", "KeyS", "KeyE", "KeyD", "KeyF", "KeyT", "KeyG", "KeyY", "KeyH", "KeyU", "KeyJ",
  "KeyK", "KeyO", "KeyL", "KeyP", "Semicolon",
];
const LETTERS = "AWSEDFTGYHUJKOLP;";
const NARROWEST_KEY = 38; // pixels, for a finger

export class Keyboard {
  // element: holds the keys; notes: HeldNotes; onPedal(down): the space bar.
  constructor(element, notes, onPedal) {
    this.element = element;
    this.notes = notes;
    this.onPedal = onPedal;
    this.range = [36, 96];
    this.first = 48; // the lowest key shown, a C
    this.base = 60; // the pitch of the computer's A
    this.keys = new Map(); // pitch -> button
    element.addEventListener("pointerdown", (event) => this.down(event));
    element.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      element.addEventListener(end, (event) => this.up(event));
    }
    element.addEventListener("contextmenu", (event) => event.preventDefault());
    element.addEventListener("keydown", (event) => this.walk(event));
    addEventListener("keydown", (event) => this.typed(event));
    addEventListener("keyup", (event) => this.untyped(event));
    addEventListener("blur", () => {
      notes.releaseAll();
      this.liftPedal();
    });
    notes.addEventListener("change", ({ detail }) => {
      this.keys.get(detail.pitch)?.classList.toggle("held", detail.held);
    });
    new ResizeObserver(() => this.build()).observe(element);
  }

  // base: the pitch of the computer's A, if the range has it.
  setRange(low, high, base = 60) {
    this.range = [low, high];
    this.notes.releaseAll();
    this.base = Math.min(base, Math.floor((high - 12) / 12) * 12);
    this.first = null;
    this.build(true);
  }

  // Moves the shown keys and the pitches of the computer's keys by octaves.
  shift(octaves) {
    const [low, high] = this.range;
    const base = this.base + 12 * octaves;
    if (base < low - 11 || base > high) return;
    this.base = base;
    this.notes.releaseAll();
    this.build(true);
  }

  build(always = false) {
    const width = this.element.clientWidth;
    const [low, high] = this.range;
    const whites = [];
    for (let p = low; p <= high; p++) if (!isBlack(p)) whites.push(p);
    const fitting = Math.max(7, Math.floor(width / NARROWEST_KEY));
    let shown = whites;
    if (fitting < whites.length && width / whites.length < 0.62 * NARROWEST_KEY) {
      const wanted = Math.max(0, whites.findIndex((p) => p >= this.base));
      const at = Math.min(wanted, whites.length - fitting);
      shown = whites.slice(at, at + fitting);
    }
    const signature = `${shown[0]}-${shown.at(-1)}-${this.base}`;
    if (!always && signature === this.signature) return;
    this.signature = signature;
    this.fill(shown);
  }

  fill(whites) {
    this.keys.clear();
    const width = 100 / whites.length;
    const buttons = [];
    const [first, last] = [whites[0], whites.at(-1)];
    let place = 0;
    for (let pitch = first; pitch <= last; pitch++) {
      const key = document.createElement("button");
      const black = isBlack(pitch);
      key.type = "button";
      key.className = black ? "key black" : "key white";
      key.tabIndex = pitch === Math.max(first, Math.min(last, this.base)) ? 0 : -1;
      key.dataset.pitch = pitch;
      key.ariaLabel = pitchName(pitch).replace("♯", " sharp ");
      key.style.left = `${black ? (place - 0.31) * width : place * width}%`;
      key.style.width = `${black ? 0.62 * width : width}%`;
      if (!black) place++;
      key.classList.toggle("held", this.notes.isHeld(pitch));
      const letter = LETTERS[pitch - this.base];
      if (letter) key.append(label("letter", letter));
      if (pitch % 12 === 0) key.append(label("name", pitchName(pitch)));
      this.keys.set(pitch, key);
      buttons.push(key);
    }
    this.element.replaceChildren(...buttons);
  }

  keyAt(event) {
    const element = document.elementFromPoint(event.clientX, event.clientY);
    const key = element?.closest?.(".key");
    return key && this.element.contains(key) ? key : null;
  }

  down(event) {
    const key = this.keyAt(event);
    if (!key || event.button > 0) return;
    event.preventDefault(); // else the key gets the focus, and the space bar presses it
    this.element.setPointerCapture(event.pointerId);
    this.strike(event, key);
  }

  move(event) {
    const holder = `pointer ${event.pointerId}`;
    if (!this.notes.pitchOf.has(holder)) return;
    const key = this.keyAt(event);
    if (key && +key.dataset.pitch !== this.notes.pitchOf.get(holder)) this.strike(event, key);
  }

  up(event) {
    this.notes.release(`pointer ${event.pointerId}`);
  }

  // Louder towards the front of the key: a screen cannot measure a finger's speed.
  strike(event, key) {
    const { top, height } = key.getBoundingClientRect();
    const depth = Math.min(1, Math.max(0, (event.clientY - top) / height));
    this.notes.press(`pointer ${event.pointerId}`, +key.dataset.pitch, 0.45 + 0.55 * depth);
  }

  typed(event) {
    if (this.element.offsetParent === null) return; // the keyboard is hidden
    if (event.ctrlKey || event.metaKey || event.altKey || isWriting(event.target)) return;
    if (event.code === "Space" && !isControl(event.target)) {
      event.preventDefault();
      if (!event.repeat) this.onPedal((this.pedal = true));
      return;
    }
    const step = CODES.indexOf(event.code);
    if (step >= 0) {
      event.preventDefault();
      const pitch = this.base + step;
      if (!event.repeat && pitch <= this.range[1] && pitch >= this.range[0]) {
        this.notes.press(event.code, pitch);
      }
    } else if (!event.repeat && (event.code === "KeyZ" || event.code === "KeyX")) {
      this.shift(event.code === "KeyZ" ? -1 : 1);
    }
  }

  untyped(event) {
    if (event.key === "Meta") { // macOS reports no release of a key while Command is down
      this.notes.releaseAll();
      this.liftPedal();
    }
    if (event.code === "Space") this.liftPedal(); // wherever the focus is now
    this.notes.release(event.code);
    if (event.key === "Enter" || event.code === "Space") this.notes.release("focus");
  }

  liftPedal() {
    if (this.pedal) this.onPedal((this.pedal = false));
  }

  // The arrows move the focus from key to key; Enter holds the focused key.
  walk(event) {
    const pitch = +event.target.dataset?.pitch;
    if (Number.isNaN(pitch)) return;
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowUp: 12, ArrowDown: -12 }[event.code];
    if (step) {
      event.preventDefault();
      this.keys.get(pitch + step)?.focus();
    } else if (event.key === "Enter" || event.code === "Space") {
      event.preventDefault();
      event.stopPropagation();
      if (!event.repeat) this.notes.press("focus", pitch);
    }
  }
}

function label(kind, text) {
  const span = document.createElement("span");
  span.className = kind;
  span.ariaHidden = "true";
  span.textContent = text;
  return span;
}

const isWriting = (element) => element.matches?.("input:not([type=range]), textarea, select");
const isControl = (element) =>
  element.matches?.("button, a, input:not([type=range]), select, textarea, summary");
