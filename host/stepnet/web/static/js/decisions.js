// How the last layer became a character: the bits, the tree's decisions, or the nearest five.

import { element, nameOf, printed } from './register.js';
import { winner } from './reference.js';

const EXPLAINED = {
  bits: 'Each neuron of the last layer is one bit of the code: it is on if its sum reaches its threshold.',
  tree: 'Bit by bit from the top: the bits already known choose the neuron that is asked next. Few of them are ever asked.',
  nearest:
    'Each character has a row of its own, and the one farthest above its threshold wins. These are the best five.',
};

const MOST_LISTED = 40;

export function showDecisions(network, trace) {
  const text = document.getElementById('decisions-text');
  text.textContent = EXPLAINED[network.readout] + countedText(network);
  const show = { bits: bitRows, tree: treeRows, nearest: nearestRows }[network.readout];
  document.getElementById('decisions').replaceChildren(trace ? show(network, trace) : '');
}

function countedText(network) {
  return network.kind === 'lut'
    ? ' A sum is the number of tables that fired for that row, of all that are wired to it.'
    : '';
}

function table(headings, rows) {
  const made = element('table');
  const head = element('tr');
  headings.forEach((heading) => {
    const cell = element('th', heading);
    cell.scope = 'col';
    head.append(cell);
  });
  const top = element('thead');
  top.append(head);
  const body = element('tbody');
  for (const cells of rows) {
    const row = element('tr');
    row.append(
      ...cells.map((cell) => {
        const made = element('td');
        made.append(cell);
        return made;
      }),
    );
    body.append(row);
  }
  made.append(top, body);
  return made;
}

/** sum, threshold and which way it went, as a bar around the threshold. */
function balance(network, trace, row) {
  const { lowest, highest, thresholds } = network.rows;
  const reach = Math.max(highest[row] - thresholds[row], thresholds[row] - lowest[row], 1);
  const excess = trace.excess[row];
  const bar = element('span', '', excess >= 0 ? 'balance on' : 'balance');
  const fill = element('i');
  // What a sum can reach is far from what it does; the root shows more of it.
  const part = Math.min(1, Math.sqrt(Math.abs(excess) / reach));
  fill.style.setProperty('--part', String(part / 2));
  bar.append(fill);
  return bar;
}

function compared(network, trace, row) {
  const sign = trace.excess[row] >= 0 ? '\u2265' : '<';
  return `${printed(trace.totals[row])} ${sign} ${printed(network.rows.thresholds[row])}`;
}

function bitCell(bit) {
  return element('span', String(bit), bit ? 'digit on' : 'digit');
}

function bitRows(network, trace) {
  const rows = Array.from(trace.excess.keys()).reverse();
  return table(
    ['Weight', 'Sum and threshold', 'Distance', 'Bit'],
    rows.map((row) => [
      String(1 << row),
      compared(network, trace, row),
      balance(network, trace, row),
      bitCell(trace.excess[row] >= 0 ? 1 : 0),
    ]),
  );
}

function treeRows(network, trace) {
  let known = network.codePrefix;
  return table(
    ['Weight', 'Sum and threshold', 'Distance', 'Bit', 'Still possible'],
    trace.path.map((row) => {
      const weight = 1 << (network.codeBits - known.length - 1);
      const bit = trace.excess[row] >= 0 ? 1 : 0;
      known += bit;
      return [
        String(weight),
        compared(network, trace, row),
        balance(network, trace, row),
        bitCell(bit),
        left(network, known),
      ];
    }),
  );
}

/** The characters whose codes begin with these bits. */
function left(network, known) {
  const shift = network.codeBits - known.length;
  const prefix = parseInt(known, 2);
  const possible = network.codes.filter((code) => code >> shift === prefix).map(nameOf);
  const shown = possible.slice(0, MOST_LISTED).join(' ') || 'none';
  return element('span', shown + (possible.length > MOST_LISTED ? ' \u2026' : ''), 'possible');
}

function nearestRows(network, trace) {
  const order = Array.from(trace.excess.keys()).sort(
    (a, b) => trace.excess[b] - trace.excess[a] || a - b,
  );
  const best = order.slice(0, 5);
  const first = trace.excess[winner(trace.excess)];
  const last = trace.excess[order[Math.min(order.length - 1, 9)]];
  return table(
    ['Character', 'Sum less threshold', 'Ahead'],
    best.map((row) => {
      const bar = element('span', '', row === best[0] ? 'length on' : 'length');
      const fill = element('i');
      const part = (trace.excess[row] - last) / Math.max(1, first - last);
      fill.style.setProperty('--part', String(Math.max(0.02, part)));
      bar.append(fill);
      const name = element('span', nameOf(network.codes[row]), row === best[0] ? 'digit on' : 'digit');
      return [
        name,
        `${printed(trace.totals[row])} less ${printed(network.rows.thresholds[row])} is ${printed(trace.excess[row])}`,
        bar,
      ];
    }),
  );
}
