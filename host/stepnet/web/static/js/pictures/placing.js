// Where a character stands in the image that a network gets, and how large it is there, as in
// stepnet.pictures.placing.

import { largestAround } from './filters.js';
import { f32, maximum, roundEven } from './numbers.js';
import { strokeWidth } from './pieces.js';
import { atLeast, crop, mapped, rowsWith, strongest, transpose } from './pixels.js';
import { resizeBilinear } from './resampling.js';

const MIN_INK = 0.1;
const MIN_STROKE_PIXELS = 1.8;
const SOLID = 0.33;
const DOT_PART = 4 / 28;
const INK_PART = { mnist: 20 / 28, unipen: 22 / 28 };

/** Grey values of (height, width), ink bright on 0, as `network` gets them.
 *
 *  strength: of the ink, 0 where there is paper.
 *  capitalHeight: how high capitals are in the line that the character comes from, in pixels of it;
 *  null if it is not known. */
export function placeFor(network, strength, capitalHeight = null) {
  const { height, width, placing } = network;
  const ink = crop(strength, ...inkBox(strength));
  const scale = scaleFor(network, ink, capitalHeight);
  const columns = Math.max(1, roundEven(ink.width * scale));
  const rows = Math.max(1, roundEven(ink.height * scale));
  const character = resizeBilinear(widenStrokes(ink, scale), columns, rows);
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

/** Bits of grey values with ink bright. */
export function binarise(network, grey) {
  return grey.map((value) => (value >= network.inkThreshold ? 1 : 0));
}

/** Left, top, right and bottom, the last two just outside, of the box around all pixels of at least
 *  MIN_INK. */
export function inkBox(ink) {
  const strong = strongest(ink, MIN_INK);
  const rows = rowsWith(strong);
  const columns = rowsWith(transpose(strong));
  return [
    columns.indexOf(true),
    rows.indexOf(true),
    columns.lastIndexOf(true) + 1,
    rows.lastIndexOf(true) + 1,
  ];
}

function scaleFor({ height, width, placing }, ink, capitalHeight) {
  const fitting = Math.min(height / ink.height, width / ink.width);
  const isUnipen = placing === 'unipen';
  const isDot = isUnipen && capitalHeight === null && isSolid(ink);
  const scale = fitting * (isDot ? DOT_PART : INK_PART[placing]);
  if (!isUnipen || capitalHeight === null) return scale;
  return Math.min(scale, (INK_PART[placing] * height) / capitalHeight);
}

const halfWidth = (ink) => strokeWidth(atLeast(ink, f32(maximum(ink.data) / 2)));

const isSolid = (ink) => halfWidth(ink) > SOLID * Math.max(ink.width, ink.height);

/** Ink whose strokes keep MIN_STROKE_PIXELS when the picture shrinks by `scale`. */
function widenStrokes(ink, scale) {
  const missing = Math.trunc(MIN_STROKE_PIXELS / scale - halfWidth(ink));
  if (missing < 2) return ink;
  const factor = f32(255 / maximum(ink.data));
  let grey = mapped(ink, (value) => roundEven(f32(value * factor)));
  for (let i = 0; i < Math.floor(missing / 2); i++) grey = largestAround(grey);
  return grey;
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
