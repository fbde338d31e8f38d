// Finds the characters in a picture of one line of handwriting, as stepnet.pictures.segmentation
// does: the ink is turned until the line is level, and pieces that belong to one character are joined.

import { ImageError } from './image_error.js';
import { f32, maximum, median, minimum, quantile } from './numbers.js';
import { findInk } from './paper.js';
import { label, strokeWidth } from './pieces.js';
import { crop, mapped, picture, rowsWith, runs, strongest } from './pixels.js';
import { rotate } from './resampling.js';

const MASK_INK = 0.3;
const MAX_TILT_DEGREES = 15;
const MAX_SLANT_DEGREES = 35;
const MIN_LINE_ASPECT = 2;
const SHARED_WIDTH = 0.4;
const SPACE = 0.35;
const MOST_POINTS = 20_000;

const radians = (degrees) => degrees * (Math.PI / 180);

/** {ink, level, tiltDegrees, boxes, capitalHeight, glyphs} of grey values; `boxes` lie in `level`, and
 *  each glyph is {ink, afterSpace}. */
export function findLine(grey) {
  const ink = findInk(grey);
  const tiltDegrees = tiltOf(ink.strength);
  const level = turned(ink.strength, tiltDegrees);
  const mask = strongest(level, MASK_INK);
  const pieces = withoutSmall(label(mask), mask);
  checkOneLine(pieces, mask);
  const lean = Math.tan(radians(slantOf(level)));
  const groups = charactersOf(pieces, lean);
  const boxes = groups.map((group) => around(pieces, group));
  const capitalHeight = capitalHeightOf(boxes);
  const spaces = spacesBefore(
    groups.map((group, i) => leaning(pieces, group, boxes[i], lean)),
    capitalHeight,
  );
  const glyphs = groups.map((group, i) => ({
    ink: alone(level, pieces, group, boxes[i]),
    afterSpace: spaces[i],
  }));
  return { ink, level, tiltDegrees, boxes, capitalHeight, glyphs };
}

// Tilt and slant: the angle at which rows, or columns, part ink from paper most sharply.

function tiltOf(strength) {
  const { rows, columns } = inkPoints(strength);
  const extent = (places) => Math.max(1, maximum(places) - minimum(places));
  if (extent(columns) / extent(rows) < MIN_LINE_ASPECT) return 0;
  return sharpest((degrees) => {
    const [cosine, sine] = [Math.cos(radians(degrees)), Math.sin(radians(degrees))];
    return sharpness(rows.map((row, i) => row * cosine - columns[i] * sine));
  }, MAX_TILT_DEGREES);
}

function slantOf(level) {
  const { rows, columns } = inkPoints(level);
  return sharpest((degrees) => {
    const lean = Math.tan(radians(degrees));
    return sharpness(columns.map((column, i) => column + rows[i] * lean));
  }, MAX_SLANT_DEGREES);
}

/** Rows and columns of the pixels of ink; if there are too many, of every n-th one. */
function inkPoints(strength) {
  const { width, data } = strongest(strength, MASK_INK);
  const places = [];
  for (let i = 0; i < data.length; i++) if (data[i]) places.push(i);
  const step = Math.ceil(places.length / MOST_POINTS);
  const taken = places.filter((_, i) => i % step === 0);
  return {
    rows: Float64Array.from(taken, (i) => Math.floor(i / width)),
    columns: Float64Array.from(taken, (i) => i % width),
  };
}

/** The angle within +-`most` degrees of greatest sharpness, to a fifth of a degree. */
function sharpest(sharpnessAt, most) {
  const best = (angles) => {
    let [found, sharp] = [0, -Infinity];
    for (const angle of angles) {
      const here = sharpnessAt(angle);
      if (here > sharp || (here === sharp && Math.abs(angle) < Math.abs(found))) {
        [found, sharp] = [angle, here];
      }
    }
    return found;
  };
  const coarse = best(Array.from({ length: 2 * most + 1 }, (_, i) => i - most));
  return best(Array.from({ length: 9 }, (_, i) => coarse + (i - 4) / 5));
}

