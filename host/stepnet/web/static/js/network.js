// A network, read from the JSON that stepnet/web/network_json.py writes.

export function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** Bits from bytes, the first in bit 0 of the first byte. */
export function unpackBits(bytes, count) {
  const bits = new Uint8Array(count);
  for (let i = 0; i < count; i++) bits[i] = (bytes[i >> 3] >> (i & 7)) & 1;
  return bits;
}

/** Bytes from bits, the first in bit 0 of the first byte; bits behind the last one are 0. */
export function packBits(bits) {
  const bytes = new Uint8Array((bits.length + 7) >> 3);
  for (let i = 0; i < bits.length; i++) bytes[i >> 3] |= bits[i] << (i & 7);
  return bytes;
}

export class NetworkError extends Error {}

/** What a step network and a network of look-up tables have in common is what
 *  stepnet.networks.network.CharacterNetwork has; `layers` are as below, and `rows` has the lowest
 *  and the highest sum of each row of the readout, and the threshold. */
export function readNetwork(json) {
  if (json.kind !== 'step' && json.kind !== 'lut') {
    throw new NetworkError(`The page cannot read a network of kind ${json.kind}; choose another.`);
  }
  const layers = json.layers.map(json.kind === 'lut' ? tableLayer : stepLayer);
  const last = layers[layers.length - 1];
  return {
    name: json.name,
    kind: json.kind,
    digest: json.digest,
    height: json.height,
    width: json.width,
    inkThreshold: json.ink_threshold,
    readout: json.readout,
    alphabet: json.alphabet,
    codePrefix: json.code_prefix,
    codeBits: json.code_bits,
    codes: Array.from(json.alphabet, (character) => character.charCodeAt(0)),
    placing: json.placing,
    card: json.card,
    layers,
    rows: json.kind === 'lut' ? countedRows(json.counts) : weightedRows(last),
    imageBytes: (json.height * json.width + 7) >> 3,
  };
}

/** neurons, fanIn: how many there are, and how many inputs each has; of a dense layer nOut and nIn.
 *  weights: Int8Array of neurons x fanIn; thresholds: Int32Array of neurons.
 *  convolution: as `convolutionOf` gives it; null of a dense layer. */
function stepLayer(json) {
  const convolution = json.convolution && convolutionOf(json.convolution);
  const fanIn = convolution ? convolution.kernel ** 2 * convolution.channels : json.n_in;
  const size = json.neurons * fanIn;
  const planes = unpackBits(bytesOf(json.planes), size * json.weight_bits);
  const weights = new Int8Array(size);
  if (json.weight_bits === 1) {
    for (let i = 0; i < size; i++) weights[i] = planes[i] ? 1 : -1;
  } else {
    for (let bit = 0; bit < json.weight_bits; bit++) {
      // The top bit of two's complement counts negative.
      const value = bit === json.weight_bits - 1 ? -(1 << bit) : 1 << bit;
      const start = bit * size;
      for (let i = 0; i < size; i++) if (planes[start + i]) weights[i] += value;
    }
  }
  return {
    nIn: json.n_in,
    nOut: json.n_out,
    neurons: json.neurons,
    fanIn,
    convolution,
    weightBits: json.weight_bits,
    weights,
    thresholds: numbers(json.thresholds, Int32Array),
  };
}

/** What stepnet.networks.convolution.Convolution has: the map below, `height` x `width` positions of
 *  `channels`; `kernel`, `stride` and `padding`; 
 *  `outHeight` x `outWidth` positions of answers, each the OR of `pool` x `pool` windows. */
function convolutionOf({ height, width, channels, kernel, stride, padding, pool }) {
  const windows = (side) => Math.floor((side + 2 * padding - kernel) / stride) + 1;
  const side = pool ? 2 : 1;
  return {
    ...{ height, width, channels, kernel, stride, padding, pool: side },
    outHeight: Math.floor(windows(height) / side),
    outWidth: Math.floor(windows(width) / side),
  };
}

/** wires: four inputs for each of nOut tables; tables: Uint16Array of nOut. */
function tableLayer(json) {
  return {
    nIn: json.n_in,
    nOut: json.n_out,
    wires: numbers(json.wires, json.wire_bytes === 2 ? Uint16Array : Uint32Array),
    tables: numbers(json.tables, Uint16Array),
  };
}

function numbers(base64, type) {
  return new type(bytesOf(base64).buffer); // base64 of little-endian, which every browser's is
}

function weightedRows(layer) {
  const { neurons, fanIn } = layer;
  const lowest = new Int32Array(neurons);
  const highest = new Int32Array(neurons);
  for (let row = 0; row < neurons; row++) {
    for (let i = row * fanIn; i < (row + 1) * fanIn; i++) {
      if (layer.weights[i] < 0) lowest[row] += layer.weights[i];
      else highest[row] += layer.weights[i];
    }
  }
  return { count: neurons, thresholds: layer.thresholds, lowest, highest, groups: null };
}

function countedRows(counts) {
  const thresholds = numbers(counts.thresholds, Int32Array);
  const groups = numbers(counts.groups, Int32Array);
  const highest = new Int32Array(thresholds.length);
  for (const row of groups) highest[row]++;
  const lowest = new Int32Array(thresholds.length);
  return { count: thresholds.length, thresholds, lowest, highest, groups };
}
