// Draws how a picture becomes network input, step by step, as stepnet.pictures.steps does.

import { maximum } from './numbers.js';
import { inkBox } from './placing.js';

const PAGE_WIDTH = 960;
const MAX_PANEL_WIDTH = 640;
const MAX_PANEL_HEIGHT = 320;
const MARGIN = 12;
const CAPTION = 22;
const PAGE_COLOUR = '#f3f1ec';
const CAPTION_COLOUR = '#222222';
const BOX_COLOUR = '#d03020';
const SEEN_SCALE = 4;
const FONT = '14px system-ui, sans-serif';

/** A canvas with the steps from a picture, of one character or of a line, to network input.
 *
 *  prepared: {images, ink, line} of beside.js; captions: what was read, below each character. */
export function drawSteps(prepared, network, captions) {
  const { ink, line } = prepared;
  const panels = [
    fitted('1 The page, in grey', levels(ink.grey)),
    fitted('2 The paper that was found', levels(ink.paper)),
    fitted('3 What is left: the ink', inked(ink.strength)),
    line ? linePanel(line) : boxed("4 The character's box", ink.strength, [inkBox(ink.strength)]),
    seenPanel(prepared.images, network, captions),
  ];
  return laidOut(panels);
}

function linePanel({ level, tiltDegrees, boxes, capitalHeight, spaces }) {
  const tilt = Math.abs(tiltDegrees).toFixed(1);
  const way = tiltDegrees > 0 ? 'fell' : 'climbed';
  const lies = tilt === '0.0' ? 'as it lies' : `level (it ${way} by ${tilt} degrees)`;
  const counted = (number, what) => `${number} ${what}${number === 1 ? '' : 's'}`;
  const cut = `${counted(boxes.length, 'character')}, ${counted(spaces.filter(Boolean).length, 'space')}`;
  const capital = `capitals ${capitalHeight.toFixed(0)} pixels high`;
  return boxed(`4 The line, ${lies}, ${capital}; ${cut}`, level, boxes);
}

function sheet(width, height, colour) {
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(width));
  canvas.height = Math.max(1, Math.round(height));
  const context = canvas.getContext('2d');
  if (colour) {
    context.fillStyle = colour;
    context.fillRect(0, 0, canvas.width, canvas.height);
  }
  context.font = FONT;
  context.textBaseline = 'top';
  return [canvas, context];
}

function levels({ width, height, data }) {
  const [canvas, context] = sheet(width, height);
  const pixels = context.createImageData(width, height);
  for (let i = 0; i < data.length; i++) {
    pixels.data.fill(data[i], 4 * i, 4 * i + 3);
    pixels.data[4 * i + 3] = 255;
  }
  context.putImageData(pixels, 0, 0);
  return canvas;
}

/** Ink black on white, whatever it was. */
function inked({ width, height, data }) {
  const scale = 255 / maximum(data);
  return levels({ width, height, data: data.map((value) => 255 - value * scale) });
}

const fittingScale = ({ width, height }) =>
  Math.min(MAX_PANEL_WIDTH / width, MAX_PANEL_HEIGHT / height);

function scaled(picture, scale) {
  const [canvas, context] = sheet(picture.width * scale, picture.height * scale);
  context.imageSmoothingEnabled = scale < 1;
  context.imageSmoothingQuality = 'high';
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return [canvas, context];
}

function fitted(caption, picture) {
  return panel(caption, scaled(picture, fittingScale(picture))[0]);
}

function boxed(caption, strength, boxes) {
  const scale = fittingScale(strength);
  const [canvas, context] = scaled(inked(strength), scale);
  context.strokeStyle = BOX_COLOUR;
  for (const [left, top, right, bottom] of boxes) {
    const [x, y] = [Math.round(left * scale) - 0.5, Math.round(top * scale) - 0.5];
    context.strokeRect(x, y, (right - left) * scale, (bottom - top) * scale);
  }
  return panel(caption, canvas);
}

/** Each character in grey, below it the bits that the network gets, below that what was read. */
function seenPanel(images, { height, width, inkThreshold }, captions) {
  const cellWidth = width * SEEN_SCALE + 4;
  const cellHeight = 2 * (height * SEEN_SCALE + 4) + CAPTION;
  const perRow = Math.max(1, Math.floor(PAGE_WIDTH / cellWidth));
  const rows = Math.ceil(images.length / perRow);
  const [canvas, context] = sheet(
    Math.min(images.length, perRow) * cellWidth,
    rows * cellHeight,
    PAGE_COLOUR,
  );
  context.imageSmoothingEnabled = false;
  images.forEach((image, i) => {
    const left = (i % perRow) * cellWidth;
    const top = Math.floor(i / perRow) * cellHeight;
    const bits = image.map((value) => (value >= inkThreshold ? 255 : 0));
    [image, bits].forEach((data, place) => {
      const y = top + place * (height * SEEN_SCALE + 4);
      const [across, down] = [width * SEEN_SCALE, height * SEEN_SCALE];
      context.drawImage(levels({ width, height, data }), left, y, across, down);
    });
    context.fillStyle = CAPTION_COLOUR;
    context.fillText(captions[i], left, top + cellHeight - CAPTION);
  });
  return panel('5 As the network sees it: grey, and the bits', canvas);
}

/** A picture below its caption. */
function panel(caption, shown) {
  const [, ruler] = sheet(1, 1);
  const width = Math.max(shown.width, Math.ceil(ruler.measureText(caption).width) + 2);
  const [canvas, context] = sheet(width, shown.height + CAPTION, PAGE_COLOUR);
  context.fillStyle = CAPTION_COLOUR;
  context.fillText(caption, 0, 2);
  context.drawImage(shown, 0, CAPTION);
  return canvas;
}

/** Panels side by side as long as they fit the page, then in the next row. */
function laidOut(panels) {
  const rows = [[]];
  const widthOf = (row) => row.reduce((sum, { width }) => sum + width + MARGIN, 0);
  for (const each of panels) {
    const last = rows[rows.length - 1];
    if (last.length && widthOf(last) + each.width > PAGE_WIDTH) rows.push([each]);
    else last.push(each);
  }
  const heights = rows.map((row) => Math.max(...row.map(({ height }) => height)) + MARGIN);
  const [canvas, context] = sheet(
    Math.max(...rows.map(widthOf)) + MARGIN,
    heights.reduce((sum, height) => sum + height, MARGIN),
    PAGE_COLOUR,
  );
  let top = MARGIN;
  rows.forEach((row, i) => {
    let left = MARGIN;
    for (const each of row) {
      context.drawImage(each, left, top);
      left += each.width + MARGIN;
    }
    top += heights[i];
  });
  return canvas;
}
