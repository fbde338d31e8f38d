// Takes the box of a form out of the ink, as stepnet.pictures.frame does: a thin frame of four
// straight lines round a character.

import { roundEven } from './numbers.js';
import { filled, fourCornered, hullOf } from './outlines.js';
import { label, without } from './pieces.js';
import { count, picture, strongest } from './pixels.js';

const MIN_SIDE = 48;
const MIN_INK = 0.06;
const FOUR_CORNERED = 0.94;
const THIN = 0.05;
const FEW = 0.02;

export function withoutFrame(strength) {
  if (Math.min(strength.width, strength.height) < MIN_SIDE) return strength;
  const pieces = label(strongest(strength, MIN_INK));
  if (pieces.areas.length < 2) return strength;
  const sizes = pieces.boxes.map(([left, top, right, bottom]) => (right - left) * (bottom - top));
  const outer = sizes.indexOf(Math.max(...sizes));
  const { frame, hasMore } = within(pieces, outer);
  const outline = hullOf(frame);
  if (!hasMore || fourCornered(outline) < FOUR_CORNERED) return strength;
  const middle = [(frame.width - 1) / 2, (frame.height - 1) / 2];
  const shrunk = outline.map((corner) =>
    corner.map((place, axis) => roundEven(middle[axis] + (place - middle[axis]) * (1 - 2 * THIN))),
  );
  const inner = filled(shrunk, frame.width, frame.height);
  const inside = count(frame.data.map((value, i) => value & inner.data[i]));
  if (inside > FEW * count(frame.data)) return strength;
  return without(
    strength,
    pieces,
    pieces.areas.map((_, i) => i === outer),
  );
}

/** The mask of one piece in its box, and whether others lie in that as well. */
function within({ width, labels, boxes }, piece) {
  const [left, top, right, bottom] = boxes[piece];
  const frame = picture(right - left, bottom - top, new Uint8Array((right - left) * (bottom - top)));
  let hasMore = false;
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      const number = labels[y * width + x];
      if (number === piece + 1) frame.data[(y - top) * frame.width + x - left] = 1;
      else if (number) hasMore = true;
    }
  }
  return { frame, hasMore };
}
