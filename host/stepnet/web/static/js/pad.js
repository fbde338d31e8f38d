// The paper to draw on: strokes of a mouse, a pen, a finger or the keyboard, and their raster.

const MARGIN = 24; // paper around the drawing in the raster, so that its border is plain
const KEY_STEP = 10;

/** Sizes of the paper in units; a unit is a pixel of the raster. */
export const SIZES = { character: [280, 280], line: [900, 260] };

/** onChange: called with "moving" while a stroke grows, and with "done" when one is finished or
 *  taken back. */
export class Pad {
  #canvas;
  #onChange;
  #strokes = [];
  #current = null;
  #cursor = null;
  #size = SIZES.character;
  penWidth = 16;

  constructor(canvas, onChange) {
    this.#canvas = canvas;
    this.#onChange = onChange;
    canvas.addEventListener('pointerdown', (event) => this.#down(event));
    canvas.addEventListener('pointermove', (event) => this.#move(event));
    for (const end of ['pointerup', 'pointercancel']) {
      canvas.addEventListener(end, (event) => this.#up(event));
    }
    canvas.addEventListener('keydown', (event) => this.#key(event));
    canvas.addEventListener('blur', () => this.#liftKeys());
    new ResizeObserver(() => this.#paint()).observe(canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#paint());
    this.shape('character');
  }

  get isEmpty() {
    return this.#strokes.length === 0 && !this.#current;
  }

  /** Take paper for one character or for a line; what was drawn is gone. */
  shape(kind) {
    this.#size = SIZES[kind];
    this.#canvas.style.aspectRatio = `${this.#size[0]} / ${this.#size[1]}`;
    this.#strokes = [];
    this.#current = this.#cursor = null;
    this.#paint();
  }

  undo() {
    this.#strokes.pop();
    this.#finish();
  }

  clear() {
    this.#strokes = [];
    this.#current = null;
    this.#finish();
  }

  /** {width, height, data}: levels of 255 for paper, 0 for ink, with a margin around; and the canvas
   *  that it lies on. */
  raster() {
    const [width, height] = this.#size.map((side) => side + 2 * MARGIN);
    const canvas = document.createElement('canvas');
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext('2d', { willReadFrequently: true });
    context.fillStyle = '#fff';
    context.fillRect(0, 0, width, height);
    context.save();
    context.beginPath();
    context.rect(MARGIN, MARGIN, ...this.#size);
    context.clip();
    context.translate(MARGIN, MARGIN);
    for (const stroke of this.#all()) drawStroke(context, stroke, '#000');
    context.restore();
    const colours = context.getImageData(0, 0, width, height).data;
    const data = new Uint8Array(width * height);
    for (let i = 0; i < data.length; i++) data[i] = colours[4 * i];
    return { width, height, data, canvas };
  }

  #all() {
    return this.#current ? [...this.#strokes, this.#current] : this.#strokes;
  }

  #point(event) {
    const box = this.#canvas.getBoundingClientRect();
    const scale = this.#size[0] / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  }

  #down(event) {
    if (!event.isPrimary || (event.pointerType === 'mouse' && event.button !== 0)) return;
    this.#canvas.setPointerCapture(event.pointerId);
    this.#cursor = null;
    this.#current = { width: this.penWidth, points: [this.#point(event)] };
    this.#paint();
  }

  #move(event) {
    if (!this.#current || !event.isPrimary) return;
    const steps = event.getCoalescedEvents?.() ?? [];
    for (const step of steps.length ? steps : [event]) {
      this.#current.points.push(this.#point(step));
    }
    this.#paint();
    this.#onChange('moving');
  }

  #up(event) {
    if (!this.#current || !event.isPrimary) return;
    this.#strokes.push(this.#current);
    this.#current = null;
    this.#finish();
  }

  #finish() {
    this.#paint();
    this.#onChange('done');
  }

  #key(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const move = moves[event.key];
    if (move) this.#moveKeys(move, event.shiftKey ? 1 : KEY_STEP);
    else if (event.key === ' ') this.#current ? this.#liftKeys() : this.#setKeys();
    else if (event.key === 'z' && (event.ctrlKey || event.metaKey)) this.undo();
    else if (event.key === 'Delete' || event.key === 'Backspace') this.clear();
    else return;
    event.preventDefault();
  }

  #moveKeys([dx, dy], step) {
    const [width, height] = this.#size;
    const [x, y] = this.#cursor ?? [width / 2, height / 2];
    const within = (value, most) => Math.min(Math.max(value, 0), most);
    this.#cursor = [within(x + dx * step, width), within(y + dy * step, height)];
    if (this.#current) {
      this.#current.points.push(this.#cursor);
      this.#onChange('moving');
    }
    this.#paint();
  }

  #setKeys() {
    this.#cursor ??= this.#size.map((side) => side / 2);
    this.#current = { width: this.penWidth, points: [this.#cursor] };
    this.#paint();
  }

  #liftKeys() {
    if (!this.#current) return;
    this.#strokes.push(this.#current);
    this.#current = null;
    this.#finish();
  }

  #paint() {
    const box = this.#canvas.getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [box.width, (box.width * this.#size[1]) / this.#size[0]].map((side) =>
      Math.max(1, Math.round(side * ratio)),
    );
    if (this.#canvas.width !== width || this.#canvas.height !== height) {
      this.#canvas.width = width;
      this.#canvas.height = height;
    }
    const style = getComputedStyle(this.#canvas);
    const context = this.#canvas.getContext('2d');
    const scale = width / this.#size[0];
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, ...this.#size);
    for (const stroke of this.#all()) drawStroke(context, stroke, style.color);
    if (this.#cursor) {
      context.strokeStyle = style.accentColor;
      context.lineWidth = 2;
      context.beginPath();
      context.arc(...this.#cursor, this.penWidth / 2 + 2, 0, 2 * Math.PI);
      context.stroke();
    }
  }
}

function drawStroke(context, { width, points }, colour) {
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.lineCap = context.lineJoin = 'round';
  context.beginPath();
  context.moveTo(...points[0]);
  if (points.length === 1) context.lineTo(points[0][0] + 0.01, points[0][1]);
  // Curves through the middles between points, which a hand's own are.
  for (let i = 1; i < points.length; i++) {
    const [x, y] = points[i];
    const [nx, ny] = points[i + 1] ?? [x, y];
    if (i + 1 < points.length) context.quadraticCurveTo(x, y, (x + nx) / 2, (y + ny) / 2);
    else context.lineTo(x, y);
  }
  context.stroke();
}
