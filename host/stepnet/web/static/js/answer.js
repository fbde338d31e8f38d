// Shows what was read.

import { showDecisions } from './decisions.js';
import { $, isBlank, page } from './page.js';
import { characterOf } from './reference.js';
import { element, nameOf, showRegister } from './register.js';

/** Readings, and the text of a line; penUpAt: when what is shown now was asked for. */
export function show(readings, text, penUpAt) {
  const list = $('text');
  list.hidden = text === undefined;
  if (text !== undefined) {
    list.replaceChildren(...buttonsFor(readings, text));
    list.setAttribute('aria-label', `What was read: ${text}`);
    list.dataset.text = text;
    markButton(list.querySelector('li:last-child button'));
  }
  showOne(readings[readings.length - 1]);
  const took = performance.now() - penUpAt;
  $('time').textContent = `${took.toFixed(took < 10 ? 1 : 0)} ms`;
}

/** One button for each character that was read, with gaps for spaces. */
function buttonsFor(readings, text) {
  const items = [];
  let number = 0;
  for (const character of text) {
    const item = element('li');
    if (character === ' ') item.className = 'space';
    else {
      const reading = readings[number++];
      const button = element('button', character);
      button.type = 'button';
      button.addEventListener('click', () => {
        showOne(reading);
        markButton(button);
      });
      item.append(button);
    }
    items.push(item);
  }
  return items;
}

function markButton(chosen) {
  for (const button of $('text').querySelectorAll('button')) {
    button.setAttribute('aria-pressed', String(button === chosen));
  }
}

/** One reading, with all its lights. */
export function showOne(reading) {
  const { network } = page;
  showRegister(network, reading.code);
  page.layers.show(reading.trace);
  showDecisions(network, reading.trace);
  $('by').textContent = reading.by;
  $('margin').textContent = String(reading.margin);
  const clock = page.board?.identity.clock_hz ?? page.state?.clock_hz;
  const us = reading.cycles && clock ? ` (${((reading.cycles / clock) * 1e6).toFixed(0)} \u00b5s)` : '';
  $('cycles').textContent = reading.cycles === null ? '\u2013' : `${reading.cycles}${us}`;
  $('time').textContent = '';
  showCheck(reading);
  $('label').value = characterOf(network, reading.code) ?? '';
  $('kept').textContent = '';
}

function showCheck({ check, code, margin, trace }) {
  const agrees = $('agrees');
  $('agrees-name').textContent = check ? check.name : 'numpy';
  agrees.className = '';
  if (!check) {
    agrees.textContent = '\u2013';
    return;
  }
  const same = check.code === code && check.margin === margin && trace.code === check.code;
  agrees.textContent = same ? 'agrees' : `reads ${nameOf(check.code)}, margin ${check.margin}`;
  agrees.className = same ? 'good' : 'bad';
}

/** As before anything was drawn. */
export function showNothing() {
  $('text').hidden = true;
  for (const id of ['by', 'margin', 'cycles', 'time', 'agrees']) $(id).textContent = '\u2013';
  $('agrees').className = '';
  $('hint').hidden = !isBlank();
  showSteps(undefined);
  if (!page.network) return;
  showRegister(page.network, null);
  page.layers.show(null);
  showDecisions(page.network, null);
  showKeep();
}

/** The steps of a picture, the URL of one; none takes them away. */
export function showSteps(steps) {
  $('steps-card').hidden = !steps;
  if (steps) $('steps').src = steps;
}

/** Whether it is asked what the drawing was. */
export function showKeep() {
  $('keep').hidden = !page.state?.keep || page.line || isBlank();
}
