// Dialogs, messages, and the problems that the api reports.

import { h } from "./dom.js";

const STAYS_MS = 6000;

/** Opens a modal dialog; `content(close)` returns its children. Resolves with the argument of `close`. */
export function open(label, content, kind = "") {
  return new Promise((done) => {
    let result;
    const onclose = () => (node.remove(), done(result));
    const node = h("dialog", { class: kind, "aria-label": label, onclose });
    node.append(...content((value) => ((result = value), node.close())));
    document.body.append(node);
    node.showModal();
    node.querySelector("[data-first]")?.focus();
  });
}

/** Asks for confirmation; resolves with true if `action` was pressed. */
export async function confirm(title, text, action, danger = false) {
  const answer = await open(title, (close) => [
    h("h2", {}, title),
    h("p", {}, text),
    h("footer", {},
      h("button", { type: "button", "data-first": true, onclick: () => close(false) }, "Cancel"),
      h("button", { type: "button", class: danger ? "danger" : "primary", onclick: () => close(true) },
        action)),
  ], "small");
  return answer === true;
}

const messages = h("div", { class: "messages", role: "status" });
const alerts = h("div", { class: "messages", role: "alert" });

/** Where messages appear; put it into the page once. */
export const places = () => h("div", { class: "corner" }, alerts, messages);

/** Shows what was done, for a few seconds. */
export function say(text) {
  const node = h("p", { class: "message" }, text);
  messages.append(node);
  setTimeout(() => node.remove(), STAYS_MS);
}

/** Shows what was refused, until it is dismissed. */
export function fail(problem) {
  const button = h("button", { type: "button", class: "plain", "aria-label": "Dismiss",
    onclick: () => node.remove() }, "×");
  const node = h("div", { class: "message bad" }, ...sentences(problem), button);
  alerts.replaceChildren(node); // only the newest matters
}

/** Removes the last refusal. */
export const clear = () => alerts.replaceChildren();

/** A problem's sentences: one per field, or its detail. */
export function sentences(problem) {
  const found = problem.problems?.length ? problem.problems.map(sentence) : [problem.message];
  return [...new Set(found)].map((each) => h("p", {}, each));
}

const sentence = ({ field, message }) =>
  (field && !message.startsWith(field) ? `${field}: ${message}` : message);
