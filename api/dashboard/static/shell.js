// The frame around every page: navigation, the state of the engine, and the emergency stop.

import { ask } from "./client.js";
import { clear, confirm, fail, say } from "./dialog.js";
import { h, show, text } from "./dom.js";
import { count, duration, resets } from "./format.js";

const THEME = "xdpcopy-theme";
const THEMES = { auto: "light", light: "dark", dark: "auto" };
const AGAIN = "This page resumes when it answers again.";
const STOPPED = "Emergency stop: every session was reset. Nothing is sent until you arm the engine again.";
const NO_TRAFFIC = "No mirrored traffic yet. If you expect some, xdpcopy doctor finds out what is wrong.";
const UNHEALTHY = "A worker does not respond. Restart the engine and check its log.";
const IDLE = "There is no transfer yet, so nothing is replayed.";
const SIGNS = { auto: "◐", light: "☀", dark: "☾" };

/** The button for light, dark, or the system's choice; this browser remembers it. */
export function theme() {
  const button = h("button", { type: "button", class: "plain", onclick: () => set(THEMES[now()]) });
  const now = () => document.documentElement.dataset.theme;
  const set = (name) => {
    document.documentElement.dataset.theme = name;
    localStorage.setItem(THEME, name);
    text(button, SIGNS[name]);
    button.setAttribute("aria-label", `Colours: ${name}`);
    button.title = `Colours: ${name}`;
  };
  set(THEMES[localStorage.getItem(THEME)] ? localStorage.getItem(THEME) : "auto");
  return button;
}

/** Resets every session and stops all sending, after confirmation. */
async function stop(feed) {
  const live = feed.newest?.totals.sessions_live ?? 0;
  const first = live ? `${count(live)} live sessions are reset, and nothing` : "Nothing";
  const warning = `${first} more is sent to any target until you arm again. Production is not affected.`;
  if (await confirm("Emergency stop", warning, "Stop everything", true)) await order(feed, "/emergency-stop");
}

async function arm(feed) {
  const note = "Replay resumes with new connections, and with existing ones at their next turn.";
  if (await confirm("Arm again", note, "Arm")) await order(feed, "/arm");
}

async function order(feed, path) {
  clear();
  try {
    const done = await ask("POST", path);
    const stopped = `Stopped: ${resets(done)} in ${Math.ceil(done.took_ms)} ms.`;
    say(done.armed ? "Armed: replay resumes." : stopped);
    await feed.refresh();
  } catch (problem) {
    fail(problem);
  }
}

/** `{node, main, update(page)}`. `holder` is the token's owner; `may`: whether they may change things. */
export function shell(feed, pages, holder, may, leave) {
  const links = Object.entries(pages)
    .map(([name, page]) => [name, h("a", { href: `#/${name}` }, page.title)]);
  const state = h("span", { class: "state" });
  const uptime = h("span", { class: "muted uptime" });
  const control = (kind, onclick, name) => may && h("button", { type: "button", class: kind, onclick }, name);
  const button = control("danger", () => stop(feed), "Emergency stop");
  const rearm = control("primary", () => arm(feed), "Arm again");
  const sentence = h("p");
  const create = may && h("a", { class: "button", href: "#/transfers" }, "Create a transfer");
  const banner = h("div", { class: "banner", role: "status", hidden: true }, sentence, rearm, create);
  const main = h("main", { id: "main", tabindex: "-1" });
  const skip = (event) => (event.preventDefault(), main.focus());
  const header = h("header", {},
    h("a", { class: "skip", href: "#main", onclick: skip }, "Skip to the content"),
    h("img", { src: "/dashboard/icon.svg", alt: "", width: 24, height: 24 }),
    h("strong", { class: "name" }, "xdpcopy"),
    h("nav", { "aria-label": "Pages" }, links.map(([, link]) => link)),
    h("span", { class: "space" }), uptime, state, button, theme(),
    h("span", { class: "who" }, h("span", {}, holder.name), h("span", { class: "muted" }, holder.role)),
    h("button", { type: "button", class: "plain", onclick: leave }, "Sign out"));

  return {
    node: h("div", { class: "shell" }, header, banner, main),
    main,
    update(page) {
      for (const [name, link] of links) {
        if (name === page) link.setAttribute("aria-current", "page");
        else link.removeAttribute("aria-current");
      }
      const [name, kind, said] = condition(feed);
      text(state, name);
      main.classList.toggle("stale", feed.link !== "live");
      state.className = `state ${kind}`;
      text(uptime, feed.link === "live" && feed.status ? `up ${duration(feed.status.uptime_s)}` : "");
      text(sentence, said);
      show(banner, said !== "");
      banner.className = `banner ${kind}`;
      if (!may) return;
      button.disabled = feed.link === "live" && feed.status?.armed === false; // never while unsure
      show(rearm, name === "Stopped");
      show(create, name === "Idle" && page !== "transfers");
    },
  };
}

/** The engine's state in a word, its colour, and a sentence if there is something to say. */
function condition({ link, detail, status, newest, transfers }) {
  if (link === "connecting") return ["Connecting", "quiet", ""];
  if (link === "unreachable") return ["Unreachable", "bad", `The api cannot be reached. ${AGAIN}`];
  if (link === "down") return ["Engine down", "bad", `Engine: down. ${capital(detail)}. ${AGAIN}`];
  if (!status) return ["Connecting", "quiet", ""];
  if (!status.armed) return ["Stopped", "bad", STOPPED];
  if (!status.healthy) return ["Unhealthy", "bad", UNHEALTHY];
  if (status.aside) return ["Busy", "good", `${capital(status.aside)}.`];
  if (transfers && !transfers.length) return ["Idle", "quiet", IDLE];
  if (!newest.totals.mirror_frames) return ["Waiting", "warn", NO_TRAFFIC];
  if (status.warnings.length) return ["Running", "good", status.warnings.join(" ")];
  return ["Running", "good", ""];
}

const capital = (sentence) => sentence.charAt(0).toUpperCase() + sentence.slice(1).replace(/\.$/, "");
