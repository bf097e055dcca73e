// One person's side of the chat: what a real app would keep. It knows nothing of how things look; whoever shows it
// listens to its "change" events.

import { debounced } from "./dom.js";

const PAGE = 50;
const PATIENCE = 2000;
const TYPING_LASTS = 3000;
const TYPING_EVERY = 2500;

export class Client extends EventTarget {
  conversations = [];
  filter = null;
  /** The conversation that is on screen. */
  open = null;
  /** `connecting`, `live` or `offline`. */
  connection = "connecting";
  notice = "";
  #threads = new Map();
  #channels = new Map();
  #live = new Map();
  #refreshInbox = debounced(300, () => this.#trying(() => this.loadInbox()));
  #typed = 0;

  /** `person` has id, user_id, name and role; `names` are those of everybody known, by user_id. */
  constructor(person, api, log, names) {
    super();
    this.person = person;
    this.api = api;
    this.log = log;
    this.names = names;
  }

  async start() {
    const { realtime } = await this.api.config();
    this.realtime = realtime;
    this.supabase = window.supabase.createClient(realtime.supabase_url, realtime.supabase_anon_key, {
      auth: { persistSession: false, storageKey: this.person.id },
    });
    const { user_id, name, role } = this.person;
    await this.api.upsertUser({ user_id, name, role });
    await this.loadInbox();
  }

  // The inbox

  async loadInbox() {
    const unread = new Map(this.conversations.map(({ id, unread }) => [id, unread]));
    ({ conversations: this.conversations } = await this.api.conversations(this.person.user_id));
    for (const conversation of this.conversations) {
      conversation.unread = unread.get(conversation.id) ?? 0;
      this.#join(conversation.id);
    }
    this.#changed();
  }

  get inbox() {
    return this.conversations.filter(({ kind }) => !this.filter || kind === this.filter);
  }

  show(filter) {
    this.filter = filter;
    this.#changed();
  }

