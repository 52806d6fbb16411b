// Entry point: sign in with a token, then show the page that the URL's fragment names.

import { captures } from "./captures.js";
import { ask, onRefused, token } from "./client.js";
import { places, sentences } from "./dialog.js";
import { h } from "./dom.js";
import { Feed } from "./feed.js";
import { overview } from "./overview.js";
import { load } from "./schema.js";
import { sessions } from "./sessions.js";
import { shell, theme } from "./shell.js";
import { transfers } from "./transfers.js";

const PAGES = {
  overview: { title: "Overview", make: overview },
  transfers: { title: "Transfers", make: transfers },
  sessions: { title: "Sessions", make: sessions },
  captures: { title: "Captures", make: captures },
};
const CHANGES = ["operator", "admin"];

const root = h("div", { id: "app" });
document.body.append(root, places());
let leave = () => {};

/** Asks for a token; `problem` says why the last one was rejected. */
function signIn(problem) {
  leave();
  token.clear();
  document.title = "Sign in · xdpcopy";
  const field = h("input", { id: "token", type: "password", required: true, pattern: "\\s*[!-~]+\\s*",
    title: "A token consists of letters, digits, - and _.", autocomplete: "off", spellcheck: "false" });
  const said = h("div", { class: "refusal", role: "alert" }, problem ? sentences(problem) : []);
  const button = h("button", { class: "primary" }, "Sign in");
  const enter = async (event) => {
    event.preventDefault();
    button.disabled = true;
    token.set(field.value.trim());
    await begin();
    button.disabled = false;
  };
  root.replaceChildren(h("main", { class: "sign-in" }, h("form", { onsubmit: enter },
    h("div", { class: "brand" },
      h("img", { src: "/dashboard/icon.svg", alt: "", width: 32, height: 32 }),
      h("h1", {}, "xdpcopy"), theme()),
    h("label", { for: "token" }, "Token"), field, said, button,
    h("p", { class: "muted" }, "Create a token on the appliance: ",
      h("code", {}, "xdpcopy token create --name me --role operator"),
      ". This tab keeps it until you close the tab or sign out."))));
  field.focus();
}

/** Signs in with the stored token. */
async function begin() {
  try {
    const holder = await ask("GET", "/token");
    await load();
    run(holder);
  } catch (problem) {
    if (problem.status !== 401) signIn(problem); // a 401 has already led there
  }
}

function run(holder) {
  const may = CHANGES.includes(holder.role);
  let page = null;
  const update = () => {
    frame.update(page?.name);
    page?.update();
  };
  const feed = new Feed(update);
  const frame = shell(feed, PAGES, holder, may, () => signIn());
  const turn = () => {
    const name = location.hash.slice(2) in PAGES ? location.hash.slice(2) : "overview";
    const made = PAGES[name].make(feed, may);
    page = { name, ...made };
    feed.wanted = new Set(made.wants ?? []);
    frame.main.replaceChildren(made.node);
    frame.main.className = name;
    document.title = `${PAGES[name].title} · xdpcopy`;
    update();
  };
  leave = () => {
    feed.stop();
    removeEventListener("hashchange", turn);
    document.querySelectorAll("dialog").forEach((dialog) => dialog.close());
    leave = () => {};
  };
  addEventListener("hashchange", turn);
  root.replaceChildren(frame.node);
  turn();
  feed.start();
}

onRefused(signIn);
if (token.get()) begin();
else signIn();
