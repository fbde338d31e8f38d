// How a network lies in an engine's memories, as docs/protocol.md describes it under "What the
// memories hold": what is loaded into a board, in pieces.

import { crc32, Space } from './protocol.js';

const READOUTS = ['bits', 'tree', 'nearest'];
const MIN_OVERLAP_GROUPS = 4;

export class UnfitError extends Error {}

/** The shape of an engine, from the fields of its IDENTITY. */
export function shapeOf(identity) {
  const parameterBytes = Math.ceil(Math.max(16, identity.sum_bits) / 8);
  return {
    simd: identity.simd,
    maxInputs: identity.max_inputs,
    weightWords: identity.weight_words,
    parameterWords: identity.parameter_words,
    maxWeightBits: identity.max_weight_bits,
    pe: identity.pe,
    parameterLanes: identity.parameter_lanes,
    sumBits: identity.sum_bits,
    overlapNeurons: identity.overlap_neurons,
    parameterBytes,
    weightBytes: identity.simd / 8,
  };
}

const groupsOf = (shape, neurons) => Math.ceil(neurons / shape.pe);
const bitLength = (n) => (n ? Math.floor(Math.log2(n)) + 1 : 0);

/** parameters, weights: the bytes of all values in the order of their addresses.
 *  digest: CRC-32 over both.
 *
 *  Throws UnfitError if an engine of `shape` cannot hold the network. */
export function memoryImage(network, shape) {
  checkFits(network, shape);
  const parameters = [];
  const weights = [];
  const oneLane = (value) => {
    parameters.push(value);
    for (let lane = 1; lane < shape.parameterLanes; lane++) parameters.push(0);
  };
  oneLane(network.imageBytes);
  network.layers.forEach((layer, number) => {
    const isFirst = number === 0;
    const isLast = number === network.layers.length - 1;
    const isTree = isLast && network.readout === 'tree';
    const places = inputPlaces(network, layer, shape, isFirst);
    const byInput = isFirst && overlaps(network, shape);
    oneLane(
      (places.words - 1) | ((layer.weightBits - 1) << 10) | (isLast << 13) | (byInput << 14),
    );
    oneLane(isTree ? treeHeader(network, layer) : secondHeader(network, layer));
    parameters.push(...thresholds(network, layer, shape, isLast));
    weights.push(weightBytes(layer, shape, places, byInput));
  });
  if (network.readout === 'nearest') network.codes.forEach(oneLane);
  const image = {
    shape,
    parameters: littleEndian(parameters, shape.parameterBytes),
    weights: joined(weights),
  };
  image.digest = crc32(image.weights, crc32(image.parameters));
  return image;
}

/** Everything that fills the memories, as {address, space, data}, each at most `mostBytes`. */
export function* loads({ shape, parameters, weights }, mostBytes) {
  const memories = [
    [Space.PARAMETERS, parameters, shape.parameterBytes, shape.parameterLanes],
    [Space.WEIGHTS, weights, shape.weightBytes, shape.pe],
  ];
  for (const [space, bytes, valueBytes, lanes] of memories) {
    const count = Math.max(1, Math.floor(mostBytes / valueBytes));
    for (let value = 0; value * valueBytes < bytes.length; value += count) {
      const address = Math.floor(value / lanes) * 2 ** bitLength(lanes - 1) + (value % lanes);
      const start = value * valueBytes;
      yield { address, space, data: bytes.subarray(start, start + count * valueBytes) };
    }
  }
}

function checkFits(network, shape) {
  let weightWords = 0;
  let parameterWords = 1 + (network.readout === 'nearest' ? network.rows.count : 0);
  network.layers.forEach((layer, number) => {
    const limits = [
      ['inputs', layer.nIn, shape.maxInputs],
      ['neurons', layer.nOut, shape.maxInputs],
      ['weight bits', layer.weightBits, shape.maxWeightBits],
      ['bits in a sum', sumBits(layer), shape.sumBits],
    ];
    for (const [what, needed, limit] of limits) {
      if (needed > limit) {
        throw new UnfitError(
          `Network ${network.name} does not fit the board: layer ${number} has ${needed} ${what}, ` +
            `and the board takes up to ${limit}; choose a smaller network.`,
        );
      }
    }
    const { words } = inputPlaces(network, layer, shape, number === 0);
    const groups = groupsOf(shape, layer.nOut);
    weightWords += groups * layer.weightBits * words;
    parameterWords += 2 + (groups * shape.pe) / shape.parameterLanes;
  });
  if (weightWords > shape.weightWords || parameterWords > shape.parameterWords) {
    throw new UnfitError(
      `Network ${network.name} does not fit the board: it needs ${weightWords} weight words and ` +
        `${parameterWords} parameter words, and the board has ${shape.weightWords} and ` +
        `${shape.parameterWords}; choose a smaller network.`,
    );
  }
}

