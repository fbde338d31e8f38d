// What a network computes, in whole numbers, exactly: the same as stepnet.networks.reference and
// stepnet.networks.lut, which are the specification.

/** Everything that a network computes of one image.
 *
 *  pixels: Uint8Array of 0 and 1.
 *
 *  states: the pixels, and then the bits of each layer.
 *  sums: of a step network, for each layer the sum of each neuron; of a convolution the largest one
 *    of the windows that are pooled into an answer.
 *  totals: the sum of each row of the readout.
 *  excess: by how much each of them exceeds its threshold.
 *  path: with readout tree, the rows that were asked, from the root on.
 *  code, margin: the reading. */
export function infer(network, pixels) {
  const states = [pixels];
  const sums = [];
  for (const layer of network.layers) {
    const below = states[states.length - 1];
    if (network.kind === 'lut') {
      states.push(lookUp(layer, below));
    } else {
      const total = layer.convolution ? mapSums(layer, below) : layerSums(layer, below);
      sums.push(total);
      states.push(Uint8Array.from(total, (sum, i) => fires(layer, sum, i % layer.neurons)));
    }
  }
  const rows = network.rows;
  const totals = rows.groups ? counted(rows, states[states.length - 1]) : sums[sums.length - 1];
  const excess = Array.from(totals, (total, row) => total - rows.thresholds[row]);
  const path = network.readout === 'tree' ? treePath(excess) : [];
  return {
    states,
    sums,
    totals,
    excess,
    path,
    code: readOut(network, excess, path),
    margin: margin(network, totals, excess, path),
  };
}

const fires = (layer, sum, neuron) => (sum >= layer.thresholds[neuron] ? 1 : 0);

/** The character of a code; null if it is not in the network's alphabet, or 0, which stands for none. */
export function characterOf(network, code) {
  const character = String.fromCharCode(code);
  return code && network.alphabet.includes(character) ? character : null;
}

/** `sum_i w[j, i] * a[i]` of every neuron. */
function layerSums(layer, activations) {
  const { nIn, nOut, weights } = layer;
  const active = [];
  for (let i = 0; i < nIn; i++) if (activations[i]) active.push(i);
  const sums = new Int32Array(nOut);
  for (let j = 0; j < nOut; j++) {
    const row = j * nIn;
    let sum = 0;
    for (let k = 0; k < active.length; k++) sum += weights[row + active[k]];
    sums[j] = sum;
  }
  return sums;
}

/** For each position of the answers, and at it for each neuron, the largest sum of its windows: if one
 *  of them fires, so does that. */
function mapSums(layer, activations) {
  const { neurons } = layer;
  const { outHeight, outWidth, pool } = layer.convolution;
  const columns = weightColumns(layer);
  const sums = new Int32Array(outHeight * outWidth * neurons).fill(-(2 ** 31));
  const window = new Int32Array(neurons);
  for (let position = 0; position < outHeight * outWidth; position++) {
    const [row, column] = [Math.floor(position / outWidth), position % outWidth];
    for (let part = 0; part < pool ** 2; part++) {
      const top = row * pool + Math.floor(part / pool);
      const left = column * pool + (part % pool);
      window.fill(0);
      for (const input of activeInputs(layer.convolution, activations, top, left)) {
        for (let j = 0; j < neurons; j++) window[j] += columns[input * neurons + j];
      }
      const start = position * neurons;
      for (let j = 0; j < neurons; j++) {
        if (window[j] > sums[start + j]) sums[start + j] = window[j];
      }
    }
  }
  return sums;
}

/** Which of its inputs are 1 in the window that is number `top` from above and `left` from the left. */
function activeInputs({ height, width, channels, kernel, stride, padding }, activations, top, left) {
  const active = [];
  for (let row = 0; row < kernel; row++) {
    const y = top * stride - padding + row;
    if (y < 0 || y >= height) continue; // beside the map everything is 0
    for (let column = 0; column < kernel; column++) {
      const x = left * stride - padding + column;
      if (x < 0 || x >= width) continue;
      const [from, to] = [(y * width + x) * channels, (row * kernel + column) * channels];
      for (let c = 0; c < channels; c++) if (activations[from + c]) active.push(to + c);
    }
  }
  return active;
}

