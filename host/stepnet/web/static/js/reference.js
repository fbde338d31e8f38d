// What a network computes, in whole numbers, exactly: the same as stepnet.networks.reference and
// stepnet.networks.lut, which are the specification.

/** Everything that a network computes of one image.
 *
 *  pixels: Uint8Array of 0 and 1.
 *
 *  states: the pixels, and then the bits of each layer.
 *  sums: of a step network, for each layer the sum of each neuron.
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
      const total = layerSums(layer, below);
      sums.push(total);
      states.push(total.map((sum, j) => (sum >= layer.thresholds[j] ? 1 : 0)));
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

/** The character of a code; null if it is not in the network's alphabet. */
export function characterOf(network, code) {
  const character = String.fromCharCode(code);
  return network.alphabet.includes(character) ? character : null;
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
