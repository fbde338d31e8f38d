// What `stepnet web` answers, and what it means when it does not.

export class ServerError extends Error {}

const tab = Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) =>
  byte.toString(16).padStart(2, '0'),
).join('');
const token = decodeURIComponent(location.hash.slice(1));

const headers = { 'x-stepnet-tab': tab, ...(token && { 'x-stepnet-token': token }) };

async function ask(path, options = {}) {
  let response;
  let answer;
  try {
    response = await fetch(path, { ...options, headers });
    answer = await response.json();
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ServerError('The server does not answer; start `stepnet web` again and reload the page.');
  }
  if (!response.ok) throw new ServerError(answer.error);
  return answer;
}

export const server = {
  state: () => ask('api/state'),
  choose: (choice) => ask('api/choose', { method: 'POST', body: JSON.stringify(choice) }),
  /** kind: "drawing", "picture" or "line". */
  read: (picture, kind, { steps, signal }) =>
    ask(`api/read?as=${kind}&steps=${steps ? 'yes' : 'no'}`, {
      method: 'POST',
      body: picture,
      signal,
    }),
  keep: (picture, kind, label) =>
    ask(`api/keep?as=${kind}&label=${encodeURIComponent(label)}`, {
      method: 'POST',
      body: picture,
    }),
};

/** Files beside the page, which are there without `stepnet web` too. */
export async function fetchFile(path) {
  try {
    const response = await fetch(path, { headers });
    if (response.ok) return await response.json();
  } catch {
    // The sentence below says it.
  }
  throw new ServerError(`The file ${path} cannot be fetched; reload the page.`);
}
