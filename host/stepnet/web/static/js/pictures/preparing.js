// Turns grey values into what one network gets of them, as stepnet.pictures.preparing does: {images,
// ink, line}, an image for each character; `line` is null if it was taken for one character.
//
// grey: {width, height, data} of Float32Array, 0 to 255.

import { checkOneCharacter } from './one_character.js';
import { drawnInk, findInk } from './paper.js';
import { placeFor } from './placing.js';
import { findLine } from './segmentation.js';

export function prepareCharacter(network, grey) {
  const ink = findInk(grey);
  checkOneCharacter(ink.strength, network.alphabet);
  return { images: [placeFor(network, ink.strength)], ink, line: null };
}

export function prepareDrawing(network, grey) {
  const ink = drawnInk(grey);
  return { images: [placeFor(network, ink.strength)], ink, line: null };
}

export function prepareLine(network, grey) {
  const line = findLine(grey);
  const images = line.glyphs.map(({ ink }) => placeFor(network, ink, line.capitalHeight));
  return { images, ink: line.ink, line };
}
