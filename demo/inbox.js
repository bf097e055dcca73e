// A person's conversations, and the form that starts one.

import { List, h } from "./dom.js";
import { icon } from "./icons.js";
import { count, title, when } from "./words.js";

const KINDS = { order: "Orders", support: "Support", direct: "Direct" };

export class Inbox {
  #person;
  #draft;

  /** `others` are the participants of new conversations; `draft` returns a conversation's unsent text. */
  constructor(person, others, draft) {
    this.#person = person;
    this.#draft = draft;
    const chip = (kind, label) => [kind, h("button", { type: "button", onclick: () => person.show(kind) }, label)];
    this.chips = [chip(null, "All"), ...Object.entries(KINDS).map(([kind, label]) => chip(kind, label))];
    this.list = new List(h("ul", { className: "conversations" }));
    const kind = h("select", { name: "kind", ariaLabel: "Kind" }, Object.keys(KINDS).map((kind) => h("option", {}, kind)));
    const reference = h("input", { name: "external_ref", placeholder: "reference, e.g. order_9002", maxLength: 255, dir: "auto", ariaLabel: "External reference" });
    const begin = h("form", {
      className: "begin",
      onsubmit: async (event) => {
        event.preventDefault();
        if (await person.begin(kind.value, reference.value.trim(), others)) reference.value = "";
      },
    }, kind, reference, h("button", { className: "primary" }, "Start"));
    this.element = h("div", { className: "inbox" },
      h("div", { className: "chips", role: "group", "aria-label": "Filter conversations" }, this.chips.map(([, button]) => button)),
      this.list.element,
      begin);
  }

  /** Focuses a conversation's row. */
  focus(id) {
    (this.list.get(id)?.firstChild ?? this.chips[0][1]).focus();
  }

  render() {
    const { filter, inbox } = this.#person;
    for (const [kind, button] of this.chips) button.setAttribute("aria-pressed", kind === filter);
    const rows = inbox.map((conversation) => {
      const { id, last_message, last_at, unread_count } = conversation;
      const draft = this.#draft(id);
      const signature = JSON.stringify([last_message, last_at, unread_count, draft]);
      return [id, signature, () => this.#row(conversation, draft)];
    });
    const none = ["none", filter, () => h("li", { className: "empty" }, icon(filter ?? "direct"), h("b", {}, filter ? `No ${KINDS[filter].toLowerCase()} yet` : "No conversations yet"), h("span", {}, "Start one below."))];
    this.list.show(rows.length ? rows : [none]);
  }

  #row(conversation, draft) {
    const { id, kind, participants, last_message, last_at, unread_count } = conversation;
    const { facts, names } = this.#person;
    const others = participants.filter((each) => each !== facts.user_id).map((each) => names.get(each) ?? each).join(", ");
    return h("li", {}, h("button", { type: "button", "data-id": id, onclick: () => this.#person.enter(id) },
      h("span", { className: "kind", role: "img", ariaLabel: kind, title: kind }, icon(kind)),
      h("b", { dir: "auto" }, title(conversation, others)),
      h("time", {}, last_at ? when(last_at) : ""),
      h("span", { className: "preview", dir: "auto" }, draft ? [h("i", {}, "Draft:"), ` ${draft}`] : (last_message ?? "No messages yet")),
      unread_count > 0 && h("span", { className: "unread", role: "img", ariaLabel: count(unread_count, "unread message") }, unread_count < 100 ? unread_count : "99+")));
  }
}
