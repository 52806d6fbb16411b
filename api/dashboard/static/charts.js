// Small charts: a line over the last minutes, and a bar.

import { s } from "./dom.js";

const SPAN_S = [30, 120]; // shorter while there is less to show, so that a new line can be read
const WIDTH = 240;
const HEIGHT = 36;

/** `{node, update(points)}`; points are `[at, value]`. The right edge is the newest. */
export function sparkline(label) {
  const line = s("path", { class: "line" });
  const area = s("path", { class: "area" });
  const node = s("svg", {
    class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none",
    role: "img", "aria-label": label,
  }, area, line);
  return {
    node,
    update(points, shown = String) {
      const last = points.at(-1);
      if (!last || points.length < 2) {
        line.removeAttribute("d");
        area.removeAttribute("d");
        return;
      }
      const span = Math.min(SPAN_S[1], Math.max(SPAN_S[0], last[0] - points[0][0]));
      const kept = points.filter(([at]) => last[0] - at <= span);
      const most = Math.max(...kept.map(([, value]) => value));
      const x = (at) => (WIDTH - ((last[0] - at) / span) * WIDTH).toFixed(1);
      const y = (value) => (HEIGHT - 1.5 - (most ? value / most : 0) * (HEIGHT - 4)).toFixed(1);
      const path = kept.map(([at, value]) => `${x(at)} ${y(value)}`).join("L");
      line.setAttribute("d", `M${path}`);
      area.setAttribute("d", `M${x(kept[0][0])} ${HEIGHT}L${path}L${x(last[0])} ${HEIGHT}Z`);
      const said = `${label}, the last ${Math.round(span)} seconds: at most ${shown(most)}`;
      node.setAttribute("aria-label", said);
    },
  };
}

/** `{node, update(share)}`, share from 0 to 1. Hidden from screen readers: the number stands beside it. */
export function bar(kind = "") {
  const done = s("rect", { class: "done", width: 0, height: 6, rx: 3 });
  const node = s("svg", {
    class: `bar ${kind}`, viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true",
  }, s("rect", { class: "rest", width: 100, height: 6, rx: 3 }), done);
  const width = (share) => (100 * Math.min(1, Math.max(0, share))).toFixed(2);
  return { node, update: (share) => done.setAttribute("width", width(share)) };
}
