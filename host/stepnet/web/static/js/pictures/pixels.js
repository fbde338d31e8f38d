// Pictures as {width, height, data}, the values row by row: Float32Array of greys or of the strength
// of ink, Uint8Array of levels from 0 to 255 or of a mask of 0 and 1.

import { f32, maximum, minimum, roundEven } from './numbers.js';

export function picture(width, height, data = new Float32Array(width * height)) {
  return { width, height, data };
}

export const maskLike = ({ width, height }) => picture(width, height, new Uint8Array(width * height));

/** A picture of the same size and kind, each value through `change`. */
export function mapped({ width, height, data }, change) {
  const changed = new data.constructor(data.length);
  for (let i = 0; i < data.length; i++) changed[i] = change(data[i], i);
  return picture(width, height, changed);
}

/** Grey values as whole levels from 0 to 255. */
export function levels({ width, height, data }) {
  const whole = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i++) whole[i] = roundEven(Math.min(Math.max(data[i], 0), 255));
  return picture(width, height, whole);
}

export const inFloats = ({ width, height, data }) =>
  picture(width, height, Float32Array.from(data));

/** 1 where the strength is at least `part` of the greatest one. */
export function strongest(ink, part) {
  return atLeast(ink, f32(f32(part) * maximum(ink.data)));
}

export function atLeast({ width, height, data }, least) {
  const mask = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i++) mask[i] = data[i] >= least ? 1 : 0;
  return picture(width, height, mask);
}

export function crop({ width, data }, left, top, right, bottom) {
  const part = picture(
    right - left,
    bottom - top,
    new data.constructor((right - left) * (bottom - top)),
  );
  for (let y = top; y < bottom; y++) {
    part.data.set(data.subarray(y * width + left, y * width + right), (y - top) * part.width);
  }
  return part;
}

export function transpose({ width, height, data }) {
  const turned = picture(height, width, new data.constructor(data.length));
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) turned.data[x * height + y] = data[y * width + x];
  }
  return turned;
}

/** The outermost pixels in order around the picture. */
export function border({ width, height, data }) {
  const at = (x, y) => data[y * width + x];
  const ring = [];
  for (let x = 0; x < width; x++) ring.push(at(x, 0));
  for (let y = 1; y < height; y++) ring.push(at(width - 1, y));
  for (let x = width - 2; x >= 0; x--) ring.push(at(x, height - 1));
  for (let y = height - 2; y > 0; y--) ring.push(at(0, y));
  return Float32Array.from(ring);
}

/** For each row whether any of its pixels is set. */
export function rowsWith({ width, height, data }) {
  const found = new Array(height).fill(false);
  for (let y = 0; y < height; y++) {
    const end = (y + 1) * width;
    for (let i = y * width; i < end && !found[y]; i++) found[y] = data[i] !== 0;
  }
  return found;
}

/** [start, end] of each run of true values, the end just outside. */
export function runs(flags) {
  const found = [];
  for (let i = 0; i < flags.length; i++) {
    if (flags[i] && !flags[i - 1]) found.push([i, i + 1]);
    else if (flags[i]) found[found.length - 1][1] = i + 1;
  }
  return found;
}

export const count = (values) => {
  let set = 0;
  for (let i = 0; i < values.length; i++) if (values[i]) set++;
  return set;
};

export const range = (values) => f32(maximum(values) - minimum(values));
