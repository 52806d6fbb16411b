// REST: the token, requests, and server-sent events over fetch (EventSource cannot send a token).

const KEY = "xdpcopy-token";
const API = "/api/v1";

/** Kept for this tab alone, until it is closed. */
export const token = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => sessionStorage.setItem(KEY, value),
  clear: () => sessionStorage.removeItem(KEY),
};

/** What the api refused, as its problem+json says; status 0: it could not be reached. */
export class Problem extends Error {
  constructor(status, detail, problems = []) {
    super(detail);
    Object.assign(this, { status, problems });
  }
}

let refused = () => {};

/** Calls `callback(problem)` whenever the token is not accepted any more. */
export const onRefused = (callback) => {
  refused = callback;
};

async function send(method, path, { body, type, ifMatch, signal } = {}) {
  const headers = { Authorization: `Bearer ${token.get()}` };
  if (body !== undefined) headers["Content-Type"] = type ?? "application/json";
  if (ifMatch !== undefined) headers["If-Match"] = `"${ifMatch}"`;
  let answer;
  try {
    const content = body === undefined || type ? body : JSON.stringify(body);
    answer = await fetch(API + path, { method, headers, body: content, signal, cache: "no-store", credentials: "omit" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "the api cannot be reached");
  }
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => ({}));
  const problem = new Problem(answer.status, said.detail ?? `${answer.status} ${answer.statusText}`, said.problems);
  if (answer.status === 401) refused(problem);
  throw problem;
}

/** The answer's JSON; null where it has none. Throws Problem. */
export async function ask(method, path, options) {
  const answer = await send(method, path, options);
  return answer.status === 204 ? null : answer.json();
}

/** Calls `event(name, data)` for each event until the stream ends. Throws Problem. */
export async function listen(path, event, signal) {
  const answer = await send("GET", path, { signal });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const whole = (waiting + value).split("\n\n");
    waiting = whole.pop();
    for (const message of whole) {
      const fields = Object.fromEntries(message.split("\n").map((line) => line.split(/: (.*)/s, 2)));
      event(fields.event, JSON.parse(fields.data));
    }
  }
}
