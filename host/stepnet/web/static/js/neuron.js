// One neuron, opened up: its weights as a picture, what they add up to, and its threshold.

import { maps } from './lights.js';
import { element, printed } from './register.js';
import { decidingWindow, tableAddress } from './reference.js';

const dialog = document.getElementById('neuron');
const body = document.getElementById('neuron-body');
document.getElementById('neuron-close').addEventListener('click', () => dialog.close());
dialog.addEventListener('click', (event) => {
  if (event.target === dialog) dialog.close(); // beside it
});

/** number: of the layer, from 0. below: how the lights of its inputs are laid out. */
export function openNeuron(network, trace, number, neuron, below) {
  const layer = network.layers[number];
  const what = network.kind === 'lut' ? 'Table' : 'Neuron';
  document.getElementById('neuron-title').textContent =
    `${what} ${layer.convolution ? placeOf(layer, neuron) : neuron} of layer ${number + 1}`;
  body.replaceChildren();
  if (network.kind === 'lut') showTable(layer, trace, number, neuron, below);
  else if (layer.convolution) showKernel(layer, trace, number, neuron);
  else showWeights(network, layer, trace, number, neuron, below);
  dialog.showModal();
}

function showWeights(network, layer, trace, number, neuron, below) {
  const weights = layer.weights.subarray(neuron * layer.nIn, (neuron + 1) * layer.nIn);
  const source = number === 0 ? 'the pixels of the drawing' : `the neurons of layer ${number}`;
  showPicture(`One weight for each of ${source}`, weights, trace?.states[number], below);
  const threshold = layer.thresholds[neuron];
  if (!trace) {
    sayThreshold(threshold);
    return;
  }
  const sum = trace.sums[number][neuron];
  body.append(scale(weights, sum, threshold));
  if (network.readout === 'nearest' && number === network.layers.length - 1) {
    const conclusion =
      `Sum ${printed(sum)} less threshold ${printed(threshold)} makes ` +
      `${printed(sum - threshold)}, which is compared with the other rows.`;
    body.append(element('p', conclusion, sum >= threshold ? 'conclusion on' : 'conclusion'));
  } else conclude(`Sum ${printed(sum)}`, sum >= threshold, threshold);
}

const placeOf = ({ neurons, convolution }, answer) => {
  const position = Math.floor(answer / neurons);
  const { outWidth } = convolution;
  return `${answer % neurons} at row ${Math.floor(position / outWidth)}, column ${position % outWidth}`;
};

/** A neuron of a convolution, at one place of its map. */
function showKernel(layer, trace, number, answer) {
  const { kernel, channels, pool } = layer.convolution;
  const neuron = answer % layer.neurons;
  const decided = trace && decidingWindow(layer, trace.states[number], answer);
  const weights = layer.weights.subarray(neuron * layer.fanIn, (neuron + 1) * layer.fanIn);
  const source =
    number === 0
      ? `${kernel} × ${kernel} pixels of the drawing`
      : `${kernel} × ${kernel} places in each of the ${channels} maps of layer ${number}`;
  showPicture(
    `The same weights at every place, for ${source}`,
    weights,
    decided?.inputs,
    maps(kernel, kernel, channels),
  );
  const threshold = layer.thresholds[neuron];
  if (!decided) {
    sayThreshold(threshold);
    return;
  }
  const { sum } = decided;
  body.append(scale(weights, sum, threshold));
  const which = pool > 1 ? `The largest sum of ${pool} × ${pool} windows, ${printed(sum)},` : null;
  conclude(which ?? `Sum ${printed(sum)}`, sum >= threshold, threshold);
}

function showPicture(meaning, weights, inputs, layout) {
  const canvas = element('canvas', '', 'weights');
  canvas.setAttribute('role', 'img');
  canvas.setAttribute(
    'aria-label',
    `The ${weights.length} weights of this neuron, one for each input`,
  );
  const explained =
    `${meaning}: warm ones count for it, cool ones against it. ` +
    'Bright are those whose input is on, and they alone count.';
  body.append(element('p', explained, 'small'), canvas);
  requestAnimationFrame(() => paintWeights(canvas, weights, inputs, layout));
}

function sayThreshold(threshold) {
  body.append(element('p', `Its threshold is ${printed(threshold)}.`, 'conclusion'));
}

