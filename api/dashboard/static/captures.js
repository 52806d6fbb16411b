// Capture files: upload them, replay them instead of a mirror, delete them.

import { ask, Problem, upload } from "./client.js";
import { bar } from "./charts.js";
import { clear, confirm, fail, say } from "./dialog.js";
import { h, heads, List, show, text } from "./dom.js";
import { bytes, count, duration, percent } from "./format.js";
import { replays } from "./replays.js";
import { start } from "./start.js";

const COLUMNS = [["Capture"], ["Size", "number"], ["Frames", "number"], ["Length", "number"], ["Recorded"]];

export function captures(feed, may) {
  const body = h("tbody");
  const rows = new List(body, (item) => item.id, () => row(feed, may));
  const content = h("table", { class: "wide" }, heads([...COLUMNS, ...(may ? [[""]] : [])]), body);
  const empty = h("p", { class: "muted empty" }, "There is no capture yet.",
    may && " Upload a pcap or pcapng file to replay it.");
  const room = h("span", { class: "muted" });
  const sending = may && uploads(feed);
  const list = h("section", { class: "panel page" },
    h("div", { class: "head" },
      h("h1", {}, "Captures"), h("span", { class: "space" }), room, sending?.button),
    sending?.node, h("div", { class: "body" }, empty, content));
  const runs = replays(feed, may);
  const node = h("div", { class: "split" }, list, runs.node);
  return { node, wants: ["/captures", "/replays"], update() {
    runs.update();
    if (!feed.captures) return;
    const { items, bytes: held, total_bytes: most } = feed.captures;
    rows.update(items);
    show(empty, !items.length);
    show(content, items.length > 0);
    text(room, `${bytes(held)} of ${bytes(most)}`);
  } };
}

function row(feed, may) {
  let item;
  const name = h("div", { class: "name" });
  const note = h("div", { class: "muted small" });
  const cells = ["number", "number", "number", ""].map((kind) => h("td", { class: kind }));
  const remove = async () => {
    const file = item.name || item.id;
    const sure = await confirm(`Delete ${file}?`, "The file is removed from the appliance.", "Delete", true);
    if (!sure) return;
    clear();
    await ask("DELETE", `/captures/${item.id}`).then(() => say(`${file} deleted.`), fail);
    await feed.refresh().catch(fail);
  };
  const play = h("button", { type: "button", onclick: () => start(feed, item) }, "Replay");
  const drop = h("button", { type: "button", class: "quiet-danger", onclick: remove }, "Delete");
  const buttons = may && h("td", { class: "buttons" }, play, drop);
  const node = h("tr", {}, h("th", { scope: "row" }, name, note), cells, buttons);
  return { node, update(found) {
    item = found;
    text(name, item.name || item.id);
    play.setAttribute("aria-label", `Replay ${item.name || item.id}`);
    drop.setAttribute("aria-label", `Delete ${item.name || item.id}`);
    const missing = item.trouble || (item.cut_frames ? `${count(item.cut_frames)} truncated frames` : "");
    text(note, [item.format, item.link, missing].filter(Boolean).join(" · "));
    note.className = missing ? "small warn" : "muted small";
    const at = new Date(item.first_at * 1000).toISOString().slice(0, 16).replace("T", " ");
    [bytes(item.bytes), count(item.frames), duration(item.duration_s), `${at} UTC`]
      .forEach((value, i) => text(cells[i], value));
  } };
}

/** The button that picks files, and a line for each upload under way. */
function uploads(feed) {
  const node = h("div", { class: "uploads" });
  const field = h("input", { type: "file", class: "unseen", "aria-label": "Capture files", multiple: true,
    accept: ".pcap,.pcapng,.cap", tabindex: "-1",
    onchange: () => ([...field.files].forEach(take), (field.value = "")) });
  const button = h("button", { type: "button", class: "primary", onclick: () => field.click() }, "Upload");
  async function take(file) {
    const control = new AbortController();
    const done = h("span", { class: "number" }, "0 %");
    const line = bar();
    const cancel = h("button", { type: "button", "aria-label": `Cancel the upload of ${file.name}`,
      onclick: () => control.abort() }, "Cancel");
    const way = h("div", { class: "upload" }, h("span", {}, file.name), line.node, done, cancel);
    node.append(way);
    clear();
    try {
      const progress = (share) => (line.update(share), text(done, share < 1 ? percent(share) : "checking"));
      const path = `/captures?name=${encodeURIComponent(file.name.slice(0, 100))}`;
      const made = await upload(path, file, progress, control.signal);
      say(`${made.name || made.id}: ${count(made.frames)} frames, ${duration(made.duration_s)}.`);
    } catch (problem) {
      fail(new Problem(problem.status, `${file.name}: ${problem.message}`));
    }
    way.remove();
    await feed.refresh().catch(fail);
  }
  return { node, button: h("span", {}, button, field) };
}