/** Sum of the squares of a histogram of 1 pixel's step: large where ink gathers in few bins. */
function sharpness(positions) {
  const least = minimum(positions);
  const counts = new Float64Array(Math.floor(maximum(positions) - least) + 1);
  for (let i = 0; i < positions.length; i++) counts[Math.floor(positions[i] - least)]++;
  let total = 0;
  for (let i = 0; i < counts.length; i++) total += counts[i] * counts[i];
  return total;
}

function turned(strength, degrees) {
  if (degrees === 0) return strength;
  return mapped(rotate(strength, degrees), (value) => Math.max(value, 0));
}

// Pieces and characters

/** The pieces without those smaller than any full stop, which is a third of a stroke wide. */
function withoutSmall(pieces, mask) {
  const smallest = strokeWidth(mask) / 3;
  const sides = pieces.boxes.map(([left, top, right, bottom]) => Math.max(right - left, bottom - top));
  const least = Math.min(smallest, maximum(sides));
  const isKept = sides.map((side) => side >= least);
  let kept = 0;
  const numbers = Int32Array.from([0, ...isKept.map((is) => (is ? ++kept : 0))]);
  return {
    ...pieces,
    labels: pieces.labels.map((number) => numbers[number]),
    boxes: pieces.boxes.filter((_, i) => isKept[i]),
    areas: pieces.areas.filter((_, i) => isKept[i]),
  };
}

/** Refuse two lines: bands of rows with paper between them, each much higher than a stroke. */
function checkOneLine({ width, height, labels }, mask) {
  const heights = runs(rowsWith(picture(width, height, labels))).map(([start, end]) => end - start);
  const least = Math.max(4 * strokeWidth(mask), 0.4 * Math.max(...heights));
  const lines = heights.filter((each) => each >= least).length;
  if (lines > 1) {
    throw new ImageError(
      `The picture holds ${lines} lines; cut it into pictures of one line each.`,
    );
  }
}

/** Which pieces make each character, by their numbers; characters from left to right. */
function charactersOf(pieces, lean) {
  const ends = pieces.areas.map(() => [Infinity, -Infinity]);
  for (let i = 0; i < pieces.labels.length; i++) {
    if (!pieces.labels[i]) continue;
    const position = (i % pieces.width) + Math.floor(i / pieces.width) * lean;
    const span = ends[pieces.labels[i] - 1];
    if (position < span[0]) span[0] = position;
    if (position + 1 > span[1]) span[1] = position + 1;
  }
  const groups = Array.from(ends.keys(), (piece) => [piece]).sort(
    ([one], [other]) => ends[one][0] - ends[other][0],
  );
  const spans = groups.map(([piece]) => [...ends[piece]]);
  let place = 0;
  while (place + 1 < groups.length) {
    if (shareWidth(spans[place], spans[place + 1])) {
      groups[place].push(...groups.splice(place + 1, 1)[0]);
      const [following] = spans.splice(place + 1, 1);
      spans[place][1] = Math.max(spans[place][1], following[1]);
      place = Math.max(0, place - 1);
    } else place++;
  }
  return withDoubleQuotes(groups, pieces);
}

function shareWidth(one, other) {
  const shared = Math.min(one[1], other[1]) - Math.max(one[0], other[0]);
  return shared >= SHARED_WIDTH * Math.min(one[1] - one[0], other[1] - other[0]);
}

