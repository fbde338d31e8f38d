// The protocol between host and board, as docs/protocol.md describes it: frames, checks, messages.

export const PROTOCOL_VERSION = 2;
export const MAX_LOAD_BYTES = 240;
export const CRC_BYTES = 2;
export const BUFFER_OVERHEAD_BYTES = 2;

export const Request = { IDENTIFY: 0x01, CLEAR: 0x02, LOAD: 0x03, COMMIT: 0x04, INFER: 0x05 };
export const Answer = { IDENTITY: 0x81, ACKNOWLEDGE: 0x82, READING: 0x83, REFUSAL: 0x84 };
export const Space = { PARAMETERS: 0, WEIGHTS: 1 };
export const Core = { ENGINE: 1, PIPELINE: 2 };

export const REFUSALS = {
  1: 'it does not know this kind of message',
  2: 'the message has the wrong length',
  3: 'the address is outside its memory',
  4: 'what it received does not match the digest',
  5: 'no network is loaded',
  6: 'the loaded network has no last layer',
};
export const WRONG_DIGEST = 4;
export const NOTHING_LOADED = 5;

// Fields in order, each a little-endian number of so many bytes. A board that has convolutions
// answers with MAPS_IDENTITY.
const HEADER = [['kind', 1], ['sequence', 2]];
const IDENTITY = [
  ...HEADER,
  ['protocol_version', 1],
  ['core', 1],
  ['simd', 2],
  ['max_inputs', 2],
  ['weight_words', 4],
  ['parameter_words', 4],
  ['max_weight_bits', 1],
  ['weight_memory', 1],
  ['pe', 1],
  ['parameter_lanes', 1],
  ['sum_bits', 1],
  ['overlap_neurons', 2],
  ['buffer_bytes', 2],
  ['clock_hz', 4],
  ['loaded', 1],
  ['digest', 4],
  ['image_bytes', 2],
  ['dropped_frames', 1],
];
export const LAYOUTS = {
  HEADER,
  IDENTIFY: HEADER,
  CLEAR: HEADER,
  LOAD: [...HEADER, ['address', 3], ['space', 1]],
  COMMIT: [...HEADER, ['digest', 4]],
  INFER: HEADER,
  INFER_CODED: HEADER,
  IDENTITY,
  MAPS_IDENTITY: [...IDENTITY, ['map_words', 2]],
  ACKNOWLEDGE: HEADER,
  READING: [...HEADER, ['code', 1], ['margin', 4], ['cycles', 4]],
  REFUSAL: [...HEADER, ['reason', 1]],
};

export function sizeOf(layout) {
  return layout.reduce((sum, [, size]) => sum + size, 0);
}

/** The bytes of one message: its fields, and what follows them. */
export function pack(layout, fields, rest = new Uint8Array(0)) {
  const bytes = new Uint8Array(sizeOf(layout) + rest.length);
  let at = 0;
  for (const [name, size] of layout) {
    for (let k = 0; k < size; k++) bytes[at++] = Math.floor(fields[name] / 2 ** (8 * k)) & 255;
  }
  bytes.set(rest, at);
  return bytes;
}

/** The fields at the start of a message; null if it is too short. */
export function unpack(layout, payload) {
  if (payload.length < sizeOf(layout)) return null;
  const fields = {};
  let at = 0;
  for (const [name, size] of layout) {
    fields[name] = 0;
    for (let k = 0; k < size; k++) fields[name] += payload[at++] * 2 ** (8 * k);
  }
  return fields;
}

/** CRC-16/IBM-3740: polynomial 0x1021, initial value 0xFFFF, not reflected. */
export function crc16(bytes) {
  let crc = 0xffff;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = ((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff;
  }
  return crc;
}

const CRC32_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

/** CRC-32 (ISO-HDLC), going on from that of what came before. */
export function crc32(bytes, before = 0) {
  let crc = ~before;
  for (const byte of bytes) crc = CRC32_TABLE[(crc ^ byte) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** COBS: blocks of up to 254 bytes that hold no zero, each behind its length and one. */
export function cobsEncode(bytes) {
  const out = [];
  let block = [];
  const close = () => {
    out.push(block.length + 1, ...block);
    block = [];
  };
  bytes.forEach((byte, i) => {
    if (byte === 0) {
      close();
      return;
    }
    block.push(byte);
    // A full block at the very end has no empty one behind it.
    if (block.length === 254 && i < bytes.length - 1) close();
  });
  close();
  return Uint8Array.from(out);
}

/** What COBS bytes stand for; null if they are none. */
export function cobsDecode(bytes) {
  const out = [];
  for (let at = 0; at < bytes.length; ) {
    const code = bytes[at];
    if (code === 0 || at + code > bytes.length) return null;
    for (let k = at + 1; k < at + code; k++) {
      if (bytes[k] === 0) return null;
      out.push(bytes[k]);
    }
    at += code;
    if (code < 255 && at < bytes.length) out.push(0);
  }
  return Uint8Array.from(out);
}

/** The bytes on the wire for one payload. */
export function encodeFrame(payload) {
  const crc = crc16(payload);
  const checked = new Uint8Array(payload.length + CRC_BYTES);
  checked.set(payload);
  checked.set([crc >> 8, crc & 255], payload.length);
  const frame = cobsEncode(checked);
  const closed = new Uint8Array(frame.length + 1);
  closed.set(frame);
  return closed;
}

/** The payload of a frame without its closing zero; null if the frame is broken. */
export function decodeFrame(frame) {
  const checked = cobsDecode(frame);
  if (!checked || checked.length < sizeOf(HEADER) + CRC_BYTES || crc16(checked)) return null;
  return checked.subarray(0, checked.length - CRC_BYTES);
}

const MOST_FRAME_BYTES = 65536;

/** Cuts a byte stream into payloads; broken frames are dropped and counted. */
export class FrameReader {
  dropped = 0;
  #pending = [];
  #skipping = false;

  /** The payload of every good frame that these bytes complete. */
  feed(bytes) {
    const payloads = [];
    for (const byte of bytes) {
      if (byte !== 0) {
        if (this.#pending.length >= MOST_FRAME_BYTES) this.#skipping = true;
        else this.#pending.push(byte);
        continue;
      }
      if (this.#pending.length) {
        const payload = this.#skipping ? null : decodeFrame(Uint8Array.from(this.#pending));
        if (payload) payloads.push(payload);
        else this.dropped++;
      }
      this.#pending = [];
      this.#skipping = false;
    }
    return payloads;
  }
}
