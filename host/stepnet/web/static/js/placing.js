// From a drawing to network input, with the same result as stepnet.pictures: `drawn_ink` of
// paper.py and `place` of placing.py. Sums and products are rounded where numpy's are, which
// computes in float32.

const MIN_CONTRAST = 24;
const MIN_INK = 0.1;
const SPECK_AREA = 0.15;
const FAINT_PEAK = 0.35;
const MIN_STROKE_AREA = 0.1;
const MIN_STROKE_PIXELS = 1.8;
const SOLID = 0.33;
const DOT_PART = 4 / 28;
const INK_PART = { mnist: 20 / 28, unipen: 22 / 28 };
const f32 = Math.fround;

/** Values of pixels, row by row. */
function picture(width, height, data = new Float32Array(width * height)) {
  return { width, height, data };
}

/** Grey values of (height, width) with ink bright, as `network` gets them of a drawing; null if the
 *  drawing is blank.
 *
 *  grey: Uint8Array or Uint8ClampedArray of 0 (ink) to 255 (paper), with paper all around. */
export function placeDrawing(network, grey, width, height) {
  const strength = picture(width, height);
  for (let i = 0; i < grey.length; i++) strength.data[i] = 255 - grey[i];
  if (maximum(strength.data) < MIN_CONTRAST) return null;
  return place(withoutSpecks(strength), network.height, network.width, network.placing);
}

/** Bits of grey values with ink bright. */
export function binarise(network, grey) {
  return grey.map((value) => (value >= network.inkThreshold ? 1 : 0));
}

function maximum(values) {
  let most = -Infinity;
  for (let i = 0; i < values.length; i++) if (values[i] > most) most = values[i];
  return most;
}

/** 1 where the ink is at least `least`. */
function maskOf(ink, least) {
  const mask = new Uint8Array(ink.data.length);
  for (let i = 0; i < mask.length; i++) mask[i] = ink.data[i] >= least ? 1 : 0;
  return mask;
}

/** Twice the area over the outline. */
function strokeWidth(mask, width, height) {
  let area = 0;
  let outline = 0;
  for (let y = 0; y <= height; y++) {
    for (let x = 0; x <= width; x++) {
      const here = x < width && y < height ? mask[y * width + x] : 0;
      const above = x < width && y > 0 ? mask[(y - 1) * width + x] : 0;
      const before = x > 0 && y < height ? mask[y * width + x - 1] : 0;
      area += here;
      outline += (here !== above ? 1 : 0) + (here !== before ? 1 : 0);
    }
  }
  return (2 * area) / outline;
}

/** The number of the piece that each pixel of a mask belongs to, from 1; pieces touch at edges or
 *  corners. */
function label(mask, width, height) {
  const labels = new Int32Array(mask.length);
  const areas = [0];
  const stack = [];
  for (let start = 0; start < mask.length; start++) {
    if (!mask[start] || labels[start]) continue;
    const number = areas.length;
    let area = 0;
    labels[start] = number;
    stack.push(start);
    while (stack.length) {
      const at = stack.pop();
      area++;
      const x = at % width;
      const y = (at - x) / width;
      for (let ny = Math.max(0, y - 1); ny <= Math.min(height - 1, y + 1); ny++) {
        for (let nx = Math.max(0, x - 1); nx <= Math.min(width - 1, x + 1); nx++) {
          const next = ny * width + nx;
          if (mask[next] && !labels[next]) {
            labels[next] = number;
            stack.push(next);
          }
        }
      }
    }
    areas.push(area);
  }
  return { labels, areas };
}

function withoutSpecks(strength) {
  const { width, height, data } = strength;
  const mask = maskOf(strength, f32(f32(MIN_INK) * maximum(data)));
  const { labels, areas } = label(mask, width, height);
  const peaks = new Float32Array(areas.length);
  for (let i = 0; i < data.length; i++) {
    if (labels[i]) peaks[labels[i]] = Math.max(peaks[labels[i]], data[i]);
  }
  const leastPeak = f32(f32(FAINT_PEAK) * maximum(peaks));
  let largest = 0;
  for (let number = 1; number < areas.length; number++) {
    if (peaks[number] >= leastPeak) largest = Math.max(largest, areas[number]);
  }
  const strokes = mask.map((_, i) => (areas[labels[i]] >= MIN_STROKE_AREA * largest ? 1 : 0));
  const smallest = Math.min(SPECK_AREA * strokeWidth(strokes, width, height) ** 2, largest);
  const isSpeck = areas.map(
    (area, number) => number > 0 && (peaks[number] < leastPeak || area < smallest),
  );
  if (!isSpeck.some(Boolean)) return strength;
  return picture(
    width,
    height,
    data.map((value, i) => (isSpeck[labels[i]] ? 0 : value)),
  );
}

