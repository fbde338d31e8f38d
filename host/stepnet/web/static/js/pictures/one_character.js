// Refuses ink that cannot be one character, as stepnet.pictures.one_character does.

import { ImageError } from './image_error.js';
import { maximum } from './numbers.js';
import { label, pixelsOf, strokeWidth } from './pieces.js';
import { count, runs, strongest } from './pixels.js';

const MIN_SIDE = 48;
const MASK_INK = 0.3;
const MIN_AREA = 0.02;
const THIN = 0.6;
const TALL = 0.5;
const GAP = 0.3;
const NARROW = 0.45;
const WIDE = 3.2;
const DASH = 3.5;
const FULL_STOP = '.';
const BLOCK_PART = 0.85;
const BLOCK_STROKE = 0.33;

/** Throws an ImageError if thin lines leave the picture at opposite borders, if there are several
 *  high pieces side by side, or if the ink is much wider than high and no dash. Where no full stop is
 *  among the characters of `alphabet`, also if it is a solid block. */
export function checkOneCharacter(strength, alphabet) {
  const pieces = label(strongest(strength, MASK_INK));
  const largest = maximum(pieces.areas);
  const isLarge = pieces.areas.map((area) => area >= MIN_AREA * largest);
  const mask = pixelsOf(pieces, isLarge);
  const boxes = pieces.boxes.filter((_, i) => isLarge[i]);
  checkLines(mask);
  const number = sideBySide(boxes);
  if (number > 1) {
    throw new ImageError(
      `The picture shows ${number} pieces of ink side by side where one character is expected; ` +
        'read a line as text, or cut it into pictures of one character each.',
    );
  }
  checkWidth(mask, boxes);
  if (!alphabet.includes(FULL_STOP)) checkStrokes(mask, boxes);
}

function checkLines(mask) {
  const { width, height, data } = mask;
  if (Math.min(width, height) < MIN_SIDE) return;
  const thin = THIN * strokeWidth(mask);
  const row = (y) => data.subarray(y * width, (y + 1) * width);
  const column = (x) => Array.from({ length: height }, (_, y) => data[y * width + x]);
  const isThin = (side) => runs(side).some(([start, end]) => end - start < thin);
  for (const [one, other] of [
    [row(0), row(height - 1)],
    [column(0), column(width - 1)],
  ]) {
    if (isThin(one) && isThin(other)) {
      throw new ImageError(
        'The picture shows thin lines from edge to edge that cannot be told from the ink, such as ' +
          'rules; give the character on plain paper, or cut the lines off.',
      );
    }
  }
}

/** How many characters stand side by side, by the boxes of the pieces. */
function sideBySide(boxes) {
  const highest = highestOf(boxes);
  const high = boxes
    .filter(([, top, , bottom]) => bottom - top >= TALL * highest)
    .sort(([one], [other]) => one - other);
  const spans = [];
  for (const [left, , right] of high) {
    const last = spans[spans.length - 1];
    if (last && left < last[1]) last[1] = Math.max(last[1], right);
    else spans.push([left, right]);
  }
  if (spans.length !== 2) return spans.length;
  const isNear = spans[1][0] - spans[0][1] < GAP * highest;
  const areNarrow = spans.every(([left, right]) => right - left < NARROW * highest);
  return isNear || areNarrow ? 1 : 2;
}

const highestOf = (boxes) => Math.max(...boxes.map(([, top, , bottom]) => bottom - top));

function sizeOf(boxes) {
  const place = (axis, choose) => choose(...boxes.map((box) => box[axis]));
  return [place(2, Math.max) - place(0, Math.min), place(3, Math.max) - place(1, Math.min)];
}

function checkWidth(mask, boxes) {
  const [width, height] = sizeOf(boxes);
  if (width <= WIDE * height || highestOf(boxes) <= DASH * strokeWidth(mask)) return;
  throw new ImageError(
    `The ink in the picture is ${width} pixels wide and ${height} high, which is no single ` +
      'character; read a line as text, or cut it into pictures of one character each.',
  );
}

function checkStrokes(mask, boxes) {
  const [width, height] = sizeOf(boxes);
  const isSolid = count(mask.data) > BLOCK_PART * height * width;
  if (isSolid && strokeWidth(mask) > BLOCK_STROKE * Math.max(height, width)) {
    throw new ImageError(
      `The ink in the picture is a block of ${width} x ${height} pixels without a stroke, which ` +
        'is no character of the network; give one with some paper around it.',
    );
  }
}
