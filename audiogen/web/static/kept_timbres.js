// Timbres that the user has kept under a name, in this browser: positions of the timbre map, and
// random timbres.

const KEY = "timbres";
const MAX_KEPT = 64; // of one preset
export const MAX_NAME = 40; // characters

// A position of the timbre map as a text, and back; null for the text of a timbre.
export const textOfPlace = ([x, y]) => `map:${x.toFixed(4)},${y.toFixed(4)}`;
export function placeOf(text) {
  const found = /^map:([01]\.\d+),([01]\.\d+)$/.exec(text);
  return found && found.slice(1).map(Number);
}

export const randomTimbre = () => `random:${Math.floor(1e6 * Math.random())}`;
export const readable = (timbre) => timbre.replaceAll(/[-:]/g, " ").replaceAll("+", " + ");

export class KeptTimbres {
  // list: an <ul>; onChoose(timbre, name).
  constructor(list, onChoose) {
    this.list = list;
    this.onChoose = onChoose;
    this.preset = null;
  }

  show(preset) {
    this.preset = preset;
    const items = Object.entries(read()[preset] ?? {}).map(([name, timbre]) => this.item(name, timbre));
    this.list.replaceChildren(...items);
    this.list.hidden = !items.length;
  }

  item(name, timbre) {
    const item = document.createElement("li");
    const choose = document.createElement("button");
    choose.type = "button";
    choose.textContent = name;
    choose.title = timbre;
    choose.dataset.timbre = timbre;
    choose.ariaPressed = "false";
    choose.addEventListener("click", () => this.onChoose(timbre, name));
    const remove = document.createElement("button");
    remove.type = "button";
    remove.className = "remove";
    remove.textContent = "×";
    remove.ariaLabel = `Remove ${name}`;
    remove.addEventListener("click", () => this.write(name, undefined));
    item.append(choose, remove);
    return item;
  }

  // Returns whether there was room.
  keep(name, timbre) {
    const kept = read()[this.preset] ?? {};
    if (!(name in kept) && Object.keys(kept).length >= MAX_KEPT) return false;
    this.write(name, timbre);
    return true;
  }

  write(name, timbre) {
    const all = read();
    const kept = { ...all[this.preset], [name]: timbre };
    localStorage.setItem(KEY, JSON.stringify({ ...all, [this.preset]: kept }));
    this.show(this.preset);
  }

  mark(timbre) {
    for (const button of this.list.querySelectorAll("[data-timbre]")) {
      button.ariaPressed = String(button.dataset.timbre === timbre);
    }
  }
}

function read() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch {
    return {};
  }
}
