// Finds the sheet of paper in a picture that shows more than it, as stepnet.pictures.page does.

import { eroded, medianFilter } from './filters.js';
import { f32, median } from './numbers.js';
import { filled, fourCornered, hullOf } from './outlines.js';
import { label, pixelsOf } from './pieces.js';
import { count, inFloats, levels, mapped, picture } from './pixels.js';
import { reduce, resizeBilinear, resizeNearest } from './resampling.js';

const MIN_SIDE = 48;
const SMALL_SIDE = 200;
const THIN = 5;
const MAX_SLOPE = 9;
const MIN_PART = 0.15;
const FOUR_CORNERED = 0.94;
const MAX_INK = 0.4;
const MIN_INK = 0.001;
const WHOLE = 0.995;
const PAPER_DIFFERENCE = 15;
const PAPER_PART = 0.35;

const meanOf = (mask) => count(mask.data) / mask.data.length;

/** A mask of the sheet; null if it is the whole picture. A sheet is smooth, and sharply bounded where
 *  it does not reach the picture's border. It is the largest such part; or one with four corners
 *  that has something on it, where the largest has nothing on it but that sheet. */
export function findPage(grey) {
  const { width, height } = grey;
  if (Math.min(width, height) < MIN_SIDE) return null;
  const reduction = Math.ceil(Math.max(width, height) / SMALL_SIDE);
  const small = medianFilter(reduce(levels(grey), reduction), THIN);
  const page = largestSheet(small);
  if (!page || page.ink < MIN_INK) return null;
  const part = meanOf(page.within);
  if (part >= WHOLE || part < MIN_PART) return null;
  const inside = withPaperBeyond(inFloats(small), page.within);
  if (meanOf(inside) >= WHOLE) return null;
  return eroded(resizeNearest(inside, width, height), reduction);
}

function largestSheet(small) {
  const pieces = label(smooth(small));
  const least = MIN_PART * small.data.length * (1 - MAX_INK);
  const sheets = Array.from(pieces.areas.keys())
    .filter((piece) => pieces.areas[piece] >= least)
    .sort((one, other) => pieces.areas[other] - pieces.areas[one])
    .map((piece) => sheetOf(pieces, piece));
  let [page] = sheets;
  for (const sheet of sheets.slice(1)) {
    const shared = count(sheet.within.data.map((value, i) => value & page.within.data[i]));
    const isOnIt = shared >= 0.9 * count(sheet.within.data);
    const hasInk = MIN_INK < sheet.ink && sheet.ink < MAX_INK;
    if (hasInk && (isOnIt || page.ink < MIN_INK) && fourCornered(sheet.outline) >= FOUR_CORNERED) {
      page = sheet;
    }
  }
  return page;
}

/** Where neighbours differ by little. */
function smooth({ width, height, data }) {
  const mask = picture(width, height, new Uint8Array(data.length).fill(1));
  const part = (one, other) => {
    if (Math.abs(data[one] - data[other]) > MAX_SLOPE) mask.data[one] = mask.data[other] = 0;
  };
  for (let i = 0; i < data.length; i++) {
    if (i % width) part(i, i - 1);
    if (i >= width) part(i, i - width);
  }
  return mask;
}

/** What may be a sheet: its outline, all within it, and the part of that which is not paper. */
function sheetOf(pieces, piece) {
  const paper = pixelsOf(
    pieces,
    pieces.areas.map((_, i) => i === piece),
  );
  const outline = hullOf(paper);
  const within = filled(outline, paper.width, paper.height);
  within.data = within.data.map((value, i) => value | paper.data[i]);
  const holes = label(mapped(within, (value, i) => value & (paper.data[i] ^ 1)));
  // What reaches the outline is no ink, but the outline itself.
  const inner = eroded(within, 2);
  const atRim = holes.areas.map(() => false);
  holes.labels.forEach((number, i) => {
    if (number && within.data[i] && !inner.data[i]) atRim[number - 1] = true;
  });
  const inside = holes.areas.reduce((sum, area, i) => sum + (atRim[i] ? 0 : area), 0);
  return { outline, within, ink: inside / count(within.data) };
}

/** A sheet with the parts beyond its outline that are paper as well, as behind thick rules. */
function withPaperBeyond(small, within) {
  const beyond = label(mapped(within, (value) => value ^ 1));
  const around = continued(small, within);
  const usual = median(small.data.filter((_, i) => within.data[i]));
  const alike = beyond.areas.map(() => 0);
  beyond.labels.forEach((number, i) => {
    if (!number) return;
    const isNear = (other) => Math.abs(f32(small.data[i] - other)) <= PAPER_DIFFERENCE;
    if (isNear(around.data[i]) || isNear(usual)) alike[number - 1]++;
  });
  const isPaper = alike.map((pixels, i) => pixels > PAPER_PART * beyond.areas[i]);
  const paper = pixelsOf(beyond, isPaper);
  return mapped(within, (value, i) => value | paper.data[i]);
}

/** Grey values where they are known, and beyond what is nearest of them, smoothly. */
export function continued(grey, known) {
  const set = count(known.data);
  if (set === known.data.length) return grey;
  if (!set) return picture(grey.width, grey.height);
  return beyond(grey, Float32Array.from(known.data));
}

function beyond({ width, height, data }, weights) {
  if (weights.every((weight) => weight > 0)) return picture(width, height, data);
  const columns = (width + 1) >> 1;
  const rows = (height + 1) >> 1;
  const coarse = picture(columns, rows);
  const parts = new Float32Array(columns * rows);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      const at = (dx, dy) => {
        const [px, py] = [2 * x + dx, 2 * y + dy];
        return px < width && py < height ? py * width + px : -1;
      };
      const square = [at(0, 0), at(1, 0), at(0, 1), at(1, 1)];
      const part = meanOfFour(square.map((i) => (i < 0 ? 0 : weights[i])));
      if (!part) continue;
      const sum = meanOfFour(square.map((i) => (i < 0 ? 0 : f32(data[i] * weights[i]))));
      parts[y * columns + x] = part;
      coarse.data[y * columns + x] = f32(sum / part);
    }
  }
  const known = parts.map((part) => (part > 0 ? 1 : 0));
  const large = resizeBilinear(beyond(coarse, known), 2 * columns, 2 * rows);
  const found = picture(width, height, data.slice());
  for (let y = 0; y < height; y++) {
    for (let x = 0, i = y * width; x < width; x++, i++) {
      if (!weights[i]) found.data[i] = large.data[y * large.width + x];
    }
  }
  return found;
}

const meanOfFour = ([one, two, three, four]) =>
  f32(f32(f32(one + two) + f32(three + four)) / 4);
