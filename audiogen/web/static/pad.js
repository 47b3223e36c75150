// The timbre pad: each timbre a named place in a mosaic of what the timbres look like as sound.

import { hueColour, onTheme, themeColour } from "./colour.js";

export class Pad {
  // element: holds the canvas and the names; onMove({ timbre, other, amount }).
  constructor(element, notes, onMove) {
    this.element = element;
    this.canvas = element.querySelector("canvas");
    this.notes = notes;
    this.onMove = onMove;
    this.names = [];
    this.places = [];
    this.buttons = [];
    this.tiles = []; // one small canvas a timbre
    this.at = null; // the cursor, 0 to 1 both ways
    this.anchor = null; // index of the timbre that the held notes have
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
    notes.addEventListener("change", () => {
      if (!notes.count && this.at) this.choose(); // the next notes may have another timbre
    });
    new ResizeObserver(() => {
      this.keepNamesInside();
      this.draw();
    }).observe(element);
    onTheme(() => {
      this.paintTiles();
      this.draw();
    });
  }

  // timbres: [{ name, family }]; places: [[x, y]]; pictures: bytes, level and hue of each pixel.
  show(timbres, start, places, pictures, width, height) {
    this.names = timbres.map(({ name }) => name);
    this.places = places;
    this.raw = { pictures, width, height };
    this.paintTiles();
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
    this.anchor = null;
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
    this.buttons = [];
    this.names = this.places = this.tiles = [];
    this.at = null;
    this.element.querySelector(".names").replaceChildren();
    this.draw();
  }

  drag(event) {
    const { left, top, width, height } = this.element.getBoundingClientRect();
    const inside = (v) => Math.min(1, Math.max(0, v));
    let at = [inside((event.clientX - left) / width), inside((event.clientY - top) / height)];
    // Onto a name is onto its dot.
    const near = this.places.find(
      ([x, y]) => Math.hypot((x - at[0]) * width, (y - at[1]) * height) < 12,
    );
    this.moveTo(near ?? at);
  }

  moveToTimbre(index) {
    if (this.places[index]) this.moveTo(this.places[index]);
  }

  moveTo(at) {
    this.at = at;
    this.choose();
  }

  // The nearest timbre is that of the next notes, and they lean towards the second nearest as far
  // as the cursor does. Held notes keep their timbre, so meanwhile they lean from there.
  choose() {
    const distance = this.places.map(([x, y]) => Math.hypot(x - this.at[0], y - this.at[1]));
    const order = distance.map((_, i) => i).sort((a, b) => distance[a] - distance[b]);
    const nearest = order[0];
    if (!this.notes.count || this.anchor === null) this.anchor = nearest;
    const from = this.anchor;
    const other = order.find((i) => i !== from) ?? from;
    const amount = other === from ? 0 : distance[from] / (distance[from] + distance[other] || 1);
    this.buttons.forEach((button, i) => (button.ariaPressed = String(i === nearest)));
    this.onMove({
      timbre: this.names[nearest],
      from: this.names[from],
      other: this.names[other],
      amount,
    });
    this.lean = [this.places[from], this.places[other], amount];
    this.draw();
  }

  paintTiles() {
    if (!this.raw) return;
    const { pictures, width, height } = this.raw;
    this.tiles = this.places.map((_, t) => {
      const tile = new OffscreenCanvas(width, height);
      const context = tile.getContext("2d");
      const image = context.createImageData(width, height);
      for (let i = 0; i < width * height; i++) {
        const level = pictures[2 * (t * width * height + i)] / 255;
        const [r, g, b] = hueColour(pictures[2 * (t * width * height + i) + 1]);
        image.data.set([r, g, b, 255 * level], 4 * i);
      }
      context.putImageData(image, 0, 0);
      return tile;
    });
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
    }
    context.strokeStyle = themeColour("--ground");
    context.lineWidth = 5;
    context.stroke();
    context.restore();
  }

  drawCursor(context, w, h) {
    const [x, y] = [this.at[0] * w, this.at[1] * h];
    const accent = themeColour("--accent");
    const [from, other, amount] = this.lean;
    context.strokeStyle = accent;
    context.lineCap = "round";
    for (const [place, part] of [[from, 1 - amount], [other, amount]]) {
      if (part < 0.02) continue;
      context.lineWidth = 1 + 4 * part;
      context.beginPath();
      context.moveTo(x, y);
      context.lineTo(place[0] * w, place[1] * h);
      context.stroke();
    }
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

// What lies nearer to point i than to any other: the square, cut along each middle line.
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
