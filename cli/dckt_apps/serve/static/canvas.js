// Points on a canvas that one can move, go nearer to and point at. Images are discs, texts are triangles.

const NEAREST = 400; // times the whole
const WHILE_MOVING = 10_000; // points that are drawn, of more evenly many; all of them when the view rests
const REACH = 14; // pixels from a point within which it is meant

export class Points {
  /** @param heard called with `pick` a point, `hover` a point or -1, `moved` when the view rests. */
  constructor(canvas, heard) {
    this.canvas = canvas;
    this.heard = heard;
    this.pen = canvas.getContext("2d");
    this.count = 0;
    this.only = -1; // the one class that is shown in colour
    this.fingers = new Map();
    this.watch();
  }

  /** @param data across, up, classes: Uint16Array [n]; images: how many of the first are images; side: of the square. */
  set(data, colours) {
    Object.assign(this, data, { count: data.across.length });
    this.paint(colours);
    this.fit();
  }

  /** New colours: of the classes, and last of what has none. */
  paint(colours) {
    const ratio = window.devicePixelRatio || 1;
    this.sprites = new Map();
    this.sprite = (colour, triangle, size) => {
      const key = `${colour} ${triangle} ${size}`;
      if (!this.sprites.has(key)) this.sprites.set(key, stamp(colour, triangle, size, ratio));
      return this.sprites.get(key);
    };
    this.colours = colours;
    this.draw();
  }

  get size() {
    return [this.canvas.clientWidth, this.canvas.clientHeight];
  }

  get whole() {
    return (Math.min(...this.size) * 0.92) / this.side;
  }

  fit() {
    this.middle = [this.side / 2, this.side / 2];
    this.zoom = 1;
    this.moved();
  }

  /** Moves by pixels. */
  pan(x, y) {
    const scale = this.whole * this.zoom;
    this.look([this.middle[0] - x / scale, this.middle[1] + y / scale], this.zoom);
  }

  /** Goes nearer by a factor, and keeps what is at a place [x, y] of the canvas there. */
  nearer(factor, place = this.size.map((one) => one / 2)) {
    const before = this.under(place);
    this.zoom = Math.min(Math.max(this.zoom * factor, 0.8), NEAREST);
    const after = this.under(place);
    this.look([0, 1].map((axis) => this.middle[axis] + before[axis] - after[axis]), this.zoom);
  }

  look(middle, zoom) {
    this.middle = middle.map((one) => Math.min(Math.max(one, 0), this.side));
    this.zoom = Math.min(Math.max(zoom, 0.8), NEAREST);
    this.moved();
  }

  moved() {
    this.draw();
    clearTimeout(this.resting);
    this.resting = setTimeout(() => {
      this.resting = 0;
      this.draw();
      this.heard.moved();
    }, 200);
  }

  /** What lies at a place of the canvas. */
  under([x, y]) {
    const scale = this.whole * this.zoom;
    const [width, height] = this.size;
    return [this.middle[0] + (x - width / 2) / scale, this.middle[1] - (y - height / 2) / scale];
  }

  /** The `most` points nearest to a place of the canvas, nearest first, within some pixels. */
  nearest(place, most, within = Infinity) {
    const [x, y] = this.under(place);
    const reach = (within / (this.whole * this.zoom)) ** 2;
    const found = [];
    for (let point = 0; point < this.count; point += 1) {
      if (this.only >= 0 && this.classes[point] !== this.only) continue;
      const far = (this.across[point] - x) ** 2 + (this.up[point] - y) ** 2;
      if (far > reach || (found.length === most && far >= found[most - 1][0])) continue;
      let rank = found.length;
      while (rank > 0 && found[rank - 1][0] > far) rank -= 1;
      found.splice(rank, 0, [far, point]);
      found.length = Math.min(found.length, most);
    }
    return found.map(([, point]) => point);
  }

  draw() {
    if (this.drawing || !this.count) return;
    this.drawing = requestAnimationFrame(() => {
      this.drawing = 0;
      this.render();
    });
  }

  render() {
    const { canvas, pen } = this;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = this.size;
    if (!width) return;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const scale = this.whole * this.zoom;
    const crowd = this.count > 10_000 ? 4 : this.count > 1000 ? 6 : 9;
    const size = Math.round(Math.min(crowd + 2 * Math.log2(Math.max(this.zoom, 1)), 16));
    const [left, top] = [width / 2 - this.middle[0] * scale, height / 2 + this.middle[1] * scale];
    const step = this.resting ? Math.ceil(this.count / WHILE_MOVING) : 1;
    for (const behind of this.only < 0 ? [false] : [true, false]) {
      for (let point = 0; point < this.count; point += step) {
        const kind = this.classes[point];
        if (this.only >= 0 && behind === (kind === this.only)) continue;
        const x = left + this.across[point] * scale;
        const y = top - this.up[point] * scale;
        if (x < -size || y < -size || x > width + size || y > height + size) continue;
        const colour = behind ? this.colours.at(-2) : this.colours[kind] ?? this.colours.at(-1);
        pen.drawImage(this.sprite(colour, point >= this.images, size), x - size / 2 - 1, y - size / 2 - 1, size + 2, size + 2);
      }
    }
    if (this.marked >= 0) {
      pen.strokeStyle = this.colours.at(-1);
      pen.lineWidth = 2;
      pen.beginPath();
      pen.arc(left + this.across[this.marked] * scale, top - this.up[this.marked] * scale, size, 0, 7);
      pen.stroke();
    }
  }

  watch() {
    const { canvas } = this;
    const place = (event) => [event.offsetX, event.offsetY];
    let travelled = 0;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.fingers.set(event.pointerId, place(event));
      if (this.fingers.size === 1) travelled = 0;
    });
    canvas.addEventListener("pointermove", (event) => {
      const before = this.fingers.get(event.pointerId);
      const now = place(event);
      if (!before) {
        this.heard.hover(this.nearest(now, 1, REACH)[0] ?? -1, now);
        return;
      }
      travelled += Math.hypot(now[0] - before[0], now[1] - before[1]);
      const other = [...this.fingers].find(([id]) => id !== event.pointerId)?.[1];
      this.fingers.set(event.pointerId, now);
      if (other) {
        const apart = (one) => Math.max(Math.hypot(one[0] - other[0], one[1] - other[1]), 1);
        this.nearer(apart(now) / apart(before), [0, 1].map((axis) => (now[axis] + other[axis]) / 2));
      } else this.pan(now[0] - before[0], now[1] - before[1]);
    });
    for (const kind of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(kind, (event) => {
        const here = this.fingers.delete(event.pointerId) && kind === "pointerup";
        if (!here || this.fingers.size || travelled > 6) return;
        const [point] = this.nearest(place(event), 1, REACH);
        if (point !== undefined) this.heard.pick(point);
      });
    }
    canvas.addEventListener("pointerleave", () => this.heard.hover(-1));
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.nearer(1.0018 ** -Math.max(-400, Math.min(400, event.deltaY * (event.deltaMode ? 30 : 1))), place(event));
    }, { passive: false });
    new ResizeObserver(() => this.draw()).observe(canvas);
  }
}

/** A small picture of a point, to be stamped many times. */
function stamp(colour, triangle, size, ratio) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = Math.ceil((size + 2) * ratio);
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.translate(1, 1);
  pen.fillStyle = colour;
  pen.beginPath();
  if (triangle) {
    pen.moveTo(size / 2, 0);
    pen.lineTo(size, size);
    pen.lineTo(0, size);
  } else pen.arc(size / 2, size / 2, size / 2, 0, 7);
  pen.fill();
  return canvas;
}
