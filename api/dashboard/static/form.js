// Forms made from fields of a schema: a control for each, and what was refused about it.

import { sentences } from "./dialog.js";
import { h } from "./dom.js";

const UNITS = { percent: "%", s: "s", ms: "ms", bytes: "bytes" };

const input = (attributes) => h("input", { autocomplete: "off", ...attributes });

/** A control for each kind of field, and what it says. */
const KINDS = {
  toggle: {
    make: (_, value) => h("input", { type: "checkbox", checked: value }),
    read: (control) => control.checked,
  },
  choice: {
    make: ({ values, nullable }, value) => h("select", {}, [...(nullable ? [""] : []), ...values].map(
      (one) => h("option", { value: one, selected: one === value }, one))),
    read: (control) => control.value || null,
  },
  number: {
    make: ({ min, max, step, nullable }, value) =>
      input({ type: "number", min, max, step, value, required: !nullable }),
    read: (control) => (control.value === "" ? null : Number(control.value)),
  },
  list: {
    make: ({ needed }, value) => input({ value: (value ?? []).join(", "), required: needed }),
    read: (control) => control.value.split(/[\s,]+/).filter(Boolean),
  },
  text: {
    make: ({ minlength, maxlength, needed, pattern }, value) => checked(
      input({ minlength, maxlength, value, required: needed }), (said) => matches(said, pattern)),
    read: (control, { nullable }) => control.value.trim() || (nullable ? null : ""),
  },
  json: { // whatever has no control of its own
    make: (_, value) => checked(input({ value: JSON.stringify(value), required: true }), isJson),
    read: (control) => JSON.parse(control.value),
  },
};

/** `{control, said, node, read}`: `said` is where a refusal is put, `read()` gives the value. */
export function entry(field, hint = {}, value = field.initial) {
  const { label = titled(field.name), placeholder, wide, first } = hint;
  const { make, read } = KINDS[field.kind];
  const control = make(field, value);
  if (placeholder) control.setAttribute("placeholder", placeholder);
  if (first) control.setAttribute("data-first", "");
  control.name = field.name;
  control.addEventListener("invalid", () => unfold(control));
  return { ...labelled(field.name, label, field.help, control, wide), read: () => read(control, field) };
}

/** The same for a control that the form has made itself. */
export function labelled(name, label, help, control, wide = false) {
  const said = h("span", { class: "bad small", id: `${name}-said` });
  control.id = `field-${name}`;
  control.setAttribute("aria-describedby", `${name}-hint ${name}-said`);
  const isToggle = control.type === "checkbox";
  const named = isToggle ? h("label", { class: "switch" }, control, label)
    : [h("label", { for: control.id }, label), control];
  const text = h("span", { class: "muted small", id: `${name}-hint` }, help);
  const hint = h("div", { class: "hint", title: help }, text);
  control.addEventListener("focus", () => hint.classList.toggle("cut", isCut(text)));
  return { control, said, node: h("div", { class: wide ? "field wide" : "field" }, named, said, hint) };
}

/** Fields in the order of the hints; those without one at the end, as they were declared. */
export function arranged(fields, hints) {
  const order = Object.keys(hints);
  const rank = ({ name }) => (name in hints ? order.indexOf(name) : order.length);
  return fields.toSorted((a, b) => rank(a) - rank(b));
}

/** Each problem beside its field; what has no field here, above the buttons. */
export function refuse(problem, entries, said) {
  const rest = [];
  for (const { control, said: place } of Object.values(entries)) {
    place.replaceChildren();
    control.removeAttribute("aria-invalid");
  }
  for (const each of problem.problems ?? []) {
    const found = entries[each.field.split(/[.[]/).findLast((part) => part in entries)];
    if (found) {
      found.said.append(each.message);
      found.control.setAttribute("aria-invalid", "true");
      unfold(found.control);
    } else rest.push(each);
  }
  const all = { ...problem, message: problem.message, problems: rest };
  said.replaceChildren(...(problem.problems?.length && !rest.length ? [] : sentences(all)));
}

/** Whether there is more than the two lines that are shown. */
const isCut = (text) => text.scrollHeight > text.clientHeight;

const unfold = (control) => control.closest("details")?.setAttribute("open", "");

/** sample_percent: Sample, %. */
function titled(name) {
  const words = name.split("_");
  const unit = words.length > 1 && UNITS[words.at(-1)];
  const said = (unit ? words.slice(0, -1) : words).join(" ");
  return said.charAt(0).toUpperCase() + said.slice(1) + (unit ? `, ${unit}` : "");
}

/** `problem(text)` says what is wrong with what was typed; "" if nothing is. */
function checked(control, problem) {
  control.addEventListener("input", () => control.setCustomValidity(problem(control.value.trim())));
  return control;
}

/** Not by the attribute `pattern`: browsers read that one with stricter rules than the schema's. */
const matches = (said, pattern) =>
  (said && pattern && !new RegExp(pattern, "u").test(said) ? `This does not match ${pattern}` : "");

function isJson(said) {
  try {
    JSON.parse(said);
    return "";
  } catch {
    return "This is not JSON";
  }
}