function conclude(sum, fires, threshold) {
  const conclusion =
    `${sum} ${fires ? 'reaches' : 'is below'} the threshold ${printed(threshold)}, ` +
    `so the neuron is ${fires ? 'on' : 'off'}.`;
  body.append(element('p', conclusion, fires ? 'conclusion on' : 'conclusion'));
}

function paintWeights(canvas, weights, inputs, { columns, rows, places }) {
  const cell = Math.max(2, Math.floor((320 * (window.devicePixelRatio || 1)) / columns));
  canvas.width = Math.ceil(cell * columns);
  canvas.height = Math.ceil(cell * rows);
  const style = getComputedStyle(canvas);
  const context = canvas.getContext('2d');
  const largest = weights.reduce((most, weight) => Math.max(most, Math.abs(weight)), 1);
  places.forEach(([x, y, size], i) => {
    const strength = Math.abs(weights[i]) / largest;
    context.fillStyle = weights[i] >= 0 ? style.color : style.accentColor;
    context.globalAlpha = strength * (!inputs || inputs[i] ? 1 : 0.22);
    const side = size * cell;
    context.fillRect(x * cell - side / 2, y * cell - side / 2, side, side);
  });
}

/** The sum on the scale of all that it could be, with the threshold as a mark. */
function scale(weights, sum, threshold) {
  let [lowest, highest] = [Math.min(0, threshold), Math.max(0, threshold)];
  let [least, most] = [0, 0];
  for (const weight of weights) {
    if (weight < 0) least += weight;
    else most += weight;
  }
  lowest = Math.min(lowest, least);
  highest = Math.max(highest, most);
  const place = (value) => String((value - lowest) / Math.max(1, highest - lowest));
  const bar = element('div', '', 'scale');
  for (const [name, value] of [
    ['sum', sum],
    ['threshold', threshold],
  ]) {
    const mark = element('span', `${name} ${printed(value)}`, name);
    mark.style.setProperty('--at', place(value));
    bar.append(mark);
  }
  bar.append(element('i', printed(lowest), 'least'), element('i', printed(highest), 'most'));
  return bar;
}

function showTable(layer, trace, number, table, below) {
  const inputs = trace?.states[number];
  const wires = layer.wires.subarray(4 * table, 4 * table + 4);
  const address = inputs ? tableAddress(layer, table, inputs) : -1;
  const canvas = element('canvas', '', 'weights');
  canvas.setAttribute('role', 'img');
  canvas.setAttribute('aria-label', 'Where the four inputs of this table lie');
  const rows = element('div', '', 'truth');
  for (let entry = 0; entry < 16; entry++) {
    const bit = (layer.tables[table] >> entry) & 1;
    const cell = element('span', '', entry === address ? 'entry here' : 'entry');
    cell.append(
      element('i', entry.toString(2).padStart(4, '0')),
      element('b', String(bit), bit ? 'digit on' : 'digit'),
    );
    rows.append(cell);
  }
  const source = number === 0 ? 'pixels' : `tables of layer ${number}`;
  body.append(
    element(
      'p',
      `This table looks at four ${source} and answers what it has learned for their 16 combinations.`,
      'small',
    ),
    canvas,
    rows,
  );
  if (inputs) {
    const bit = (layer.tables[table] >> address) & 1;
    const bits = address.toString(2).padStart(4, '0');
    body.append(
      element(
        'p',
        `Its inputs are ${bits} now, so the table answers ${bit}.`,
        bit ? 'conclusion on' : 'conclusion',
      ),
    );
  }
  const values = new Int8Array(layer.nIn);
  for (const wire of wires) values[wire] = inputs && !inputs[wire] ? -1 : 1;
  requestAnimationFrame(() => paintWires(canvas, values, inputs, below));
}

function paintWires(canvas, values, inputs, { columns, rows, places }) {
  const cell = Math.max(2, Math.floor((320 * (window.devicePixelRatio || 1)) / columns));
  canvas.width = Math.ceil(cell * columns);
  canvas.height = Math.ceil(cell * rows);
  const style = getComputedStyle(canvas);
  const context = canvas.getContext('2d');
  places.forEach(([x, y], i) => {
    context.globalAlpha = values[i] ? 1 : inputs?.[i] ? 0.3 : 0.08;
    context.fillStyle = values[i] < 0 ? style.accentColor : style.color;
    const side = values[i] ? Math.max(cell, 7) : cell;
    context.fillRect(x * cell - side / 2, y * cell - side / 2, side, side);
  });
}
