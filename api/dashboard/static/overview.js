// The main view: rates, latency, sessions, ports, drops, ends, workers.

import { bar, sparkline } from "./charts.js";
import { h, heads, List, show, text } from "./dom.js";
import { percentile } from "./feed.js";
import { bits, count, exact, figures, percent, perSecond, ratio, time, words } from "./format.js";

const RATIO_S = 10;
const REASONS_S = 60;
const PERCENTILES = [["p50", 0.5], ["p90", 0.9], ["p99", 0.99], ["p99.9", 0.999]];
const total = (name) => (sample) => sample.totals[name];

const meanings = fetch("/dashboard/meanings.json").then((answer) => answer.json()).catch(() => ({}));
const number = (shown = "") => h("td", { class: "number" }, shown);

export function overview(feed) {
  const parts = [
    tiles(feed), latency(feed), sessions(feed), ports(feed),
    reasons(feed, "Drops by reason", "drop_", "Nothing was dropped."),
    reasons(feed, "How sessions ended", "end_", "No session has ended yet."),
    workers(feed),
  ];
  const node = h("div", { class: "grid" },
    h("h1", { class: "unseen" }, "Overview"), parts.map((part) => part.node));
  const update = () => parts.forEach((part) => part.update());
  return { node, wants: ["/workers", "/latency", "/sessions/summary"], update };
}

// --- figures ---------------------------------------------------------------------------------------------

function tile(title, hint) {
  const value = h("span", { class: "value" }, "–");
  const note = h("p", { class: "muted note" }, " ");
  const line = sparkline(title);
  const node = h("section", { class: "tile", title: hint },
    h("h2", {}, title), h("p", { class: "figure" }, value), note, line.node);
  return { node, update(shown, said, points, format) {
    text(value, shown);
    text(note, said);
    line.update(points, format);
  } };
}

function tiles(feed) {
  const mirrored = tile("Mirrored", "Frames received on mirror ports, per second");
  const sent = tile("Replayed", "Frames sent to targets, per second");
  const requests = tile("Requests", "Turns begun at targets, per second: requests, as far as can be seen");
  const live = tile("Sessions", "Sessions open at targets right now");
  const replay = tile("Replay ratio",
    "Frames with payload sent to targets, for each one that clients sent to production, over ten seconds");
  const traffic = (part, frames, size) => {
    const rate = perSecond(feed.rate(total(frames))).replace("/s", " pkt/s");
    part.update(rate, bits(feed.rate(total(size))), feed.series(total(frames)), perSecond);
  };
  return {
    node: h("div", { class: "tiles" }, mirrored.node, sent.node, requests.node, live.node, replay.node),
    update() {
      const now = feed.newest?.totals;
      if (!now) return;
      traffic(mirrored, "mirror_frames", "mirror_bytes");
      traffic(sent, "sent_frames", "sent_bytes");
      requests.update(perSecond(feed.rate(total("turns_sent"))), `${count(now.turns_sent)} in all`,
        feed.series(total("turns_sent")), perSecond);
      live.update(count(now.sessions_live), `${perSecond(feed.rate(total("sessions_opened")))} opened`,
        feed.series(total("sessions_live"), true), count);
      const production = feed.rate(total("mirror_client_payload"), RATIO_S);
      const target = feed.rate(total("sent_payload"), RATIO_S);
      const [shown, note] = production ? [ratio(target / production), "target ÷ production"]
        : ["–", "no traffic from clients"];
      replay.update(shown, note, ratios(feed), ratio);
    },
  };
}

/** The replay ratio at each sample, over the seconds before it. */
function ratios({ samples }) {
  let from = 0;
  return samples.flatMap((sample, i) => {
    while (sample.at - samples[from].at > RATIO_S) from += 1;
    const grown = (name) => sample.totals[name] - samples[from].totals[name];
    const production = grown("mirror_client_payload");
    return i && production ? [[sample.at, grown("sent_payload") / production]] : [];
  });
}

// --- panels ----------------------------------------------------------------------------------------------

function panel(title, ...content) {
  const note = h("span", { class: "muted" });
  const more = h("span", { class: "space" });
  const head = h("div", { class: "head" }, h("h2", {}, title), more, note);
  const body = h("div", { class: "body", tabindex: "0", role: "group", "aria-label": title }, ...content);
  return { head, note, node: h("section", { class: "panel" }, head, body) };
}

const table = (columns, rows) => h("table", {}, heads(columns), rows);

function latency(feed) {
  const rows = PERCENTILES.map(([name, share]) => {
    const cells = { production: number("–"), target: number("–"), times: number("–") };
    const bars = { production: bar("production"), target: bar("target") };
    return { share, cells, bars, node: h("tr", {}, h("th", { scope: "row" }, name), Object.values(cells),
      h("td", { class: "bars" }, bars.production.node, bars.target.node)) };
  });
  const choice = h("select", { "aria-label": "Transfer", onchange: () => update() },
    h("option", { value: "" }, "All transfers"));
  const options = new List(h("optgroup", { label: "One transfer" }), (item) => item.id, (item) => ({
    node: h("option", { value: item.id }, item.settings.name || item.id), update() {},
  }));
  choice.append(options.parent);
  const key = (kind, name) => h("span", { class: `key ${kind}` }, name);
  const columns = [["", ""], [key("production", "Production"), "number"], [key("target", "Target"), "number"],
    ["Ratio", "number"], ["", ""]];
  const { head, note, node } = panel("Answer times",
    table(columns, h("tbody", {}, rows.map((row) => row.node))));
  head.insertBefore(choice, note);
  function update() {
    if (feed.transfers) options.update(feed.transfers);
    const times = feed.answerTimes(choice.value);
    if (!times) return;
    const most = Math.max(...["production", "target"].map((side) => percentile(times[side], 0.999) ?? 0));
    text(note, times.target.size ? "last minute" : "no answers in the last minute");
    for (const { share, cells, bars } of rows) {
      const [production, target] = [percentile(times.production, share), percentile(times.target, share)];
      for (const [name, found] of [["production", production], ["target", target]]) {
        text(cells[name], found === null ? "–" : time(found));
        bars[name].update(found ? scale(found, most) : 0);
      }
      text(cells.times, production && target ? ratio(target / production) : "–");
    }
  }
  return { node, update };
}

