// Transfers: the table with its controls. What is changed here is in force when the api has answered.

import { ask } from "./client.js";
import { sparkline } from "./charts.js";
import { clear, confirm, fail, say } from "./dialog.js";
import { h, List, show, text } from "./dom.js";
import { edit } from "./edit.js";
import { count, perSecond, resets } from "./format.js";

const MULTIPLIERS = { steps: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 20, 30, 50, 100, 200, 500, 1023], step: 1, unit: "×" };
const PERCENTAGES = {
  steps: [0.01, 0.1, 0.5, 1, 2, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90, 95, 100], step: 0.01, unit: "%",
};

export function transfers(feed, may) {
  const body = h("tbody");
  const rows = new List(body, (item) => item.id, (item) => row(feed, may, item));
  const heads = [["Transfer"], ["State"], ["Source → target"], ["Multiplier"], ["Sampling"], ["Requests", "number"], [""], ["Sessions", "number"], ...(may ? [[""]] : [])];
  const content = h("table", { class: "wide" }, h("thead", {}, h("tr", {}, heads.map(([name, kind]) => h("th", { scope: "col", class: kind }, name)))), body);
  const empty = h("p", { class: "muted empty" }, may ? "There is no transfer yet. New transfer makes one: traffic to a production server is replayed to a target."
    : "There is no transfer yet.");
  const node = h("section", { class: "panel page" },
    h("div", { class: "head" }, h("h1", {}, "Transfers"), h("span", { class: "space" }),
      may && h("button", { type: "button", class: "primary", onclick: () => edit(feed, null) }, "New transfer")),
    h("div", { class: "body" }, empty, content));
  return { node, update() {
    if (!feed.transfers) return;
    rows.update(feed.transfers);
    show(empty, !feed.transfers.length);
    show(content, feed.transfers.length > 0);
  } };
}

/** A slider over chosen steps, and a number that can be any; `set(value)` is called when either was changed. */
function stepped(label, { steps, step, unit }, set) {
  const nearest = (value) => steps.reduce((best, each, i) => (Math.abs(Math.log(each / value)) < Math.abs(Math.log(steps[best] / value)) ? i : best), 0);
  const slider = h("input", { type: "range", min: 0, max: steps.length - 1, step: 1, "aria-label": `${label}, slider`,
    oninput: () => ((number.value = steps[slider.value]), spell()), onchange: () => set(steps[slider.value]) });
  const number = h("input", { type: "number", min: steps[0], max: steps.at(-1), step, required: true, "aria-label": label,
    onchange: () => number.reportValidity() && set(Number(number.value)) });
  const spell = () => slider.setAttribute("aria-valuetext", `${number.value} ${unit}`);
  return {
    node: h("div", { class: "stepped" }, slider, number, h("span", { class: "muted" }, unit)),
    show(value, always = false) {
      if (always || document.activeElement !== number) number.value = value;
      if (always || !slider.matches(":active")) slider.value = nearest(value);
      spell();
    },
  };
}

function plain(unit) {
  const node = h("span");
  return { node, show: (value) => text(node, `${value} ${unit}`) };
}

function row(feed, may, first) {
  let item = first;
  let busy = false;
  const name = item.id;
  const read = (counter) => (sample) => sample.transfers[name]?.[counter] ?? 0;
  const line = sparkline(`Requests of ${name}`);
  const parts = {
    label: h("span", { class: "muted" }), state: h("span", { class: "state" }), from: h("span"), to: h("span"), more: h("div", { class: "muted small" }),
    rate: h("td", { class: "number" }), live: h("td", { class: "number" }),
  };
  const multiplier = may ? stepped(`Multiplier of ${name}`, MULTIPLIERS, (value) => change({ multiplier: value })) : plain("×");
  const sample = may ? stepped(`Sampling of ${name}`, PERCENTAGES, (value) => change({ sample_percent: value })) : plain("%");
  const pause = h("button", { type: "button", onclick: () => act("POST", item.paused ? "/resume" : "/pause") });
  const remove = async () => {
    const sentence = `Its ${count(feed.newest ? read("sessions_live")(feed.newest) : 0)} live sessions are reset, and it is forgotten.`;
    if (await confirm(`Delete transfer ${name}?`, sentence, "Delete", true)) act("DELETE", "");
  };
  const buttons = may && h("td", { class: "buttons" }, pause,
    h("button", { type: "button", "aria-label": `Edit ${name}`, onclick: () => edit(feed, item) }, "Edit"),
    h("button", { type: "button", class: "quiet-danger", "aria-label": `Delete ${name}`, onclick: remove }, "Delete"));
  const node = h("tr", {}, h("th", { scope: "row" }, h("div", {}, name), parts.label), h("td", {}, parts.state),
    h("td", {}, h("div", { class: "route" }, parts.from, h("span", { class: "muted" }, " → "), parts.to), parts.more),
    h("td", {}, multiplier.node), h("td", {}, sample.node), parts.rate, h("td", {}, line.node), parts.live, buttons);

  const change = (settings) => act("PATCH", "", settings);
  let queue = Promise.resolve(); // one after the other, each with the version that the one before made
  const act = (...what) => (queue = queue.then(() => send(...what)));
  async function send(method, path, body) {
    busy = true;
    clear();
    try {
      const done = await ask(method, `/transfers/${name}${path}`, { body, ifMatch: item.version });
      item = done.transfer;
      say(`${name}: ${sentence(method, path, done)}`);
    } catch (problem) {
      fail(problem);
      multiplier.show(item.settings.multiplier, true);
      sample.show(item.settings.sample_percent, true);
    }
    busy = false;
    await feed.refresh().catch(fail);
  }

  return { node, update(found) {
    if (busy || found.version < item.version) return; // an answer from before our change
    item = found;
    const { settings } = item;
    text(parts.label, settings.name);
    text(parts.state, item.state);
    parts.state.className = `state ${{ running: "good", paused: "quiet", unreachable: "warn", stopped: "bad" }[item.state]}`;
    text(parts.from, settings.source);
    text(parts.to, settings.target);
    text(parts.more, [settings.protocol === "udp" ? "UDP" : "", settings.clients.length ? `clients ${settings.clients.join(", ")}` : "",
      item.next_hop ? `next hop ${item.next_hop}` : "no next hop"].filter(Boolean).join(" · "));
    parts.more.title = item.forecast;
    multiplier.show(settings.multiplier);
    sample.show(settings.sample_percent);
    text(parts.rate, perSecond(feed.rate(read("turns_sent"))));
    text(parts.live, feed.newest ? count(read("sessions_live")(feed.newest)) : "–");
    line.update(feed.series(read("turns_sent")), perSecond);
    text(pause, item.paused ? "Resume" : "Pause");
    pause.setAttribute("aria-label", `${item.paused ? "Resume" : "Pause"} ${name}`);
  } };
}

const sentence = (method, path, done) => {
  const reset = done.sessions_reset ? `, ${resets(done)}` : "";
  const what = { PATCH: "changed", DELETE: "deleted", "/pause": "paused", "/resume": "resumed" };
  return `${what[method] ?? what[path]}, in force on every worker after ${Math.ceil(done.took_ms)} ms${reset}.`;
};
