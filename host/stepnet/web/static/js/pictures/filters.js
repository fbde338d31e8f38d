// Filters over the neighbours of each pixel, with the same result as Pillow's.

import { f32 } from './numbers.js';
import { picture, transpose } from './pixels.js';

/** Levels from 0 to 255, smoothed by three running means across and three down, which come near a
 *  normal distribution of standard deviation `radius` (Gwosdek et al., 2011). */
export function gaussianBlur(image, radius) {
  const box = boxRadius(f32(radius));
  const blurred = (one) => runningMean(runningMean(runningMean(one, box), box), box);
  return transpose(blurred(transpose(blurred(image))));
}

/** Half the width of the running means, in the single precision of Pillow. */
function boxRadius(radius) {
  const variance = f32(f32(radius * radius) / 3);
  const length = f32(Math.sqrt(12 * variance + 1));
  const whole = Math.floor((length - 1) / 2);
  const above = f32((2 * whole + 1) * f32(whole * (whole + 1) - f32(3 * variance)));
  const below = f32(6 * f32(variance - (whole + 1) * (whole + 1)));
  return f32(whole + f32(above / below));
}

/** Means of 2 * radius + 1 pixels of each row; those at either end count by the fraction of
 *  `radius`, and the outermost pixels go on beyond the border. */
function runningMean({ width, height, data }, boxed) {
  const radius = Math.trunc(boxed);
  const weight = Math.trunc(f32(2 ** 24 / f32(f32(boxed * 2) + 1)));
  const farWeight = Math.trunc((2 ** 24 - (radius * 2 + 1) * weight) / 2);
  const out = picture(width, height, new Uint8Array(data.length));
  for (let y = 0; y < height; y++) {
    const row = y * width;
    const at = (x) => data[row + Math.min(Math.max(x, 0), width - 1)];
    let total = 0;
    for (let x = -radius - 1; x < radius; x++) total += at(x);
    for (let x = 0; x < width; x++) {
      total += at(x + radius) - at(x - radius - 1);
      const far = at(x - radius - 1) + at(x + radius + 1);
      out.data[row + x] = (total * weight + far * farWeight + 2 ** 23) / 2 ** 24;
    }
  }
  return out;
}

/** The median of levels in a square of `side` pixels around each; outermost ones go on beyond the
 *  border. */
export function medianFilter({ width, height, data }, side) {
  const margin = side >> 1;
  const out = picture(width, height, new Uint8Array(data.length));
  const window = new Uint8Array(side * side);
  const clip = (value, most) => Math.min(Math.max(value, 0), most - 1);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let taken = 0;
      for (let dy = -margin; dy <= margin; dy++) {
        const row = clip(y + dy, height) * width;
        for (let dx = -margin; dx <= margin; dx++) {
          const value = data[row + clip(x + dx, width)];
          let at = taken++;
          for (; at > 0 && window[at - 1] > value; at--) window[at] = window[at - 1];
          window[at] = value;
        }
      }
      out.data[y * width + x] = window[(side * side) >> 1];
    }
  }
  return out;
}

/** The largest of each pixel and its eight neighbours. */
export function largestAround(image) {
  const across = largestBeside(image);
  return transpose(largestBeside(transpose(across)));
}

function largestBeside({ width, height, data }) {
  const out = picture(width, height, data.slice());
  for (let y = 0; y < height; y++) {
    for (let i = y * width; i < (y + 1) * width - 1; i++) {
      if (data[i + 1] > out.data[i]) out.data[i] = data[i + 1];
      if (data[i] > out.data[i + 1]) out.data[i + 1] = data[i];
    }
  }
  return out;
}

/** A mask without the pixels that are nearer than `margin` + 1, across and down, to one that is not
 *  set. */
export function eroded(mask, margin) {
  return transpose(erodedRows(transpose(erodedRows(mask, margin)), margin));
}

function erodedRows({ width, height, data }, margin) {
  const out = picture(width, height, new Uint8Array(data.length));
  for (let y = 0; y < height; y++) {
    const row = y * width;
    let start = 0;
    for (let x = 0; x <= width; x++) {
      if (x < width && data[row + x]) continue;
      // Beyond the border the mask goes on as it ends there.
      const from = start === 0 ? 0 : start + margin;
      const to = x === width ? width : x - margin;
      if (from < to && x > start) out.data.fill(1, row + from, row + to);
      start = x + 1;
    }
  }
  return out;
}
