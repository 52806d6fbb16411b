// Elements, built without ever parsing text as HTML, and lists of them that follow data.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== undefined && child !== null && child !== false));
  return node;
}

/** An element: attributes, `onEVENT` listeners, then children (elements or text). */
export const h = (tag, properties = {}, ...children) =>
  fill(document.createElement(tag), properties, children);

/** The same for SVG. */
export const s = (tag, properties = {}, ...children) =>
  fill(document.createElementNS(SVG, tag), properties, children);

/** The head of a table; columns are `[name, class]`. */
export const heads = (columns) => h("thead", {}, h("tr", {},
  columns.map(([name, kind]) => h("th", { scope: "col", class: kind }, name))));

/** Sets text only if it differs, so as not to disturb selections and screen readers. */
export function text(node, value) {
  const wanted = String(value);
  if (node.textContent !== wanted) node.textContent = wanted;
}

/** Shows or hides. */
export function show(node, visible) {
  if (node.hidden === visible) node.hidden = !visible;
}

/** Children of `parent`, one per item. `make(item)` gives `{node, update(item)}`, kept while its key is. */
export class List {
  constructor(parent, key, make) {
    Object.assign(this, { parent, key, make, rows: new Map() });
  }

  update(items) {
    const keys = new Set(items.map(this.key));
    for (const [key, row] of this.rows) {
      if (!keys.has(key)) {
        row.node.remove();
        this.rows.delete(key);
      }
    }
    items.forEach((item, index) => {
      let row = this.rows.get(this.key(item));
      if (!row) {
        row = this.make(item);
        this.rows.set(this.key(item), row);
      }
      const there = this.parent.children[index];
      if (there !== row.node) this.parent.insertBefore(row.node, there ?? null);
      row.update(item);
    });
  }
}
