// Timbres that the user has kept under a name, in this browser: mixes and random timbres.

const KEY = "timbres";
const MAX_KEPT = 64; // of one preset
export const MAX_NAME = 40; // characters

// A mix of two timbres as the server reads it, such as "harp:0.6+koto:0.4".
export function mixOf(from, other, amount) {
  const share = Math.round(100 * amount) / 100;
  if (share === 0) return from;
  if (share === 1) return other;
  return `${from}:${(1 - share).toFixed(2)}+${other}:${share.toFixed(2)}`;
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
