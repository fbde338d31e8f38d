// Tells ink from paper, as stepnet.pictures.paper does: grey values become the strength of the ink, 0
// where there is paper, and the more, the more a pixel differs from it.

import { withoutDither } from './dither.js';
import { withoutDots } from './dots.js';
import { gaussianBlur, medianFilter } from './filters.js';
import { withoutFrame } from './frame.js';
import { ImageError } from './image_error.js';
import { f32, maximum, median, minimum, quantile, roundEven } from './numbers.js';
import { continued, findPage } from './page.js';
import { label, measured, pixelsOf, strokeWidth, without } from './pieces.js';
import { border, inFloats, levels, mapped, picture, strongest } from './pixels.js';
import { reduce, resizeBicubic } from './resampling.js';
import { withoutRemains, withoutRules } from './rules.js';
import { fittedSurface, runningMedian } from './shade.js';

export const MIN_CONTRAST = 24;
export const MIN_INK = 0.1;
const NOISE_DEVIATIONS = 6;
const CALM_DEVIATION = 2.5;
const SMOOTHING_PART = 1 / 300;
const MAX_PIXELS = 2_000_000;
const SHADE_SIDE = 48;
const FINER = 4;
const MIN_LINED_SIDE = 96;
const LINE_WINDOW = 5;
const MIN_SHADED_SIDE = 8;
const FEW_PART = 0.15;
const INK_CONTRAST_PART = 0.6;
const DARK_GREY = 10;
const SPECK_AREA = 0.15;
const MIN_STROKE_AREA = 0.1;
const FAINT_PEAK = 0.35;
const DEVIATION_BY_MEDIAN = 1.4826;

const sideOf = ({ width, height }) => Math.min(width, height);
const lengthOf = ({ width, height }) => Math.max(width, height);

/** {grey, paper, strength, reduction} of grey values with paper along most of the border. */
export function findInk(grey) {
  const reduction = Math.ceil(Math.sqrt(grey.data.length / MAX_PIXELS));
  grey = withoutDither(reduce(grey, reduction));
  const page = findPage(grey);
  if (page) grey = continued(grey, page);
  let ink = differences(grey);
  let [cleaned, strongestRule] = withoutRules(ink.strength, page);
  if (strongestRule) {
    // Rules at the border have been taken for what paper looks like; so once more without them.
    const plain = greyWithout(ink, cleaned);
    try {
      ink = differences(plain);
    } catch {
      throw new ImageError(
        'The picture shows rules and nothing else that differs from the paper; give a character ' +
          'in stronger ink, or on plain paper.',
      );
    }
    const [again, second] = withoutRules(ink.strength, page);
    cleaned = withoutRemains(again, Math.max(strongestRule, second));
    checkInside(cleaned);
  }
  const strength = withoutSpecks(withoutDots(withoutFrame(cleaned)));
  return { grey, paper: ink.paper, strength, reduction };
}

/** {grey, strength} of a drawing, black on white and nothing else, as `drawn_ink` takes it. */
export function drawnInk(grey) {
  const strength = mapped(grey, (value) => f32(255 - value));
  if (maximum(strength.data) < MIN_CONTRAST) {
    throw new ImageError('The picture is blank; draw something.');
  }
  return { grey, strength: withoutSpecks(strength) };
}

/** Everything that differs from the paper, specks too, and by how much grey changes where the
 *  strength of the ink grows by one. */
function differences(grey) {
  const paper = findPaper(grey);
  const beside = (seen) => mapped(seen, (value, i) => f32(value - paper.data[i]));
  let noise = deviation(border(beside(grey)));
  const radius = sideOf(grey) * SMOOTHING_PART;
  if (noise > CALM_DEVIATION && radius > 0.5) {
    grey = inFloats(gaussianBlur(levels(grey), radius));
    noise = deviation(border(beside(grey)));
  }
  const difference = beside(grey).data;
  const squares = (sign) =>
    difference.reduce((sum, value) => (sign * value > 0 ? sum + value * value : sum), 0);
  const sign = squares(-1) > squares(1) ? -1 : 1;
  const threshold = f32(NOISE_DEVIATIONS * noise);
  const most = maximum(difference.map((value) => sign * value));
  if (Math.max(most, 0) < f32(Math.max(MIN_CONTRAST, NOISE_DEVIATIONS * noise))) throw blank(grey);
  const usual = f32(median(paper.data) + DARK_GREY);
  const light = paper.data.map((value) => f32(value + DARK_GREY) / usual);
  const strength = mapped(grey, (_, i) => {
    const above = Math.max(sign * difference[i], 0);
    return above >= threshold ? above / light[i] : 0;
  });
  return { grey, paper, strength, change: light.map((value) => sign * value) };
}

