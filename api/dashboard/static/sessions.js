// Sessions. They are read on request only, since the workers have to search for them.

import { ask, Problem } from "./client.js";
import { sentences } from "./dialog.js";
import { h, heads, List, show, text } from "./dom.js";
import { bytes, count, duration, time, words } from "./format.js";

const STATES = ["syn_sent", "established", "fin_wait", "close_wait", "closing", "datagrams"];
const WAITS = {
  production: "For production: everything the mirror has shown is delivered.",
  mirror_gap: "For bytes missing from the mirror. If they do not arrive within gap_timeout, the session is "
    + "reset: a hole is never sent.",
  handshake: "For the target to accept the connection: the SYN was sent, no SYN-ACK has arrived yet.",
  answer: "For the rest of the target's answer, before the next request is sent.",
  acknowledgement: "For the target to acknowledge what was sent.",
  window: "For the target to open its window.",
  nothing: "For nothing: it has data to send, and will.",
};

const COLUMNS = [["Client"], ["Forged as"], ["Transfer"], ["State"], ["Waiting for"], ["Age", "number"],
  ["Requests", "number"], ["Waiting bytes", "number"], ["RTT", "number"], [""]];

/** The fields that narrow the list, and their values. */
function filters(changed) {
  const select = (name, ...options) => h("select", { id: `filter-${name}`, onchange: changed }, options);
  const transfer = select("transfer", h("option", { value: "" }, "All"));
  const names = new List(h("optgroup", { label: "Transfer" }), (item) => item.id,
    (item) => ({ node: h("option", { value: item.id }, item.id), update() {} }));
  transfer.append(names.parent);
  const state = select("state", h("option", { value: "" }, "Any"),
    STATES.map((name) => h("option", { value: name }, words(name))));
  const client = h("input", { id: "filter-client", placeholder: "198.18.0.10", autocomplete: "off" });
  const limits = [25, 100, 1000].map((n) => h("option", { value: n, selected: n === 100 }, n));
  const limit = select("limit", limits);
  const labelled = (label, control) =>
    h("div", { class: "filter" }, h("label", { for: control.id }, label), control);
  return {
    names,
    nodes: [labelled("Transfer", transfer), labelled("State", state), labelled("Client", client),
      labelled("At most", limit)],
    values: () => ({
      transfer: transfer.value, state: state.value, client: client.value.trim(), limit: limit.value,
    }),
  };
}

export function sessions(feed) {
  const { names, nodes, values } = filters(() => read());
  const said = h("div", { class: "refusal", role: "alert" });
  const note = h("span", { class: "muted", role: "status" });
  const body = h("tbody");
  const details = detail();
  const rows = new List(body, (item) => item.id, (item) => row(item, (id) => details.read(id)));
  const content = h("table", { class: "wide", hidden: true }, heads(COLUMNS), body);

  async function read(event) {
    event?.preventDefault();
    const wanted = new URLSearchParams(Object.entries(values()).filter(([, value]) => value));
    try {
      const found = await ask("GET", `/sessions?${wanted}`);
      said.replaceChildren();
      rows.update(found.items);
      show(content, found.items.length > 0);
      const at = new Date().toLocaleTimeString("en-GB");
      const more = found.truncated ? " of more" : "";
      text(note, `${found.items.length ? count(found.items.length) + more : "No session matches"} · ${at}`);
    } catch (problem) {
      if (problem instanceof Problem) said.replaceChildren(...sentences(problem));
      else throw problem;
    }
  }

  const node = h("div", { class: "split" }, h("section", { class: "panel page" },
    h("form", { class: "head", onsubmit: read }, h("h1", {}, "Sessions"), nodes,
      h("button", { class: "primary" }, "Refresh"), h("span", { class: "space" }), note),
    said, h("div", { class: "body" }, content)), details.node);
  read();
  return { node, update: () => feed.transfers && names.update(feed.transfers) };
}

function row(first, choose) {
  const cells = COLUMNS.slice(0, -1).map(([, kind = ""]) => h("td", { class: kind }));
  const button = h("button", {
    type: "button", onclick: () => choose(first.id), "aria-label": `Details of ${first.client}'s session`,
  }, "Details");
  return { node: h("tr", {}, cells, h("td", { class: "buttons" }, button)), update(item) {
    const forged = item.forged === item.client ? "itself" : item.forged;
    const shown = [item.client, forged, item.transfer, words(item.state), words(item.waits),
      duration(item.age_s), count(item.turns), bytes(item.pending_bytes), time(item.rtt_ms / 1000)];
    cells.forEach((cell, i) => text(cell, shown[i]));
  } };
}

/** One session beside the table. */
function detail() {
  const body = h("div", { class: "body" });
  const again = h("button", { type: "button" }, "Refresh");
  const close = h("button", {
    type: "button", class: "plain", "aria-label": "Close", onclick: () => show(node, false),
  }, "×");
  const node = h("aside", { class: "panel detail", hidden: true, "aria-label": "One session" },
    h("div", { class: "head" }, h("h2", {}, "One session"), h("span", { class: "space" }), again, close),
    body);
  async function read(id) {
    again.onclick = () => read(id);
    try {
      const one = await ask("GET", `/sessions/${encodeURIComponent(id)}`);
      body.replaceChildren(
        h("h3", {}, "What it waits for"), h("p", { class: "waits" }, WAITS[one.waits] ?? words(one.waits)),
        h("dl", {}, lines(one).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))));
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      body.replaceChildren(...sentences(problem));
    }
    show(node, true);
  }
  return { node, read };
}

const lines = (one) => [
  ["Client", one.client], ["Production", one.server], ["Forged as", one.forged], ["Target", one.target],
  ["Transfer", one.transfer], ["Worker", one.worker], ["State", words(one.state)],
  ["Age", duration(one.age_s)], ["Silent for", duration(one.idle_s)], ["Requests", count(one.turns)],
  ["Request bytes", bytes(one.request_bytes)], ["Not yet acknowledged", bytes(one.pending_bytes)],
  ["Answer bytes", bytes(one.answer_bytes)], ["Retransmits", count(one.retransmits)],
  ["Round trip", time(one.rtt_ms / 1000)], ["Id", one.id],
];
