// A layer as lights on a canvas, one for each neuron. With the arrow keys one walks from light to
// light, as on a slider; Enter or a click picks one.

/** Where lights stand: {columns, rows, places}, each place [x, y, size], its middle, in cells. */
export function grid(count, columns = Math.ceil(Math.sqrt(count))) {
  const places = Array.from({ length: count }, (_, i) => [
    (i % columns) + 0.5,
    Math.floor(i / columns) + 0.5,
    1,
  ]);
  return { columns, rows: Math.ceil(count / columns), places };
}

/** The bits of a number, the least significant on the right. */
export function row(count) {
  const places = Array.from({ length: count }, (_, i) => [count - i - 0.5, 0.5, 1]);
  return { columns: count, rows: 1, places };
}

/** A heap as a tree: the root on top, its children below. */
export function tree(count) {
  const columns = (count + 1) / 2;
  const depth = Math.log2(count + 1);
  const height = columns / 2.4 / depth;
  const places = Array.from({ length: count }, (_, i) => {
    const level = Math.floor(Math.log2(i + 1));
    const spacing = columns / 2 ** level;
    const x = (i + 1 - 2 ** level + 0.5) * spacing;
    return [x, (level + 0.5) * height, Math.max(1, Math.min(spacing * 0.7, height * 0.55))];
  });
  return { columns, rows: depth * height, places, isTree: true };
}

/** A map of answers as one small picture for each channel. Arrow keys walk about in one picture,
 *  PageUp and PageDown from one to the next at the same place. */
export function maps(height, width, channels) {
  const tiles = Math.max(1, Math.min(channels, Math.round(Math.sqrt((channels * height) / width))));
  const places = Array.from({ length: height * width * channels }, (_, i) => {
    const [position, channel] = [Math.floor(i / channels), i % channels];
    return [
      (channel % tiles) * (width + 1) + (position % width) + 0.5,
      Math.floor(channel / tiles) * (height + 1) + Math.floor(position / width) + 0.5,
      1,
    ];
  });
  return {
    columns: tiles * (width + 1) - 1,
    rows: Math.ceil(channels / tiles) * (height + 1) - 1,
    places,
    strides: { across: channels, down: width * channels, page: 1 },
    nameOf: (i) => {
      const position = Math.floor(i / channels);
      return (
        `neuron ${i % channels} of ${channels}, row ${Math.floor(position / width)}, ` +
        `column ${position % width}`
      );
    },
  };
}

export class Lights {
  /** name: of what the lights are. onPick: called with the number of a neuron. */
  constructor(name, layout, onPick) {
    this.layout = layout;
    this.name = name;
    this.at = 0;
    this.bits = null;
    this.marked = null;
    this.canvas = document.createElement('canvas');
    this.canvas.className = 'lights';
    this.canvas.style.aspectRatio = `${layout.columns} / ${layout.rows}`;
    this.canvas.setAttribute('aria-label', name);
    this.onPick = onPick;
    if (onPick) this.#makeWalkable();
    this.hasFocus = false;
    new ResizeObserver(() => this.paint()).observe(this.canvas);
  }

  /** bits: Uint8Array, or null for none yet. marked: numbers of neurons that were asked; null if
   *  all were. */
  show(bits, marked = null) {
    this.bits = bits;
    this.marked = marked && new Set(marked);
    this.#say();
    this.paint();
  }

