// The timbre map: each timbre is a named place, in a cell with a picture of its sound. It shows and
// moves a position; the engine chooses timbres and morphs by it (timbre_map, timbre_x, timbre_y).

import { hueColour, onTheme, themeColour } from "./colour.js";

export class TimbreMap {
  // element: holds the canvas and the names; onMove({ at, nearest, second }): the position and the
  // names of the timbres next to it; second is null on a dot.
  constructor(element, onMove) {
    this.element = element;
    this.canvas = element.querySelector("canvas");
    this.onMove = onMove;
    this.names = [];
    this.places = [];
    this.buttons = [];
    this.pictures = []; // bytes of each timbre: level and hue of each pixel
    this.tiles = []; // one small canvas of each timbre
    this.at = null; // the cursor, 0 to 1 both ways
    element.addEventListener("pointerdown", (event) => {
      if (event.button > 0 || !this.places.length) return;
      element.setPointerCapture(event.pointerId);
      this.dragging = true;
      this.drag(event);
    });
    element.addEventListener("pointermove", (event) => this.dragging && this.drag(event));
    for (const end of ["pointerup", "pointercancel"]) {
      element.addEventListener(end, () => (this.dragging = false));
    }
    new ResizeObserver(() => {
      this.keepNamesInside();
      this.draw();
    }).observe(element);
    onTheme(() => {
      this.pictures.forEach((_, i) => this.paintTile(i));
      this.draw();
    });
  }

  // Shows the timbres of a preset: their places first, then picture after picture.
  // timbres: [{ name, family }]; start: name of the first timbre; base: address of the preset.
  async load(timbres, start, base) {
    this.clear();
    this.setBusy(true);
    this.loading = new AbortController();
    const { signal } = this.loading;
    const get = async (path) => {
      const answer = await fetch(`${base}/${path}`, { signal });
      if (!answer.ok) throw new Error(await answer.text());
      return answer;
    };
    try {
      const { places, width, height } = await (await get("map")).json();
      this.size = { width, height };
      this.show(timbres, start, places);
      for (let i = 0; i < timbres.length; i++) {
        this.pictures[i] = new Uint8Array(await (await get(`pictures/${i}`)).arrayBuffer());
        this.paintTile(i);
        this.draw();
      }
    } catch (error) {
      if (signal.aborted) return; // another preset was chosen, or the connection was closed
      throw error;
    } finally {
      if (!signal.aborted) this.setBusy(false);
    }
  }

  stopLoading() {
    this.loading?.abort();
  }

  setBusy(busy) {
    this.element.ariaBusy = String(busy);
  }

