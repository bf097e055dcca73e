// How one person's side looks: an inbox, and the conversation that was opened from it.

import { arrange, h } from "./dom.js";

const KINDS = { order: "Orders", support: "Support", direct: "Direct" };
const IMAGES = "image/jpeg,image/png,image/gif,image/webp,image/heic";
const NEAR_THE_END = 80;

export class View {
  #client;
  #items = new Map();
  #draft = { replyTo: null, editing: null, file: null, preview: null };
  #shown = null;
  #atEnd = true;

  /** `others` are the participants of a conversation that is begun here. */
  constructor(client, others) {
    this.#client = client;
    const { person } = client;
    this.status = h("button", { type: "button", className: "status", onclick: () => this.#toggleConnection() });
    this.notice = h("p", { className: "notice", role: "alert", hidden: true });
    this.element = h("section", { className: `person ${person.id}`, id: person.id, "aria-labelledby": `${person.id}-name` },
      h("header", {},
        avatar(person.name),
        h("div", {}, h("h2", { id: `${person.id}-name` }, person.name), h("p", {}, person.role)),
        this.status),
      this.notice,
      this.#inbox(others),
      this.#conversation());
    client.addEventListener("change", () => this.#render());
    // Who reads the newest message goes on reading it when an image has loaded or the banner of a reply takes some room.
    const resized = new ResizeObserver(() => this.#atEnd && this.#toEnd());
    resized.observe(this.scroller);
    resized.observe(this.messages);
    this.scroller.addEventListener("scroll", () => {
      const { scrollHeight, scrollTop, clientHeight } = this.scroller;
      this.#atEnd = scrollHeight - scrollTop - clientHeight < NEAR_THE_END;
    });
    this.#render();
  }

  // What there is to see

  #inbox(others) {
    const chip = (kind, label) => h("button", { type: "button", onclick: () => this.#client.show(kind) }, label);
    this.chips = [[null, chip(null, "All")], ...Object.entries(KINDS).map(([kind, label]) => [kind, chip(kind, label)])];
    this.list = h("ul", { className: "conversations" });
    const kind = h("select", { name: "kind", ariaLabel: "Kind" }, Object.keys(KINDS).map((kind) => h("option", {}, kind)));
    const reference = h("input", { name: "external_ref", placeholder: "reference, e.g. order_9002", maxLength: 255, ariaLabel: "External reference" });
    const begin = h("form", {
      className: "begin",
      onsubmit: (event) => {
        event.preventDefault();
        this.#client.begin(kind.value, reference.value.trim(), others);
        reference.value = "";
      },
    }, kind, reference, h("button", {}, "Start"));
    this.inbox = h("div", { className: "inbox" },
      h("div", { className: "chips", role: "group", "aria-label": "Filter conversations" }, this.chips.map(([, button]) => button)),
      this.list,
      begin);
    return this.inbox;
  }

  #conversation() {
    const { person } = this.#client;
    this.title = h("h3", {});
    this.subtitle = h("p", {});
    this.earlier = h("button", { type: "button", className: "quiet earlier", onclick: () => this.#client.loadEarlier() }, "Show earlier messages");
    this.messages = h("ol", { className: "messages" });
    this.scroller = h("div", { className: "scroller", role: "log", "aria-label": `Messages, as ${person.name} sees them`, tabIndex: 0 }, this.earlier, this.messages);
    this.typing = h("p", { className: "typing", role: "status" });
    this.about = h("div", { className: "about", hidden: true });
    this.input = h("textarea", {
      name: "body", rows: 1, maxLength: 10000, placeholder: "Message", ariaLabel: `Message from ${person.name}`,
      oninput: () => {
        this.#grow();
        if (this.input.value && !this.#draft.editing) this.#client.typing();
      },
      onkeydown: (event) => {
        if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
          event.preventDefault();
          this.form.requestSubmit();
        } else if (event.key === "Escape") this.#reset();
      },
    });
    this.picker = h("input", { type: "file", accept: IMAGES, hidden: true, ariaLabel: "Image", onchange: () => this.#attach(this.picker.files[0]) });
    this.form = h("form", { className: "composer", onsubmit: (event) => { event.preventDefault(); this.#submit(); } },
      this.about,
      h("button", { type: "button", className: "icon", ariaLabel: "Attach an image", title: "Attach an image", onclick: () => this.picker.click() }, icon("M4 16l5-5 4 4 3-3 4 4M4 5h16v14H4zM15.500 9.500h.01")),
      this.picker,
      this.input,
      h("button", { className: "icon send", ariaLabel: "Send", title: "Send" }, icon("M5 12h13M12 6l6 6-6 6")));
    this.chat = h("div", { className: "chat" },
      h("div", { className: "bar" },
        h("button", { type: "button", className: "icon", ariaLabel: "Back to the inbox", title: "Inbox", onclick: () => this.#leave() }, icon("M14 6l-6 6 6 6")),
        h("div", {}, this.title, this.subtitle)),
      this.scroller, this.typing, this.form);
    return this.chat;
  }

  // What changes

  #render() {
    const client = this.#client;
    const words = { live: "Live", connecting: "Connecting…", offline: "Offline" };
    this.status.className = `status ${client.connection}`;
    this.status.textContent = words[client.connection];
    this.status.title = client.connection === "offline" ? "Go online" : "Go offline";
    this.status.ariaLabel = `${words[client.connection]}. ${this.status.title}`;
    this.notice.hidden = !client.notice;
    this.notice.textContent = client.notice;
    this.inbox.hidden = client.open != null;
    this.chat.hidden = client.open == null;
    if (client.open) this.#renderChat();
    else this.#renderInbox();
  }

  #renderInbox() {
    for (const [kind, button] of this.chips) button.setAttribute("aria-pressed", kind === this.#client.filter);
    const rows = this.#client.inbox.map((conversation) => {
      const { id, kind, last_message, last_at, unread } = conversation;
      return h("li", {}, h("button", { type: "button", "data-id": id, onclick: () => this.#enter(id) },
        h("span", { className: `kind ${kind}` }, kind),
        h("b", {}, this.#name(conversation)),
        h("time", {}, last_at ? when(last_at) : ""),
        h("span", { className: "preview" }, last_message ?? "No messages yet"),
        unread > 0 && h("span", { className: "unread", ariaLabel: `${unread} unread` }, unread)));
    });
    this.list.replaceChildren(...(rows.length ? rows : [h("li", { className: "none" }, "Nothing here yet.")]));
  }

  #renderChat() {
    const { conversation, thread, messages, person, names } = this.#client;
    const switched = this.#shown !== this.#client.open;
    this.#shown = this.#client.open;
    const { scrollHeight, scrollTop } = this.scroller;
    const first = this.messages.firstChild;

    this.title.textContent = conversation ? this.#name(conversation) : "";
    const others = conversation?.participants.filter((id) => id !== person.user_id) ?? [];
    this.subtitle.textContent = `${conversation?.kind ?? ""} with ${others.map((id) => names.get(id) ?? id).join(", ")}`;
    this.earlier.hidden = !thread.loaded || thread.complete;

    const replies = new Map();
    for (const { reply_to } of messages) if (reply_to) replies.set(reply_to, (replies.get(reply_to) ?? 0) + 1);
    const nodes = [];
    messages.forEach((message, index) => {
      const before = messages[index - 1];
      if (day(before?.created_at) !== day(message.created_at)) {
        nodes.push(this.#item(`day ${day(message.created_at)}`, "", () => h("li", { className: "day" }, h("span", {}, dayName(message.created_at)))));
      }
      const parent = message.reply_to && thread.messages.get(message.reply_to);
      const follows = before?.sender_id === message.sender_id && day(before.created_at) === day(message.created_at);
      const facts = { follows, replies: replies.get(message.id) ?? 0, quote: parent ? (parent.body ?? "[image]") : null };
      const signature = JSON.stringify([message.body, message.edited_at, facts]);
      nodes.push(this.#item(message.id, signature, () => this.#message(message, facts)));
    });
    for (const pending of thread.pending) {
      const signature = JSON.stringify([pending.failed]);
      const item = this.#item(pending.key, signature, () => this.#pending(pending));
      const bar = item.querySelector("progress");
      if (bar) bar.value = pending.progress;
      nodes.push(item);
    }
    const keep = new Set(nodes);
    for (const [key, { node }] of this.#items) if (!keep.has(node)) this.#items.delete(key);
    arrange(this.messages, nodes);
    this.typing.textContent = typingText([...thread.typing.values()].map(({ name }) => name.split(" ")[0]));

    if (switched || this.#atEnd || thread.pending.length) this.#toEnd();
    // Earlier messages go above what is being read.
    else if (first !== this.messages.firstChild) this.scroller.scrollTop = scrollTop + this.scroller.scrollHeight - scrollHeight;
  }

  #toEnd() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  /** The list item of `key`, made anew only if what it shows has changed. */
  #item(key, signature, make) {
    const known = this.#items.get(key);
    if (known?.signature === signature) return known.node;
    const node = make();
    this.#items.set(key, { signature, node });
    return node;
  }

  #message(message, { follows, replies, quote }) {
    const { person, names } = this.#client;
    const mine = message.sender_id === person.user_id;
    const name = names.get(message.sender_id) ?? message.sender_id;
    const action = (label, run) => h("button", { type: "button", onclick: run, ariaLabel: `${label}: ${message.body ?? "image"}`.slice(0, 80) }, label);
    return h("li", { className: `message ${mine ? "mine" : "theirs"} ${follows ? "follows" : ""} ${whose(message.sender_id)}`, "data-id": message.id },
      !follows && h("span", { className: "name" }, mine ? "You" : name),
      h("div", { className: "bubble" },
        message.reply_to && h("button", { type: "button", className: "quote", onclick: () => this.#jump(message.reply_to) }, quote ?? "A message that isn't here"),
        message.media_url && picture(message.media_url, message.body ?? `Image from ${name}`),
        message.body && h("p", {}, message.body),
        h("span", { className: "meta" }, message.edited_at && "edited ", h("time", { dateTime: message.created_at }, clock(message.created_at)))),
      replies > 0 && h("button", { type: "button", className: "replies quiet", onclick: () => this.#jumpToReply(message.id) }, replies === 1 ? "1 reply" : `${replies} replies`),
      h("div", { className: "actions" },
        action("Reply", () => this.#compose({ replyTo: message })),
        mine && action("Edit", () => this.#compose({ editing: message })),
        mine && action("Delete", (event) => this.#delete(message, event.currentTarget))));
  }

  #pending(pending) {
    const again = () => this.#client.sendAgain(pending);
    return h("li", { className: "message mine pending" },
      h("div", { className: "bubble" },
        pending.preview && picture(pending.preview, "The image that is being sent"),
        pending.body && h("p", {}, pending.body),
        pending.file && !pending.failed && h("progress", { max: 1, value: pending.progress, ariaLabel: "Upload" }),
        h("span", { className: "meta" }, pending.failed ? `Not sent: ${pending.failed}` : "Sending…")),
      pending.failed && h("div", { className: "actions" },
        h("button", { type: "button", onclick: again }, "Try again"),
        h("button", { type: "button", onclick: () => this.#client.discard(pending) }, "Discard")));
  }

  // What people do

  async #enter(id) {
    this.#reset();
    await this.#client.enter(id);
    this.input.focus({ preventScroll: true });
  }

  #leave() {
    const id = this.#client.open;
    this.#reset();
    this.#client.leave();
    (this.list.querySelector(`[data-id="${id}"]`) ?? this.chips[0][1]).focus();
  }

  #toggleConnection() {
    if (this.#client.connection === "offline") this.#client.goOnline();
    else this.#client.goOffline();
  }

  #compose({ replyTo = null, editing = null }) {
    this.#reset();
    Object.assign(this.#draft, { replyTo, editing });
    if (editing) this.input.value = editing.body ?? "";
    const text = editing ? "Editing" : `Replying to ${this.#client.names.get(replyTo.sender_id) ?? replyTo.sender_id}`;
    this.#tellAbout(h("span", {}, h("b", {}, text), " ", (replyTo ?? editing).body ?? "[image]"));
    this.#grow();
    this.input.focus();
  }

  #attach(file) {
    if (!file) return;
    const { replyTo } = this.#draft;
    const text = this.input.value;
    this.#reset();
    this.input.value = text;
    Object.assign(this.#draft, { file, replyTo, preview: URL.createObjectURL(file) });
    const size = file.size > 4 * 1024 * 1024 ? `${(file.size / 1024 / 1024).toFixed(1)} MB, straight to storage` : `${Math.ceil(file.size / 1024)} KB`;
    this.#tellAbout(h("img", { src: this.#draft.preview, alt: "Preview" }), h("span", {}, h("b", {}, file.name), " ", size));
    this.input.focus();
  }

  #tellAbout(...what) {
    this.about.hidden = false;
    this.about.replaceChildren(...what, h("button", { type: "button", className: "icon", ariaLabel: "Cancel", title: "Cancel", onclick: () => this.#reset() }, icon("M7 7l10 10M17 7L7 17")));
  }

  #submit() {
    const { editing, file, replyTo } = this.#draft;
    const body = this.input.value.trim();
    if (!body && !file) return;
    this.#reset();
    if (editing) this.#client.edit(editing, body);
    else this.#client.send({ body, file, replyTo: replyTo?.id });
  }

  /** Deleting takes two clicks, for there is no way back. */
  #delete(message, button) {
    if (button.dataset.sure) {
      this.#client.delete(message);
      return;
    }
    button.dataset.sure = "yes";
    button.textContent = "Really?";
    setTimeout(() => {
      delete button.dataset.sure;
      button.textContent = "Delete";
    }, 3000);
  }

  #reset() {
    if (this.#draft.preview) URL.revokeObjectURL(this.#draft.preview);
    this.#draft = { replyTo: null, editing: null, file: null, preview: null };
    this.about.hidden = true;
    this.input.value = this.picker.value = "";
    this.#grow();
  }

  #grow() {
    this.input.style.height = "auto";
    this.input.style.height = `${Math.min(this.input.scrollHeight, 140)}px`;
  }

  #jump(id) {
    const item = this.#items.get(id)?.node;
    if (!item) return;
    item.scrollIntoView({ block: "center" });
    item.classList.remove("found");
    requestAnimationFrame(() => item.classList.add("found"));
  }

  #jumpToReply(id) {
    const reply = this.#client.messages.findLast(({ reply_to }) => reply_to === id);
    if (reply) this.#jump(reply.id);
  }

  #name({ external_ref, participants }) {
    const { person, names } = this.#client;
    return external_ref ?? participants.filter((id) => id !== person.user_id).map((id) => names.get(id) ?? id).join(", ");
  }
}

function avatar(name) {
  return h("span", { className: "avatar", ariaHidden: "true" }, name.split(" ").map((word) => word[0]).join(""));
}

function icon(path) {
  const namespace = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(namespace, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS(namespace, "path"));
  svg.firstChild.setAttribute("d", path);
  return svg;
}

/** An image that opens in full; its address comes from a stranger, and may only be an http(s) one or our own preview. */
function picture(url, alt) {
  if (!/^(https?|blob):/i.test(url)) return null;
  return h("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, h("img", { src: url, alt, loading: "lazy" }));
}

function whose(sender) {
  return { u_42: "ada", driver_3: "sam" }[sender] ?? "other";
}

function typingText(names) {
  if (names.length === 0) return "";
  return names.length === 1 ? `${names[0]} is typing…` : `${names.join(" and ")} are typing…`;
}

const day = (time) => time && new Date(time).toDateString();
const clock = (time) => new Date(time).toLocaleTimeString([], { hour: "numeric", minute: "2-digit" });

function dayName(time) {
  const yesterday = new Date();
  yesterday.setDate(yesterday.getDate() - 1);
  if (day(time) === day(new Date())) return "Today";
  if (day(time) === day(yesterday)) return "Yesterday";
  const date = new Date(time);
  const year = date.getFullYear() === new Date().getFullYear() ? undefined : "numeric";
  return date.toLocaleDateString([], { weekday: "long", day: "numeric", month: "long", year });
}

function when(time) {
  return day(time) === day(new Date()) ? clock(time) : new Date(time).toLocaleDateString([], { day: "numeric", month: "short" });
}
