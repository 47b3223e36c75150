// The presets there are, with a picture and a sound of each.

export class Shelf {
  // list: an <ul>; onChoose(name).
  constructor(list, onChoose) {
    this.list = list;
    this.onChoose = onChoose;
    this.sound = new Audio();
    this.sound.addEventListener("ended", () => this.listen(null));
    this.sound.addEventListener("error", () => this.listen(null));
  }

  async load() {
    const answer = await fetch("/presets");
    this.list.replaceChildren(...(await answer.json()).map((preset) => this.card(preset)));
    this.mark(this.chosen);
  }

  card(preset) {
    const item = document.createElement("li");
    item.dataset.name = preset.name;
    const choose = document.createElement("button");
    choose.type = "button";
    choose.className = "choose";
    const base = `/presets/${encodeURIComponent(preset.name)}`;
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
    const plays = preset.plays_notes ? `${preset.n_timbres} timbres` : "plays on its own";
    choose.append(
      text("strong", preset.name),
      text("span", preset.description, "about"),
      text("span", `${plays} · ${preset.licence}`, "facts"),
    );
    choose.addEventListener("click", () => this.onChoose(preset.name));
    item.append(choose);
    if (preset.has_sound) {
      const listen = document.createElement("button");
      listen.type = "button";
      listen.className = "listen";
      listen.ariaPressed = "false";
      listen.textContent = "Listen";
      listen.ariaLabel = `Listen to ${preset.name}`;
      listen.addEventListener("click", () => this.listen(listen, `${base}/preview.flac`));
      item.append(listen);
    }
    return item;
  }

  // Plays a preview, or stops the one that plays.
  listen(button, address) {
    const before = this.listening;
    if (before) {
      before.ariaPressed = "false";
      before.textContent = "Listen";
      this.sound.pause();
    }
    this.listening = button === before ? null : button;
    if (!this.listening) return;
    button.ariaPressed = "true";
    button.textContent = "Stop";
    this.sound.src = address;
    this.sound.play().catch(() => this.listen(null));
  }

  mark(name) {
    this.chosen = name;
    for (const item of this.list.children) {
      const choose = item.querySelector(".choose");
      if (item.dataset.name === name) choose.setAttribute("aria-current", "true");
      else choose.removeAttribute("aria-current");
    }
  }
}

function text(tag, content, name = "") {
  const element = document.createElement(tag);
  element.textContent = content;
  element.className = name;
  return element;
}
