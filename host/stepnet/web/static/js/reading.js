// Three ways to have a drawing read, all with the same result: {pixels, trace, code, margin, cycles,
// by, check}, where `check` is what another one computed of the same pixels.

import { bytesOf, unpackBits } from './network.js';
import { binarise, placeDrawing } from './placing.js';
import { infer } from './reference.js';

/** The page's own reference; null if the drawing is blank. */
export function readHere(network, { grey, width, height }) {
  const placed = placeDrawing(network, grey, width, height);
  return placed && ofPixels(network, binarise(network, placed));
}

function ofPixels(network, pixels) {
  const trace = infer(network, pixels);
  const { code, margin } = trace;
  return { pixels, trace, code, margin, cycles: null, by: 'this page', check: null };
}

/** A board at Web Serial, checked by the page's reference; null if the drawing is blank. */
export async function readOnBoard(network, board, raster) {
  const here = readHere(network, raster);
  if (!here) return null;
  const answer = await board.infer(here.pixels);
  const check = { name: 'this page', code: here.code, margin: here.margin };
  return { ...here, ...answer, by: 'the board', check };
}

/** A character that `stepnet web` read: by its board, checked by numpy; or by numpy alone. */
export function readByServer(network, { pixels, numpy, board }) {
  const bits = unpackBits(bytesOf(pixels), network.height * network.width);
  const here = ofPixels(network, bits);
  if (!board) {
    const check = { name: 'this page', code: here.code, margin: here.margin };
    return { ...here, ...numpy, by: 'numpy', check };
  }
  return { ...here, ...board, by: 'the board', check: { name: 'numpy', ...numpy } };
}
