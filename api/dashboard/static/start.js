// The form that starts a replay of captures. Its fields are those of the api's schema.

import { ask } from "./client.js";
import { open, say } from "./dialog.js";
import { h } from "./dom.js";
import { arranged, entry, labelled, refuse } from "./form.js";
import { REPLAY, TRANSFER } from "./hints.js";
import { body, fieldOf, fields, part } from "./schema.js";

const OWN = "own"; // the choice of a target that no transfer has
const CHOSEN = ["captures", "transfers", "settings"]; // by controls of this form

/** Opens the form with `capture` ticked. */
export async function start(feed, capture) {
  await open("Replay captures", (close) => form(feed, capture, close), "form");
}

function form(feed, capture, close) {
  const schema = part(body("/replays"), "options");
  const captures = feed.captures.items.map((one) => h("label", { class: "switch" },
    h("input", { type: "checkbox", value: one.id, checked: one.id === capture.id }), one.name || one.id));
  const own = endpoints(part(schema, "settings"));
  const pace = Object.fromEntries(arranged(fields(schema), REPLAY)
    .filter(({ name }) => !CHOSEN.includes(name))
    .map((field) => [field.name, entry(field, REPLAY[field.name])]));
  const entries = { transfers: by(feed), ...own, ...pace };
  const adapt = () => {
    for (const { node, control } of Object.values(own)) {
      node.hidden = entries.transfers.control.value !== OWN;
      control.required = !node.hidden;
    }
    for (const name of ["speed", "idle_ms"]) pace[name].control.disabled = pace.fast.control.checked;
  };
  for (const { control } of [entries.transfers, pace.fast]) control.addEventListener("change", adapt);
  adapt();
  const read = (some) => Object.fromEntries(Object.entries(some)
    .filter(([, { control }]) => !control.disabled).map(([name, one]) => [name, one.read()]));
  const options = () => ({
    captures: captures.map((label) => label.firstChild).filter((box) => box.checked).map((box) => box.value),
    ...(entries.transfers.control.value === OWN ? { settings: [read(own)] }
      : { transfers: [entries.transfers.control.value].filter(Boolean) }),
    ...read(pace),
  });
  return dialog(feed, captures, entries, options, close);
}

function dialog(feed, captures, entries, options, close) {
  const said = h("div", { class: "refusal", role: "alert" });
  const button = h("button", { class: "primary" }, "Start");
  const send = async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      const made = await ask("POST", "/replays", { body: { options: options() } });
      say(`${made.id}: ${made.state}.`);
      await feed.refresh();
      close();
    } catch (problem) {
      refuse(problem, entries, said);
    }
    button.disabled = false;
  };
  return [h("form", { onsubmit: send },
    h("h2", {}, "Replay captures"),
    h("p", { class: "muted small" },
      "A replay has the test port to itself. Pause the transfers that replay live traffic first."),
    h("fieldset", {}, h("legend", {}, "Captures, merged by time"), captures),
    h("div", { class: "fields" }, Object.values(entries).map((one) => one.node)),
    said,
    h("footer", {}, h("button", { type: "button", onclick: () => close() }, "Cancel"), button))];
}

/** Whose settings are used. */
function by(feed) {
  const names = (feed.transfers ?? []).map((one) => one.id);
  const control = h("select", {},
    names.length > 0 && h("option", { value: "" }, "all transfers"),
    names.map((id) => h("option", { value: id }, id)),
    h("option", { value: OWN }, "none: a target of its own"));
  const help = "Its current settings are used; or name a target for this replay alone.";
  return labelled("transfers", REPLAY.transfers.label, help, control);
}

/** What a transfer cannot do without. */
const endpoints = (transfer) => Object.fromEntries(transfer.required.map((name) =>
  [name, entry(fieldOf(transfer, name), TRANSFER[name])]));