  paint() {
    const { columns, rows, places } = this.layout;
    const width = this.canvas.clientWidth;
    if (!width) return;
    const ratio = window.devicePixelRatio || 1;
    const pixels = Math.round(width * ratio);
    const cell = pixels / columns;
    const height = Math.max(1, Math.round(cell * rows));
    if (this.canvas.width !== pixels || this.canvas.height !== height) {
      this.canvas.width = pixels;
      this.canvas.height = height;
    }
    const style = getComputedStyle(this.canvas);
    const [on, off, asked] = [style.color, style.outlineColor, style.accentColor];
    const context = this.canvas.getContext('2d');
    context.clearRect(0, 0, pixels, height);
    if (this.layout.isTree && this.marked) this.#paintPath(context, cell, asked);
    // Lights of one look are one path: thousands of single ones would take too long.
    const paths = { on: new Path2D(), unasked: new Path2D(), off: new Path2D(), ring: new Path2D() };
    places.forEach(([x, y, light], i) => {
      const lit = this.bits?.[i];
      const counts = !this.marked || this.marked.has(i);
      const whole = light * cell;
      const size = whole - (whole > 7 ? Math.max(1, whole * 0.14) : whole > 3.5 ? 1 : 0);
      const box = [x * cell - size / 2, y * cell - size / 2, size, size];
      const path = lit ? (counts ? paths.on : paths.unasked) : paths.off;
      if (size > 6 * ratio) path.roundRect(...box, size * 0.25);
      else path.rect(...box);
      if (this.marked && counts) paths.ring.roundRect(...box, size * 0.25);
    });
    context.fillStyle = off;
    context.fill(paths.off);
    context.fillStyle = on;
    context.fill(paths.on);
    context.globalAlpha = 0.35;
    context.fill(paths.unasked);
    context.globalAlpha = 1;
    context.strokeStyle = asked;
    context.lineWidth = 1.5 * ratio;
    context.stroke(paths.ring);
    if (this.hasFocus) {
      const [x, y, light] = places[this.at];
      const side = light * cell + 4 * ratio;
      context.strokeStyle = asked;
      context.lineWidth = 2 * ratio;
      context.strokeRect(x * cell - side / 2, y * cell - side / 2, side, side);
    }
  }

  /** Lines from each row that was asked to the next. */
  #paintPath(context, cell, colour) {
    context.strokeStyle = colour;
    context.lineWidth = 2 * (window.devicePixelRatio || 1);
    context.beginPath();
    for (const row of this.marked) {
      const [x, y] = this.layout.places[row];
      context.lineTo(x * cell, y * cell);
    }
    context.stroke();
  }

  #makeWalkable() {
    const { canvas } = this;
    canvas.tabIndex = 0;
    canvas.setAttribute('role', 'slider');
    canvas.setAttribute('aria-valuemin', '0');
    canvas.setAttribute('aria-valuemax', String(this.layout.places.length - 1));
    this.#say();
    canvas.addEventListener('click', (event) => this.#pickNearest(event));
    canvas.addEventListener('keydown', (event) => this.#key(event));
    for (const change of ['focus', 'blur']) {
      canvas.addEventListener(change, () => {
        this.hasFocus = change === 'focus' && canvas.matches(':focus-visible');
        this.paint();
      });
    }
  }

  #say() {
    if (!this.onPick) return;
    const state = this.bits ? (this.bits[this.at] ? ', on' : ', off') : '';
    this.canvas.setAttribute('aria-valuenow', String(this.at));
    const { places, nameOf } = this.layout;
    const name = nameOf ? nameOf(this.at) : `neuron ${this.at} of ${places.length}`;
    this.canvas.setAttribute('aria-valuetext', `${name}${state}`);
  }

  #pickNearest(event) {
    const box = this.canvas.getBoundingClientRect();
    const cell = box.width / this.layout.columns;
    const x = (event.clientX - box.left) / cell;
    const y = (event.clientY - box.top) / cell;
    let nearest = 0;
    let least = Infinity;
    this.layout.places.forEach(([px, py], i) => {
      const distance = (px - x) ** 2 + (py - y) ** 2;
      if (distance < least) [nearest, least] = [i, distance];
    });
    this.at = nearest;
    this.#say();
    this.onPick(nearest);
  }

  #key(event) {
    const count = this.layout.places.length;
    const columns = Math.max(1, Math.round(this.layout.columns));
    const strides = this.layout.strides ?? { across: 1, down: columns, page: columns };
    const moves = {
      ArrowLeft: this.at - strides.across,
      ArrowRight: this.at + strides.across,
      ArrowUp: this.at - strides.down,
      ArrowDown: this.at + strides.down,
      PageUp: this.at - strides.page,
      PageDown: this.at + strides.page,
      Home: 0,
      End: count - 1,
    };
    if (event.key in moves) {
      this.at = Math.min(Math.max(moves[event.key], 0), count - 1);
      this.hasFocus = true;
      this.#say();
      this.paint();
    } else if (event.key === 'Enter' || event.key === ' ') this.onPick(this.at);
    else return;
    event.preventDefault();
  }
}
