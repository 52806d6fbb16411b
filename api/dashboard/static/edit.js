// The form of a transfer, new or existing. Its fields are those of the api's schema.

import { ask } from "./client.js";
import { open, say } from "./dialog.js";
import { h } from "./dom.js";
import { arranged, entry, refuse } from "./form.js";
import { TRANSFER } from "./hints.js";
import { body, fields, part } from "./schema.js";

/** Opens the form; `item` is null for a new transfer. */
export async function edit(feed, item) {
  const title = item ? `Transfer ${item.id}` : "New transfer";
  await open(title, (close) => form(feed, item, title, close), "form");
}

function form(feed, item, title, close) {
  const schema = body("/transfers");
  const around = item ? [] : fields(schema).filter(({ name }) => name !== "settings"); // id and the like
  const settings = fields(part(schema, "settings"));
  const entries = {};
  const node = (field) => {
    const made = entry(field, TRANSFER[field.name], item?.settings[field.name]);
    entries[field.name] = made;
    return made.node;
  };
  const all = arranged([...around, ...settings], TRANSFER);
  const isMain = (field) => field.needed || TRANSFER[field.name]?.main;
  const said = h("div", { class: "refusal", role: "alert" });
  const button = h("button", { class: "primary" }, item ? "Save" : "Create");
  const read = (some) => Object.fromEntries(some.map(({ name }) => [name, entries[name].read()]));
  const save = async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      const done = item ? await patch(item, read(settings))
        : await ask("POST", "/transfers", { body: { ...read(around), settings: read(settings) } });
      await feed.refresh();
      const verb = item ? "changed" : "created";
      say(`${done.transfer.id}: ${verb}, in force on every worker after ${Math.ceil(done.took_ms)} ms.`);
      close();
    } catch (problem) {
      refuse(problem, entries, said);
    }
    button.disabled = false;
  };
  return [h("form", { onsubmit: save },
    h("h2", {}, title),
    h("div", { class: "fields" }, all.filter(isMain).map(node)),
    h("details", {}, h("summary", {}, "More settings"),
      h("div", { class: "fields" }, all.filter((field) => !isMain(field)).map(node))),
    item && h("p", { class: "muted small" }, item.forecast),
    said,
    h("footer", {}, h("button", { type: "button", onclick: () => close() }, "Cancel"), button))];
}

/** Sends only what was changed here. If the transfer has changed elsewhere meanwhile, the api refuses it. */
function patch(item, settings) {
  const changed = Object.entries(settings)
    .filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(item.settings[name]));
  return ask("PATCH", `/transfers/${item.id}`, { body: Object.fromEntries(changed), ifMatch: item.version });
}
