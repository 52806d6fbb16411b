// The form of a transfer, for a new one and for one that is there.

import { ask } from "./client.js";
import { open, say } from "./dialog.js";
import { h } from "./dom.js";
import { labelled, refuse } from "./form.js";

const whole = (value) => (value === "" ? null : Number(value));
const words = (value) => value.split(/[\s,]+/).filter(Boolean);

// [name, label, hint, attributes of the input, from text, to text]
const MAIN = [
  ["source", "Source", "production's port, or address:port", { required: true, placeholder: "80" }],
  ["target", "Target", "the server under test: address:port", { required: true, placeholder: "198.19.0.2:8080" }],
  ["name", "Name", "for reports; may be empty", { maxlength: 64 }],
  ["clients", "Client pool", "addresses or ranges; empty: the clients' own", { placeholder: "198.18.0.0/24" }, words, (value) => value.join(", ")],
  ["multiplier", "Multiplier", "sessions for each connection", { type: "number", min: 1, max: 1023, required: true }, Number],
  ["sample_percent", "Sampling, %", "of the connections", { type: "number", min: 0.01, max: 100, step: 0.01, required: true }, Number],
  ["ramp_s", "Gradual start, s", "0: at once", { type: "number", min: 0, max: 1e6, step: "any", required: true }, Number],
  ["sessions_per_second", "New sessions per second", "0: no cap", { type: "number", min: 0, max: 4294967295, required: true }, Number],
];
const MORE = [
  ["mss", "Maximum segment size", "empty: the client's", { type: "number", min: 88, max: 65535 }, whole],
  ["loopback_clients", "For loopback clients", "the address that stands for them", {}, (value) => value.trim() || null],
  ["instance", "Instance", "which of them this is, from 0", { type: "number", min: 0, max: 1023, required: true }, Number],
  ["instances", "Instances", "engines towards this target", { type: "number", min: 1, max: 1024, required: true }, Number],
];
const CHOICES = [
  ["protocol", "Protocol", ["tcp", "udp"]],
  ["ack", "Acknowledge answers", ["prompt", "mirrored"]],
  ["tls", "TLS", ["refuse", "replay"]],
];
const SWITCHES = [["full_sessions_only", "Full sessions only"], ["no_wait", "Do not wait for answers"]];
const DEFAULTS = {
  name: "", clients: [], multiplier: 1, sample_percent: 100, ramp_s: 0, sessions_per_second: 0, mss: null, loopback_clients: null,
  instance: 0, instances: 1, protocol: "tcp", ack: "prompt", tls: "refuse", full_sessions_only: false, no_wait: false,
};

/** Opens the form; `item` null: for a new transfer. */
export async function edit(feed, item) {
  const title = item ? `Transfer ${item.id}` : "New transfer";
  await open(title, (close) => form(feed, item, title, close), "form");
}

function form(feed, item, title, close) {
  const settings = { ...DEFAULTS, ...item?.settings };
  const fields = {};
  const field = ([name, label, hint, attributes, from = (value) => value.trim(), to = (value) => value ?? ""]) => {
    const shown = settings[name] === undefined ? "" : to(settings[name]);
    fields[name] = { ...labelled(name, label, hint, h("input", { autocomplete: "off", ...attributes, value: shown })), read: from };
    return fields[name].node;
  };
  const choice = ([name, label, values]) => {
    const options = values.map((value) => h("option", { value, selected: settings[name] === value }, value));
    fields[name] = { ...labelled(name, label, "", h("select", {}, options)), read: (value) => value };
    return fields[name].node;
  };
  const toggle = ([name, label]) => {
    const control = h("input", { type: "checkbox", checked: settings[name] });
    fields[name] = { control, said: h("span", { class: "bad small" }), read: () => control.checked };
    return h("label", { class: "switch" }, control, label, fields[name].said);
  };
  const id = item ? null : labelled("id", "Id", "letters, digits, . _ -; empty: one is given", h("input", {
    autocomplete: "off", maxlength: 64, pattern: "[A-Za-z0-9][A-Za-z0-9._\\-]*", placeholder: "shop", "data-first": true }));
  const paused = h("input", { type: "checkbox" });
  const said = h("div", { class: "refusal", role: "alert" });
  const button = h("button", { class: "primary" }, item ? "Save" : "Create");

  const read = () => Object.fromEntries(Object.entries(fields).map(([name, { control, read: from }]) => [name, from(control.value)]));
  const save = async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      const done = item ? await patch(item, read()) : await create(id.control.value.trim(), read(), paused.checked);
      await feed.refresh();
      say(`${done.transfer.id}: ${item ? "changed" : "created"}, in force on every worker after ${Math.ceil(done.took_ms)} ms.`);
      close();
    } catch (problem) {
      refuse(problem, { ...fields, ...(id && { id }) }, said);
    }
    button.disabled = false;
  };
  return [h("form", { onsubmit: save },
    h("h2", {}, title),
    h("div", { class: "fields" }, id?.node, ...MAIN.map(field), choice(CHOICES[0])),
    h("details", {}, h("summary", {}, "More settings"),
      h("div", { class: "fields" }, ...CHOICES.slice(1).map(choice), ...MORE.map(field), ...SWITCHES.map(toggle))),
    item ? h("p", { class: "muted small" }, item.forecast) : h("label", { class: "switch" }, paused, "Start paused"),
    said,
    h("footer", {}, h("button", { type: "button", onclick: () => close() }, "Cancel"), button))];
}

const create = (id, settings, paused) => ask("POST", "/transfers", { body: { ...(id && { id }), settings, paused } });

/** Only what was changed here: what somebody else changed meanwhile is refused by the version, not overwritten. */
function patch(item, settings) {
  const changed = Object.entries(settings).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(item.settings[name]));
  return ask("PATCH", `/transfers/${item.id}`, { body: Object.fromEntries(changed), ifMatch: item.version });
}
