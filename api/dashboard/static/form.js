// Fields with their labels, hints, and what was refused about them.

import { sentences } from "./dialog.js";
import { h } from "./dom.js";

/** `{control, said, node}`; `said` is where a refusal is put. */
export function labelled(name, label, hint, control) {
  const said = h("span", { class: "bad small", id: `${name}-said` });
  control.id = `field-${name}`;
  control.setAttribute("aria-describedby", `${name}-hint ${name}-said`);
  return { control, said, node: h("div", { class: "field" }, h("label", { for: control.id }, label), control,
    h("span", { class: "muted small", id: `${name}-hint` }, hint), said) };
}

/** Each problem beside its field; what has no field here, above the buttons. */
export function refuse(problem, fields, said) {
  const rest = [];
  for (const { control, said: place } of Object.values(fields)) {
    place.replaceChildren();
    control.removeAttribute("aria-invalid");
  }
  for (const each of problem.problems ?? []) {
    const field = fields[each.field.split(/[.[]/).findLast((part) => part in fields)];
    if (!field) rest.push(each);
    else {
      field.said.append(each.message);
      field.control.setAttribute("aria-invalid", "true");
      field.control.closest("details")?.setAttribute("open", "");
    }
  }
  const shown = problem.problems?.length && !rest.length ? [] : sentences({ ...problem, message: problem.message, problems: rest });
  said.replaceChildren(...shown);
}
