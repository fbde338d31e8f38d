// Takes the dots of dotted paper out of the ink, as stepnet.pictures.dots does.

import { maximum, median, minimum } from './numbers.js';
import { label, without } from './pieces.js';
import { strongest } from './pixels.js';

const MIN_INK = 0.1;
const MIN_COUNT = 6;
const MIN_SPREAD = 0.5;
const MAX_SIDE = 1 / 18;
const MAX_AREA = 0.1;
const ALIKE = 2.5;

export function withoutDots(strength) {
  const pieces = label(strongest(strength, MIN_INK));
  if (pieces.areas.length <= MIN_COUNT) return strength;
  const side = Math.max(3, MAX_SIDE * Math.min(strength.width, strength.height));
  const most = MAX_AREA * maximum(pieces.areas);
  const isSmall = pieces.boxes.map(
    ([left, top, right, bottom], i) =>
      Math.max(right - left, bottom - top) <= side && pieces.areas[i] <= most,
  );
  const small = pieces.boxes.filter((_, i) => isSmall[i]);
  if (small.length < MIN_COUNT) return strength;
  const spread = (axis, whole) => {
    const places = small.map((box) => box[axis]);
    return (maximum(places) - minimum(places)) / whole;
  };
  if (Math.min(spread(1, strength.height), spread(0, strength.width)) < MIN_SPREAD) return strength;
  const usual = median(pieces.areas.filter((_, i) => isSmall[i]));
  const dots = pieces.areas.map((area, i) => isSmall[i] && area <= ALIKE * usual);
  return without(strength, pieces, dots);
}
