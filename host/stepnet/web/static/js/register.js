// The character register: its bits with their weights, what they add up to, and the character.

import { characterOf } from './reference.js';

const NAMES = { 0: 'NUL', 32: 'space', 127: 'DEL' };

export function nameOf(code) {
  if (NAMES[code]) return NAMES[code];
  const printable = code > 32 && (code < 127 || code > 160);
  return printable ? String.fromCharCode(code) : `code ${code}`;
}

const LEADS = {
  bits: 'One bit from one neuron each.',
  tree: 'One bit from one neuron each.',
  nearest: 'It holds the code of the row that is farthest above its threshold.',
};

/** Show a code; null shows that nothing was read yet. */
export function showRegister(network, code) {
  showLamps(network, code);
  document.getElementById('lead').textContent =
    `${LEADS[network.readout]} The weights of the lit ones add up to an ASCII code.`;
  const sum = document.getElementById('sum');
  const means = document.getElementById('means');
  const character = document.getElementById('character');
  if (code === null) {
    sum.textContent = 'All bits are off';
    means.textContent = 'until something is drawn.';
    character.textContent = '';
    character.className = 'character empty';
    return;
  }
  const weights = weightsOf(network).filter((weight) => code & weight);
  sum.replaceChildren();
  weights.forEach((weight, i) => {
    if (i) sum.append(' + ');
    sum.append(element('b', String(weight)));
  });
  if (weights.length !== 1) sum.append(weights.length ? ' = ' : '');
  if (weights.length !== 1) sum.append(element('b', String(code), 'total'));
  const read = characterOf(network, code);
  const strange = code
    ? `ASCII ${code} is ${nameOf(code)}, which this network was never taught: unknown.`
    : 'Code 0 stands for no character that this network knows.';
  means.textContent = read === null ? strange : `ASCII ${code} is the character ${read}`;
  character.textContent = read ?? '?';
  character.className = read === null ? 'character unknown' : 'character';
}

function weightsOf(network) {
  const bits = Math.max(7, network.codeBits === 8 && needsEight(network) ? 8 : 7);
  return Array.from({ length: bits }, (_, i) => 1 << (bits - 1 - i));
}

const needsEight = (network) => network.codes.some((code) => code > 127);

function showLamps(network, code) {
  const lamps = document.getElementById('lamps');
  const weights = weightsOf(network);
  if (lamps.children.length !== weights.length) {
    lamps.replaceChildren(...weights.map(lampOf));
  }
  weights.forEach((weight, i) => {
    const on = code !== null && (code & weight) !== 0;
    const lamp = lamps.children[i];
    lamp.classList.toggle('on', on);
    lamp.querySelector('.bit').textContent = code === null ? '' : on ? '1' : '0';
  });
}

function lampOf(weight) {
  const lamp = element('li');
  lamp.append(element('span', '', 'bit'), element('span', String(weight), 'weight'));
  return lamp;
}

/** A number as it is printed, with a minus that is as wide as a plus. */
export const printed = (number) => String(number).replace('-', '\u2212');

export function element(name, text = '', className = '') {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  if (className) made.className = className;
  return made;
}
