// What is around every page: the name, where to go, the state of the engine, and the emergency stop.

import { ask } from "./client.js";
import { clear, confirm, fail, say } from "./dialog.js";
import { h, show, text } from "./dom.js";
import { count, duration, resets } from "./format.js";

const THEME = "xdpcopy-theme";
const THEMES = { auto: "light", light: "dark", dark: "auto" };
const SIGNS = { auto: "◐", light: "☀", dark: "☾" };

/** Light, dark, or as the system has it: kept in this browser. */
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

/** Every session is reset, and nothing more is sent: asked first. */
async function stop(feed) {
  const live = feed.newest?.totals.sessions_live ?? 0;
  const sentence = `${live ? `${count(live)} live sessions are reset, and nothing` : "Nothing"} more is sent to any target until it is`
    + " armed again. Production is not affected.";
  if (await confirm("Emergency stop", sentence, "Stop everything", true)) await order(feed, "/emergency-stop");
}

async function arm(feed) {
  const sentence = "Replay goes on: with new connections, and with others at their next turns.";
  if (await confirm("Arm again", sentence, "Arm")) await order(feed, "/arm");
}

async function order(feed, path) {
  clear();
  try {
    const done = await ask("POST", path);
    say(done.armed ? "Armed: replay goes on." : `Stopped: ${resets(done)} in ${Math.ceil(done.took_ms)} ms.`);
    await feed.refresh();
  } catch (problem) {
    fail(problem);
  }
}

/** `{node, main, update(feed)}`. `holder` is whose token it is; `may` whether it may change things. */
export function shell(feed, pages, holder, may, leave) {
  const links = Object.entries(pages).map(([name, page]) => [name, h("a", { href: `#/${name}` }, page.title)]);
  const state = h("span", { class: "state" });
  const uptime = h("span", { class: "muted uptime" });
  const button = may && h("button", { type: "button", class: "danger", onclick: () => stop(feed) }, "Emergency stop");
  const rearm = may && h("button", { type: "button", class: "primary", onclick: () => arm(feed) }, "Arm again");
  const sentence = h("p");
  const create = may && h("a", { class: "button", href: "#/transfers" }, "Create a transfer");
  const banner = h("div", { class: "banner", role: "status", hidden: true }, sentence, rearm, create);
  const main = h("main", { id: "main", tabindex: "-1" });
  const header = h("header", {},
    h("a", { class: "skip", href: "#main", onclick: (event) => (event.preventDefault(), main.focus()) }, "Skip to the content"),
    h("img", { src: "/dashboard/icon.svg", alt: "", width: 24, height: 24 }), h("strong", { class: "name" }, "xdpcopy"),
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
      button.disabled = feed.link === "live" && feed.status?.armed === false; // never on a guess
      show(rearm, name === "Stopped");
      show(create, name === "Idle" && page !== "transfers");
    },
  };
}

/** The engine in a word, its colour, and the sentence that has to be read, if any. */
function condition({ link, detail, status, newest, transfers }) {
  if (link === "connecting") return ["Connecting", "quiet", ""];
  if (link === "unreachable") return ["Unreachable", "bad", "The api cannot be reached. This page goes on by itself when it answers."];
  if (link === "down") return ["Engine down", "bad", `Engine: down. ${capital(detail)}. This page goes on by itself when it answers.`];
  if (!status) return ["Connecting", "quiet", ""];
  if (!status.armed) return ["Stopped", "bad", "Emergency stop is in force: every session was reset, and nothing is sent until it is armed again."];
  if (!status.healthy) return ["Unhealthy", "bad", "A worker gives no sign of life. Restart the engine, and look at its log."];
  if (status.aside) return ["Busy", "good", `${capital(status.aside)}.`];
  if (transfers && !transfers.length) return ["Idle", "quiet", "There is no transfer yet, so nothing is replayed."];
  if (!newest.totals.mirror_frames) {
    return ["Waiting", "warn", "No mirrored traffic yet. If there should be some, xdpcopy doctor says what stands in its way."];
  }
  if (status.warnings.length) return ["Running", "good", status.warnings.join(" ")];
  return ["Running", "good", ""];
}

const capital = (sentence) => sentence.charAt(0).toUpperCase() + sentence.slice(1).replace(/\.$/, "");
