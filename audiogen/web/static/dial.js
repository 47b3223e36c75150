// A range input that looks like a dial: keys, screen readers and fingers all turn it.

const SWEEP = 270; // degrees
const STEPS = 1000;
const SECONDS_POWER = 3; // gives short times the larger part of the sweep
const LEAST_COUNT = 4; // a range without a unit at least this wide has whole numbers

export class Dial {
  // parameter: { name, lowest, highest, initial, unit, help }; onTurn(value).
  constructor(parameter, onTurn) {
    this.parameter = parameter;
    this.onTurn = onTurn;
    this.power = parameter.unit === "s" ? SECONDS_POWER : 1;
    this.isCount = !parameter.unit && parameter.highest - parameter.lowest >= LEAST_COUNT;
    this.element = document.createElement("label");
    this.element.className = "dial";
    this.element.title = parameter.help;
    this.element.innerHTML = `
      <svg viewBox="-50 -50 100 100" aria-hidden="true">
        <path class="track" d="${arc(0, 1)}"></path>
        <path class="value"></path>
        <circle r="27"></circle>
        <line class="hand" y1="-13" y2="-24"></line>
      </svg>
      <input type="range" min="0" max="${STEPS}" step="any">
      <span class="dial-name"></span><output></output>`;
    this.input = this.element.querySelector("input");
    if (this.isCount) this.input.step = STEPS / (parameter.highest - parameter.lowest);
    this.input.ariaLabel = parameter.name.replaceAll("_", " ");
    this.element.querySelector(".dial-name").textContent = this.input.ariaLabel;
    this.input.addEventListener("input", () => {
      this.show();
      this.onTurn(this.value);
    });
    this.element.addEventListener("dblclick", () => this.turn(parameter.initial));
    this.element.addEventListener("pointerdown", (event) => this.grab(event));
    this.element.addEventListener("wheel", (event) => this.roll(event), { passive: false });
    this.set(parameter.initial);
  }

  get value() {
    const { lowest, highest } = this.parameter;
    const value = lowest + (highest - lowest) * (this.input.value / STEPS) ** this.power;
    return this.isCount ? Math.round(value) : value;
  }

  // Shows a value, without a message.
  set(value) {
    const { lowest, highest } = this.parameter;
    const part = Math.min(1, Math.max(0, (value - lowest) / (highest - lowest)));
    this.input.value = STEPS * part ** (1 / this.power);
    this.show();
  }

  turn(value) {
    this.set(value);
    this.onTurn(this.value);
  }

  // Up or right is more; the whole range is 160 pixels.
  grab(event) {
    if (event.button > 0) return;
    event.preventDefault();
    this.input.focus({ preventScroll: true });
    this.element.setPointerCapture(event.pointerId);
    const began = { at: event.clientX - event.clientY, value: +this.input.value };
    const move = (e) => {
      const way = (e.clientX - e.clientY - began.at) / (e.shiftKey ? 800 : 160);
      this.input.value = Math.round(began.value + STEPS * way);
      this.show();
      this.onTurn(this.value);
    };
    const end = () => {
      this.element.removeEventListener("pointermove", move);
      this.element.removeEventListener("pointerup", end);
      this.element.removeEventListener("pointercancel", end);
    };
    this.element.addEventListener("pointermove", move);
    this.element.addEventListener("pointerup", end);
    this.element.addEventListener("pointercancel", end);
  }

  // Only the focused dial turns, so that the page can be scrolled.
  roll(event) {
    if (document.activeElement !== this.input) return;
    event.preventDefault();
    this.input.value = +this.input.value - Math.sign(event.deltaY) * (STEPS / 50);
    this.show();
    this.onTurn(this.value);
  }

  show() {
    const { lowest, highest } = this.parameter;
    const part = this.input.value / STEPS;
    const zero = lowest < 0 ? -lowest / (highest - lowest) : 0;
    const [from, to] = part < zero ? [part, zero] : [zero, part];
    this.element.querySelector(".value").setAttribute("d", to - from > 0.003 ? arc(from, to) : "");
    const angle = (part - 0.5) * SWEEP;
    this.element.querySelector(".hand").setAttribute("transform", `rotate(${angle})`);
    const text = this.text();
    this.element.querySelector("output").textContent = text;
    this.input.setAttribute("aria-valuetext", text);
  }

  text() {
    const { name, unit, lowest, highest } = this.parameter;
    const value = this.value;
    if (name === "pan") {
      const share = Math.round(100 * Math.abs(value));
      return share ? `${value < 0 ? "L" : "R"} ${share}` : "centre";
    }
    if (unit === "s") return value < 1 ? `${Math.round(1000 * value)} ms` : `${value.toFixed(1)} s`;
    if (unit === "semitones") {
      return Math.abs(value) < 2 ? `${Math.round(100 * value)} cents` : `${value.toFixed(1)} st`;
    }
    if (this.isCount) return `${value}`;
    if (!unit && Math.max(-lowest, highest) <= 1) return `${Math.round(100 * value)} %`;
    return `${Number(value.toPrecision(unit ? 2 : 3))} ${unit.replace("octave", "oct")}`.trim();
  }
}

function arc(from, to) {
  const point = (part) => {
    const angle = ((part - 0.5) * SWEEP * Math.PI) / 180;
    return `${(40 * Math.sin(angle)).toFixed(2)} ${(-40 * Math.cos(angle)).toFixed(2)}`;
  };
  const large = (to - from) * SWEEP > 180 ? 1 : 0;
  return `M ${point(from)} A 40 40 0 ${large} 1 ${point(to)}`;
}
