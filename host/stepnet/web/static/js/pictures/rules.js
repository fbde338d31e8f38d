// Takes printed rules and squares out of the ink, as stepnet.pictures.rules does: straight lines across
// the whole sheet, nearly level or nearly upright. Where ink crosses a rule it stays.

import { f32, linspace, maximum, median, minimum, roundEven } from './numbers.js';
import { label, measured, without } from './pieces.js';
import { mapped, maskLike, picture, rowsWith, runs, strongest, transpose } from './pixels.js';

const MIN_SIDE = 48;
const MIN_INK = 0.04;
const MAX_WIDTH = 1 / 45;
const MAX_DEGREES = 10;
const COVERED = 0.6;
const SEEN = 0.3;
const END = 1 / 12;
const MAX_ANGLES = 4;
const MIN_LENGTH = 1 / 12;
const STRONGER = 1.6;
const REMAINS_INK = 0.1;
const SMALL_AREA = 0.1;
const MOST_POINTS = 30_000;

/** [the ink without rules, the strength of the strongest rule, 0 if there is none].
 *
 *  page: a mask of the sheet, whose edges the rules reach; null if it is the whole picture. */
export function withoutRules(strength, page = null) {
  if (Math.min(strength.width, strength.height) < MIN_SIDE) return [strength, 0];
  let known = page ?? mapped(maskLike(strength), () => 1);
  if (!reachesEdges(strength, known)) return [strength, 0];
  let most = 0;
  for (let direction = 0; direction < 2; direction++) {
    for (let angle = 0; angle < MAX_ANGLES; angle++) {
      let found;
      [strength, found] = withoutLevel(strength, known);
      most = Math.max(most, found);
      if (!found) break;
    }
    strength = transpose(strength);
    known = transpose(known);
  }
  return [strength, most];
}

/** The ink without the pieces that are left of rules: beside the heaviest piece those that are no
 *  stronger than a rule, and small ones on the border. If the heaviest is no stronger than a rule
 *  itself, only small ones and those on the border are. */
export function withoutRemains(strength, strongestRule) {
  const { width, height } = strength;
  const pieces = label(strongest(strength, REMAINS_INK));
  if (!pieces.areas.length) return strength;
  const { peaks, weights } = measured(strength, pieces);
  const main = weights.indexOf(maximum(weights));
  const weakest = f32(STRONGER * strongestRule);
  const remains = pieces.boxes.map(([left, top, right, bottom], i) => {
    if (i === main) return false;
    const atBorder = left <= 1 || top <= 1 || right >= width - 1 || bottom >= height - 1;
    const small = pieces.areas[i] < SMALL_AREA * pieces.areas[main];
    const weak = peaks[i] <= weakest;
    return (weak && (small || atBorder || peaks[main] > weakest)) || (small && atBorder);
  });
  return without(strength, pieces, remains);
}

/** Whether something reaches opposite edges of the sheet. */
function reachesEdges(strength, known) {
  const mask = strongest(strength, MIN_INK);
  const near = Math.max(2, roundEven(Math.min(mask.width, mask.height) * END));
  mask.data = mask.data.map((value, i) => value & known.data[i]);
  return [(it) => it, transpose].some((seen) => {
    const inked = rowsWith(seen(mask));
    const sheet = rowsWith(seen(known));
    const [first, last] = [sheet.indexOf(true), sheet.lastIndexOf(true)];
    const upper = inked.slice(first, first + near);
    return upper.some(Boolean) && inked.slice(last - near).some(Boolean);
  });
}

/** The ink without rules that are nearly level, and the strength of the strongest of them. */
function withoutLevel(strength, known) {
  const { width, height } = strength;
  const most = Math.max(3, roundEven(MAX_WIDTH * Math.min(width, height)));
  const thin = thinPart(strongest(strength, MIN_INK), most);
  thin.data = thin.data.map((value, i) => value & known.data[i]);
  const slope = Math.tan(angleOf(thin));
  const shifts = Int32Array.from({ length: width }, (_, x) => roundEven(x * slope));
  const least = minimum(shifts);
  const room = maximum(shifts) - least;
  const levelled = ({ data }) => {
    const moved = picture(width, height + room, new data.constructor(width * (height + room)));
    eachPlace((from, to) => (moved.data[to] = data[from]));
    return moved;
  };
  const eachPlace = (visit) => {
    for (let x = 0; x < width; x++) {
      const down = room - (shifts[x] - least);
      for (let y = 0; y < height; y++) visit(y * width + x, (y + down) * width + x);
    }
  };
  const flat = levelled(strength);
  const bands = bandsOf(flat, levelled(thin), levelled(known));
  if (!bands.length) return [strength, 0];
  for (const band of bands) takeOut(flat, band);
  const back = picture(width, height);
  eachPlace((from, to) => (back.data[from] = flat.data[to]));
  return [back, Math.max(...bands.map((band) => band.strength))];
}

/** The pixels of a mask that lie in upright runs of at most `most`. */
function thinPart({ width, height, data }, most) {
  const thin = picture(width, height, new Uint8Array(data.length));
  for (let x = 0; x < width; x++) {
    for (let y = 0; y < height; y++) {
      if (!data[y * width + x]) continue;
      const start = y;
      while (y < height && data[y * width + x]) y++;
      if (y - start > most) continue;
      for (let row = start; row < y; row++) thin.data[row * width + x] = 1;
    }
  }
  return thin;
}

