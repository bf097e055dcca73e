// Icons and avatars.

import { h } from "./dom.js";
import { whose } from "./words.js";

const PATHS = {
  image: "M4 16l5-5 4 4 3-3 4 4M4 5h16v14H4zM15.500 9.500h.01",
  send: "M5 12h13M12 6l6 6-6 6",
  back: "M14 6l-6 6 6 6",
  close: "M7 7l10 10M17 7L7 17",
  reply: "M10 7l-5 5 5 5M5 12h8a6 6 0 0 1 6 6v1",
  edit: "M4 20l1-4L16 5l3 3L8 19zM13.500 7.500l3 3",
  delete: "M5 7h14M9 7V5h6v2M7 7l1 13h8l1-13M10.500 11v5M13.500 11v5",
  down: "M6 10l6 6 6-6",
  clock: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16M12 8v4l3 2",
  tick: "M5 13l4 4L19 7",
  ticks: "M2 13l4 4L16 7M11 16l1 1L22 7",
  order: "M4 8l8-4 8 4v8l-8 4-8-4zM4 8l8 4 8-4M12 12v8",
  support: "M5 14v-2a7 7 0 0 1 14 0v2M5 14h3v5H6a1 1 0 0 1-1-1zM19 14h-3v5h2a1 1 0 0 0 1-1z",
  direct: "M4 5h16v11H10l-5 4v-4H4z",
  open: "M10 5H5v14h14v-5M13 5h6v6M19 5l-8 8",
};

export function icon(name) {
  const namespace = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(namespace, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS(namespace, "path"));
  svg.firstChild.setAttribute("d", PATHS[name]);
  return svg;
}

/** Creates a button with an icon. `label` is its accessible name. */
export function iconButton(name, label, onclick, properties = {}) {
  return h("button", { type: "button", className: "icon", ariaLabel: label, title: label, onclick, ...properties }, icon(name));
}

export function avatar(name, user) {
  const initials = name.split(/\s+/).map(([letter]) => letter).slice(0, 2).join("");
  return h("span", { className: `avatar ${whose(user)}`, ariaHidden: "true" }, initials);
}
