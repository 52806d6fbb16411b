// Capture files: uploaded, replayed in place of a mirror, removed.

import { ask, Problem, upload } from "./client.js";
import { bar } from "./charts.js";
import { clear, confirm, fail, say } from "./dialog.js";
import { h, List, show, text } from "./dom.js";
import { bytes, count, duration, percent } from "./format.js";
import { replays } from "./replays.js";
import { start } from "./start.js";

export function captures(feed, may) {
  const body = h("tbody");
  const rows = new List(body, (item) => item.id, () => row(feed, may));
  const heads = [["Capture"], ["Size", "number"], ["Frames", "number"], ["Lasts", "number"], ["Recorded"], ...(may ? [[""]] : [])];
  const content = h("table", { class: "wide" }, h("thead", {}, h("tr", {}, heads.map(([name, kind]) => h("th", { scope: "col", class: kind }, name)))), body);
  const empty = h("p", { class: "muted empty" }, may ? "There is no capture yet. Upload a pcap or pcapng file to replay it." : "There is no capture yet.");
  const room = h("span", { class: "muted" });
  const sending = may && uploads(feed);
  const list = h("section", { class: "panel page" },
    h("div", { class: "head" }, h("h1", {}, "Captures"), h("span", { class: "space" }), room, sending?.button),
    sending?.node, h("div", { class: "body" }, empty, content));
  const runs = replays(feed, may);
  return { node: h("div", { class: "split" }, list, runs.node), wants: ["/captures", "/replays"], update() {
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
    if (!(await confirm(`Delete ${item.name || item.id}?`, "The file is removed from the appliance.", "Delete", true))) return;
    clear();
    await ask("DELETE", `/captures/${item.id}`).then(() => say(`${item.name || item.id} deleted.`), fail);
    await feed.refresh().catch(fail);
  };
  const play = h("button", { type: "button", onclick: () => start(feed, item) }, "Replay");
  const drop = h("button", { type: "button", class: "quiet-danger", onclick: remove }, "Delete");
  return { node: h("tr", {}, h("th", { scope: "row" }, name, note), cells, may && h("td", { class: "buttons" }, play, drop)), update(found) {
    item = found;
    text(name, item.name || item.id);
    play.setAttribute("aria-label", `Replay ${item.name || item.id}`);
    drop.setAttribute("aria-label", `Delete ${item.name || item.id}`);
    const missing = item.trouble || (item.cut_frames ? `${count(item.cut_frames)} frames are cut short` : "");
    text(note, [item.format, item.link, missing].filter(Boolean).join(" · "));
    note.className = missing ? "small warn" : "muted small";
    const at = new Date(item.first_at * 1000).toISOString().slice(0, 16).replace("T", " ");
    [bytes(item.bytes), count(item.frames), duration(item.duration_s), `${at} UTC`].forEach((value, i) => text(cells[i], value));
  } };
}

/** The button that chooses files, and a line for each that is on its way. */
function uploads(feed) {
  const node = h("div", { class: "uploads" });
  const field = h("input", { type: "file", class: "unseen", "aria-label": "Capture files", multiple: true, accept: ".pcap,.pcapng,.cap", tabindex: "-1",
    onchange: () => ([...field.files].forEach(take), (field.value = "")) });
  const button = h("button", { type: "button", class: "primary", onclick: () => field.click() }, "Upload");
  async function take(file) {
    const control = new AbortController();
    const done = h("span", { class: "number" }, "0 %");
    const line = bar();
    const way = h("div", { class: "upload" }, h("span", {}, file.name), line.node, done,
      h("button", { type: "button", "aria-label": `Cancel the upload of ${file.name}`, onclick: () => control.abort() }, "Cancel"));
    node.append(way);
    clear();
    try {
      const progress = (share) => (line.update(share), text(done, share < 1 ? percent(share) : "is checked"));
      const made = await upload(`/captures?name=${encodeURIComponent(file.name.slice(0, 100))}`, file, progress, control.signal);
      say(`${made.name || made.id}: ${count(made.frames)} frames, ${duration(made.duration_s)}.`);
    } catch (problem) {
      fail(new Problem(problem.status, `${file.name}: ${problem.message}`));
    }
    way.remove();
    await feed.refresh().catch(fail);
  }
  return { node, button: h("span", {}, button, field) };
}
