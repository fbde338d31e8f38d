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

/** weights: Int8Array of nOut x nIn; thresholds: Int32Array of nOut. */
function stepLayer(json) {
  const size = json.n_out * json.n_in;
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
    weightBits: json.weight_bits,
    weights,
    thresholds: numbers(json.thresholds, Int32Array),
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
  const lowest = new Int32Array(layer.nOut);
  const highest = new Int32Array(layer.nOut);
  for (let row = 0; row < layer.nOut; row++) {
    for (let i = row * layer.nIn; i < (row + 1) * layer.nIn; i++) {
      if (layer.weights[i] < 0) lowest[row] += layer.weights[i];
      else highest[row] += layer.weights[i];
    }
  }
  return { count: layer.nOut, thresholds: layer.thresholds, lowest, highest, groups: null };
}

function countedRows(counts) {
  const thresholds = numbers(counts.thresholds, Int32Array);
  const groups = numbers(counts.groups, Int32Array);
  const highest = new Int32Array(thresholds.length);
  for (const row of groups) highest[row]++;
  const lowest = new Int32Array(thresholds.length);
  return { count: thresholds.length, thresholds, lowest, highest, groups };
}
