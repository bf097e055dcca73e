// Where in a conversation its reader is: at the end, which it follows, or at a place further up, which it keeps.

/** How near the end, in pixels, counts as reading the newest message. */
const NEAR = 80;

export class Reading {
  following = true;
  #top = 0;

  /** `content` is the list in `scroller`; `moved` is called when the reader has moved. */
  constructor(scroller, content, moved) {
    this.scroller = scroller;
    this.content = content;
    scroller.addEventListener("scroll", () => {
      const { scrollHeight, scrollTop, clientHeight } = scroller;
      // What grows moves the end away from the reader; only a reader scrolls up.
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

  /** Runs `update`, and leaves in its place what is being read. */
  during(update) {
    const anchor = this.following ? null : this.#firstInView();
    const before = anchor?.getBoundingClientRect().bottom;
    update();
    if (this.following) this.toEnd();
    else if (anchor) {
      // It may have been made anew, with less above it.
      const after = this.content.querySelector(`[data-id="${anchor.dataset.id}"]`);
      if (after) this.scroller.scrollTop += after.getBoundingClientRect().bottom - before;
    }
  }

  #firstInView() {
    const { top } = this.scroller.getBoundingClientRect();
    return [...this.content.querySelectorAll("[data-id]")].find((item) => item.getBoundingClientRect().bottom > top);
  }
}
