// Has pictures prepared by worker.js, so that the page stays quick; one at a time, the last one that
// was asked for.

import { ImageError } from './image_error.js';

let worker = null;
let giveUp = null; // on what is under way

/** {images, ink, line} as in preparing.js, where `line.spaces` stands for `line.glyphs`.
 *
 *  kind: "picture" of a character, or "line"; source: a file, or grey values.
 *
 *  Rejects with an ImageError if nothing can be read, and with an AbortError if another picture
 *  comes before this one is done. */
export function prepareBeside(kind, source, { height, width, placing, alphabet }) {
  giveUp?.(new DOMException('Another picture came.', 'AbortError'));
  worker ??= new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
  return new Promise((resolve, reject) => {
    const done = () => {
      worker.onmessage = worker.onerror = giveUp = null;
    };
    const end = (error) => {
      worker.terminate();
      done();
      worker = null;
      reject(error);
    };
    giveUp = end;
    worker.onerror = () =>
      end(new ImageError('The page cannot read pictures in this browser; use a newer one.'));
    worker.onmessage = ({ data }) => {
      done();
      if (data.sentence) reject(new ImageError(data.sentence));
      else resolve(data);
    };
    worker.postMessage({ kind, source, network: { height, width, placing, alphabet } });
  });
}