  async begin(kind, reference, participants) {
    const input = { kind, participants };
    if (reference) input.external_ref = reference;
    return this.#trying(async () => {
      const { conversation } = await this.api.createConversation(input);
      await this.loadInbox();
      await this.enter(conversation.id);
    });
  }

  // The open conversation

  async enter(id) {
    this.open = id;
    const conversation = this.conversations.find((each) => each.id === id);
    if (conversation) conversation.unread = 0;
    this.#changed();
    // First listen, then read: what is sent in between is in one of the two.
    await Promise.race([this.#live.get(id), new Promise((patience) => setTimeout(patience, PATIENCE))]);
    if (!this.#thread(id).loaded) await this.#load(id);
  }

  leave() {
    this.open = null;
    this.#changed();
  }

  get conversation() {
    return this.conversations.find(({ id }) => id === this.open);
  }

  get thread() {
    return this.#thread(this.open);
  }

  #thread(id) {
    if (!this.#threads.has(id)) {
      const empty = { messages: new Map(), deleted: new Set(), pending: [], typing: new Map() };
      this.#threads.set(id, { ...empty, loading: false, loaded: false, complete: false });
    }
    return this.#threads.get(id);
  }

  /** The open conversation's messages, oldest first. */
  get messages() {
    return sorted(this.thread);
  }

  loadEarlier = () => this.#load(this.open);

  async #load(id) {
    const thread = this.#thread(id);
    const before = thread.loaded ? sorted(thread)[0]?.created_at : undefined;
    thread.loading = true;
    await this.#trying(async () => {
      const { messages } = await this.api.messages(id, { limit: PAGE, ...(before && { before }) });
      for (const message of messages) this.#put(thread, message);
      thread.loaded = true;
      thread.complete = messages.length < PAGE;
    });
    thread.loading = false;
    this.#changed();
  }

  /** After a gap in the live connection: reads again what is on screen, and all that came since. */
  async #catchUp(id) {
    const thread = this.#thread(id);
    if (!thread.loaded) return;
    const oldest = sorted(thread)[0]?.created_at ?? "";
    const fresh = new Map();
    const known = new Set(thread.messages.keys());
    let before;
    for (;;) {
      const { messages } = await this.api.messages(id, { limit: 200, ...(before && { before }) });
      for (const message of messages) if (message.created_at >= oldest) fresh.set(message.id, message);
      before = messages[0]?.created_at;
      if (messages.length < 200 || before <= oldest) break;
    }
    // What came live meanwhile may not be on the pages; what was known and isn't there was deleted.
    for (const [id, message] of thread.messages) if (!known.has(id)) fresh.set(id, message);
    thread.messages = new Map();
    for (const message of fresh.values()) this.#put(thread, message);
    this.#changed();
  }

  // Sending

  /** Sends a text, or an image with or without one. What fails stays, and can be sent again. */
  async send({ body, file, replyTo }) {
    const pending = { id: this.open, key: crypto.randomUUID(), body, file, replyTo, progress: 0, failed: null };
    if (file) pending.preview = URL.createObjectURL(file);
    this.thread.pending.push(pending);
    this.#typed = 0;
    await this.sendAgain(pending);
  }

  async sendAgain(pending) {
    const thread = this.#thread(pending.id);
    pending.failed = null;
    this.#changed();
    try {
      if (pending.file && !pending.url) {
        pending.url = await this.api.upload(pending.id, pending.file, (share) => {
          pending.progress = share;
          this.#changed();
        });
      }
      // The same client_message_id makes sending again safe: the message can't appear twice.
      const message = { sender_id: this.person.user_id, client_message_id: pending.key };
      if (pending.body) message.body = pending.body;
      if (pending.replyTo) message.reply_to = pending.replyTo;
      if (pending.url) Object.assign(message, { message_type: "image", media_url: pending.url });
      const answer = await this.api.send(pending.id, message);
      this.#sent(thread, pending);
      this.#take(answer.message);
    } catch (error) {
      pending.failed = error.message;
      this.#changed();
    }
  }

  discard(pending) {
    this.#sent(this.#thread(pending.id), pending);
    this.#changed();
  }

  #sent(thread, pending) {
    thread.pending = thread.pending.filter((each) => each !== pending);
    if (pending.preview) URL.revokeObjectURL(pending.preview);
  }

  /** Whether it worked; if not, `notice` says why. */
  async edit(message, body) {
    const change = { sender_id: this.person.user_id, body };
    return this.#trying(async () => this.#take((await this.api.edit(this.open, message.id, change)).message));
  }

  async delete(message) {
    const sender = this.person.user_id;
    await this.#trying(async () => this.#take((await this.api.delete(this.open, message.id, sender)).message));
  }

  async typing() {
    if (Date.now() - this.#typed < TYPING_EVERY) return;
    this.#typed = Date.now();
    await this.#trying(() => this.api.typing(this.open, this.person.user_id, this.person.name));
  }

  async #trying(work) {
    try {
      await work();
      if (this.notice) {
        this.notice = "";
        this.#changed();
      }
      return true;
    } catch (error) {
      this.notice = error.message;
      this.#changed();
      return false;
    }
  }

  // Live

  goOffline() {
    this.connection = "offline";
    this.log.event("disconnect", "websocket");
    this.supabase.realtime.disconnect();
    this.#changed();
  }

  goOnline() {
    this.connection = "connecting";
    this.supabase.realtime.connect();
    this.#changed();
  }

  #join(id) {
    if (this.#channels.has(id)) return;
    const { channel_prefix, private: isPrivate = false } = this.realtime;
    const topic = `${channel_prefix}${id}`;
    let isLive;
    this.#live.set(id, new Promise((resolve) => (isLive = resolve)));
    const channel = this.supabase
      .channel(topic, { config: { private: isPrivate } })
      .on("broadcast", { event: "message" }, ({ payload }) => {
        this.log.event("message", topic, payload);
        this.#take(payload.message);
      })
      .on("broadcast", { event: "typing" }, ({ payload }) => {
        this.log.event("typing", topic, payload);
        this.#sawTyping(id, payload);
      })
      .subscribe((status) => {
        this.log.event(status.toLowerCase().replace("_", " "), topic);
        if (status === "SUBSCRIBED") {
          isLive();
          this.connection = "live";
          this.#trying(() => this.#catchUp(id));
          this.#refreshInbox();
        } else if (this.connection !== "offline") {
          this.connection = "connecting";
        }
        this.#changed();
      });
    this.#channels.set(id, channel);
  }

  #sawTyping(id, { senderId, senderName }) {
    if (senderId === this.person.user_id) return;
    const { typing } = this.#thread(id);
    clearTimeout(typing.get(senderId)?.timer);
    const timer = setTimeout(() => this.#stoppedTyping(id, senderId), TYPING_LASTS);
    typing.set(senderId, { name: senderName ?? senderId, timer });
    this.#changed();
  }

  #stoppedTyping(id, senderId) {
    const { typing } = this.#thread(id);
    clearTimeout(typing.get(senderId)?.timer);
    if (typing.delete(senderId)) this.#changed();
  }

  /** Takes in a message that is new, edited or deleted, from an answer or a broadcast, whichever comes first. */
  #take(message) {
    const thread = this.#thread(message.conversation_id);
    const known = thread.messages.get(message.id);
    const mine = message.sender_id === this.person.user_id;
    if (!known && mine) {
      const own = thread.pending.find((each) => (each.body || null) === message.body && (each.url ?? null) === message.media_url);
      if (own) this.#sent(thread, own);
    }
    // What is older than what is loaded belongs to an earlier page.
    const oldest = sorted(thread)[0]?.created_at ?? "";
    if ((thread.loaded || thread.loading) && (thread.complete || message.created_at >= oldest)) this.#put(thread, message);
    this.#stoppedTyping(message.conversation_id, message.sender_id);
    this.#preview(message, !known && !mine);
    this.#changed();
  }

  /** Deletions are final and edits have times, so the order in which messages arrive doesn't matter. */
  #put(thread, message) {
    if (message.deleted_at) thread.deleted.add(message.id);
    const known = thread.messages.get(message.id);
    if (thread.deleted.has(message.id)) thread.messages.delete(message.id);
    else if (!(known?.edited_at > (message.edited_at ?? ""))) thread.messages.set(message.id, message);
  }

  #preview(message, isNews) {
    const conversation = this.conversations.find(({ id }) => id === message.conversation_id);
    if (!conversation || message.created_at < conversation.last_at) return;
    if (message.deleted_at) {
      this.#refreshInbox(); // which message is the newest now, the server knows
      return;
    }
    const newer = message.created_at > (conversation.last_at ?? "");
    conversation.last_message = message.body ?? "[image]";
    conversation.last_at = message.created_at;
    if (newer && isNews && this.open !== conversation.id) conversation.unread = (conversation.unread ?? 0) + 1;
    if (newer) this.conversations = [conversation, ...this.conversations.filter((each) => each !== conversation)];
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

function sorted(thread) {
  return [...thread.messages.values()].sort((a, b) => (a.created_at < b.created_at ? -1 : 1));
}