/** The length of a bar: logarithmic, over three powers of ten. */
const scale = (value, most) => 1 + Math.log10(value / most) / 3;

function tally(title) {
  const list = h("dl", { class: "tally" });
  const rows = new List(list, ([name]) => name, ([name]) => {
    const shown = h("dd");
    const share = bar();
    return { node: h("div", {}, h("dt", {}, words(name)), share.node, shown), update([, n, all]) {
      text(shown, count(n));
      share.update(n / all);
    } };
  });
  return { node: h("div", {}, h("h3", {}, title), list), update(found) {
    const all = Object.values(found).reduce((sum, n) => sum + n, 0);
    rows.update(Object.entries(found).sort(([, a], [, b]) => b - a).map(([name, n]) => [name, n, all]));
  } };
}

function sessions(feed) {
  const states = tally("In state");
  const waits = tally("Waiting for");
  const empty = h("p", { class: "muted" }, "No session is open.");
  const both = h("div", { class: "columns" }, states.node, waits.node);
  const { note, node } = panel("Live sessions", empty, both);
  return { node, update() {
    const found = feed.summary;
    if (!found) return;
    show(empty, !found.looked_at);
    show(both, found.looked_at > 0);
    states.update(found.states);
    waits.update(found.waits);
    text(note, found.truncated ? `of the first ${exact(found.looked_at)}` : "");
  } };
}

function ports(feed) {
  const body = h("tbody");
  const rows = new List(body, (port) => port.device, () => {
    const cells = ["", "", "", "number", "number"].map((kind) => h("td", { class: kind }));
    return { node: h("tr", {}, cells), update(port) {
      const modes = Object.entries(Object.groupBy(port.queues, (queue) => queue.mode));
      const lost = port.queues.reduce((sum, queue) => sum + queue.lost, 0);
      const queues = modes.map(([mode, some]) => `${mode} × ${some.length}`).join(", ");
      const shown = [port.device, port.role, queues, port.mtu, exact(lost)];
      const more = [`XDP: ${port.xdp}`, `driver: ${port.driver}`, port.refusal];
      cells.forEach((cell, i) => text(cell, shown[i]));
      cells[2].title = more.filter(Boolean).join("\n");
      cells[4].className = lost ? "number bad" : "number";
    } };
  });
  const columns = [["Device", ""], ["Role", ""], ["Mode × queues", ""], ["MTU", "number"],
    ["Lost", "number"]];
  const { note, node } = panel("Ports", table(columns, body));
  return { node, update() {
    if (!feed.status) return;
    rows.update(feed.status.ports);
    text(note, feed.status.version ? `version ${feed.status.version}` : "");
  } };
}

function reasons(feed, title, prefix, nothing) {
  const body = h("tbody");
  let known = {};
  meanings.then((found) => (known = found));
  const rows = new List(body, ([name]) => name, ([name]) => {
    const [rate, all] = [number(), number()];
    const where = name.startsWith("drop_test_") ? h("span", { class: "muted" }, " (test port)") : null;
    const node = h("tr", { title: known[name] }, h("th", { scope: "row" }, words(name), where), rate, all);
    return { node, update([, n, perSec]) {
      text(rate, perSec ? figures(perSec) : "");
      text(all, count(n));
    } };
  });
  const content = table([["Reason", ""], ["per s", "number"], ["In all", "number"]], body);
  const empty = h("p", { class: "muted" }, nothing);
  const { note, node } = panel(title, empty, content);
  return { node, update() {
    if (!feed.newest) return;
    const found = Object.entries(feed.newest.totals).filter(([name, n]) => n && name.startsWith(prefix))
      .map(([name, n]) => [name, n, feed.rate(total(name), REASONS_S)])
      .sort((a, b) => b[2] - a[2] || b[1] - a[1]);
    show(empty, !found.length);
    show(content, found.length > 0);
    rows.update(found);
    text(note, found.length ? `${count(found.reduce((sum, [, n]) => sum + n, 0))} in all` : "");
  } };
}

function workers(feed) {
  const body = h("tbody");
  const rows = new List(body, (worker) => worker.worker, () => {
    const cells = ["", "", "number", "", "number", "number"].map((kind) => h("td", { class: kind }));
    const share = bar("load");
    cells[3].append(share.node);
    return { node: h("tr", {}, cells), update({ worker, cpu }) {
      const load = feed.loads.get(worker)?.load ?? null;
      const read = (name) => (sample) => sample?.workers[worker]?.[name] ?? 0;
      const frames = feed.rate(read("mirror_frames")) + feed.rate(read("test_frames"));
      const shown = [worker, cpu ?? "any", load === null ? "–" : percent(load), null, figures(frames),
        count(read("sessions_live")(feed.newest))];
      cells.forEach((cell, i) => shown[i] === null || text(cell, shown[i]));
      share.update(load ?? 0);
    } };
  });
  const columns = [["Worker", ""], ["CPU", ""], ["Load", "number"], ["", ""], ["Frames/s", "number"],
    ["Sessions", "number"]];
  const { node } = panel("Workers", table(columns, body));
  return { node, update: () => feed.workers && rows.update(feed.workers) };
}
