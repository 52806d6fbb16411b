// Replays of captures: how far they are, pause, resume, cancel.

import { ask } from "./client.js";
import { bar } from "./charts.js";
import { clear, confirm, fail } from "./dialog.js";
import { h, List, show, text } from "./dom.js";
import { count, duration, many, percent, ratio } from "./format.js";

const KINDS = { starting: "quiet", running: "good", paused: "warn", done: "good", cancelled: "quiet", failed: "bad" };
const ENDED = ["done", "cancelled", "failed"];

export function replays(feed, may) {
  const list = h("div", { class: "runs" });
  const rows = new List(list, (item) => item.id, () => run(feed, may));
  const empty = h("p", { class: "muted empty" }, "No capture has been replayed yet.");
  const node = h("section", { class: "panel replays" }, h("div", { class: "head" }, h("h2", {}, "Replays")), h("div", { class: "body" }, empty, list));
  return { node, update() {
    if (!feed.replays) return;
    rows.update(feed.replays);
    show(empty, !feed.replays.length);
  } };
}

function run(feed, may) {
  let item;
  const name = h("strong", { class: "small" });
  const state = h("span", { class: "state" });
  const what = h("p", { class: "muted small" });
  const done = h("span", { class: "number" });
  const line = bar();
  const numbers = h("p", { class: "small" });
  const said = h("p", { class: "small" });
  const act = async (method, path = "") => {
    clear();
    await ask(method, `/replays/${item.id}${path}`).catch(fail);
    await feed.refresh().catch(fail);
  };
  const cancel = async () => {
    if (await confirm(`Cancel ${item.id}?`, "Every session of it is reset.", "Cancel the replay", true)) act("POST", "/cancel");
  };
  const pause = h("button", { type: "button", onclick: () => act("POST", item.state === "paused" ? "/resume" : "/pause") });
  const stop = h("button", { type: "button", class: "quiet-danger", onclick: cancel }, "Cancel");
  const forget = h("button", { type: "button", onclick: () => act("DELETE") }, "Forget");
  const node = h("article", { class: "run" }, h("div", { class: "line" }, name, state, h("span", { class: "space" }), h("span", { class: "buttons" }, may && [pause, stop, forget])),
    what, h("div", { class: "line" }, line.node, done), numbers, said);
  return { node, update(found) {
    item = found;
    const { progress, options } = item;
    const over = ENDED.includes(item.state);
    text(name, item.id);
    text(state, item.state);
    state.className = `state ${KINDS[item.state]}`;
    text(what, [options.captures.map((id) => title(feed, id)).join(", "), pace(options)].join(" · "));
    line.update(progress.percent / 100);
    text(done, percent(progress.percent / 100));
    text(numbers, [many(progress.frames, "frame"), many(progress.requests, "request"), over ? "" : many(progress.sessions_live, "session"),
      over ? `took ${duration(progress.running_s)}` : progress.rest_s === null ? "" : `${duration(progress.rest_s)} left`].filter(Boolean).join(" · "));
    text(said, item.reason || (item.closes === false ? "Its ledger does not close." : ""));
    said.className = item.state === "failed" || item.closes === false ? "small bad" : "muted small";
    numbers.title = item.summary.join("\n");
    text(pause, item.state === "paused" ? "Resume" : "Pause");
    for (const [button, verb] of [[pause, pause.textContent], [stop, "Cancel"], [forget, "Forget"]]) button.setAttribute("aria-label", `${verb} ${item.id}`);
    show(pause, !over);
    show(stop, !over);
    show(forget, over);
  } };
}

const title = (feed, id) => feed.captures?.items.find((one) => one.id === id)?.name || id;

const pace = ({ fast, speed, repeats }) => [fast ? "as fast as it goes" : speed === 1 ? "at its own pace" : `${ratio(speed)} its pace`,
  repeats > 1 ? `${count(repeats)} times` : ""].filter(Boolean).join(", ");
