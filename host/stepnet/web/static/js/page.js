// What the modules of the page share: its elements, and what it works with at the moment.

/** Whether `stepnet web` answers this page; otherwise it is files alone. */
export const served = document.documentElement.dataset.server === 'yes';

export const $ = (id) => document.getElementById(id);

export const page = {
  pad: null,
  network: null,
  wanted: null, // the name of the network that is used or being fetched
  layers: null,
  state: null, // of the server
  board: null, // at Web Serial
  line: false,
  picture: null, // the last one that was given, as a file; null if the paper counts
  files: {}, // of the networks, by name
  turn: 0, // goes up with each reading that is asked for
  asking: null, // aborts the request that is under way
  isMoving: false, // the pen is
  timer: 0,
};

/** Whether there is anything to read. */
export const isBlank = () => page.pad.isEmpty && page.picture === null;
