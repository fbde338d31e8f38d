// How a network lies in an engine's memories, as docs/protocol.md describes it under "What the
// memories hold": what is loaded into a board, in pieces.

import { crc32, Space } from './protocol.js';

const READOUTS = ['bits', 'tree', 'nearest'];
const MIN_OVERLAP_GROUPS = 4;
const MAP_HEADERS = 5;
const MOST_KERNEL = 7;
const MOST_MAP_SIDE = 256;
const MOST_ANSWER_WORDS = 16;
const LEAST_IMAGE_WIDTH = 2;
/** What `map_words` is larger by if the engine evaluates two windows at once. */
const TWO_WINDOWS = 1 << 15;

export class UnfitError extends Error {}

/** The shape of an engine, from the fields of its IDENTITY. */
export function shapeOf(identity) {
  const parameterBits = Math.max(16, identity.sum_bits);
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
    mapWords: (identity.map_words ?? 0) % TWO_WINDOWS,
    mapWindows: 1 + Math.floor((identity.map_words ?? 0) / TWO_WINDOWS),
    maxKernel: Math.min(MOST_KERNEL, Math.floor(Math.sqrt(identity.simd))),
    parameterBits,
    parameterBytes: Math.ceil(parameterBits / 8),
    weightBytes: identity.simd / 8,
  };
}

const groupsOf = (shape, neurons) => Math.ceil(neurons / shape.pe);
/** How many words the answers of so many neurons take. */
const answerWords = (shape, neurons) =>
  Math.ceil(groupsOf(shape, neurons) / Math.floor(shape.simd / shape.pe));
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
    const places = inputPlaces(network, number, shape);
    const byInput = isFirst && overlaps(network, shape);
    oneLane(
      (places.words - 1) |
        ((layer.weightBits - 1) << 10) |
        (isLast << 13) |
        (byInput << 14) |
        ((layer.convolution !== null) << 15),
    );
    oneLane(isTree ? treeHeader(network, layer) : secondHeader(network, layer));
    if (layer.convolution) mapHeaders(network, number, shape).forEach(oneLane);
    parameters.push(...thresholds(network, layer, shape, isLast));
    weights.push(weightBytes(layer, shape, places, byInput));
  });
  if (network.readout === 'nearest') network.codes.forEach(oneLane);
  const image = {
    shape,
    parameters: littleEndian(parameters, shape),
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
    if (layer.convolution) checkMap(network, number, shape);
    const { words } = inputPlaces(network, number, shape);
    const belowIsMap = network.layers[number - 1]?.convolution;
    const limits = [
      ['inputs', belowIsMap ? words * shape.simd : layer.fanIn, shape.maxInputs],
      ['neurons', layer.neurons, shape.maxInputs],
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
    const groups = groupsOf(shape, layer.neurons);
    weightWords += groups * layer.weightBits * words;
    parameterWords += (layer.convolution ? 2 + MAP_HEADERS : 2);
    parameterWords += (groups * shape.pe) / shape.parameterLanes;
  });
  if (weightWords > shape.weightWords || parameterWords > shape.parameterWords) {
    throw new UnfitError(
      `Network ${network.name} does not fit the board: it needs ${weightWords} weight words and ` +
        `${parameterWords} parameter words, and the board has ${shape.weightWords} and ` +
        `${shape.parameterWords}; choose a smaller network.`,
    );
  }
}

/** Throws UnfitError if an engine of `shape` cannot walk the windows of a layer. */
function checkMap(network, number, shape) {
  const { kernel, padding, width, height, outWidth, outHeight } = network.layers[number].convolution;
  const unfit = (why) =>
    new UnfitError(
      `Network ${network.name} does not fit the board: layer ${number} ${why}; choose a smaller network.`,
    );
  if (!shape.mapWords) {
    throw new UnfitError(
      `Network ${network.name} does not fit the board: its layer ${number} is a convolution, which ` +
        "the board's engine was built without; choose a network of dense layers.",
    );
  }
  if (number === 0 && kernel > shape.maxKernel) {
    throw unfit(
      `has a kernel of ${kernel} x ${kernel} over the image, and the board takes up to ` +
        `${shape.maxKernel} x ${shape.maxKernel}`,
    );
  }
  const padded = number === 0 ? 2 * padding : 0;
  if (number === 0 && width + padded < LEAST_IMAGE_WIDTH) {
    throw unfit('is a convolution over an image of one column');
  }
  const side = Math.max(width, height) + padded;
  if (side > MOST_MAP_SIDE) {
    throw unfit(`sees a map of ${side} rows or columns, and the board takes up to ${MOST_MAP_SIDE}`);
  }
  const answer = answerWords(shape, network.layers[number].neurons);
  const words = outWidth * outHeight * answer;
  if (words > shape.mapWords) {
    throw unfit(`gives a map of ${words} words, and the board has ${shape.mapWords}`);
  }
  if (shape.mapWindows > 1 && answer > MOST_ANSWER_WORDS) {
    throw unfit(
      `gives ${answer} words at a position, and the board takes up to ${MOST_ANSWER_WORDS}`,
    );
  }
}

