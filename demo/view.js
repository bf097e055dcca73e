// The view of one person's side: name and connection, and the inbox or the open conversation.

import { Chat } from "./chat.js";
import { h } from "./dom.js";
import { avatar } from "./icons.js";
import { Inbox } from "./inbox.js";

const STATES = { live: "Live", connecting: "Connecting…", offline: "Offline" };

export class View {
  #person;
  #open;

  /** `others` are the participants of new conversations. */
  constructor(person, others) {
    this.#person = person;
    const { id, name, user_id, role } = person.facts;
    this.status = h("button", { type: "button", className: "status", onclick: () => this.#toggleConnection() });
    this.notice = h("p", { className: "notice", role: "alert", hidden: true });
    this.chat = new Chat(person);
    this.inbox = new Inbox(person, others, (id) => this.chat.composer.draft(id));
    this.element = h("section", { className: `person ${id}`, id, "aria-labelledby": `${id}-name` },
      h("header", {},
        avatar(name, user_id),
        h("div", {}, h("h2", { id: `${id}-name` }, name), h("p", {}, role)),
        this.status),
      this.notice,
      this.inbox.element,
      this.chat.element);
    person.addEventListener("change", () => this.#render());
    this.#render();
  }

  #render() {
    const { notice, chat: { connection } } = this.#person;
    const open = this.#person.conversation?.id;
    const left = this.#open;
    const hadFocus = this.element.contains(document.activeElement);
    this.#open = open;
    this.status.className = `status ${connection}`;
    this.status.textContent = STATES[connection];
    this.status.title = connection === "offline" ? "Go online" : "Go offline";
    this.status.ariaLabel = `${STATES[connection]}. ${this.status.title}`;
    this.notice.hidden = !notice;
    this.notice.textContent = notice;
    this.inbox.element.hidden = open !== undefined;
    this.chat.element.hidden = open === undefined;
    if (open) this.chat.render();
    else this.inbox.render();
    // If the focus was in this view, it moves to the part that is shown now.
    if (open === left || !hadFocus) return;
    if (open) this.chat.focus();
    else this.inbox.focus(left);
  }

  #toggleConnection() {
    const { chat } = this.#person;
    if (chat.connection === "offline") this.#person.trying(() => chat.connect());
    else chat.disconnect();
  }
}
