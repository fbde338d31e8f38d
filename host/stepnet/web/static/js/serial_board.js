// A board at this computer's serial port, spoken to by the page itself (Web Serial).

import { packBits } from './network.js';
import { loads, memoryImage, shapeOf } from './memory_image.js';
import {
  Answer,
  BUFFER_OVERHEAD_BYTES,
  Core,
  CRC_BYTES,
  encodeFrame,
  FrameReader,
  LAYOUTS,
  MAX_LOAD_BYTES,
  NOTHING_LOADED,
  pack,
  PROTOCOL_VERSION,
  REFUSALS,
  Request,
  sizeOf,
  unpack,
  WRONG_DIGEST,
} from './protocol.js';
import { ratesOf } from './rates.js';

const TIMEOUT_MS = 2000;
const ATTEMPTS = 4;
const TRY_MS = 80; // for an answer at a rate that the board may have

export class BoardError extends Error {}

class LostError extends BoardError {}

class RefusedError extends BoardError {
  constructor(reason) {
    const because = REFUSALS[reason] ?? `of reason ${reason}, which this page does not know`;
    super(`The board refused because ${because}; connect it again.`);
    this.reason = reason;
  }
}

/** Why there is no Web Serial here, in a sentence; null if there is. */
export function whyNoSerial() {
  if ('serial' in navigator) return null;
  return window.isSecureContext
    ? 'This browser has no Web Serial, so a board cannot be reached from here; Chrome, Edge and ' +
        'Firefox from 151 on have it.'
    : 'Web Serial needs a page from https or localhost, so a board cannot be reached from here.';
}

/** Asks the user for a port, and gives the board there once it holds the network; null if the user
 *  chose none. onLost: as of `SerialBoard`. */
export async function connectBoard(network, onLost) {
  let port;
  try {
    port = await navigator.serial.requestPort();
  } catch (error) {
    if (error.name === 'NotFoundError') return null;
    throw error;
  }
  const board = new SerialBoard(port, onLost);
  await board.open();
  try {
    await board.load(network);
  } catch (error) {
    await board.close();
    throw error;
  }
  return board;
}

/** A board behind a SerialPort. Requests are sent one after the other; loads go ahead as far as the
 *  board's receive buffer takes them.
 *
 *  onLost: is told a sentence when the port is gone. */
export class SerialBoard {
  #port;
  #onLost;
  #frames = new FrameReader();
  #waiting = new Map();
  #sequence = Math.floor(Math.random() * 65536);
  #writer = null;
  #reader = null;
  #last = Promise.resolve();
  #network = null;
  #closed = false;
  identity = null;

  constructor(port, onLost = () => {}) {
    this.#port = port;
    this.#onLost = onLost;
  }

  /** Open the port at the rate at which the board answers. */
  async open() {
    const bauds = ratesOf(this.#port.getInfo?.());
    // The second time with more patience: the board may just be starting.
    const tries = [TRY_MS, TIMEOUT_MS / ATTEMPTS].flatMap((ms) => bauds.map((baud) => [baud, ms]));
    for (const [number, [baud, timeoutMs]] of tries.entries()) {
      await this.#openAt(baud);
      try {
        await this.#write(Uint8Array.of(0)); // ends whatever half a frame the board may have
        await this.#identify(1, timeoutMs);
        return;
      } catch (error) {
        if (this.#closed || !(error instanceof LostError) || number === tries.length - 1) {
          await this.close();
          throw error;
        }
        await this.#leave();
      }
    }
  }

  async #openAt(baud) {
    try {
      await this.#port.open({ baudRate: baud, bufferSize: 4096 });
    } catch (error) {
      throw new BoardError(
        `The port cannot be opened (${error.message}); close the other program that uses it.`,
      );
    }
    this.#writer = this.#port.writable.getWriter();
    this.#reader = this.#port.readable.getReader();
    this.#frames = new FrameReader();
    this.#listen();
  }

