// A full-size image in a dialog.

import { h } from "./dom.js";
import { icon, iconButton } from "./icons.js";

export function lightbox(url, caption) {
  const dialog = h("dialog", {
    className: "lightbox",
    ariaLabel: caption,
    onclose: () => dialog.remove(),
    onclick: (event) => {
      if (event.target === dialog || event.target.tagName === "FIGURE") dialog.close();
    },
  },
    h("figure", {}, h("img", { src: url, alt: caption }), h("figcaption", { dir: "auto" }, caption)),
    h("nav", {},
      h("a", { className: "icon", href: url, target: "_blank", rel: "noopener noreferrer", ariaLabel: "Open in a new tab", title: "Open in a new tab" }, icon("open")),
      iconButton("close", "Close", () => dialog.close())));
  document.body.append(dialog);
  dialog.showModal(); // keeps the focus inside, and returns it afterwards
}
