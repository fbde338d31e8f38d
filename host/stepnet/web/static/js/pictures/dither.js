// Gives a picture its greys back that was dithered to black and white, or strewn with specks, as
// stepnet.pictures.dither does.

import { gaussianBlur } from './filters.js';
import { f32, quantile } from './numbers.js';
import { crop, inFloats, levels, picture, range } from './pixels.js';

const MIN_SIDE = 64;
const ISOLATED = 0.35;
const MIN_ISOLATED_PART = 0.004;
const RADII = [1, 1.5, 2, 2.5, 3, 4, 5];
const CALM = 0.03;
const ROOM = 16;

export function withoutDither(grey) {
  if (Math.min(grey.width, grey.height) < MIN_SIDE) return grey;
  if (isolatedPart(grey) < MIN_ISOLATED_PART) return grey;
  const padded = mirrored(levels(grey), ROOM);
  let smooth = grey;
  for (const radius of RADII) {
    const blurred = inFloats(gaussianBlur(padded, radius));
    smooth = crop(blurred, ROOM, ROOM, ROOM + grey.width, ROOM + grey.height);
    if (quantile(stepsAcross(smooth), 0.75) <= f32(CALM * range(smooth.data))) break;
  }
  return smooth;
}

/** The part of the pixels within the border that differ much from each of their four neighbours. */
function isolatedPart({ width, height, data }) {
  const much = f32(ISOLATED * range(data));
  const differ = (one, other) => Math.abs(f32(data[one] - data[other])) > much;
  let isolated = 0;
  for (let y = 1; y < height - 1; y++) {
    for (let i = y * width + 1; i < (y + 1) * width - 1; i++) {
      if (
        differ(i, i - 1) &&
        differ(i, i + 1) &&
        differ(i, i - width) &&
        differ(i, i + width)
      ) {
        isolated++;
      }
    }
  }
  return isolated / ((width - 2) * (height - 2));
}

function stepsAcross({ width, height, data }) {
  const steps = new Float32Array((width - 1) * height);
  let taken = 0;
  for (let y = 0; y < height; y++) {
    for (let i = y * width; i < (y + 1) * width - 1; i++) {
      steps[taken++] = Math.abs(f32(data[i + 1] - data[i]));
    }
  }
  return steps;
}

/** Levels with `room` on every side, in which the picture is seen as in a mirror at its border. */
function mirrored({ width, height, data }, room) {
  const inside = (at, side) => (at < 0 ? -at : at >= side ? 2 * (side - 1) - at : at);
  const wide = picture(width + 2 * room, height + 2 * room, new Uint8Array(0));
  wide.data = new Uint8Array(wide.width * wide.height);
  for (let y = 0; y < wide.height; y++) {
    const row = inside(y - room, height) * width;
    for (let x = 0; x < wide.width; x++) {
      wide.data[y * wide.width + x] = data[row + inside(x - room, width)];
    }
  }
  return wide;
}
