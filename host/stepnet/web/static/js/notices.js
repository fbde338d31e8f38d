// The sentence at the foot of the page: what is wrong or under way.

import { $ } from './page.js';

// Of several the first that is not empty is shown.
const sentences = { server: '', last: '', board: '' };

/** kind: "server" while it does not answer, "board" for how it stands with the board, "last" for
 *  what came of what was asked last. An empty sentence takes it away. */
export function say(kind, sentence) {
  sentences[kind] = sentence;
  const shown = Object.values(sentences).find(Boolean) ?? '';
  if ($('notice').textContent !== shown) $('notice').textContent = shown;
  $('notice').hidden = !shown;
}

let attempts = 0;

/** Do something that may fail; its sentence is shown, and undefined given. What succeeds takes the
 *  sentence of an earlier attempt away, and leaves that of one which began later. */
export async function attempt(task) {
  const number = ++attempts;
  try {
    const result = await task();
    if (number === attempts) say('last', '');
    return result;
  } catch (error) {
    if (error.name !== 'AbortError') say('last', error.message);
    return undefined;
  }
}
