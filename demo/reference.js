// Tells assistive technology what Redoc leaves out: the level of its small headings, and the names of its menus.

function complete() {
  for (const heading of document.querySelectorAll("h5:not([aria-level])")) {
    heading.role = "heading";
    heading.ariaLevel = 3;
  }
  for (const menu of document.querySelectorAll("select:not([aria-label])")) menu.ariaLabel = "Variant";
}

new MutationObserver(complete).observe(document.querySelector("main"), { childList: true, subtree: true });
