// A conversation that is open: its messages, who types, and where to write.

import { Composer } from "./composer.js";
import { List, h } from "./dom.js";
import { icon, iconButton } from "./icons.js";
import { reachable } from "./keyboard.js";
import { areGrouped, messageItem, pendingItem } from "./message.js";
import { Reading } from "./reading.js";
import { count, day, dayName, gist, title, typingText } from "./words.js";

export class Chat {
  #client;
  #shown = null;
  /** The newest message that was there when the reader was last at the end. */
  #seen = "";
  /** The newest message that has been shown: what is newer moves in. */
  #newest = "";

  constructor(client) {
    this.#client = client;
    const { person } = client;
    this.title = h("h3", { dir: "auto" });
    this.subtitle = h("p", { dir: "auto" });
    this.earlier = h("button", { type: "button", className: "earlier", onclick: () => this.#showEarlier() }, "Show earlier messages");
    this.list = new List(h("ol", { className: "messages" }));
    this.empty = h("div", { className: "empty" });
    const hint = h("p", { className: "unseen", id: `${person.id}-keys` }, "Arrow keys go from message to message.");
    this.scroller = h("div", { className: "scroller", role: "log", "aria-label": `Messages, as ${person.name} sees them`, "aria-describedby": hint.id, tabIndex: 0 },
      this.earlier, this.empty, this.list.element);
    this.reading = new Reading(this.scroller, this.list.element, () => this.#renderPill());
    this.pill = h("button", { type: "button", className: "pill", hidden: true, onclick: () => this.#toEnd() });
    this.typing = h("p", { className: "typing", role: "status" });
    this.composer = new Composer(client, () => this.reading.toEnd());
    this.element = h("div", { className: "chat" },
      h("div", { className: "bar" },
        iconButton("back", "Back to the inbox", () => client.leave()),
        h("div", {}, this.title, this.subtitle)),
      h("div", { className: "stage" }, hint, this.scroller, this.pill),
      this.typing,
      this.composer.element);
    this.composer.acceptDrops(this.element);
    reachable(this.scroller, () => this.composer.input.focus());
  }

  /** Shows the conversation that was just opened. */
  open() {
    this.#shown = this.#client.open;
    this.list.show([]);
    this.composer.open(this.#shown);
    this.reading.toEnd();
    this.#seen = this.#newest = "";
  }

  focus() {
    if (!this.composer.focus()) this.scroller.focus({ preventScroll: true });
  }

  render() {
    if (this.#shown !== this.#client.open) this.open();
    const { conversation, thread, person, names } = this.#client;
    const others = conversation?.participants.filter((id) => id !== person.user_id).map((id) => names.get(id) ?? id).join(", ") ?? "";
    this.title.textContent = conversation ? title(conversation, others) : "";
    this.subtitle.textContent = `${conversation?.kind ?? ""} with ${others}`;
    this.reading.during(() => {
      this.earlier.hidden = !thread.loaded || thread.complete;
      this.list.show(this.#entries());
      this.#group();
      for (const pending of thread.pending) {
        const bar = this.list.get(pending.key)?.querySelector("progress");
        if (bar) bar.value = pending.progress;
      }
      this.#renderEmpty();
    });
    const typists = [...thread.typing.values()].map(({ name }) => name.split(" ")[0]);
    const text = typingText(typists);
    if (this.typing.textContent !== text) this.typing.replaceChildren(...(text ? [text, h("span", { className: "dots", ariaHidden: "true" }, h("i"), h("i"), h("i"))] : []));
    this.#renderPill();
  }

  #entries() {
    const { thread, messages, person } = this.#client;
    const replies = new Map();
    for (const { reply_to } of messages) if (reply_to) replies.set(reply_to, (replies.get(reply_to) ?? 0) + 1);
    const entries = [];
    messages.forEach((message, index) => {
      const date = day(message.created_at);
      if (day(messages[index - 1]?.created_at) !== date) {
        entries.push([`day ${date}`, "", () => h("li", { className: "day" }, h("span", {}, dayName(message.created_at)))]);
      }
      const parent = thread.messages.get(message.reply_to);
      const facts = {
        mine: message.sender_id === person.user_id,
        name: this.#client.names.get(message.sender_id) ?? message.sender_id,
        replies: replies.get(message.id) ?? 0,
        quote: message.reply_to && (parent ? gist(parent) : "A message that isn't here"),
      };
      const signature = JSON.stringify([message.body, message.edited_at, facts]);
      const isNew = !facts.mine && this.#newest && message.created_at > this.#newest;
      entries.push([message.id, signature, () => messageItem(message, { ...facts, isNew }, this.#acts(message))]);
    });
    for (const pending of thread.pending) {
      const make = () => pendingItem(pending, person.user_id, () => this.#client.sendAgain(pending), () => this.#client.discard(pending));
      entries.push([pending.key, String(pending.failed), make]);
    }
    this.#newest = messages.at(-1)?.created_at ?? "";
    return entries;
  }

  #group() {
    const { messages } = this.#client;
    messages.forEach((message, index) => {
      const { classList } = this.list.get(message.id);
      classList.toggle("first", !areGrouped(messages[index - 1], message));
      classList.toggle("last", !areGrouped(message, messages[index + 1]));
    });
  }

  #acts(message) {
    return {
      reply: () => this.composer.reply(message),
      edit: () => this.composer.edit(message),
      delete: () => this.#client.delete(message),
      jump: () => this.#jump(message.reply_to),
      jumpToReply: () => this.#jump(this.#client.messages.findLast(({ reply_to }) => reply_to === message.id)?.id),
    };
  }

  #renderEmpty() {
    const { thread, messages } = this.#client;
    this.empty.hidden = messages.length + thread.pending.length > 0;
    if (this.empty.hidden) return;
    const words = thread.loaded ? [icon("direct"), h("b", {}, "No messages yet"), h("span", {}, "Write the first one.")] : [h("span", {}, "Loading…")];
    this.empty.replaceChildren(...words);
  }

  #renderPill() {
    const { messages, person } = this.#client;
    if (this.reading.following) this.#seen = messages.at(-1)?.created_at ?? "";
    const news = messages.filter(({ created_at, sender_id }) => created_at > this.#seen && sender_id !== person.user_id).length;
    const label = news ? count(news, "new message") : "To the newest message";
    this.pill.hidden = this.reading.following;
    this.pill.classList.toggle("news", news > 0);
    if (this.pill.ariaLabel === label) return;
    this.pill.ariaLabel = label;
    this.pill.replaceChildren(...(news ? [label] : []), icon("down"));
  }

  #toEnd() {
    this.reading.toEnd();
    this.scroller.focus({ preventScroll: true });
    this.#renderPill();
  }

  async #showEarlier() {
    const first = this.list.element.querySelector(".message");
    await this.#client.loadEarlier();
    // The button goes with the last page.
    if (this.earlier.hidden) this.list.get(first?.dataset.id)?.focus({ preventScroll: true });
  }

  #jump(id) {
    const item = this.list.get(id);
    if (!item) return;
    item.scrollIntoView({ block: "center" });
    item.focus({ preventScroll: true });
    item.classList.remove("found");
    requestAnimationFrame(() => item.classList.add("found"));
  }
}