function place(strength, height, width, placing) {
  const ink = cutOut(strength);
  let scale = Math.min(height / ink.height, width / ink.width);
  scale *= isDot(ink, placing) ? DOT_PART : INK_PART[placing];
  const columns = Math.max(1, roundEven(ink.width * scale));
  const rows = Math.max(1, roundEven(ink.height * scale));
  const character = resize(widenStrokes(ink, scale), columns, rows);
  const factor = f32(255 / maximum(character.data));
  const stretched = Uint8Array.from(character.data, (value) => roundEven(f32(value * factor)));
  const [row, column] =
    placing === 'mnist' ? massCentre(stretched, columns, rows) : [rows / 2, columns / 2];
  const top = Math.min(Math.max(0, roundEven(height / 2 - row)), height - rows);
  const left = Math.min(Math.max(0, roundEven(width / 2 - column)), width - columns);
  const placed = new Uint8Array(height * width);
  for (let y = 0; y < rows; y++) {
    const line = stretched.subarray(y * columns, (y + 1) * columns);
    placed.set(line, (top + y) * width + left);
  }
  return placed;
}

/** The part within the box around all pixels of at least MIN_INK. */
function cutOut(ink) {
  const { width, height, data } = ink;
  const least = f32(f32(MIN_INK) * maximum(data));
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (data[y * width + x] >= least) {
        left = Math.min(left, x);
        right = Math.max(right, x + 1);
        top = Math.min(top, y);
        bottom = y + 1;
      }
    }
  }
  const part = picture(right - left, bottom - top);
  for (let y = top; y < bottom; y++) {
    part.data.set(data.subarray(y * width + left, y * width + right), (y - top) * part.width);
  }
  return part;
}

function halfWidth(ink) {
  return strokeWidth(maskOf(ink, maximum(ink.data) / 2), ink.width, ink.height);
}

function isDot(ink, placing) {
  return placing === 'unipen' && halfWidth(ink) > SOLID * Math.max(ink.width, ink.height);
}

function widenStrokes(ink, scale) {
  const missing = Math.trunc(MIN_STROKE_PIXELS / scale - halfWidth(ink));
  if (missing < 2) return ink;
  const factor = f32(255 / maximum(ink.data));
  let grey = picture(
    ink.width,
    ink.height,
    ink.data.map((value) => roundEven(f32(value * factor))),
  );
  for (let i = 0; i < Math.floor(missing / 2); i++) grey = largestAround(grey);
  return grey;
}

/** The largest of each pixel and its eight neighbours. */
function largestAround({ width, height, data }) {
  const grown = picture(width, height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let most = 0;
      for (let ny = Math.max(0, y - 1); ny <= Math.min(height - 1, y + 1); ny++) {
        for (let nx = Math.max(0, x - 1); nx <= Math.min(width - 1, x + 1); nx++) {
          most = Math.max(most, data[ny * width + nx]);
        }
      }
      grown.data[y * width + x] = most;
    }
  }
  return grown;
}

/** Pillow's resize with a triangle (bilinear) filter: first across, then down, each result in
 *  float32. */
function resize(image, columns, rows) {
  const across = image.width === columns ? image : resampleRows(image, columns);
  if (across.height === rows) return across;
  return transpose(resampleRows(transpose(across), rows));
}

function resampleRows(image, columns) {
  const kernels = triangles(image.width, columns);
  const out = picture(columns, image.height);
  for (let y = 0; y < image.height; y++) {
    const row = y * image.width;
    kernels.forEach(({ first, weights }, x) => {
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += image.data[row + first + k] * weights[k];
      out.data[y * columns + x] = sum;
    });
  }
  return out;
}

function triangles(from, to) {
  const scale = from / to;
  const support = Math.max(scale, 1);
  return Array.from({ length: to }, (_, x) => {
    const centre = (x + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(from, Math.trunc(centre + support + 0.5));
    const weights = [];
    for (let i = first; i < end; i++) {
      weights.push(Math.max(0, 1 - Math.abs((i - centre + 0.5) * (1 / support))));
    }
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return { first, weights: weights.map((weight) => weight / total) };
  });
}

function transpose({ width, height, data }) {
  const turned = picture(height, width);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) turned.data[x * height + y] = data[y * width + x];
  }
  return turned;
}

function massCentre(character, columns, rows) {
  let [total, row, column] = [0, 0, 0];
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      const value = character[y * columns + x];
      total += value;
      row += value * y;
      column += value * x;
    }
  }
  return [row / total, column / total];
}

/** To the nearest whole number, halves to the even one, as Python and numpy do. */
function roundEven(value) {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}
