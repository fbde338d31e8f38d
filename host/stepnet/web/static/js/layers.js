// The lights of a network: its pixels, and one panel for each layer.

import { element } from './register.js';
import { grid, Lights, maps, row, tree } from './lights.js';
import { openNeuron } from './neuron.js';

/** Builds the panels of a network; `show` lights them. */
export class Layers {
  #network;
  #trace = null;
  #panels = [];

  constructor(network) {
    this.#network = network;
    const home = document.getElementById('layers');
    const decisions = document.getElementById('tree');
    home.replaceChildren();
    decisions.replaceChildren();
    const lights = network.kind === 'lut' ? 'table' : 'neuron';
    document.getElementById('way-title').textContent = `Every light is a ${lights}, on or off`;
    const pixels = grid(network.height * network.width, network.width);
    const count = `${network.width} \u00d7 ${network.height} pixels`;
    this.#add(home, 'Input', count, pixels, null);
    network.layers.forEach((layer, number) => {
      const isLast = number === network.layers.length - 1;
      const isTree = isLast && network.readout === 'tree';
      const isBits = isLast && network.readout === 'bits' && network.kind === 'step';
      const layout = layer.convolution
        ? maps(layer.convolution.outHeight, layer.convolution.outWidth, layer.neurons)
        : (isTree ? tree : isBits ? row : grid)(layer.nOut);
      const what = network.kind === 'lut' ? 'tables' : 'neurons';
      const size = layer.convolution
        ? `${layer.neurons} neurons at ${layer.convolution.outWidth} \u00d7 ${layer.convolution.outHeight} places`
        : `${layer.nOut} ${what}`;
      const below = this.#panels[number].lights.layout;
      this.#add(
        isTree ? decisions : home,
        `Layer ${number + 1}`,
        size,
        layout,
        (neuron) => openNeuron(network, this.#trace, number, neuron, below),
      );
    });
  }

  /** trace: what the reference computed; null for nothing yet. */
  show(trace) {
    this.#trace = trace;
    this.#panels.forEach(({ lights, caption, count }, number) => {
      const bits = trace?.states[number] ?? null;
      const isTree = number === this.#panels.length - 1 && this.#network.readout === 'tree';
      lights.show(bits, isTree && trace ? trace.path : null);
      const on = bits ? `, ${bits.reduce((sum, bit) => sum + bit, 0)} on` : '';
      const asked = isTree && trace ? `, ${trace.path.length} asked` : on;
      caption.textContent = `${count}${asked}`;
    });
  }

  #add(home, name, count, layout, onPick) {
    const lights = new Lights(`${name}, ${count}`, layout, onPick);
    if (!onPick) lights.canvas.setAttribute('role', 'img');
    const panel = element('figure');
    const caption = element('span', count, 'small');
    const text = element('figcaption');
    text.append(element('b', name), caption);
    panel.append(lights.canvas, text);
    home.append(panel);
    this.#panels.push({ lights, caption, count });
  }
}
