// REST: the token, requests, and server-sent events over fetch (EventSource cannot send a token).

const KEY = "xdpcopy-token";
const API = "/api/v1";

/** Kept in this tab only, until it is closed. */
export const token = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => sessionStorage.setItem(KEY, value),
  clear: () => sessionStorage.removeItem(KEY),
};

/** An error as the api's problem+json describes it; status 0: the api could not be reached. */
export class Problem extends Error {
  constructor(status, detail, problems = []) {
    super(detail);
    Object.assign(this, { status, problems });
  }
}

let refused = () => {};

/** Calls `callback(problem)` whenever the token is rejected. */
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
    const how = { method, headers, body: content, signal, cache: "no-store", credentials: "omit" };
    answer = await fetch(API + path, how);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "the api cannot be reached");
  }
  if (answer.ok) return answer;
  throw problem(answer.status, answer.statusText, await answer.json().catch(() => null));
}

/** The Problem that a refusal states. */
function problem(status, phrase, said) {
  const made = new Problem(status, said?.detail ?? `${status} ${phrase}`, said?.problems);
  if (status === 401) refused(made);
  return made;
}

/** Resolves with the answer's JSON, or null if it is empty. Throws Problem. */
export async function ask(method, path, options) {
  const answer = await send(method, path, options);
  return answer.status === 204 ? null : answer.json();
}

/** Sends a file, reporting to `progress(share)`. Resolves with the answer's JSON. Throws Problem. */
export function upload(path, file, progress, signal) {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest(); // fetch reports no upload progress
    request.open("POST", API + path);
    request.setRequestHeader("Authorization", `Bearer ${token.get()}`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.responseType = "json";
    request.upload.onprogress = ({ loaded, total }) => progress(total ? loaded / total : 0);
    request.onload = () => {
      if (request.status < 400) done(request.response);
      else failed(problem(request.status, request.statusText, request.response));
    };
    request.onerror = () => failed(new Problem(0, "the api cannot be reached, or refused the file midway"));
    request.onabort = () => failed(new Problem(0, "the upload was cancelled"));
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
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