/** The weights of a layer input by input, which one window after the other adds up. */
const columnsOf = new WeakMap();
function weightColumns(layer) {
  let columns = columnsOf.get(layer);
  if (!columns) {
    const { neurons, fanIn, weights } = layer;
    columns = new Int8Array(weights.length);
    weights.forEach((weight, n) => {
      columns[(n % fanIn) * neurons + Math.floor(n / fanIn)] = weight;
    });
    columnsOf.set(layer, columns);
  }
  return columns;
}

/** What decided about an answer of a convolution: the largest sum, and the inputs in the window that
 *  had it, the first of those that are pooled. answer: its place in the map of answers. */
export function decidingWindow(layer, activations, answer) {
  const { neurons, fanIn, weights } = layer;
  const { outWidth, pool } = layer.convolution;
  const neuron = answer % neurons;
  const position = Math.floor(answer / neurons);
  const [row, column] = [Math.floor(position / outWidth), position % outWidth];
  let best = { sum: -Infinity };
  for (let part = 0; part < pool ** 2; part++) {
    const top = row * pool + Math.floor(part / pool);
    const left = column * pool + (part % pool);
    const active = activeInputs(layer.convolution, activations, top, left);
    const sum = active.reduce((total, input) => total + weights[neuron * fanIn + input], 0);
    if (sum > best.sum) best = { sum, active };
  }
  const inputs = new Uint8Array(fanIn);
  for (const input of best.active) inputs[input] = 1;
  return { sum: best.sum, inputs };
}

/** The address in a table is a0 + 2 a1 + 4 a2 + 8 a3. */
export function tableAddress(layer, table, below) {
  const { wires } = layer;
  const w = 4 * table;
  return (
    below[wires[w]] |
    (below[wires[w + 1]] << 1) |
    (below[wires[w + 2]] << 2) |
    (below[wires[w + 3]] << 3)
  );
}

function lookUp(layer, below) {
  const bits = new Uint8Array(layer.nOut);
  for (let j = 0; j < layer.nOut; j++) {
    bits[j] = (layer.tables[j] >> tableAddress(layer, j, below)) & 1;
  }
  return bits;
}

function counted(rows, bits) {
  const counts = new Int32Array(rows.count);
  for (let j = 0; j < bits.length; j++) counts[rows.groups[j]] += bits[j];
  return counts;
}

/** Root 0, children of n at 2n+1 and 2n+2. */
function treePath(excess) {
  const path = [];
  for (let row = 0; row < excess.length; row = 2 * row + 1 + (excess[row] >= 0 ? 1 : 0)) {
    path.push(row);
  }
  return path;
}

function readOut(network, excess, path) {
  if (network.readout === 'bits') {
    return excess.reduce((code, each, bit) => code | ((each >= 0 ? 1 : 0) << bit), 0);
  }
  if (network.readout === 'tree') {
    const prefix = parseInt(network.codePrefix || '0', 2);
    return path.reduce((code, row) => (code << 1) | (excess[row] >= 0 ? 1 : 0), prefix) & 255;
  }
  return network.codes[winner(excess)];
}

/** The first row of the largest excess. */
export function winner(excess) {
  let best = 0;
  for (let row = 1; row < excess.length; row++) if (excess[row] > excess[best]) best = row;
  return best;
}

/** How far any one sum may move before the code changes; see stepnet.networks.reference.margin. */
function margin(network, totals, excess, path) {
  let least = Infinity;
  if (network.readout === 'nearest') {
    const best = winner(excess);
    excess.forEach((each, row) => {
      if (row !== best) least = Math.min(least, excess[best] - each - (row < best ? 1 : 0));
    });
    return least;
  }
  const { lowest, highest } = network.rows;
  const asked = network.readout === 'tree' ? path : excess.keys();
  for (const row of asked) {
    const distance =
      excess[row] >= 0
        ? Math.min(excess[row], totals[row] - lowest[row])
        : Math.min(-excess[row] - 1, highest[row] - totals[row]);
    least = Math.min(least, distance);
  }
  return least;
}