  /** Have the board infer this network; it is sent unless the board holds it already. */
  load(network) {
    return this.#inTurn(async () => {
      await this.#load(network);
      this.#network = network;
    });
  }

  /** The board's {code, margin, cycles} for pixels of 0 and 1. */
  infer(pixels) {
    return this.#inTurn(async () => {
      const image = packBits(pixels);
      for (let attempt = 1; ; attempt++) {
        try {
          const answer = await this.#ask(Request.INFER, {}, image);
          const { code, margin, cycles } = answer;
          return { code, margin, cycles };
        } catch (error) {
          if (!this.#mayTryAgain(error) || attempt === ATTEMPTS) throw error;
          await this.#recover();
        }
      }
    });
  }

  async close() {
    this.#closed = true;
    this.#failAll(new LostError('The board was disconnected; connect it again.'));
    await this.#leave();
  }

  async #leave() {
    await this.#reader?.cancel().catch(() => {});
    this.#reader?.releaseLock();
    await this.#writer?.close().catch(() => {});
    this.#writer?.releaseLock();
    await this.#port.close().catch(() => {});
  }

  #inTurn(task) {
    const result = this.#last.then(task);
    this.#last = result.catch(() => {});
    return result;
  }

  #mayTryAgain(error) {
    if (this.#closed) return false;
    return error instanceof LostError || error.reason === NOTHING_LOADED;
  }

  /** After a loss: end half a frame, see who is there, and load the network if it is gone. */
  async #recover() {
    await this.#write(Uint8Array.of(0));
    await this.#identify();
    if (this.#network) await this.#load(this.#network);
  }

  async #identify(attempts = ATTEMPTS, timeoutMs = TIMEOUT_MS / ATTEMPTS) {
    for (let attempt = 1; ; attempt++) {
      try {
        this.identity = await this.#ask(Request.IDENTIFY, {}, undefined, timeoutMs);
        break;
      } catch (error) {
        if (!(error instanceof LostError) || this.#closed || attempt === attempts) throw error;
        await this.#write(Uint8Array.of(0));
      }
    }
    const version = this.identity.protocol_version;
    if (version !== PROTOCOL_VERSION) {
      throw new BoardError(
        `The board speaks protocol version ${version} and this page version ${PROTOCOL_VERSION}; ` +
          'build its bitstream again with the same Stepnet.',
      );
    }
  }

  async #load(network) {
    const { identity } = this;
    if (identity.core !== Core.ENGINE) {
      if (identity.digest !== parseInt(network.digest.slice(0, 8), 16)) {
        throw new BoardError(
          `The board has another network than ${network.name} built in; choose the one it has.`,
        );
      }
      return;
    }
    if (network.kind === 'lut') {
      throw new BoardError(
        `The board has an engine, which cannot be loaded with ${network.name}, a network of ` +
          'look-up tables; choose a step network.',
      );
    }
    const image = memoryImage(network, shapeOf(identity));
    if (identity.loaded && identity.digest === image.digest) return;
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#send(image);
        break;
      } catch (error) {
        const again = error instanceof LostError || error.reason === WRONG_DIGEST;
        if (!again || this.#closed || attempt === ATTEMPTS) throw error;
        await this.#write(Uint8Array.of(0));
      }
    }
    await this.#identify();
  }

  async #send(image) {
    const bufferBytes = this.identity.buffer_bytes;
    const overhead = sizeOf(LAYOUTS.LOAD) + CRC_BYTES + BUFFER_OVERHEAD_BYTES;
    await this.#ask(Request.CLEAR);
    const inFlight = [];
    let bytesInFlight = 0;
    for (const { address, space, data } of loads(
      image,
      Math.min(MAX_LOAD_BYTES, bufferBytes - overhead),
    )) {
      const bytes = data.length + overhead;
      while (inFlight.length && bytesInFlight + bytes > bufferBytes) {
        const first = inFlight.shift();
        await first.answer;
        bytesInFlight -= first.bytes;
      }
      const answer = this.#ask(Request.LOAD, { address, space }, data);
      answer.catch(() => {}); // it is awaited above or below
      inFlight.push({ answer, bytes });
      bytesInFlight += bytes;
    }
    await Promise.all(inFlight.map(({ answer }) => answer));
    await this.#ask(Request.COMMIT, { digest: image.digest });
  }

  /** Send a request; its answer's fields. */
  async #ask(kind, fields = {}, rest = undefined, timeoutMs = TIMEOUT_MS) {
    this.#sequence = (this.#sequence + 1) % 65536;
    const sequence = this.#sequence;
    const name = Object.keys(Request).find((each) => Request[each] === kind);
    const payload = pack(LAYOUTS[name], { kind, sequence, ...fields }, rest);
    const answered = new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new LostError('The board does not answer; check its cable.')),
        timeoutMs,
      );
      this.#waiting.set(sequence, { kind, resolve, reject, timer });
    });
    try {
      const [answer] = await Promise.all([answered, this.#write(encodeFrame(payload))]);
      return answer;
    } finally {
      clearTimeout(this.#waiting.get(sequence)?.timer);
      this.#waiting.delete(sequence);
    }
  }

  async #write(bytes) {
    try {
      await this.#writer.write(bytes);
    } catch (error) {
      throw this.#lost(error);
    }
  }

  async #listen() {
    try {
      for (;;) {
        const { value, done } = await this.#reader.read();
        if (done) break;
        this.#frames.feed(value).forEach((payload) => this.#take(payload));
      }
    } catch (error) {
      if (!this.#closed) this.#lost(error);
    }
  }

  #take(payload) {
    const { kind, sequence } = unpack(LAYOUTS.HEADER, payload);
    const asked = this.#waiting.get(sequence);
    if (!asked) return; // late, or nobody's
    const expected = {
      [Request.IDENTIFY]: 'IDENTITY',
      [Request.INFER]: 'READING',
    }[asked.kind] ?? 'ACKNOWLEDGE';
    if (kind === Answer.REFUSAL) {
      const refusal = unpack(LAYOUTS.REFUSAL, payload);
      if (refusal) asked.reject(new RefusedError(refusal.reason));
    } else if (kind === Answer[expected]) {
      // Engines that have convolutions say more, and other versions of the protocol may say less;
      // what they all say comes first.
      const more = expected === 'IDENTITY' ? unpack(LAYOUTS.MAPS_IDENTITY, payload) : null;
      const fields = more ?? unpack(LAYOUTS[expected], payload);
      asked.resolve(fields ?? { protocol_version: payload[3] });
    }
  }

  #lost(error) {
    const lost = new LostError(
      `The connection to the board broke (${error.message}); connect it again.`,
    );
    if (!this.#closed) {
      this.#closed = true;
      this.#failAll(lost);
      this.#onLost(lost.message);
    }
    return lost;
  }

  #failAll(error) {
    for (const { reject } of this.#waiting.values()) reject(error);
  }
}
