// Prepares pictures beside the page, which goes on meanwhile.

import { ImageError } from './image_error.js';
import { greyValues } from './picture.js';
import { prepareCharacter, prepareLine } from './preparing.js';

const PREPARE = { picture: prepareCharacter, line: prepareLine };

addEventListener('message', async ({ data: { kind, source, network } }) => {
  try {
    const grey = source instanceof Blob ? await greyValues(source) : source;
    const { images, ink, line } = PREPARE[kind](network, grey);
    // Without the ink of each character, which is in its image.
    const spaces = line?.glyphs.map(({ afterSpace }) => afterSpace);
    postMessage({ images, ink, line: line && { ...line, glyphs: undefined, spaces } });
  } catch (error) {
    postMessage({ sentence: sentenceOf(error) });
  }
});

function sentenceOf(error) {
  if (error instanceof ImageError) return error.message;
  if (error instanceof RangeError) {
    return 'This picture needs more memory than there is; scale it down.';
  }
  return `The picture cannot be read in this browser (${error.message}); give another one.`;
}
