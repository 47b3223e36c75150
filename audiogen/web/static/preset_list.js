// The list of presets, with a picture and a preview of each, and the search for presets and timbres.

export class PresetList {
  // list: an <ul>; search: an <input>; onChoose(name, timbre or undefined).
  constructor(list, search, onChoose) {
    this.list = list;
    this.search = search;
    this.onChoose = onChoose;
    this.presets = new Map(); // name -> { preset, item, matches }
    this.sound = new Audio();
    this.sound.addEventListener("ended", () => this.listen(null));
    this.sound.addEventListener("error", () => this.listen(null));
    search.addEventListener("input", () => this.filter());
  }

  async load() {
    const answer = await fetch("presets/index.json");
    for (const preset of await answer.json()) this.add(preset);
    this.list.append(...[...this.presets.values()].map(({ item }) => item));
    this.list.ariaBusy = "false";
    this.mark(this.chosen);
    this.filter();
  }

  add(preset) {
    const item = document.createElement("li");
    item.dataset.name = preset.name;
    const choose = button("choose");
    const base = `presets/${encodeURIComponent(preset.name)}`;
    if (preset.has_picture) {
      const frame = document.createElement("span");
      frame.className = "picture";
      const image = new Image();
      image.src = `${base}/preview.png`;
      image.alt = "";
      image.loading = "lazy";
      frame.append(image);
      choose.append(frame);
    }
    const n = preset.timbres.length;
    const timbres = n === 1 ? "1 timbre" : `${n} timbres`;
    choose.append(
      text("strong", preset.name),
      text("span", preset.description, "about"),
      text("span", `${preset.plays_notes ? timbres : "generates freely"} · ${preset.licence}`, "facts"),
    );
    choose.addEventListener("click", () => this.onChoose(preset.name));
    item.append(choose);
    if (preset.has_sound) {
      const listen = button("listen", "Listen");
      listen.ariaPressed = "false";
      listen.ariaLabel = `Listen to ${preset.name}`;
      listen.addEventListener("click", () => this.listen(listen, `${base}/preview.flac`));
      item.append(listen);
    }
    const matches = document.createElement("div");
    matches.className = "matches";
    item.append(matches);
    this.presets.set(preset.name, { preset, item, matches });
  }

  // Shows the presets that match all words of the search, and the timbres that match one.
  filter() {
    const words = this.search.value.toLowerCase().split(/[\s-]+/).filter(Boolean);
    for (const { preset, item, matches } of this.presets.values()) {
      const all = [preset.name, preset.description, ...preset.timbres].join(" ").toLowerCase();
      item.hidden = !words.every((word) => all.includes(word));
      const timbres = preset.timbres.filter((name) => words.some((word) => name.toLowerCase().includes(word)));
      matches.replaceChildren(
        ...timbres.map((name) => {
          const choose = button("match", name.replaceAll("-", " "));
          choose.addEventListener("click", () => this.onChoose(preset.name, name));
          return choose;
        }),
      );
    }
    const items = [...this.presets.values()];
    this.list.nextElementSibling.hidden = !items.length || items.some(({ item }) => !item.hidden);
  }

  // Plays a preview, or stops the one that plays.
  listen(pressed, address) {
    const before = this.listening;
    if (before) {
      before.ariaPressed = "false";
      before.textContent = "Listen";
      this.sound.pause();
    }
    this.listening = pressed === before ? null : pressed;
    if (!this.listening) return;
    pressed.ariaPressed = "true";
    pressed.textContent = "Stop";
    this.sound.src = address;
    this.sound.play().catch(() => this.listen(null));
  }

  // Marks the preset that plays, and the one that loads.
  mark(name, loading = null) {
    this.chosen = name;
    for (const [each, { item }] of this.presets) {
      const choose = item.querySelector(".choose");
      if (each === name) choose.setAttribute("aria-current", "true");
      else choose.removeAttribute("aria-current");
      choose.ariaBusy = String(each === loading);
    }
  }
}

function button(name, content = "") {
  const element = text("button", content, name);
  element.type = "button";
  return element;
}

function text(tag, content, name = "") {
  const element = document.createElement(tag);
  element.textContent = content;
  element.className = name;
  return element;
}
