// Elements without innerHTML: users' input becomes text, never markup.

/** Creates an element. `on…` properties are listeners. Others are properties, or attributes if there is no such property. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element) element[name] = value;
    else if (value != null && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child != null && child !== false));
  return element;
}

/** Makes `nodes` the children of `parent`. Moves only misplaced ones, because screen readers read moved elements again. */
function arrange(parent, nodes) {
  nodes.forEach((node, index) => {
    if (parent.childNodes[index] !== node) parent.insertBefore(node, parent.childNodes[index] ?? null);
  });
  while (parent.childNodes.length > nodes.length) parent.lastChild.remove();
}

const FOCUSABLE = "button, summary, a[href], [tabindex]";

/** A list that creates an item again only when its content has changed. The focus stays with its item or, if the item is
 * removed, moves to a neighbour. */
export class List {
  #items = new Map();

  constructor(element) {
    this.element = element;
  }

  get = (key) => this.#items.get(key)?.node;

  /** Shows `[key, signature, make]` entries; `make` runs if the signature of that key has changed. */
  show(entries) {
    const focus = this.#focus();
    const before = this.#items;
    this.#items = new Map(entries.map(([key, signature, make]) => {
      const known = before.get(key);
      return [key, known?.signature === signature ? known : { signature, node: make() }];
    }));
    arrange(this.element, [...this.#items.values()].map(({ node }) => node));
    if (focus && !this.element.contains(document.activeElement)) this.#restore(focus);
  }

  #focus() {
    const active = document.activeElement;
    const key = [...this.#items.keys()].find((key) => this.get(key).contains(active));
    if (key === undefined) return null;
    const item = this.get(key);
    return { key, row: [...this.element.children].indexOf(item), index: [...item.querySelectorAll(FOCUSABLE)].indexOf(active) };
  }

  #restore({ key, row, index }) {
    const same = this.get(key);
    const rows = [...this.element.children];
    const neighbours = [...rows.slice(row), ...rows.slice(0, row).reverse()];
    const target = same
      ? (same.querySelectorAll(FOCUSABLE)[index] ?? same)
      : neighbours.map((item) => (item.matches(FOCUSABLE) ? item : item.querySelector(FOCUSABLE))).find(Boolean);
    target?.focus({ preventScroll: true });
  }
}

/** Runs `work` once, `milliseconds` after the last call. */
export function debounced(milliseconds, work) {
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(work, milliseconds);
  };
}
