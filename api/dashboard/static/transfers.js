// Transfers: the table with its controls. A change is in force by the time the api has answered it.

import { ask } from "./client.js";
import { sparkline } from "./charts.js";
import { clear, confirm, fail, say } from "./dialog.js";
import { h, heads, List, show, text } from "./dom.js";
import { edit } from "./edit.js";
import { count, perSecond, resets } from "./format.js";
import { SLIDERS } from "./hints.js";
import { body as taken, fieldOf, part } from "./schema.js";

const COLUMNS = [["Transfer"], ["State"], ["Source → target"], ["Multiplier"], ["Sampling"],
  ["Requests", "number"], [""], ["Sessions", "number"]];
const KINDS = { running: "good", paused: "quiet", unreachable: "warn", stopped: "bad" };

export function transfers(feed, may) {
  const body = h("tbody");
  const rows = new List(body, (item) => item.id, (item) => row(feed, may, item));
  const content = h("table", { class: "wide" }, heads([...COLUMNS, ...(may ? [[""]] : [])]), body);
  const empty = h("p", { class: "muted empty" }, "There is no transfer yet.",
    may && " Press New transfer to replay a production server's traffic to a target.");
  const create = may && h("button", { type: "button", class: "primary", onclick: () => edit(feed, null) },
    "New transfer");
  const node = h("section", { class: "panel page" },
    h("div", { class: "head" }, h("h1", {}, "Transfers"), h("span", { class: "space" }), create),
    h("div", { class: "body" }, empty, content));
  return { node, update() {
    if (!feed.transfers) return;
    rows.update(feed.transfers);
    show(empty, !feed.transfers.length);
    show(content, feed.transfers.length > 0);
  } };
}

/** A slider over chosen steps, beside a field for any number; both call `set(value)` when they change. */
function stepped(label, { name, min, max, step }, { steps: some, unit }, set) {
  const steps = [min, ...some.filter((each) => each > min && each < max), max];
  const distance = (value, i) => Math.abs(Math.log(steps[i] / value));
  const closer = (value) => (best, _, i) => (distance(value, i) < distance(value, best) ? i : best);
  const nearest = (value) => steps.reduce(closer(value), 0);
  const slider = h("input", {
    type: "range", min: 0, max: steps.length - 1, step: 1, "aria-label": `${label}, slider`,
    oninput: () => ((number.value = steps[slider.value]), spell()),
    onchange: () => set(steps[slider.value]),
  });
  const number = h("input", { type: "number", name, min, max, step, required: true, "aria-label": label,
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

/** A slider for each setting that has one, or just its value; the sliders call `change(settings)`. */
function sliders(name, may, change) {
  const settings = part(taken("/transfers"), "settings");
  return Object.entries(SLIDERS).map(([setting, hint]) => {
    const set = (value) => change({ [setting]: value });
    const label = `${hint.label} of ${name}`;
    return { setting, ...(may ? stepped(label, fieldOf(settings, setting), hint, set) : plain(hint.unit)) };
  });
}

function row(feed, may, first) {
  let item = first;
  let busy = false;
  const name = item.id;
  const controls = sliders(name, may, (settings) => act("PATCH", "", settings));
  const shown = cells(feed, name);
  const pause = h("button", {
    type: "button", onclick: () => act("POST", item.paused ? "/resume" : "/pause"),
  });
  const remove = async () => {
    const warning = `Its ${count(shown.live())} live sessions are reset, and its settings are lost.`;
    if (await confirm(`Delete transfer ${name}?`, warning, "Delete", true)) act("DELETE", "");
  };
  const button = (verb, onclick, kind) =>
    h("button", { type: "button", class: kind, "aria-label": `${verb} ${name}`, onclick }, verb);
  const buttons = may && h("td", { class: "buttons" }, pause,
    button("Edit", () => edit(feed, item)), button("Delete", remove, "quiet-danger"));
  const node = h("tr", {}, shown.before, controls.map((one) => h("td", {}, one.node)), shown.after, buttons);

  let queue = Promise.resolve(); // one at a time, each with the version that the one before made
  const act = (...what) => (queue = queue.then(() => send(...what)));
  async function send(method, path, body) {
    busy = true;
    clear();
    try {
      const done = await ask(method, `/transfers/${name}${path}`, { body, ifMatch: item.version });
      item = done.transfer;
      say(`${name}: ${outcome(method, path, done)}`);
    } catch (problem) {
      fail(problem);
      for (const control of controls) control.show(item.settings[control.setting], true);
    }
    busy = false;
    await feed.refresh().catch(fail);
  }

  return { node, update(found) {
    if (busy || found.version < item.version) return; // an answer from before our change
    item = found;
    shown.update(item);
    for (const control of controls) control.show(item.settings[control.setting]);
    const verb = item.paused ? "Resume" : "Pause";
    text(pause, verb);
    pause.setAttribute("aria-label", `${verb} ${name}`);
  } };
}

/** What a row shows and nobody can change: the cells before the sliders, and those after them. */
function cells(feed, name) {
  const read = (counter) => (sample) => sample.transfers[name]?.[counter] ?? 0;
  const live = () => (feed.newest ? read("sessions_live")(feed.newest) : 0);
  const line = sparkline(`Requests of ${name}`);
  const [label, state, from, to, more] = [h("span", { class: "muted" }), h("span"), h("span"), h("span"),
    h("div", { class: "muted small" })];
  const [rate, sessions] = [h("td", { class: "number" }), h("td", { class: "number" })];
  return {
    live,
    before: [h("th", { scope: "row" }, h("div", {}, name), label), h("td", {}, state),
      h("td", {}, h("div", { class: "route" }, from, h("span", { class: "muted" }, " → "), to), more)],
    after: [rate, h("td", {}, line.node), sessions],
    update({ settings, state: now, next_hop: hop, forecast }) {
      text(label, settings.name);
      text(state, now);
      state.className = `state ${KINDS[now]}`;
      text(from, settings.source);
      text(to, settings.target);
      const pool = settings.clients.length ? `clients ${settings.clients.join(", ")}` : "";
      text(more, [settings.protocol === "udp" ? "UDP" : "", pool, hop ? `next hop ${hop}` : "no next hop"]
        .filter(Boolean).join(" · "));
      more.title = forecast;
      text(rate, perSecond(feed.rate(read("turns_sent"))));
      text(sessions, feed.newest ? count(live()) : "–");
      line.update(feed.series(read("turns_sent")), perSecond);
    },
  };
}

const outcome = (method, path, done) => {
  const reset = done.sessions_reset ? `, ${resets(done)}` : "";
  const verb = { PATCH: "changed", DELETE: "deleted", "/pause": "paused", "/resume": "resumed" };
  const when = `in force on every worker after ${Math.ceil(done.took_ms)} ms`;
  return `${verb[method] ?? verb[path]}, ${when}${reset}.`;
};