/** Refuse ruled paper on which the ink reaches the border: then a rule has been left with it. */
function checkInside(strength) {
  const pieces = label(strongest(strength, MIN_INK));
  const { weights } = measured(strength, pieces);
  const [left, top, right, bottom] = pieces.boxes[weights.indexOf(maximum(weights))];
  if (left === 0 || top === 0 || right === strength.width || bottom === strength.height) {
    throw new ImageError(
      'The picture shows rules that cannot all be told from the ink, which reaches the border; ' +
        'leave some paper around the character, or give it on plain paper.',
    );
  }
}

/** The grey values once the ink is `cleaned`: where nothing is left, those around go on; where ink
 *  crosses what was taken out, its own. */
function greyWithout(ink, cleaned) {
  const least = f32(f32(MIN_INK) * maximum(cleaned.data));
  const before = ink.strength.data;
  const known = picture(cleaned.width, cleaned.height, new Uint8Array(before.length));
  const grey = mapped(ink.grey, (value, i) => {
    known.data[i] = cleaned.data[i] < before[i] && cleaned.data[i] < least ? 0 : 1;
    return value + f32(ink.change[i] * f32(cleaned.data[i] - before[i]));
  });
  return continued(grey, known);
}

function blank({ data }) {
  const [low, high] = [minimum(data), maximum(data)];
  if (high > 0 && high < MIN_CONTRAST && low < high) {
    return new ImageError(
      `The picture has grey values from ${roundEven(low)} to ${roundEven(high)} only, where 255 is ` +
        `white; multiply them by ${Math.floor(255 / Math.max(1, roundEven(high)))}.`,
    );
  }
  return new ImageError(
    'The picture is blank: no ink differs from its border; ' +
      'give a character with some paper around it.',
  );
}

/** The grey of the paper under every pixel: one grey; or else a surface of the second degree; or
 *  else the running median of the whole picture. */
function findPaper(grey) {
  const flat = (image, value) => mapped(image, () => value);
  const ofBorder = median(border(grey));
  if (sideOf(grey) < MIN_SHADED_SIDE) return flat(grey, ofBorder);
  let small = reduce(grey, Math.ceil(lengthOf(grey) / SHADE_SIDE));
  if (explains(flat(small, ofBorder), small)) return flat(grey, ofBorder);
  if (sideOf(grey) >= MIN_LINED_SIDE) small = withoutLines(grey);
  const ofSmall = median(border(small));
  if (explains(flat(small, ofSmall), small)) return flat(grey, ofSmall);
  const surface = fittedSurface(small);
  const shade = explains(surface, small) ? surface : runningMedian(small);
  const full = resizeBicubic(shade, grey.width, grey.height);
  return mapped(full, (value) => Math.min(Math.max(value, 0), 255));
}

/** The small picture on which shade is sought, without lines: rules along the border are no shade. */
function withoutLines(grey) {
  const finer = medianFilter(
    reduce(levels(grey), Math.ceil(lengthOf(grey) / (FINER * SHADE_SIDE))),
    LINE_WINDOW,
  );
  return inFloats(reduce(finer, Math.ceil(lengthOf(finer) / SHADE_SIDE)));
}

/** Whether all but a few of the border's pixels are this paper, or what differs there is ink. */
function explains(paper, grey) {
  const ring = border(grey);
  const steps = ring.subarray(1).map((value, i) => f32(value - ring[i]));
  const noise = deviation(steps) / Math.sqrt(2);
  const ofPaper = border(paper);
  const away = ring.map((value, i) => Math.abs(f32(value - ofPaper[i])));
  const far = quantile(away, 1 - FEW_PART);
  const contrast = maximum(grey.data.map((value, i) => Math.abs(f32(value - paper.data[i]))));
  return far <= 3 * noise + 3 || far >= INK_CONTRAST_PART * contrast;
}

/** The standard deviation of normal noise, which ink among the values hardly changes. */
function deviation(values) {
  const middle = median(values);
  return DEVIATION_BY_MEDIAN * median(values.map((value) => Math.abs(f32(value - middle))));
}

export function withoutSpecks(strength) {
  const pieces = label(strongest(strength, MIN_INK));
  const { areas } = pieces;
  const { peaks } = measured(strength, pieces);
  const leastPeak = f32(f32(FAINT_PEAK) * maximum(peaks));
  // Something is left, however small everything is; and specks do not say how wide strokes are.
  const largest = maximum(areas.filter((_, i) => peaks[i] >= leastPeak));
  const strokes = areas.map((area) => area >= MIN_STROKE_AREA * largest);
  const width = strokeWidth(pixelsOf(pieces, strokes));
  const smallest = Math.min(SPECK_AREA * width ** 2, largest);
  return without(
    strength,
    pieces,
    areas.map((area, i) => peaks[i] < leastPeak || area < smallest),
  );
}
