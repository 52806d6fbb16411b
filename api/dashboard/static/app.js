// The page: sign in with a token, then one of the pages of the address's fragment.

import { captures } from "./captures.js";
import { ask, onRefused, token } from "./client.js";
import { places, sentences } from "./dialog.js";
import { h } from "./dom.js";
import { Feed } from "./feed.js";
import { overview } from "./overview.js";
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

/** Asks for a token; `problem` says why the one before was not accepted. */
function signIn(problem) {
  leave();
  token.clear();
  document.title = "Sign in · xdpcopy";
  const field = h("input", { id: "token", type: "password", required: true, pattern: "\\s*[!-~]+\\s*", title: "A token has letters, digits, - and _ alone.", autocomplete: "off", spellcheck: "false" });
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
    h("div", { class: "brand" }, h("img", { src: "/dashboard/icon.svg", alt: "", width: 32, height: 32 }), h("h1", {}, "xdpcopy"), theme()),
    h("label", { for: "token" }, "Token"), field, said, button,
    h("p", { class: "muted" }, "A token is made on the appliance: ", h("code", {}, "xdpcopy token create --name me --role operator"),
      ". It is kept in this tab until the tab is closed or you sign out."))));
  field.focus();
}

/** With the token that is there. */
async function begin() {
  try {
    run(await ask("GET", "/token"));
  } catch (problem) {
    if (problem.status !== 401) signIn(problem); // 401 has led there already
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
