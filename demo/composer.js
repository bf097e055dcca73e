// The form that messages are written in. Each conversation has its own draft: a text, the message that it replies to, and an image.

import { h } from "./dom.js";
import { icon, iconButton } from "./icons.js";
import { gist } from "./words.js";

const IMAGES = ["image/jpeg", "image/png", "image/gif", "image/webp", "image/heic"];
const STRAIGHT = 4 * 1024 * 1024;
const TALLEST = 140;

const emptyDraft = () => ({ text: "", replyTo: null, editing: null, instead: "", file: null, preview: null, refused: "", busy: false });

export class Composer {
  #person;
  #drafts = new Map();
  #draft = emptyDraft();
  #sent;

  /** `sent` is called when a message is sent. */
  constructor(person, sent) {
    this.#person = person;
    this.#sent = sent;
    this.about = h("div", { className: "about", hidden: true });
    this.input = h("textarea", {
      name: "body", rows: 1, maxLength: 10000, placeholder: "Message", dir: "auto", ariaLabel: `Message from ${person.facts.name}`,
      oninput: () => {
        this.#draft.text = this.input.value;
        this.#grow();
        if (this.input.value && !this.#draft.editing) this.#person.conversation.type();
      },
      onkeydown: (event) => {
        if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
          event.preventDefault();
          this.element.requestSubmit();
        } else if (event.key === "Escape") this.#cancel();
      },
      onpaste: (event) => this.#take(event, event.clipboardData),
    });
    this.picker = h("input", {
      type: "file", accept: IMAGES.join(), hidden: true, ariaLabel: "Image",
      onchange: () => {
        this.#attach(this.picker.files[0]);
        this.picker.value = "";
      },
    });
    this.element = h("form", { className: "composer", onsubmit: (event) => { event.preventDefault(); this.#submit(); } },
      this.about,
      iconButton("image", "Attach an image", () => this.picker.click()),
      this.picker,
      this.input,
      h("button", { className: "icon send", ariaLabel: "Send", title: "Send" }, icon("send")));
  }

  /** Attaches images that are dropped on `target`. */
  acceptDrops(target) {
    const isFile = ({ dataTransfer }) => dataTransfer.types.includes("Files");
    target.addEventListener("dragover", (event) => {
      if (!isFile(event)) return;
      event.preventDefault();
      target.classList.add("dropping");
    });
    target.addEventListener("dragleave", (event) => target.contains(event.relatedTarget) || target.classList.remove("dropping"));
    target.addEventListener("drop", (event) => {
      target.classList.remove("dropping");
      this.#take(event, event.dataTransfer);
    });
  }

  /** Shows the draft of a conversation. */
  open(id) {
    if (!this.#drafts.has(id)) this.#drafts.set(id, emptyDraft());
    this.#draft = this.#drafts.get(id);
    this.#show();
  }

  /** Returns the unsent text of a conversation. */
  draft(id) {
    const { text = "", editing, instead, file } = this.#drafts.get(id) ?? {};
    return (editing ? instead : text) || (file ? "[image]" : "");
  }

  reply(message) {
    this.#stopEditing();
    this.#change({ replyTo: message });
  }

  edit(message) {
    this.#stopEditing();
    this.#dropFile();
    this.#change({ editing: message, replyTo: null, instead: this.#draft.text, text: message.body ?? "" });
  }

  /** Focuses the text box, except on touch screens, where this would open a keyboard over half of the screen. */
  focus() {
    if (matchMedia("(hover: none)").matches) return false;
    this.input.focus({ preventScroll: true });
    return true;
  }

  #change(change) {
    Object.assign(this.#draft, change);
    this.#show();
    this.input.focus();
  }

  #cancel() {
    this.#stopEditing();
    this.#dropFile();
    this.#change({ replyTo: null, refused: "" });
  }

  #stopEditing() {
    const draft = this.#draft;
    if (draft.editing) Object.assign(draft, { editing: null, text: draft.instead, instead: "" });
  }

  #dropFile() {
    if (this.#draft.preview) URL.revokeObjectURL(this.#draft.preview);
    Object.assign(this.#draft, { file: null, preview: null });
  }

  #take(event, { files }) {
    if (!files.length) return;
    event.preventDefault();
    this.#attach([...files].find(({ type }) => IMAGES.includes(type)) ?? files[0]);
  }

  #attach(file) {
    if (!file) return;
    this.#stopEditing();
    this.#dropFile();
    // Some systems don't know the type of HEIC images. The server checks the content.
    const isImage = IMAGES.includes(file.type) || /\.hei[cf]$/i.test(file.name);
    if (isImage) this.#change({ file, preview: URL.createObjectURL(file), refused: "" });
    else this.#change({ refused: `${file.name} is not a JPEG, PNG, GIF, WebP or HEIC image` });
  }

  async #submit() {
    const draft = this.#draft;
    const { editing, file, replyTo } = draft;
    const body = draft.text.trim();
    if (draft.busy || (!body && !file)) return;
    if (editing) {
      draft.busy = true;
      this.#show();
      const { conversation } = this.#person;
      const done = await this.#person.trying(() => conversation.edit(editing.id, body));
      draft.busy = false;
      if (done && draft.editing === editing) Object.assign(draft, { editing: null, text: draft.instead, instead: "" });
      if (draft === this.#draft) this.#show();
      return;
    }
    this.#dropFile();
    Object.assign(draft, emptyDraft());
    this.#show();
    this.#sent();
    this.#person.conversation.send({ body, ...(file && { file }), ...(replyTo && { reply_to: replyTo.id }) });
  }

  #show() {
    const { text, replyTo, editing, file, preview, refused, busy } = this.#draft;
    if (this.input.value !== text) this.input.value = text;
    this.input.readOnly = busy;
    const about = [];
    if (editing) about.push(h("span", { dir: "auto" }, h("b", {}, "Editing"), " ", gist(editing)));
    if (replyTo) about.push(h("span", { dir: "auto" }, h("b", {}, `Replying to ${this.#person.names.get(replyTo.sender_id) ?? replyTo.sender_id}`), " ", gist(replyTo)));
    if (file) about.push(h("img", { src: preview, alt: "Preview" }), h("span", {}, h("b", {}, file.name), " ", size(file)));
    if (refused) about.push(h("span", { className: "bad", role: "alert" }, refused));
    this.about.hidden = about.length === 0;
    this.about.replaceChildren(...about, iconButton("close", "Cancel", () => this.#cancel()));
    this.#grow();
  }

  /** Adjusts the text box's height to its text. A hidden box can't be measured. */
  #grow() {
    this.input.style.height = "";
    if (this.input.value && this.input.offsetParent) this.input.style.height = `${Math.min(this.input.scrollHeight + 2, TALLEST)}px`;
  }
}

function size({ size }) {
  return size > STRAIGHT ? `${(size / 1024 / 1024).toFixed(1)} MB, directly to storage` : `${Math.ceil(size / 1024)} KB`;
}
