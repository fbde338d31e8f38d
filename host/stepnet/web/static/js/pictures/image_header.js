// What a file says of itself at its start, so that a picture's size is known before it is decoded.

const text = (bytes, from, length) => String.fromCharCode(...bytes.subarray(from, from + length));

const HEIC_BRANDS = ['heic', 'heix', 'heim', 'heis', 'hevc', 'hevx', 'mif1', 'msf1'];

/** "a HEIC", "a PDF" or "an SVG" if a file is one of these, which people take for pictures. */
export function noPicture(bytes) {
  if (text(bytes, 4, 4) === 'ftyp' && HEIC_BRANDS.includes(text(bytes, 8, 4))) return 'a HEIC';
  if (text(bytes, 0, 5) === '%PDF-') return 'a PDF';
  return text(bytes, 0, 512).includes('<svg') ? 'an SVG' : null;
}

/** {width, height} of a PNG, JPEG, GIF, BMP, WebP or AVIF, and `isDeep` if its greys have 16 bits;
 *  null if it is none of them, or ends too early. */
export function sizeOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    for (const read of [ofPng, ofGif, ofBmp, ofWebp, ofAvif, ofJpeg]) {
      const size = read(bytes, view);
      if (size) return { width: size[0], height: size[1], isDeep: size[2] ?? false };
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return null;
}

function ofPng(bytes, view) {
  if (text(bytes, 0, 8) !== '\x89PNG\r\n\x1a\n') return null;
  const isDeep = view.getUint8(24) === 16 && view.getUint8(25) === 0;
  return [view.getUint32(16), view.getUint32(20), isDeep];
}

function ofGif(bytes, view) {
  if (text(bytes, 0, 4) !== 'GIF8') return null;
  return [view.getUint16(6, true), view.getUint16(8, true)];
}

function ofBmp(bytes, view) {
  if (text(bytes, 0, 2) !== 'BM') return null;
  if (view.getUint32(14, true) === 12) return [view.getUint16(18, true), view.getUint16(20, true)];
  return [view.getInt32(18, true), Math.abs(view.getInt32(22, true))];
}

function ofWebp(bytes, view) {
  if (text(bytes, 0, 4) !== 'RIFF' || text(bytes, 8, 4) !== 'WEBP') return null;
  const kind = text(bytes, 12, 4);
  if (kind === 'VP8X') {
    const side = (at) => view.getUint16(at, true) + (view.getUint8(at + 2) << 16) + 1;
    return [side(24), side(27)];
  }
  if (kind === 'VP8L') {
    const packed = view.getUint32(21, true);
    return [(packed & 0x3fff) + 1, ((packed >> 14) & 0x3fff) + 1];
  }
  return [view.getUint16(26, true) & 0x3fff, view.getUint16(28, true) & 0x3fff];
}

/** The largest of the pictures of which an AVIF is made. */
function ofAvif(bytes, view) {
  if (text(bytes, 4, 4) !== 'ftyp' || !['avif', 'avis'].includes(text(bytes, 8, 4))) return null;
  let largest = null;
  for (let at = 12; at + 16 <= bytes.length; at++) {
    if (view.getUint32(at) !== 0x69737065) continue; // "ispe", before version, width and height
    const size = [view.getUint32(at + 8), view.getUint32(at + 12)];
    if (!largest || size[0] * size[1] > largest[0] * largest[1]) largest = size;
  }
  return largest;
}

function ofJpeg(bytes, view) {
  if (view.getUint16(0) !== 0xffd8) return null;
  for (let at = 2; ; at += 2 + view.getUint16(at + 2)) {
    while (view.getUint8(at + 1) === 0xff) at++;
    if (view.getUint8(at) !== 0xff) return null;
    const marker = view.getUint8(at + 1);
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (isFrame) return [view.getUint16(at + 7), view.getUint16(at + 5)];
  }
}
