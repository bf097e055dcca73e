// One person's side: who it is, whether it is connected, and its inbox or the conversation that was opened from it.

import { Chat } from "./chat.js";
import { h } from "./dom.js";
import { avatar } from "./icons.js";
import { Inbox } from "./inbox.js";

const STATES = { live: "Live", connecting: "Connecting…", offline: "Offline" };

export class View {
  #client;
  #open = null;

  /** `others` are the participants of a conversation that is begun here. */
  constructor(client, others) {
    this.#client = client;
    const { person } = client;
    this.status = h("button", { type: "button", className: "status", onclick: () => this.#toggleConnection() });
    this.notice = h("p", { className: "notice", role: "alert", hidden: true });
    this.chat = new Chat(client);
    this.inbox = new Inbox(client, others, (id) => this.chat.composer.draft(id));
    this.element = h("section", { className: `person ${person.id}`, id: person.id, "aria-labelledby": `${person.id}-name` },
      h("header", {},
        avatar(person.name, person.user_id),
        h("div", {}, h("h2", { id: `${person.id}-name` }, person.name), h("p", {}, person.role)),
        this.status),
      this.notice,
      this.inbox.element,
      this.chat.element);
    client.addEventListener("change", () => this.#render());
    this.#render();
  }

  #render() {
    const { open, connection, notice } = this.#client;
    const left = this.#open;
    const hadFocus = this.element.contains(document.activeElement);
    this.#open = open;
    this.status.className = `status ${connection}`;
    this.status.textContent = STATES[connection];
    this.status.title = connection === "offline" ? "Go online" : "Go offline";
    this.status.ariaLabel = `${STATES[connection]}. ${this.status.title}`;
    this.notice.hidden = !notice;
    this.notice.textContent = notice;
    this.inbox.element.hidden = open != null;
    this.chat.element.hidden = open == null;
    if (open) this.chat.render();
    else this.inbox.render();
    // Who went from one to the other goes on there; who is elsewhere stays elsewhere.
    if (open === left || !hadFocus) return;
    if (open) this.chat.focus();
    else this.inbox.focus(left);
  }

  #toggleConnection() {
    if (this.#client.connection === "offline") this.#client.goOnline();
    else this.#client.goOffline();
  }
}
