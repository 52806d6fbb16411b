// The form that starts a replay of captures.

import { ask } from "./client.js";
import { open, say } from "./dialog.js";
import { h } from "./dom.js";
import { labelled, refuse } from "./form.js";

/** Opens the form; `capture` is chosen already. */
export async function start(feed, capture) {
  await open("Replay captures", (close) => form(feed, capture, close), "form");
}

function form(feed, capture, close) {
  const chosen = feed.captures.items.map((one) => h("label", { class: "switch" },
    h("input", { type: "checkbox", value: one.id, checked: one.id === capture.id }), one.name || one.id));
  const input = (attributes) => h("input", { autocomplete: "off", ...attributes });
  const transfers = feed.transfers ?? [];
  const fields = {
    transfers: labelled("transfers", "By", "a transfer's present settings, or your own", h("select", {},
      transfers.length && h("option", { value: "" }, "all transfers"), transfers.map((one) => h("option", { value: one.id }, one.id)),
      h("option", { value: "own" }, "a target of its own"))),
    source: labelled("source", "Source", "production's port, or address:port", input({ placeholder: "80" })),
    target: labelled("target", "Target", "the server under test: address:port", input({ placeholder: "198.19.0.2:8080" })),
    speed: labelled("speed", "Speed", "times as fast as recorded", input({ type: "number", min: 0.001, max: 1e6, step: "any", value: 1, required: true })),
    idle_ms: labelled("idle_ms", "Longest silence, ms", "empty: as recorded", input({ type: "number", min: 0.001, max: 1e9, step: "any" })),
    repeats: labelled("repeats", "Times", "how often everything is replayed", input({ type: "number", min: 1, max: 1e6, value: 1, required: true })),
  };
  const fast = h("input", { type: "checkbox", onchange: () => adapt() });
  const adapt = () => {
    const own = fields.transfers.control.value === "own";
    for (const name of ["source", "target"]) {
      fields[name].node.hidden = !own;
      fields[name].control.required = own;
    }
    for (const name of ["speed", "idle_ms"]) fields[name].control.disabled = fast.checked;
  };
  fields.transfers.control.addEventListener("change", adapt);
  adapt();
  const value = (name) => fields[name].control.value.trim();
  const options = () => ({
    captures: chosen.map((label) => label.firstChild).filter((box) => box.checked).map((box) => box.value),
    ...(value("transfers") === "own" ? { settings: [{ source: value("source"), target: value("target") }] }
      : value("transfers") && { transfers: [value("transfers")] }),
    ...(fast.checked ? { fast: true } : { speed: Number(value("speed")), idle_ms: value("idle_ms") ? Number(value("idle_ms")) : null }),
    repeats: Number(value("repeats")),
  });
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
      refuse(problem, fields, said);
    }
    button.disabled = false;
  };
  return [h("form", { onsubmit: send },
    h("h2", {}, "Replay captures"),
    h("p", { class: "muted small" }, "They have the test port for themselves: transfers that replay live traffic are to be paused before."),
    h("fieldset", {}, h("legend", {}, "Captures, merged by time"), chosen),
    h("div", { class: "fields" }, Object.values(fields).map((field) => field.node)),
    h("label", { class: "switch" }, fast, "No pace: as fast as the target answers"),
    said,
    h("footer", {}, h("button", { type: "button", onclick: () => close() }, "Cancel"), button))];
}
