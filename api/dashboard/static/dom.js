// Elements, built without ever reading text as HTML, and lists of them that follow data.

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
export const h = (tag, properties = {}, ...children) => fill(document.createElement(tag), properties, children);

/** The same for SVG. */
export const s = (tag, properties = {}, ...children) => fill(document.createElementNS(SVG, tag), properties, children);

/** Sets text only where it differs, so that selections and screen readers are left in peace. */
export function text(node, value) {
  const wanted = String(value);
  if (node.textContent !== wanted) node.textContent = wanted;
}

/** Shows or hides. */
export function show(node, visible) {
  if (node.hidden === visible) node.hidden = !visible;
}

/** Children of `parent`, one for each item: `make(item)` gives `{node, update(item)}`, which stays while the key does. */
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
      if (this.parent.children[index] !== row.node) this.parent.insertBefore(row.node, this.parent.children[index] ?? null);
      row.update(item);
    });
  }
}