  show(timbres, start, places) {
    this.names = timbres.map(({ name }) => name);
    this.places = places;
    this.buttons = timbres.map(({ name, family }, i) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "timbre";
      button.title = `${name}, ${family}`;
      button.textContent = name.replaceAll("-", " ");
      button.style.top = `${100 * places[i][1]}%`;
      button.addEventListener("click", (event) => {
        if (event.detail === 0) this.moveTo(places[i]); // by the keyboard; else the drag did it
      });
      return button;
    });
    this.element.querySelector(".names").replaceChildren(...this.buttons);
    this.keepNamesInside();
    this.moveTo(places[Math.max(0, this.names.indexOf(start))]);
  }

  keepNamesInside() {
    const { clientWidth } = this.element;
    this.buttons.forEach((button, i) => {
      const half = button.offsetWidth / 2 + 4;
      const x = this.places[i][0] * clientWidth;
      button.style.left = `${Math.min(clientWidth - half, Math.max(half, x))}px`;
    });
  }

  clear() {
    this.stopLoading();
    this.buttons = [];
    this.names = [];
    this.places = [];
    this.pictures = [];
    this.tiles = [];
    this.at = null;
    this.element.querySelector(".names").replaceChildren();
    this.draw();
  }

  // Hides the cursor: the next notes have a timbre that is not on the map.
  deselect() {
    this.at = null;
    for (const button of this.buttons) button.ariaPressed = "false";
    this.draw();
  }

  drag(event) {
    const { left, top, width, height } = this.element.getBoundingClientRect();
    const inside = (v) => Math.min(1, Math.max(0, v));
    const at = [inside((event.clientX - left) / width), inside((event.clientY - top) / height)];
    // Near a dot is on it.
    const near = this.places.find(
      ([x, y]) => Math.hypot((x - at[0]) * width, (y - at[1]) * height) < 12,
    );
    this.moveTo(near ?? at);
  }

  // Chooses a timbre; held notes keep theirs.
  moveToTimbre(name) {
    const place = this.places[this.names.indexOf(name)];
    if (!place) return false;
    this.moveTo(place);
    return true;
  }

  moveTo(at) {
    this.at = at;
    const distance = this.places.map(([x, y]) => Math.hypot(x - at[0], y - at[1]));
    const order = distance.map((_, i) => i).sort((a, b) => distance[a] - distance[b]);
    this.neighbours = order.slice(0, distance[order[0]] === 0 ? 1 : 2);
    const [nearest, second] = this.neighbours;
    this.buttons.forEach((button, i) => (button.ariaPressed = String(i === nearest)));
    this.draw();
    this.onMove({ at, nearest: this.names[nearest], second: this.names[second] ?? null });
  }

  paintTile(i) {
    if (!this.pictures[i]) return;
    const { width, height } = this.size;
    const tile = new OffscreenCanvas(width, height);
    const context = tile.getContext("2d");
    const image = context.createImageData(width, height);
    for (let p = 0; p < width * height; p++) {
      const [level, turn] = this.pictures[i].subarray(2 * p, 2 * p + 2);
      image.data.set([...hueColour(turn), level], 4 * p);
    }
    context.putImageData(image, 0, 0);
    this.tiles[i] = tile;
  }

  draw() {
    const { clientWidth: w, clientHeight: h } = this.element;
    const scale = Math.min(2, devicePixelRatio);
    this.canvas.width = w * scale;
    this.canvas.height = h * scale;
    const context = this.canvas.getContext("2d");
    context.scale(scale, scale);
    context.clearRect(0, 0, w, h);
    context.lineJoin = "round";
    const points = this.places.map(([x, y]) => [x * w, y * h]);
    points.forEach((point, i) => this.drawCell(context, cell(points, i, w, h), i, w, h));
    context.fillStyle = themeColour("--ink");
    for (const [x, y] of points) disc(context, x, y, 2.5);
    if (this.at) this.drawCursor(context, w, h);
  }

  drawCell(context, corners, i, w, h) {
    if (corners.length < 3) return;
    const xs = corners.map(([x]) => x);
    const ys = corners.map(([, y]) => y);
    const [left, top] = [Math.min(...xs), Math.min(...ys)];
    context.save();
    context.beginPath();
    corners.forEach(([x, y]) => context.lineTo(x, y));
    context.closePath();
    context.clip();
    if (this.tiles[i]) {
      context.globalAlpha = 0.9;
      context.drawImage(this.tiles[i], left, top, Math.max(...xs) - left, Math.max(...ys) - top);
      context.globalAlpha = 1;
    } else {
      context.fillStyle = themeColour("--line");
      context.globalAlpha = 0.5;
      context.fill();
      context.globalAlpha = 1;
    }
    context.strokeStyle = themeColour("--ground");
    context.lineWidth = 5;
    context.stroke();
    context.restore();
  }

  drawCursor(context, w, h) {
    const [x, y] = [this.at[0] * w, this.at[1] * h];
    const accent = themeColour("--accent");
    context.strokeStyle = accent;
    context.lineCap = "round";
    this.neighbours.forEach((i, rank) => {
      context.lineWidth = rank ? 1.5 : 4;
      context.beginPath();
      context.moveTo(x, y);
      context.lineTo(this.places[i][0] * w, this.places[i][1] * h);
      context.stroke();
    });
    context.lineWidth = 3;
    context.fillStyle = themeColour("--ground");
    disc(context, x, y, 9);
    context.stroke();
    context.fillStyle = accent;
    disc(context, x, y, 4);
  }
}

function disc(context, x, y, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

// The cell of point i, nearer to it than to any other (Voronoi): the square, cut along each bisector.
function cell(points, i, w, h) {
  let corners = [[0, 0], [w, 0], [w, h], [0, h]];
  const [px, py] = points[i];
  points.forEach(([qx, qy], j) => {
    if (j === i) return;
    const side = ([x, y]) => (x - (px + qx) / 2) * (qx - px) + (y - (py + qy) / 2) * (qy - py);
    const kept = [];
    corners.forEach((a, k) => {
      const b = corners[(k + 1) % corners.length];
      const [sa, sb] = [side(a), side(b)];
      if (sa <= 0) kept.push(a);
      if (sa <= 0 !== sb <= 0) {
        const t = sa / (sa - sb);
        kept.push([a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])]);
      }
    });
    corners = kept;
  });
  return corners;
}
