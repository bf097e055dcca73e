// The open conversation: its messages, the typing users and the composer.

import { Composer } from "./composer.js";
import { List, h } from "./dom.js";
import { icon, iconButton } from "./icons.js";
import { reachable } from "./keyboard.js";
import { areGrouped, messageItem, pendingItem, showReaders } from "./message.js";
import { Reading } from "./reading.js";
import { count, day, dayName, gist, title, typingText } from "./words.js";

export class Chat {
  #person;
  #shown = null;
  /** The time of the newest message when the reader was last at the end. */
  #seen = "";
  /** The time of the newest message that has been shown. Newer ones are animated. */
  #newest = "";
  /** URLs of the images that are being sent, by message. */
  #previews = new Map();

  constructor(person) {
    this.#person = person;
    const { id, name } = person.facts;
    this.title = h("h3", { dir: "auto" });
    this.subtitle = h("p", { dir: "auto" });
    this.elsewhere = h("span", { className: "unread", role: "img", hidden: true });
    this.earlier = h("button", { type: "button", className: "earlier", onclick: () => this.#showEarlier() }, "Show earlier messages");
    this.list = new List(h("ol", { className: "messages" }));
    this.empty = h("div", { className: "empty" });
    const hint = h("p", { className: "unseen", id: `${id}-keys` }, "Arrow keys go from message to message.");
    this.scroller = h("div", { className: "scroller", role: "log", "aria-label": `Messages, as ${name} sees them`, "aria-describedby": hint.id, tabIndex: 0 },
      this.earlier, this.empty, this.list.element);
    this.reading = new Reading(this.scroller, this.list.element, () => this.#renderPill());
    this.pill = h("button", { type: "button", className: "pill", hidden: true, onclick: () => this.#toEnd() });
    this.typing = h("p", { className: "typing", role: "status" });
    this.composer = new Composer(person, () => this.reading.toEnd());
    this.element = h("div", { className: "chat" },
      h("div", { className: "bar" },
        iconButton("back", "Back to the inbox", () => person.leave()),
        this.elsewhere,
        h("div", {}, this.title, this.subtitle)),
      h("div", { className: "stage" }, hint, this.scroller, this.pill),
      this.typing,
      this.composer.element);
    this.composer.acceptDrops(this.element);
    reachable(this.scroller, () => this.composer.input.focus());
    document.addEventListener("visibilitychange", () => this.#markRead());
  }

  /** Shows a conversation that was just opened. */
  open() {
    this.#shown = this.#person.conversation;
    this.list.show([]);
    this.composer.open(this.#shown.id);
    this.reading.toEnd();
    this.#seen = this.#newest = "";
  }

  focus() {
    if (!this.composer.focus()) this.scroller.focus({ preventScroll: true });
  }

  render() {
    if (this.#shown !== this.#person.conversation) this.open();
    const { conversation, names, facts, chat } = this.#person;
    const others = conversation.participants.filter((id) => id !== facts.user_id).map((id) => names.get(id) ?? id).join(", ");
    this.title.textContent = title(conversation, others);
    this.subtitle.textContent = `${conversation.kind ?? ""} with ${others}`;
    const unread = chat.unread_count - conversation.unread_count;
    this.elsewhere.hidden = unread === 0;
    this.elsewhere.textContent = unread;
    this.elsewhere.ariaLabel = `${count(unread, "unread message")} in other conversations`;
    this.reading.during(() => {
      this.earlier.hidden = !conversation.hasEarlier;
      this.list.show(this.#entries());
      this.#group();
      this.#renderProgress();
      this.#renderEmpty();
    });
    const text = typingText(conversation.typing.map(({ name }) => name.split(" ")[0]));
    if (this.typing.textContent !== text) this.typing.replaceChildren(...(text ? [text, h("span", { className: "dots", ariaHidden: "true" }, h("i"), h("i"), h("i"))] : []));
    this.#renderPill();
  }

  /** The messages that the server has, and those that it doesn't have yet. */
  get #messages() {
    return this.#person.conversation.messages.filter(({ state }) => !state);
  }
  get #pending() {
    return this.#person.conversation.messages.filter(({ state }) => state);
  }

  #entries() {
    const { conversation, facts: me, names } = this.#person;
    const messages = this.#messages;
    const byId = new Map(messages.map((message) => [message.id, message]));
    const replies = new Map();
    for (const { reply_to } of messages) if (reply_to) replies.set(reply_to, (replies.get(reply_to) ?? 0) + 1);
    const entries = [];
    messages.forEach((message, index) => {
      const date = day(message.created_at);
      if (day(messages[index - 1]?.created_at) !== date) {
        entries.push([`day ${date}`, "", () => h("li", { className: "day" }, h("span", {}, dayName(message.created_at)))]);
      }
      const parent = byId.get(message.reply_to);
      const facts = {
        mine: message.sender_id === me.user_id,
        name: names.get(message.sender_id) ?? message.sender_id,
        replies: replies.get(message.id) ?? 0,
        quote: message.reply_to && (parent ? gist(parent) : "A message that isn't loaded"),
      };
      const signature = JSON.stringify([message.body, message.edited_at, facts]);
      const isNew = !facts.mine && this.#newest && message.created_at > this.#newest;
      entries.push([message.id, signature, () => messageItem(message, { ...facts, isNew }, this.#acts(message))]);
    });
    for (const message of this.#pending) {
      const { id, state, file } = message;
      if (file && !this.#previews.has(id)) this.#previews.set(id, URL.createObjectURL(file));
      const acts = { again: () => conversation.retry(id), discard: () => conversation.discard(id) };
      entries.push([id, state, () => pendingItem(message, this.#previews.get(id), acts)]);
    }
    this.#newest = messages.at(-1)?.created_at ?? "";
    return entries;
  }

  #group() {
    const { conversation, facts } = this.#person;
    const messages = this.#messages;
    messages.forEach((message, index) => {
      const item = this.list.get(message.id);
      item.classList.toggle("first", !areGrouped(messages[index - 1], message));
      item.classList.toggle("last", !areGrouped(message, messages[index + 1]));
      if (message.sender_id === facts.user_id) showReaders(item, conversation.readers(message).map((id) => this.#person.names.get(id) ?? id));
    });
  }

  #renderProgress() {
    const pending = new Map(this.#pending.map((message) => [message.id, message]));
    for (const [id, { progress }] of pending) {
      const bar = this.list.get(id)?.querySelector("progress");
      if (bar) bar.value = progress;
    }
    for (const [id, url] of this.#previews) {
      if (pending.has(id)) continue;
      URL.revokeObjectURL(url);
      this.#previews.delete(id);
    }
  }

  #acts(message) {
    const { conversation } = this.#person;
    return {
      reply: () => this.composer.reply(message),
      edit: () => this.composer.edit(message),
      delete: () => this.#person.trying(() => conversation.delete(message.id)),
      jump: () => this.#jump(message.reply_to),
      jumpToReply: () => this.#jump(this.#messages.findLast(({ reply_to }) => reply_to === message.id)?.id),
    };
  }

  #renderEmpty() {
    const { conversation } = this.#person;
    this.empty.hidden = conversation.messages.length > 0;
    if (this.empty.hidden) return;
    const words = conversation.isLoaded ? [icon("direct"), h("b", {}, "No messages yet"), h("span", {}, "Write the first one.")] : [h("span", {}, "Loading…")];
    this.empty.replaceChildren(...words);
  }

  #renderPill() {
    if (!this.#person.conversation) return;
    const messages = this.#messages;
    if (this.reading.following) this.#seen = messages.at(-1)?.created_at ?? "";
    this.#markRead();
    const news = messages.filter(({ created_at, sender_id }) => created_at > this.#seen && sender_id !== this.#person.facts.user_id).length;
    const label = news ? count(news, "new message") : "To the newest message";
    this.pill.hidden = this.reading.following;
    this.pill.classList.toggle("news", news > 0);
    if (this.pill.ariaLabel === label) return;
    this.pill.ariaLabel = label;
    this.pill.replaceChildren(...(news ? [label] : []), icon("down"));
  }

  /** Marks the conversation as read while it is on screen and the reader is at its end. */
  #markRead() {
    const { conversation, chat } = this.#person;
    if (!conversation?.isLoaded || !this.reading.following || document.hidden || chat.connection === "offline") return;
    conversation.markRead().catch(() => {}); // retried with the next message
  }

  #toEnd() {
    this.reading.toEnd();
    this.scroller.focus({ preventScroll: true });
    this.#renderPill();
  }

  async #showEarlier() {
    const first = this.list.element.querySelector(".message");
    await this.#person.trying(() => this.#person.conversation.loadEarlier());
    // The button disappears with the last page.
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
