// The grey of paper that is lit unevenly, sought on a small picture, as stepnet.pictures.paper does.

import { f32, linspace, median } from './numbers.js';
import { border, mapped, picture } from './pixels.js';

const MEDIAN_SIDE = 17;
const ROUNDS = 12;
const LEAST_DISTANCE = 0.5;

/** The surface of the second degree with the least absolute distances from the border's greys, found
 *  by least squares, weighted anew each time by one over the distance. */
export function fittedSurface(grey) {
  const { width, height } = grey;
  const places = (side) => (side > 1 ? linspace(-1, 1, side).map(f32) : [-1]);
  const [rows, columns] = [places(height), places(width)];
  const terms = Array.from({ length: 6 }, () => picture(width, height));
  rows.forEach((row, y) =>
    columns.forEach((column, x) =>
      [1, row, column, row * row, row * column, column * column].forEach((term, i) => {
        terms[i].data[y * width + x] = term;
      }),
    ),
  );
  const ring = border(grey);
  const atBorder = terms.map(border);
  const surface = (parts, i) => parts.reduce((sum, part, term) => sum + part[i] * factors[term], 0);
  let factors;
  let weights = new Float64Array(ring.length).fill(1);
  for (let round = 0; round < ROUNDS; round++) {
    const roots = weights.map(Math.sqrt);
    const weighted = (values) => Float64Array.from(values, (value, i) => value * roots[i]);
    factors = leastSquares(atBorder.map(weighted), weighted(ring));
    weights = weights.map(
      (_, i) => 1 / Math.max(Math.abs(ring[i] - surface(atBorder, i)), LEAST_DISTANCE),
    );
  }
  const whole = terms.map(({ data }) => data);
  return mapped(grey, (_, i) => surface(whole, i));
}

/** The shortest factors with which `columns` add up to what is nearest to `target`: singular values by
 *  Jacobi's rotations. */
function leastSquares(columns, target) {
  const turned = columns.map((column) => column.slice());
  const turns = columns.map((_, i) => columns.map((_, j) => (i === j ? 1 : 0)));
  const dot = (one, other) => one.reduce((sum, value, i) => sum + value * other[i], 0);
  const rotate = (vectors, i, j, cosine, sine) => {
    const [one, other] = [vectors[i], vectors[j]];
    for (let k = 0; k < one.length; k++) {
      [one[k], other[k]] = [cosine * one[k] - sine * other[k], sine * one[k] + cosine * other[k]];
    }
  };
  for (let isTurning = true, sweep = 0; isTurning && sweep < 30; sweep++) {
    isTurning = false;
    for (let i = 0; i < columns.length; i++) {
      for (let j = i + 1; j < columns.length; j++) {
        const [a, b, c] = [
          dot(turned[i], turned[i]),
          dot(turned[j], turned[j]),
          dot(turned[i], turned[j]),
        ];
        if (Math.abs(c) <= Number.EPSILON * Math.sqrt(a * b)) continue;
        isTurning = true;
        const slope = (b - a) / (2 * c);
        const tangent = (slope < 0 ? -1 : 1) / (Math.abs(slope) + Math.hypot(1, slope));
        const cosine = 1 / Math.hypot(1, tangent);
        rotate(turned, i, j, cosine, cosine * tangent);
        rotate(turns, i, j, cosine, cosine * tangent);
      }
    }
  }
  const squares = turned.map((column) => dot(column, column));
  const least = (Number.EPSILON * target.length) ** 2 * Math.max(...squares);
  const parts = turned.map((column, i) => (squares[i] > least ? dot(column, target) / squares[i] : 0));
  return columns.map((_, term) => parts.reduce((sum, part, i) => sum + part * turns[i][term], 0));
}

/** The median of a window around each pixel; beyond the border the shade goes on as it came. */
export function runningMedian(grey) {
  const { width, height } = grey;
  const [across, down] = [width, height].map((side) => Math.min(MEDIAN_SIDE, 2 * side - 1));
  const [besides, above] = [across >> 1, down >> 1];
  const at = beyondBorder(grey);
  const window = new Float32Array(across * down);
  const out = picture(width, height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let taken = 0;
      for (let dy = -above; dy <= above; dy++) {
        for (let dx = -besides; dx <= besides; dx++) window[taken++] = at(x + dx, y + dy);
      }
      out.data[y * width + x] = median(window);
    }
  }
  return out;
}

/** The value at a place that may lie beyond the border: as far from the outermost one as that at its
 *  mirrored place is, to the other side. */
function beyondBorder({ width, height, data }) {
  const column = (x, y) => {
    const inside = (row) => data[row * width + x];
    if (y < 0) return f32(f32(2 * inside(0)) - inside(-y));
    if (y >= height) return f32(f32(2 * inside(height - 1)) - inside(2 * (height - 1) - y));
    return inside(y);
  };
  return (x, y) => {
    if (x < 0) return f32(f32(2 * column(0, y)) - column(-x, y));
    if (x >= width) return f32(f32(2 * column(width - 1, y)) - column(2 * (width - 1) - x, y));
    return column(x, y);
  };
}
