// Pictures in another size or turned, with the same result as Pillow's `reduce`, `resize` and
// `rotate`, which stepnet.pictures uses.

import { f32 } from './numbers.js';
import { picture, transpose } from './pixels.js';

/** The means of squares of `factor` pixels; at the right and the lower end of what is left. */
export function reduce(image, factor) {
  if (factor === 1) return image;
  const { width, height, data } = image;
  const columns = Math.ceil(width / factor);
  const rows = Math.ceil(height / factor);
  const mean = data instanceof Float32Array ? meanOfFloats : meanOfLevels;
  const reduced = picture(columns, rows, new data.constructor(columns * rows));
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      const [left, top] = [x * factor, y * factor];
      const across = Math.min(factor, width - left);
      const down = Math.min(factor, height - top);
      reduced.data[y * columns + x] = mean(image, left, top, across, down, factor);
    }
  }
  return reduced;
}

function meanOfLevels({ width, data }, left, top, across, down) {
  const area = across * down;
  let total = area >> 1;
  for (let y = top; y < top + down; y++) {
    for (let i = y * width + left; i < y * width + left + across; i++) total += data[i];
  }
  return (total * Math.trunc(f32(2 ** 32 / (256 * area)))) / 2 ** 24;
}

/** Pillow adds the values of two rows and columns in float32 before it adds them up. */
function meanOfFloats({ width, data }, left, top, across, down, factor) {
  const byPairs = across === factor && down === factor;
  let total = 0;
  let y = top;
  for (; byPairs && y < top + down - 1; y += 2) {
    const upper = y * width + left;
    const lower = upper + width;
    let x = 0;
    for (; x < across - 1; x += 2) {
      total += f32(
        f32(f32(data[upper + x] + data[upper + x + 1]) + data[lower + x]) + data[lower + x + 1],
      );
    }
    if (x < across) total += f32(data[upper + x] + data[lower + x]);
  }
  for (; y < top + down; y++) {
    const row = y * width + left;
    let x = 0;
    for (; byPairs && x < across - 1; x += 2) total += f32(data[row + x] + data[row + x + 1]);
    for (; x < across; x++) total += data[row + x];
  }
  return total * (1 / (across * down));
}

const triangle = { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) };

const cubic = {
  support: 2,
  weight(distance) {
    const x = Math.abs(distance);
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    if (x < 2) return (((x - 5) * x + 8) * x - 4) * -0.5;
    return 0;
  },
};

export const resizeBilinear = (image, columns, rows) => resize(image, columns, rows, triangle);
export const resizeBicubic = (image, columns, rows) => resize(image, columns, rows, cubic);

/** First across, then down, each result in float32. */
function resize(image, columns, rows, filter) {
  const across = image.width === columns ? image : resampleRows(image, columns, filter);
  if (across.height === rows) return across;
  return transpose(resampleRows(transpose(across), rows, filter));
}

function resampleRows({ width, height, data }, columns, filter) {
  const { firsts, lengths, weights, most } = kernels(width, columns, filter);
  const out = picture(columns, height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < columns; x++) {
      const from = y * width + firsts[x];
      const kernel = x * most;
      let total = 0;
      for (let k = 0; k < lengths[x]; k++) total += data[from + k] * weights[kernel + k];
      out.data[y * columns + x] = total;
    }
  }
  return out;
}

function kernels(from, to, filter) {
  const scale = from / to;
  const wider = Math.max(scale, 1);
  const support = filter.support * wider;
  const most = Math.ceil(support) * 2 + 1;
  const firsts = new Int32Array(to);
  const lengths = new Int32Array(to);
  const weights = new Float64Array(to * most);
  for (let x = 0; x < to; x++) {
    const centre = (x + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const length = Math.min(from, Math.trunc(centre + support + 0.5)) - first;
    let total = 0;
    for (let k = 0; k < length; k++) {
      const weight = filter.weight((k + first - centre + 0.5) * (1 / wider));
      weights[x * most + k] = weight;
      total += weight;
    }
    for (let k = 0; k < length; k++) weights[x * most + k] /= total;
    firsts[x] = first;
    lengths[x] = length;
  }
  return { firsts, lengths, weights, most };
}

/** A mask in another size, each pixel as the one that lies there. */
export function resizeNearest({ width, height, data }, columns, rows) {
  const places = (from, to) => {
    const step = from / to;
    let at = step * 0.5;
    return Int32Array.from({ length: to }, () => {
      const place = Math.trunc(at);
      at += step;
      return place;
    });
  };
  const across = places(width, columns);
  const down = places(height, rows);
  const out = picture(columns, rows, new Uint8Array(columns * rows));
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) out.data[y * columns + x] = data[down[y] * width + across[x]];
  }
  return out;
}

/** Float values turned counter-clockwise about the middle, on as much room as that takes, with 0
 *  around. */
export function rotate(image, degrees) {
  const { width, height } = image;
  const angle = -((degrees % 360) + (degrees < 0 ? 360 : 0)) * (Math.PI / 180);
  const [cosine, sine] = [Math.cos(angle), Math.sin(angle)].map((it) => Number(it.toFixed(15)));
  const matrix = [cosine, sine, 0, -sine, cosine, 0];
  const through = (x, y) => [
    matrix[0] * x + matrix[1] * y + matrix[2],
    matrix[3] * x + matrix[4] * y + matrix[5],
  ];
  const [right, down] = through(-width / 2, -height / 2);
  matrix[2] = right + width / 2;
  matrix[5] = down + height / 2;
  const corners = [
    [0, 0],
    [width, 0],
    [width, height],
    [0, height],
  ].map(([x, y]) => through(x, y));
  const [columns, rows] = [0, 1].map((axis) => {
    const places = corners.map((corner) => corner[axis]);
    return Math.ceil(Math.max(...places)) - Math.floor(Math.min(...places));
  });
  [matrix[2], matrix[5]] = through(-(columns - width) / 2, -(rows - height) / 2);
  const turned = picture(columns, rows);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      const [fromX, fromY] = through(x + 0.5, y + 0.5);
      if (fromX >= 0 && fromX < width && fromY >= 0 && fromY < height) {
        turned.data[y * columns + x] = between(image, fromX - 0.5, fromY - 0.5);
      }
    }
  }
  return turned;
}

/** The value between pixels, by cubic interpolation. */
function between({ width, height, data }, atX, atY) {
  const [x, y] = [Math.floor(atX), Math.floor(atY)];
  const [dx, dy] = [atX - x, atY - y];
  const [left, here, right, far] = [-1, 0, 1, 2].map((step) => clip(x + step, width));
  const row = (step) => {
    const start = clip(y + step, height) * width;
    return cubicOfFloats(data[start + left], data[start + here], data[start + right], data[start + far], dx);
  };
  const [one, two, three, four] = [row(-1), row(0), row(1), row(2)];
  const bend = 2 * (one - two) + three - four;
  return two + dy * (-one + three + dy * (bend + dy * (-one + two - three + four)));
}

const clip = (place, side) => Math.min(Math.max(place, 0), side - 1);

/** Pillow takes the differences of float32 in float32. */
function cubicOfFloats(one, two, three, four, part) {
  const slope = f32(three - one);
  const bend = f32(f32(f32(2 * f32(one - two)) + three) - four);
  const twist = f32(f32(f32(two - one) - three) + four);
  return two + part * (slope + part * (bend + part * twist));
}
