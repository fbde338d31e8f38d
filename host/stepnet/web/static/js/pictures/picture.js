// A picture's file, decoded by the browser, as grey values, like `grey_values` of
// stepnet.pictures.picture.

import { ImageError } from './image_error.js';
import { noPicture, sizeOf } from './image_header.js';
import { f32, maximum, minimum, quantile } from './numbers.js';
import { inFloats, mapped, picture } from './pixels.js';
import { reduce } from './resampling.js';

const MAX_MEGAPIXELS = 64;
const MIN_CONTRAST = 24;
const THUMBNAIL_SIDE = 200;
const FEW_PART = 0.003;
const TILE = 1024; // pixels along each side of what is decoded into memory at a time

const [WHITE, BLACK] = [255, 0];

// How much red, green and blue count, in parts of 65,536 (ITU-R BT.601 for grey, as in Pillow).
const GREY = [19595, 38470, 7471];
const COLOURS = [
  [65536, 0, 0],
  [0, 65536, 0],
  [0, 0, 65536],
];

const INSTEAD = {
  'a HEIC': 'is a HEIC, as phones take photos, which is not read; save it as JPEG or PNG.',
  'a PDF': 'is a PDF; save the page as PNG or JPEG.',
  'an SVG': 'is an SVG, which has no pixels; save it as PNG.',
};

/** Grey values of a file, transparent parts white: Float32Array of 0 to 255.
 *
 *  Throws ImageError if it is no picture that a browser reads, or too large. */
export async function greyValues(file) {
  const { bitmap, isDeep } = await decoded(file);
  try {
    if (isDeep) return stretched(inFloats(levelsOf(bitmap, WHITE, GREY)));
    const [onWhite, isTransparent] = colourOn(bitmap, WHITE);
    const paper = isTransparent && onWhite ? BLACK : WHITE; // white ink on nothing
    return inFloats(mostContrast((weights) => levelsOf(bitmap, paper, weights)));
  } finally {
    bitmap.close();
  }
}

async function decoded(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const other = noPicture(bytes);
  if (other) throw new ImageError(`The file given ${INSTEAD[other]}`);
  const size = sizeOf(bytes);
  if (!size) {
    throw new ImageError(
      'The file given is no PNG, JPEG, GIF, BMP, WebP or AVIF, which this page reads, or is ' +
        'damaged; give a PNG or a JPEG.',
    );
  }
  if (size.width * size.height > MAX_MEGAPIXELS * 1e6) {
    throw new ImageError(
      `The picture has more than ${MAX_MEGAPIXELS} million pixels; scale it down first.`,
    );
  }
  try {
    const bitmap = await createImageBitmap(file, {
      imageOrientation: 'from-image',
      premultiplyAlpha: 'none',
      colorSpaceConversion: 'none',
    });
    return { bitmap, isDeep: size.isDeep };
  } catch {
    throw new ImageError(
      'The picture given cannot be read (its content is damaged); give a PNG, a JPEG or another ' +
        'image file.',
    );
  }
}

/** The greys; or, if greys hardly differ, the one of red, green and blue in which ink differs most
 *  from paper. */
function mostContrast(levels) {
  const contrast = (channel) => {
    const step = Math.ceil(Math.max(channel.width, channel.height) / THUMBNAIL_SIDE);
    const { data } = reduce(channel, step);
    return quantile(data, 1 - FEW_PART) - quantile(data, FEW_PART);
  };
  const grey = levels(GREY);
  const inGrey = contrast(grey);
  if (inGrey >= MIN_CONTRAST) return grey;
  let [strongest, most] = [grey, -Infinity];
  for (const colour of COLOURS) {
    const channel = levels(colour);
    const found = contrast(channel);
    if (found > most) [strongest, most] = [channel, found];
  }
  return most >= Math.max(MIN_CONTRAST, 2 * inGrey) ? strongest : grey;
}

/** More than 8 bits are scaled to the range that they use. */
function stretched(grey) {
  const least = minimum(grey.data);
  const scale = f32(255 / Math.max(maximum(grey.data) - least, 1));
  return mapped(grey, (value) => f32(value - least) * scale);
}

/** One level for each pixel: its colours with weights, on paper of one grey. */
function levelsOf(bitmap, paper, [red, green, blue]) {
  const found = picture(bitmap.width, bitmap.height, new Uint8Array(bitmap.width * bitmap.height));
  eachPixel(bitmap, (data, i, at) => {
    const alpha = data[i + 3];
    const weighted =
      over(data[i], alpha, paper) * red +
      over(data[i + 1], alpha, paper) * green +
      over(data[i + 2], alpha, paper) * blue;
    found.data[at] = (weighted + 0x8000) >> 16;
  });
  return found;
}

/** [whether all pixels have one colour, whether some are transparent]. */
function colourOn(bitmap, paper) {
  let first = null;
  let isOne = true;
  let isTransparent = false;
  eachPixel(bitmap, (data, i) => {
    const alpha = data[i + 3];
    if (alpha < 255) isTransparent = true;
    if (!isOne) return;
    const colour =
      (over(data[i], alpha, paper) << 16) |
      (over(data[i + 1], alpha, paper) << 8) |
      over(data[i + 2], alpha, paper);
    first ??= colour;
    isOne = colour === first;
  });
  return [isOne, isTransparent];
}

/** A colour on paper, rounded as Pillow's `alpha_composite` rounds. */
function over(colour, alpha, paper) {
  if (alpha === 255) return colour;
  const mixed = (colour * alpha + paper * (255 - alpha)) * 128 + 0x4000;
  return ((mixed >> 8) + mixed) >> 15;
}

/** visit(data, i, at): the pixel's colours from `data[i]` on, and where it stands in the picture. */
function eachPixel(bitmap, visit) {
  const canvas = new OffscreenCanvas(Math.min(TILE, bitmap.width), Math.min(TILE, bitmap.height));
  const context = canvas.getContext('2d', { willReadFrequently: true });
  for (let top = 0; top < bitmap.height; top += TILE) {
    for (let left = 0; left < bitmap.width; left += TILE) {
      const across = Math.min(TILE, bitmap.width - left);
      const down = Math.min(TILE, bitmap.height - top);
      context.clearRect(0, 0, canvas.width, canvas.height);
      context.drawImage(bitmap, -left, -top);
      const { data } = context.getImageData(0, 0, across, down);
      for (let y = 0, i = 0; y < down; y++) {
        const row = (top + y) * bitmap.width + left;
        for (let x = 0; x < across; x++, i += 4) visit(data, i, row + x);
      }
    }
  }
}
