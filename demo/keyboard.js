// Keyboard and touch access to messages. A conversation is a single tab stop. Arrow keys move from message to message, and the
// buttons of the focused message are tab stops. On a touch screen, a long press shows the buttons.

const LONG = 450;
const STILL = 10;

/** Makes the messages in `scroller` accessible. Escape calls `leave`. */
export function reachable(scroller, leave) {
  const stops = (item, tabIndex) => item?.querySelectorAll(".bubble button, .actions button, .meta .quiet").forEach((each) => (each.tabIndex = tabIndex));
  scroller.addEventListener("focusin", ({ target }) => stops(target.closest(".message"), 0));
  scroller.addEventListener("focusout", ({ target, relatedTarget }) => {
    const item = target.closest(".message");
    if (!item?.contains(relatedTarget)) stops(item, -1);
  });
  scroller.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return leave();
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!step) return;
    const items = [...scroller.querySelectorAll(".message")];
    const at = items.indexOf(document.activeElement.closest(".message"));
    const next = at < 0 ? items.at(-1) : items[at + step];
    if (!next) return;
    event.preventDefault();
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
  });

  let press = null;
  const chosen = () => scroller.querySelector(".chosen");
  const letGo = () => {
    clearTimeout(press?.timer);
    press = null;
  };
  document.addEventListener("pointerdown", ({ target }) => {
    if (!chosen()?.contains(target)) chosen()?.classList.remove("chosen");
  });
  scroller.addEventListener("pointerdown", ({ pointerType, target, clientX, clientY }) => {
    const item = target.closest(".message");
    if (pointerType !== "touch" || !item) return;
    letGo();
    press = { clientX, clientY, timer: setTimeout(() => item.classList.add("chosen"), LONG) };
  });
  scroller.addEventListener("pointermove", ({ clientX, clientY }) => {
    if (press && Math.hypot(clientX - press.clientX, clientY - press.clientY) > STILL) letGo();
  });
  for (const end of ["pointerup", "pointercancel", "scroll"]) scroller.addEventListener(end, letGo);
  // A long press would select a word and open the browser's menu.
  scroller.addEventListener("contextmenu", (event) => event.pointerType === "touch" && event.preventDefault());
}
