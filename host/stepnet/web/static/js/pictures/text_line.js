// The text of a line from the readings of its characters, as stepnet.pictures.text_line joins it.

const UNKNOWN_CHARACTER = '\ufffd';

/** spaces: whether one stands before each character; characters: what was read, null if unknown. */
export function joinedText(spaces, characters) {
  return characters
    .map((character, i) => (spaces[i] ? ' ' : '') + (character ?? UNKNOWN_CHARACTER))
    .join('');
}