function sumRange(layer, neuron) {
  let [lowest, highest, minusOnes] = [0, 0, 0];
  for (let i = neuron * layer.fanIn; i < (neuron + 1) * layer.fanIn; i++) {
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
  for (let j = 0; j < layer.neurons; j++) {
    const { lowest, highest, minusOnes } = sumRange(layer, j);
    largest = Math.max(largest, highest + minusOnes + 1, -(lowest + minusOnes) - 1);
  }
  return bitLength(largest) + 1;
}

function overlaps(network, shape) {
  const [first] = network.layers;
  const groups = groupsOf(shape, first.neurons);
  return (
    network.layers.length > 1 &&
    first.weightBits === 1 &&
    !first.convolution &&
    groups >= MIN_OVERLAP_GROUPS &&
    groups <= groupsOf(shape, shape.overlapNeurons)
  );
}

/** How many words a row has, and where in them each input of a neuron lies, counted in bits. */
function inputPlaces(network, number, shape) {
  const { simd, pe, maxKernel } = shape;
  const layer = network.layers[number];
  if (number === 0 && layer.convolution) {
    const { kernel } = layer.convolution;
    const from = maxKernel - kernel;
    const bits = Int32Array.from(
      { length: kernel ** 2 },
      (_, i) => (from + Math.floor(i / kernel)) * maxKernel + from + (i % kernel),
    );
    return { words: 1, bits };
  }
  if (number === 0) return inWords(layer.nIn, 8 * network.imageBytes, simd, simd);
  const below = network.layers[number - 1];
  const perWord = Math.floor(simd / pe) * pe;
  const one = inWords(below.neurons, groupsOf(shape, below.neurons) * pe, perWord, simd);
  if (!below.convolution) return one;
  const { outHeight, outWidth } = below.convolution;
  const positions = layer.convolution ? layer.convolution.kernel ** 2 : outHeight * outWidth;
  const bits = Int32Array.from(
    { length: positions * below.neurons },
    (_, i) =>
      Math.floor(i / below.neurons) * one.words * simd + one.bits[i % below.neurons],
  );
  return { words: positions * one.words, bits };
}

/** `count` bits that fill words of `simd` from bit 0 up, `perWord` in each; written as `slots` bits,
 *  which may be more, and which end at the top bit of the last word. */
function inWords(count, slots, perWord, simd) {
  const bits = Int32Array.from({ length: count }, (_, i) => {
    const word = Math.floor(i / perWord);
    return word * simd + simd - Math.min(perWord, slots - word * perWord) + (i % perWord);
  });
  return { words: Math.ceil(slots / perWord), bits };
}

/** The header words of a convolution that follow the two of every layer. */
function mapHeaders(network, number, shape) {
  const layer = network.layers[number];
  const { kernel, stride, padding, pool, width, height, outWidth, outHeight } = layer.convolution;
  const isFirst = number === 0;
  const words = isFirst ? 1 : answerWords(shape, network.layers[number - 1].neurons);
  const imageWords = Math.ceil(network.imageBytes / shape.weightBytes);
  const pitch = isFirst ? imageWords - 1 : width * words;
  const origin = isFirst
    ? shape.simd - 8 * (network.imageBytes - pitch * shape.weightBytes)
    : -padding * (pitch + words);
  return [
    (kernel - 1) |
      ((stride - 1) << 3) |
      ((pool > 1) << 4) |
      (padding << 5) |
      ((words - 1) << 8),
    (width - 1) | ((height - 1) << 8),
    (outWidth - 1) | ((outHeight - 1) << 8),
    pitch,
    (origin & 0xfff) | (((answerWords(shape, layer.neurons) - 1) & 0xf) << 12),
  ];
}

const readoutField = (network) => READOUTS.indexOf(network.readout) << 12;

function secondHeader(network, layer) {
  return (layer.neurons - 1) | readoutField(network);
}

function treeHeader(network, layer) {
  const prefix = parseInt(network.codePrefix || '0', 2);
  return (bitLength(layer.nOut + 1) - 2) | (prefix << 3) | readoutField(network);
}

function thresholds(network, layer, shape, isLast) {
  const exact = isLast && network.readout === 'nearest';
  const limit = 2 ** (shape.sumBits - 1);
  const values = new Array(groupsOf(shape, layer.neurons) * shape.pe).fill(limit - 1);
  for (let j = 0; j < layer.neurons; j++) {
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
  const groups = groupsOf(shape, layer.neurons);
  const bytes = new Uint8Array(groups * planes * words * pe * shape.weightBytes);
  if (planes === 1) bytes.fill(255); // where no weight is: 1 beside an activation of 0
  const wordPlace = (group, plane, word) =>
    byInput ? word * groups + group : (group * planes + plane) * words + word;
  for (let j = 0; j < layer.neurons; j++) {
    const group = Math.floor(j / pe);
    const lane = j % pe;
    for (let plane = 0; plane < planes; plane++) {
      const shift = planes - 1 - plane; // the most significant first
      for (let i = 0; i < layer.fanIn; i++) {
        const weight = layer.weights[j * layer.fanIn + i];
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

/** Two's complement in as many bits as the parameter memory has, little-endian. */
function littleEndian(values, { parameterBits, parameterBytes }) {
  const bytes = new Uint8Array(values.length * parameterBytes);
  values.forEach((value, n) => {
    const unsigned = value < 0 ? value + 2 ** parameterBits : value;
    for (let k = 0; k < parameterBytes; k++) {
      bytes[n * parameterBytes + k] = Math.floor(unsigned / 2 ** (8 * k)) & 255;
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