/** Join neighbours that are two short upright strokes at the top of the line, close together. */
function withDoubleQuotes(groups, pieces) {
  const boxes = groups.map((group) => around(pieces, group));
  const capital = capitalHeightOf(boxes);
  const baseline = baselineOf(boxes);
  const isQuote = ([left, top, right, bottom]) => {
    const height = bottom - top;
    return (
      0.15 * capital < height &&
      height < 0.6 * capital &&
      right - left < 0.9 * height &&
      bottom < baseline - 0.4 * capital
    );
  };
  const joined = [groups[0]];
  let isOpen = isQuote(boxes[0]);
  for (let i = 1; i < groups.length; i++) {
    const [before, box] = [boxes[i - 1], boxes[i]];
    const quote = isQuote(box);
    const isNear = box[0] - before[2] < 0.35 * capital;
    const isLevel = Math.abs(box[1] - before[1]) < 0.2 * capital;
    if (isOpen && quote && isNear && isLevel) {
      joined[joined.length - 1] = [...joined[joined.length - 1], ...groups[i]];
      isOpen = false;
    } else {
      joined.push(groups[i]);
      isOpen = quote;
    }
  }
  return joined;
}

function around(pieces, group) {
  const boxes = group.map((piece) => pieces.boxes[piece]);
  const place = (axis, choose) => choose(...boxes.map((box) => box[axis]));
  return [place(0, Math.min), place(1, Math.min), place(2, Math.max), place(3, Math.max)];
}

// The line's measures

/** The row that most characters stand on: the median of where the characters end that are not
 *  small. */
function baselineOf(boxes) {
  const heights = boxes.map(([, top, , bottom]) => bottom - top);
  const least = 0.4 * Math.max(...heights);
  return median(boxes.filter((_, i) => heights[i] >= least).map(([, , , bottom]) => bottom));
}

/** The height of capitals and digits, which reach highest above the baseline. */
function capitalHeightOf(boxes) {
  const baseline = baselineOf(boxes);
  const heights = boxes.map(([, top, , bottom]) => Math.min(bottom, baseline) - top);
  const least = 0.8 * Math.max(...heights);
  return median(heights.filter((height) => height >= least));
}

/** Left and right end of a character, measured across lines that lean by `lean`. */
function leaning({ width, labels }, group, [left, top, right, bottom], lean) {
  const mine = new Set(group.map((piece) => piece + 1));
  const span = [Infinity, -Infinity];
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      if (!mine.has(labels[y * width + x])) continue;
      span[0] = Math.min(span[0], x + y * lean);
      span[1] = Math.max(span[1], x + y * lean);
    }
  }
  return [span[0], span[1] + 1];
}

/** Whether a space stands before each character, from where the characters begin and end. */
function spacesBefore(spans, capital) {
  const gaps = spans.slice(1).map((span, i) => span[0] - spans[i][1]);
  if (!gaps.length) return [false];
  const threshold = Math.max(quantile(gaps, 0.4), 0) * 1.3 + SPACE * capital;
  return [false, ...gaps.map((gap) => gap > threshold)];
}

/** The ink of one character in its box and two pixels around, without that of others. */
function alone(level, { width, height, labels }, group, [left, top, right, bottom]) {
  const window = [
    Math.max(0, left - 2),
    Math.max(0, top - 2),
    Math.min(width, right + 2),
    Math.min(height, bottom + 2),
  ];
  const near = crop(picture(width, height, labels), ...window);
  const numbers = near.data;
  const mine = new Set(group.map((piece) => piece + 1));
  const isMine = Uint8Array.from(numbers, (number) => (mine.has(number) ? 1 : 0));
  // The soft edges of strokes lie outside of the mask; they belong to the piece beside them.
  const edges = grown(grown({ ...near, data: isMine }));
  return mapped(crop(level, ...window), (value, i) =>
    edges.data[i] && (isMine[i] || !numbers[i]) ? f32(value) : 0,
  );
}

/** A mask with the pixels above, below and beside what it holds. */
function grown({ width, height, data }) {
  const more = data.slice();
  for (let i = 0; i < data.length; i++) {
    if (!data[i]) continue;
    if (i % width) more[i - 1] = 1;
    if ((i + 1) % width) more[i + 1] = 1;
    if (i >= width) more[i - width] = 1;
    if (i + width < data.length) more[i + width] = 1;
  }
  return picture(width, height, more);
}
