// Convex outlines of parts of a picture, as in stepnet.pictures.outlines: sheets and frames have four
// corners, ink has none.

import { f32 } from './numbers.js';
import { picture } from './pixels.js';

/** A mask of the pixels within an outline of corners [x, y] or on it, as Pillow fills polygons. */
export function filled(outline, width, height) {
  const mask = picture(width, height, new Uint8Array(width * height));
  if (outline.length < 2) return mask;
  const fill = (from, y, to) => {
    if (y < 0 || y >= height || to < 0 || from >= width) return;
    const row = y * width;
    const end = row + Math.min(to, width - 1) + 1;
    if (row + Math.max(from, 0) < end) mask.data.fill(1, row + Math.max(from, 0), end);
  };
  const all = edgesOf(outline);
  for (const edge of all) if (edge.top === edge.bottom) fill(edge.left, edge.top, edge.right);
  const edges = all.filter((edge) => edge.top !== edge.bottom);
  const first = Math.max(0, Math.min(height - 1, ...all.map((edge) => edge.top)));
  const last = Math.min(height, Math.max(0, ...all.map((edge) => edge.bottom)));
  for (let y = first; y <= last; y++) {
    const crossed = crossings(edges, y, last);
    for (let i = 1; i < crossed.length; i += 2) fill(roundUp(crossed[i - 1]), y, roundDown(crossed[i]));
  }
  return mask;
}

function edgesOf(outline) {
  const edges = [];
  const add = ([x0, y0], [x1, y1]) =>
    edges.push({
      x0,
      y0,
      left: Math.min(x0, x1),
      right: Math.max(x0, x1),
      top: Math.min(y0, y1),
      bottom: Math.max(y0, y1),
      slope: y0 === y1 ? 0 : f32((x1 - x0) / (y1 - y0)),
    });
  outline.forEach((corner, i) => {
    if (i + 1 < outline.length) add(corner, outline[i + 1]);
    else if (corner.some((value, axis) => value !== outline[0][axis])) add(corner, outline[0]);
  });
  return edges;
}

const edgeAt = (edge, y) => f32(f32((y - edge.y0) * edge.slope) + edge.x0);
const spans = (edge, y) => y >= edge.top && y <= edge.bottom;
const endsAt = (edge, y) => y === edge.top || y === edge.bottom;

/** Where edges cross a row, from left to right. Where two meet in a corner, the row is widened to
 *  what they reach in the next one. */
function crossings(edges, y, last) {
  const found = [];
  edges.forEach((edge, number) => {
    if (!spans(edge, y)) return;
    let x = edgeAt(edge, y);
    if (y === edge.bottom && y < last) {
      found.push(x, x);
      return;
    }
    if (endsAt(edge, y) && edge.slope !== 0) {
      const step = y === edge.bottom ? -1 : 1;
      const other = edges
        .slice(0, number)
        .find(
          (each) =>
            endsAt(each, y) &&
            each.slope !== 0 &&
            halfAway(x) === halfAway(edgeAt(each, y)) &&
            spans(each, y + step),
        );
      if (other) x = atCorner(x, edgeAt(edge, y + step), edgeAt(other, y + step));
    }
    found.push(x);
  });
  return found.sort((one, other) => one - other);
}

function atCorner(x, one, other) {
  if (x > f32(one + 1) && x > f32(other + 1)) return f32(halfAway(Math.max(one, other)) + 1);
  if (x < f32(one - 1) && x < f32(other - 1)) return f32(halfAway(Math.min(one, other)) - 1);
  return x;
}

const halfAway = (value) => Math.sign(value) * Math.floor(Math.abs(value) + 0.5);
const roundUp = (value) =>
  value >= 0 ? Math.floor(f32(value + 0.5)) : -Math.floor(f32(0.5 - value));
const roundDown = (value) =>
  value >= 0 ? Math.ceil(f32(value - 0.5)) : -Math.ceil(f32(-value - 0.5));

/** The corners [x, y] of the smallest convex outline around a mask, in order. */
export function hullOf({ width, height, data }) {
  const points = [];
  for (let y = 0; y < height; y++) {
    const row = data.subarray(y * width, (y + 1) * width);
    const first = row.indexOf(1);
    if (first < 0) continue;
    points.push([first, y]);
    const last = row.lastIndexOf(1);
    if (last !== first) points.push([last, y]);
  }
  points.sort(([x0, y0], [x1, y1]) => x0 - x1 || y0 - y1);
  return [...chain(points), ...chain(points.reverse())];
}

function chain(points) {
  const kept = [];
  for (const [x, y] of points) {
    while (kept.length > 1) {
      const [[x0, y0], [x1, y1]] = kept.slice(-2);
      if ((x1 - x0) * (y - y0) > (y1 - y0) * (x - x0)) break;
      kept.pop();
    }
    kept.push([x, y]);
  }
  return kept.slice(0, -1);
}

/** The largest part of a convex outline's area within four of its corners that lie across each
 *  other. */
export function fourCornered(outline) {
  const whole = area(outline);
  if (whole === 0) return 0;
  let most = 0;
  for (let degrees = 0; degrees < 90; degrees += 3) {
    const four = [0, 1, 2, 3].map((quarter) => {
      const angle = degrees * (Math.PI / 180) + (quarter * Math.PI) / 2;
      return farthest(outline, Math.cos(angle), Math.sin(angle));
    });
    most = Math.max(most, area(four));
  }
  return most / whole;
}

function farthest(outline, cosine, sine) {
  let [found, most] = [null, -Infinity];
  for (const corner of outline) {
    const reach = corner[0] * cosine + corner[1] * sine;
    if (reach > most) [found, most] = [corner, reach];
  }
  return found;
}

function area(outline) {
  let twice = 0;
  outline.forEach(([x, y], i) => {
    const [nextX, nextY] = outline[(i + 1) % outline.length];
    twice += x * nextY - y * nextX;
  });
  return Math.abs(twice) / 2;
}
