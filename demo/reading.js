// The scroll position in a conversation. At the end it follows new messages, and elsewhere it is kept.

/** The distance from the end, in pixels, up to which a reader is at the end. */
const NEAR = 80;

export class Reading {
  following = true;
  #top = 0;

  /** `content` is the list in `scroller`; `moved` is called when the reader has scrolled. */
  constructor(scroller, content, moved) {
    this.scroller = scroller;
    this.content = content;
    scroller.addEventListener("scroll", () => {
      const { scrollHeight, scrollTop, clientHeight } = scroller;
      // New content moves the end away. Only the reader scrolls up.
      if (scrollHeight - scrollTop - clientHeight < NEAR) this.following = true;
      else if (scrollTop < this.#top) this.following = false;
      this.#top = scrollTop;
      moved();
    });
    const resized = new ResizeObserver(() => this.following && this.toEnd());
    resized.observe(scroller);
    resized.observe(content);
  }

  toEnd() {
    this.following = true;
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  /** Runs `update` and keeps the position of the visible messages. */
  during(update) {
    const anchor = this.following ? null : this.#firstInView();
    const before = anchor?.getBoundingClientRect().bottom;
    update();
    if (this.following) this.toEnd();
    else if (anchor) {
      // The item may have been created again.
      const after = this.content.querySelector(`[data-id="${anchor.dataset.id}"]`);
      if (after) this.scroller.scrollTop += after.getBoundingClientRect().bottom - before;
    }
  }

  #firstInView() {
    const { top } = this.scroller.getBoundingClientRect();
    return [...this.content.querySelectorAll("[data-id]")].find((item) => item.getBoundingClientRect().bottom > top);
  }
}
