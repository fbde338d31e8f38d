// The page: what is drawn is read, by `stepnet web` if that serves it, otherwise by the page itself
// or by a board at Web Serial; and what was read is shown.

import { show, showKeep, showNothing, showOne, showSteps } from './answer.js';
import { Layers } from './layers.js';
import { readNetwork } from './network.js';
import { attempt, say } from './notices.js';
import { Pad } from './pad.js';
import { $, isBlank, page, served } from './page.js';
import { ImageError } from './pictures/image_error.js';
import { readAlone, readByServer, readHere } from './reading.js';
import { connectBoard, whyNoSerial } from './serial_board.js';
import { fetchFile, server } from './server.js';

const POLL_MS = 1000;
const OPENING_POLL_MS = 150; // while the board is being opened, which somebody waits for
const LINE_PAUSE_MS = 400;
const PREVIEW_MS = 40;
const MOST_PICTURE_BYTES = 16 * 2 ** 20;

let previewed = 0;

// Networks and boards

/** Take a network and have it read what is there; nothing if it is taken already. */
async function useNetwork(name) {
  if (page.wanted === name) return;
  page.wanted = name;
  try {
    const network = await fetchNetwork(name);
    if (page.wanted !== name) return; // another one was chosen meanwhile
    takeNetwork(network);
  } catch (error) {
    page.wanted = page.network?.name ?? null;
    throw error;
  }
  await read();
}

async function fetchNetwork(name) {
  if (!(name in page.files)) page.files = (await fetchFile('networks/index.json')).networks;
  return readNetwork(await fetchFile(`networks/${page.files[name]}`));
}

function takeNetwork(network) {
  page.network = network;
  page.layers = new Layers(network);
  $('network').value = network.name;
  const { card } = network;
  const facts = [`${network.name}: knows ${network.codes.filter(Boolean).length} characters`];
  if (card.accuracy) facts.push(card.accuracy);
  if (card.data) facts.push(`learned from ${card.data}`);
  $('about').textContent = `${facts.join('; ')}.`;
  showNothing();
}

function fillChoice(select, names, chosen) {
  const listed = Array.from(select.options, (option) => option.value);
  if (listed.join('\n') !== names.join('\n')) {
    select.replaceChildren(...names.map((name) => new Option(name, name)));
  }
  if (document.activeElement !== select) select.value = chosen;
}

const CONDITIONS = { opening: 'opening', ready: 'ready', lost: 'lost', unfit: 'not in use' };

async function takeState(state) {
  if (page.state && page.state.run !== state.run) {
    page.wanted = null; // the server was started again, perhaps with other networks
    page.files = {};
  }
  page.state = state;
  say('server', '');
  fillChoice($('network'), state.networks, state.network);
  fillChoice($('board'), state.boards, state.board);
  const clock = state.clock_hz ? `, ${state.clock_hz / 1e6} MHz` : '';
  $('status').textContent = CONDITIONS[state.condition] + clock;
  $('status').dataset.condition = state.condition;
  const without = state.condition === 'ready' ? '' : ' Until then numpy reads.';
  const doing = state.problem || (state.condition === 'opening' ? 'The board is being opened.' : '');
  say('board', doing && `${doing}${state.condition === 'unfit' ? ' Meanwhile numpy reads.' : without}`);
  showKeep();
  await useNetwork(state.network);
}

async function poll() {
  if (document.visibilityState === 'visible') {
    try {
      await takeState(await server.state());
    } catch (error) {
      say('server', error.message);
    }
  }
  const isOpening = page.state?.condition === 'opening' && !page.state.problem;
  setTimeout(poll, isOpening ? OPENING_POLL_MS : POLL_MS);
}

async function choose(choice, select) {
  select.disabled = true;
  const chosen = await attempt(async () => {
    const state = await server.choose(choice);
    select.blur(); // so that it shows the state from now on
    await takeState(state);
    return true;
  });
  select.disabled = false;
  select.blur();
  if (!chosen) select.value = select === $('board') ? page.state?.board : page.state?.network;
}

/** Without a server: a board that does not take the network keeps the one that it has. */
async function chooseHere(name) {
  const network = await attempt(async () => {
    const fetched = await fetchNetwork(name);
    await page.board?.load(fetched);
    return fetched;
  });
  if (network) {
    takeNetwork(network);
    await read();
  } else $('network').value = page.network.name;
}

async function connect() {
  $('connect').disabled = true;
  const board = await attempt(async () => {
    await page.board?.close();
    page.board = null;
    showSerial('connecting');
    return connectBoard(page.network, lostBoard);
  });
  $('connect').disabled = false;
  page.board = board ?? null;
  showSerial();
  if (board) {
    say('board', '');
    await read();
  }
}

function lostBoard(sentence) {
  page.board = null;
  showSerial();
  say('board', sentence);
  read(); // by itself
}

function showSerial(under = '') {
  const clock = page.board && page.board.identity.clock_hz / 1e6;
  $('status').textContent = under || (page.board ? `board connected, ${clock} MHz` : 'no board');
  $('status').dataset.condition = under ? 'opening' : page.board ? 'ready' : 'alone';
}

// Reading

