// Three ways to have a drawing read, all with the same result: {pixels, trace, code, margin, cycles,
// by, check}, where `check` is what another one computed of the same pixels.

import { bytesOf, unpackBits } from './network.js';
import { prepareBeside } from './pictures/beside.js';
import { ImageError } from './pictures/image_error.js';
import { inFloats } from './pictures/pixels.js';
import { binarise } from './pictures/placing.js';
import { prepareDrawing } from './pictures/preparing.js';
import { drawSteps } from './pictures/steps.js';
import { joinedText } from './pictures/text_line.js';
import { characterOf, infer } from './reference.js';

const MOST_CHARACTERS = 120;

/** The page's own reference for a drawing. Throws ImageError if that is blank. */
export function readHere(network, raster) {
  const [image] = prepareDrawing(network, inFloats(raster)).images;
  return ofPixels(network, binarise(network, image));
}

function ofPixels(network, pixels) {
  const trace = infer(network, pixels);
  const { code, margin } = trace;
  return { pixels, trace, code, margin, cycles: null, by: 'this page', check: null };
}

/** A reading by a board at Web Serial, checked by the page's reference; without a board, the latter. */
async function checked(board, here) {
  if (!board) return here;
  const answer = await board.infer(here.pixels);
  const check = { name: 'this page', code: here.code, margin: here.margin };
  return { ...here, ...answer, by: 'the board', check };
}

/** Without a server: {readings, text, steps} of what `page` holds. `text` is that of a line, `steps`
 *  are those of a picture that was given, as a URL.
 *
 *  kind: "drawing", "picture" or "line"; source: a raster or a file.
 *
 *  Throws ImageError if it cannot be read, and stops once `signal` is aborted. */
export async function readAlone(network, board, kind, source, signal) {
  if (kind === 'drawing') return { readings: [await checked(board, readHere(network, source))] };
  const isFile = source instanceof Blob;
  const prepared = await prepareBeside(kind, isFile ? source : inFloats(source), network);
  const { images, line } = prepared;
  if (images.length > MOST_CHARACTERS) {
    throw new ImageError(
      `The line has ${images.length} characters and at most ${MOST_CHARACTERS} are read at a ` +
        'time; give a part of it.',
    );
  }
  const readings = [];
  for (const image of images) {
    signal.throwIfAborted();
    readings.push(await checked(board, ofPixels(network, binarise(network, image))));
  }
  const characters = readings.map(({ code }) => characterOf(network, code));
  return {
    readings,
    text: line ? joinedText(line.spaces, characters) : undefined,
    steps: isFile ? stepsOf(prepared, network, characters) : undefined,
  };
}

function stepsOf(prepared, network, characters) {
  const captions = characters.map((character) => character ?? '?');
  return drawSteps(prepared, network, captions).toDataURL();
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