function sumRange(layer, neuron) {
  let [lowest, highest, minusOnes] = [0, 0, 0];
  for (let i = neuron * layer.nIn; i < (neuron + 1) * layer.nIn; i++) {
    if (layer.weights[i] < 0) {
      lowest += layer.weights[i];
      minusOnes += layer.weightBits === 1 ? 1 : 0;
    } else highest += layer.weights[i];
  }
  return { lowest, highest, minusOnes };
}

/** The width that holds every sum as the engine has it, and a threshold one above it. */
function sumBits(layer) {
  let largest = 0;
  for (let j = 0; j < layer.nOut; j++) {
    const { lowest, highest, minusOnes } = sumRange(layer, j);
    largest = Math.max(largest, highest + minusOnes + 1, -(lowest + minusOnes) - 1);
  }
  return bitLength(largest) + 1;
}

function overlaps(network, shape) {
  const [first] = network.layers;
  const groups = groupsOf(shape, first.nOut);
  return (
    network.layers.length > 1 &&
    first.weightBits === 1 &&
    groups >= MIN_OVERLAP_GROUPS &&
    groups <= groupsOf(shape, shape.overlapNeurons)
  );
}

/** In which word of a row each input lies, and at which bit. */
function inputPlaces(network, layer, shape, isFirst) {
  const { simd, pe } = shape;
  const slots = isFirst ? 8 * network.imageBytes : groupsOf(shape, layer.nIn) * pe;
  const perWord = isFirst ? simd : Math.floor(simd / pe) * pe;
  const bits = Int32Array.from({ length: layer.nIn }, (_, i) => {
    const word = Math.floor(i / perWord);
    return word * simd + simd - Math.min(perWord, slots - word * perWord) + (i % perWord);
  });
  return { words: Math.ceil(slots / perWord), bits };
}

const readoutField = (network) => READOUTS.indexOf(network.readout) << 12;

function secondHeader(network, layer) {
  return (layer.nOut - 1) | readoutField(network);
}

function treeHeader(network, layer) {
  const prefix = parseInt(network.codePrefix || '0', 2);
  return (bitLength(layer.nOut + 1) - 2) | (prefix << 3) | readoutField(network);
}

function thresholds(network, layer, shape, isLast) {
  const exact = isLast && network.readout === 'nearest';
  const limit = 2 ** (shape.sumBits - 1);
  const values = new Array(groupsOf(shape, layer.nOut) * shape.pe).fill(limit - 1);
  for (let j = 0; j < layer.nOut; j++) {
    const { lowest, highest, minusOnes } = sumRange(layer, j);
    const threshold = layer.thresholds[j];
    const near = exact ? threshold : Math.min(Math.max(threshold, lowest), highest + 1);
    values[j] = near + minusOnes;
    if (values[j] < -limit || values[j] >= limit) {
      throw new UnfitError(
        `Network ${network.name} does not fit the board: its last layer has a threshold of ` +
          `${values[j]}, which needs wider sums; choose another network.`,
      );
    }
  }
  return values;
}

/** The weight words of a layer, in each of them lane by lane. */
function weightBytes(layer, shape, { words, bits }, byInput) {
  const { pe, simd } = shape;
  const planes = layer.weightBits;
  const groups = groupsOf(shape, layer.nOut);
  const bytes = new Uint8Array(groups * planes * words * pe * shape.weightBytes);
  if (planes === 1) bytes.fill(255); // where no weight is: 1 beside an activation of 0
  const wordPlace = (group, plane, word) =>
    byInput ? word * groups + group : (group * planes + plane) * words + word;
  for (let j = 0; j < layer.nOut; j++) {
    const group = Math.floor(j / pe);
    const lane = j % pe;
    for (let plane = 0; plane < planes; plane++) {
      const shift = planes - 1 - plane; // the most significant first
      for (let i = 0; i < layer.nIn; i++) {
        const weight = layer.weights[j * layer.nIn + i];
        const bit = planes === 1 ? weight > 0 : (weight >> shift) & 1;
        const word = Math.floor(bits[i] / simd);
        const at = bits[i] % simd;
        const byte = (wordPlace(group, plane, word) * pe + lane) * shape.weightBytes + (at >> 3);
        if (bit) bytes[byte] |= 1 << (at & 7);
        else bytes[byte] &= ~(1 << (at & 7));
      }
    }
  }
  return bytes;
}

function littleEndian(values, valueBytes) {
  const bytes = new Uint8Array(values.length * valueBytes);
  values.forEach((value, n) => {
    for (let k = 0; k < valueBytes; k++) {
      bytes[n * valueBytes + k] = Math.floor(value / 2 ** (8 * k)) & 255;
    }
  });
  return bytes;
}

function joined(parts) {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