/** Have the paper, or the picture that was given, read. */
async function read(penUpAt = performance.now()) {
  const { network } = page;
  const turn = ++page.turn;
  page.asking?.abort();
  page.asking = new AbortController();
  if (!network || isBlank()) {
    showNothing();
    return;
  }
  try {
    const found = served ? await askServer(network) : await askHere(network);
    if (turn !== page.turn || !found) return;
    say('last', '');
    show(found.readings, found.text, penUpAt);
    showSteps(found.steps);
  } catch (error) {
    if (turn !== page.turn) return; // something else is being read
    say('last', error.message);
    showNothing(); // rather than what was read before
  }
}

function askHere(network) {
  const source = page.picture ?? page.pad.raster();
  return readAlone(network, page.board, kindNow(), source, page.asking.signal);
}

async function askServer(network) {
  const picture = await pictureNow();
  const { signal } = page.asking;
  const answer = await server.read(picture, kindNow(), { steps: page.picture !== null, signal });
  if (answer.network !== network.name) {
    await takeState(answer.state); // which reads again, with the network that is used now
    return null;
  }
  const readings = answer.characters.map((each) => readByServer(network, each));
  const steps = answer.steps && `data:image/png;base64,${answer.steps}`;
  return { readings, text: answer.text, steps };
}

const kindNow = () => (page.line ? 'line' : page.picture ? 'picture' : 'drawing');

/** The picture that was given, or the paper as one. */
function pictureNow() {
  if (page.picture) return page.picture;
  const { canvas } = page.pad.raster();
  return new Promise((resolve) => canvas.toBlob(resolve, 'image/png'));
}

/** Lights follow the pen: the page's reference reads what is there so far. */
function preview() {
  previewed = performance.now();
  if (!page.isMoving || page.line || !page.network) return;
  try {
    showOne(readHere(page.network, page.pad.raster()));
  } catch (error) {
    if (!(error instanceof ImageError)) throw error; // nothing is on the paper yet
  }
}

function drawn(how) {
  page.picture = null;
  $('given').hidden = true;
  $('hint').hidden = !isBlank();
  page.isMoving = how === 'moving';
  if (page.isMoving) {
    page.turn++; // what is being read lacks this stroke, and would hide its preview
    if (performance.now() - previewed > PREVIEW_MS) requestAnimationFrame(preview);
    return;
  }
  const penUpAt = performance.now();
  clearTimeout(page.timer);
  if (page.line && !page.pad.isEmpty) page.timer = setTimeout(() => read(penUpAt), LINE_PAUSE_MS);
  else read(penUpAt);
}

async function given(files) {
  const [picture] = files;
  if (!picture) return;
  if (picture.size > MOST_PICTURE_BYTES) {
    say('last', 'The upload has more than 16 MiB; scale the picture down first.');
    return;
  }
  page.pad.clear();
  page.picture = picture;
  $('hint').hidden = true;
  const shown = URL.createObjectURL(picture);
  for (const end of ['load', 'error']) {
    $('given').addEventListener(end, () => URL.revokeObjectURL(shown), { once: true });
  }
  $('given').src = shown;
  $('given').hidden = false;
  await read();
}

async function keep(event) {
  event.preventDefault();
  await attempt(async () => {
    const { file, count } = await server.keep(await pictureNow(), kindNow(), $('label').value);
    $('kept').textContent = `Kept: ${file} has ${count}.`;
  });
}

// Wiring

function setLine(line) {
  page.line = line;
  page.picture = null;
  $('one').setAttribute('aria-pressed', String(!line));
  $('line').setAttribute('aria-pressed', String(line));
  $('draw-title').textContent = line ? 'Write' : 'Draw';
  $('hint').textContent = line ? 'Write a word here, letters apart' : 'Draw a letter or a digit here';
  document.querySelector('main').classList.toggle('wide', line);
  page.pad.shape(line ? 'line' : 'character');
  $('given').hidden = true;
  $('hint').hidden = false;
  read();
}

function wire() {
  page.pad = new Pad($('pad'), (how) => {
    drawn(how);
    showKeep();
  });
  $('undo').addEventListener('click', () => page.pad.undo());
  $('clear').addEventListener('click', () => {
    page.picture = null;
    page.pad.clear();
  });
  $('pen').addEventListener('input', () => (page.pad.penWidth = Number($('pen').value)));
  $('one').addEventListener('click', () => setLine(false));
  $('line').addEventListener('click', () => setLine(true));
  $('picture').addEventListener('change', () => {
    given($('picture').files);
    $('picture').value = '';
  });
  $('keep').addEventListener('submit', keep);
  document.addEventListener('paste', (event) => given(event.clipboardData.files));
  document.addEventListener('dragover', (event) => event.preventDefault());
  document.addEventListener('drop', (event) => {
    event.preventDefault();
    given(event.dataTransfer.files);
  });
  $('network').addEventListener('change', () => {
    const network = $('network').value;
    if (served) choose({ network }, $('network'));
    else chooseHere(network);
  });
  $('board').addEventListener('change', () => choose({ board: $('board').value }, $('board')));
  $('connect').addEventListener('click', connect);
}

async function start() {
  wire();
  if (served) {
    await poll();
  } else {
    $('board-choice').hidden = true;
    await attempt(async () => {
      page.files = (await fetchFile('networks/index.json')).networks;
      const names = Object.keys(page.files);
      fillChoice($('network'), names, names[0]);
      takeNetwork(await fetchNetwork(names[0]));
    });
    const why = whyNoSerial();
    $('connect').hidden = why !== null;
    $('serial-help').hidden = why === null;
    if (why) $('serial-help').textContent = `${why} The page reads by itself.`;
    showSerial();
  }
  document.documentElement.dataset.ready = 'yes';
}

start();