/** The angle in radians at which rows gather the pixels of a mask most sharply. */
function angleOf({ width, data }) {
  const places = [];
  for (let i = 0; i < data.length; i++) if (data[i]) places.push(i);
  if (!places.length) return 0;
  const step = Math.ceil(places.length / MOST_POINTS);
  const points = places.filter((_, i) => i % step === 0);
  const columns = Float64Array.from(points, (i) => i % width);
  const rows = Float64Array.from(points, (i) => Math.floor(i / width));
  let best = 0;
  let reach = MAX_DEGREES * (Math.PI / 180);
  for (const parts of [20, 5, 5]) {
    const spread = Math.max(1, (width * reach) / parts / 2);
    const tried = linspace(-reach, reach, 2 * parts + 1).map((angle) => best + angle);
    let most = -Infinity;
    for (const angle of tried) {
      const found = sharpness(rows, columns, Math.tan(angle), spread);
      if (found > most || (found === most && Math.abs(angle) < Math.abs(best))) {
        most = found;
        best = angle;
      }
    }
    reach /= parts;
  }
  return best;
}

/** Sum of the squares of a histogram: large where points gather in few bins. */
function sharpness(rows, columns, slope, spread) {
  const places = rows.map((row, i) => (row - columns[i] * slope) / spread);
  const least = minimum(places);
  const counts = new Float64Array(Math.floor(maximum(places) - least) + 1);
  for (let i = 0; i < places.length; i++) counts[Math.trunc(places[i] - least)]++;
  let total = 0;
  for (let i = 0; i < counts.length; i++) total += counts[i] * counts[i];
  return total;
}

/** The rules of a levelled picture: the rows that each takes, and its strength. */
function bandsOf(flat, thin, known) {
  const { width, height } = flat;
  const inked = strongest(flat, MIN_INK);
  const seen = widened(thin);
  inked.data = inked.data.map((value, i) => (value && !thin.data[i] ? 1 : 0));
  const hidden = widened(inked);
  hidden.data = hidden.data.map((value, i) => (value && !seen.data[i] ? 1 : 0));
  const [length, free, covered] = [0, 0, 0].map(() => new Int32Array(height));
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (!known.data[i]) continue;
      length[y]++;
      if (hidden.data[i]) continue;
      free[y]++;
      covered[y] += seen.data[i];
    }
  }
  const longest = maximum(length);
  const isRule = Array.from(
    length,
    (whole, y) => free[y] >= SEEN * whole && covered[y] >= COVERED * free[y],
  );
  const hasLong = isRule.some((is, y) => is && length[y] >= 0.5 * longest);
  const least = Math.max(2, (hasLong ? MIN_LENGTH : 0.5) * longest);
  const bands = [];
  for (const [first, end] of runs(isRule.map((is, y) => is && length[y] >= least))) {
    const within = covered.subarray(first, end);
    const middle = first + within.indexOf(maximum(within));
    if (!reachesBothEnds(seen, hidden, known, middle)) continue;
    const peaks = peaksOf(flat, thin, first, end);
    if (peaks.length) bands.push({ first, last: end - 1, strength: median(peaks) });
  }
  return bands;
}

/** The strongest thin pixel of each column within some rows, where there is one. */
function peaksOf({ width, data }, thin, first, end) {
  const peaks = new Float32Array(width);
  for (let y = first; y < end; y++) {
    for (let x = 0, i = y * width; x < width; x++, i++) {
      if (thin.data[i] && data[i] > peaks[x]) peaks[x] = data[i];
    }
  }
  return peaks.filter((peak) => peak > 0);
}

/** A mask with the rows above and below what it holds. */
function widened({ width, height, data }) {
  const wide = picture(width, height, data.slice());
  for (let i = width; i < data.length; i++) {
    wide.data[i] |= data[i - width];
    wide.data[i - width] |= data[i];
  }
  return wide;
}

function reachesBothEnds(seen, hidden, known, row) {
  const columns = [];
  for (let i = row * seen.width; i < (row + 1) * seen.width; i++) if (known.data[i]) columns.push(i);
  const near = Math.max(2, roundEven(columns.length * END));
  const reached = (i) => seen.data[i] || hidden.data[i];
  return columns.slice(0, near).some(reached) && columns.slice(-near).some(reached);
}

/** Replace a rule by what lies above and below it, unless it is much stronger than the rule. */
function takeOut({ width, height, data }, band) {
  const above = Math.max(0, band.first - 1);
  const below = Math.min(height - 1, band.last + 1);
  const upper = data.slice(above * width, (above + 1) * width);
  const lower = data.slice(below * width, (below + 1) * width);
  const most = f32(STRONGER * band.strength);
  linspace(0, 1, below - above + 1).forEach((part, row) => {
    const lowerPart = f32(part);
    const upperPart = f32(1 - lowerPart);
    for (let x = 0, i = (above + row) * width; x < width; x++, i++) {
      if (data[i] > most) continue;
      let between = f32(f32(upper[x] * upperPart) + f32(lower[x] * lowerPart));
      if (band.first === 0) between = lower[x];
      else if (band.last === height - 1) between = upper[x];
      if (between < data[i]) data[i] = between;
    }
  });
}
