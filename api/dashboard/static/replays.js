// Replays of captures: progress, pause, resume, cancel.

import { ask } from "./client.js";
import { bar } from "./charts.js";
import { clear, confirm, fail } from "./dialog.js";
import { h, List, show, text } from "./dom.js";
import { count, duration, many, percent, ratio } from "./format.js";

const KINDS = {
  starting: "quiet", running: "good", paused: "warn", done: "good", cancelled: "quiet", failed: "bad",
};
const ENDED = ["done", "cancelled", "failed"];

export function replays(feed, may) {
  const list = h("div", { class: "runs" });
  const rows = new List(list, (item) => item.id, () => run(feed, may));
  const empty = h("p", { class: "muted empty" }, "No capture has been replayed yet.");
  const node = h("section", { class: "panel replays" },
    h("div", { class: "head" }, h("h2", {}, "Replays")), h("div", { class: "body" }, empty, list));
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
    const warning = "All its sessions are reset.";
    if (await confirm(`Cancel ${item.id}?`, warning, "Cancel the replay", true)) act("POST", "/cancel");
  };
  const toggle = () => act("POST", item.state === "paused" ? "/resume" : "/pause");
  const pause = h("button", { type: "button", onclick: toggle });
  const stop = h("button", { type: "button", class: "quiet-danger", onclick: cancel }, "Cancel");
  const forget = h("button", { type: "button", onclick: () => act("DELETE") }, "Forget");
  const buttons = h("span", { class: "buttons" }, may && [pause, stop, forget]);
  const node = h("article", { class: "run" },
    h("div", { class: "line" }, name, state, h("span", { class: "space" }), buttons),
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
    text(numbers, tally(progress, over));
    text(said, item.reason || (item.closes === false ? "Its ledger does not close." : ""));
    said.className = item.state === "failed" || item.closes === false ? "small bad" : "muted small";
    numbers.title = item.summary.join("\n");
    text(pause, item.state === "paused" ? "Resume" : "Pause");
    for (const button of [pause, stop, forget]) {
      button.setAttribute("aria-label", `${button.textContent} ${item.id}`);
    }
    show(pause, !over);
    show(stop, !over);
    show(forget, over);
  } };
}

const title = (feed, id) => feed.captures?.items.find((one) => one.id === id)?.name || id;

function tally({ frames, requests, sessions_live: live, running_s: took, rest_s: rest }, over) {
  const left = rest === null ? [] : [`${duration(rest)} left`];
  return [many(frames, "frame"), many(requests, "request"),
    ...(over ? [`took ${duration(took)}`] : [many(live, "session"), ...left])].join(" · ");
}

function pace({ fast, speed, repeats }) {
  const how = fast ? "as fast as possible" : speed === 1 ? "at its own pace" : `${ratio(speed)} its pace`;
  return repeats > 1 ? `${how}, ${count(repeats)} times` : how;
}
