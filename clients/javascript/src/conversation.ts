// A conversation: its messages, typing users and read cursors, and the actions of the user.

import type { Api } from "./api.js";
import { TinyChatError, asError } from "./error.js";
import { Emitter } from "./events.js";
import { platform } from "./platform.js";
import type { Change, ConversationData, Draft, Kind, Member, Message, PendingMessage, Read } from "./types.js";
import { Window } from "./window.js";

/** The size of a page of history. With twice as many of the longest messages, the server would cut the page short. */
const PAGE = 50;
const CHANGES = 200;
/** After more missed pages than this, only the newest messages are loaded. */
const MOST_PAGES = 5;
const EPOCH = "1970-01-01T00:00:00.000Z";
const TYPING_EVERY = 2000;
const TYPING_LASTS = 3000;
const PREVIEW = 200;

export type ConversationEvent =
  /** A message was created, edited or deleted. Messages that are loaded from history cause no event. */
  | { type: "message"; conversation: Conversation; change: Change; message: Message }
  /** A user began or stopped typing. */
  | { type: "typing"; conversation: Conversation }
  /** A user has read the messages up to a time. */
  | { type: "read"; conversation: Conversation; read: Read }
  /** Any of the conversation's properties has changed. */
  | { type: "change"; conversation: Conversation };

/** The client, as a conversation uses it. */
export interface Context {
  readonly api: Api;
  readonly user: { readonly user_id: string; readonly name?: string | null };
  readonly maxMessages: number;
  /** Routes that the server lacks, as far as known. */
  readonly missing: Set<"read" | "conversation">;
  emit(event: ConversationEvent): void;
  /** Reads the list again, because a preview, an unread count or the order may have changed. */
  refreshList(): void;
  /** Moves the conversation to the top of the list. */
  rise(conversation: Conversation): void;
  /** Notes a change of listed values. The response to a list request that is in progress may be older. */
  listChanged(): void;
  /** Notes that the conversation is or isn't watched any more. */
  watching(conversation: Conversation): void;
}

interface Outgoing {
  pending: PendingMessage;
  draft: Draft;
  /** The image's URL, after the upload. */
  url?: string;
  isSending: boolean;
  /** The id of a message that is probably this one, from a server without `client_message_id`. */
  echo?: string;
  isDone: boolean;
  resolve(message: Message): void;
  reject(error: unknown): void;
}

export class Conversation extends Emitter<ConversationEvent> {
  readonly id: string;
  readonly #context: Context;
  #data: Partial<ConversationData> = {};
  #window = new Window();
  #outgoing: Outgoing[] = [];
  #shown: readonly (Message | PendingMessage)[] | undefined;
  #typing = new Map<string, { name: string; timer: unknown }>();
  #reads = new Map<string, string>();
  #watchers = 0;
  #limit: number;
  #typed = -Infinity;
  /** The time of the newest message that was counted as unread here. Older servers don't count, and their lists may be ahead of broadcasts. */
  #counted: string | undefined;
  #queue: Promise<unknown> = Promise.resolve();
  #sends: Promise<unknown> = Promise.resolve();
  #syncing: Promise<void> | undefined;
  #reading: Promise<void> = Promise.resolve();

  /** @internal */
  constructor(id: string, context: Context) {
    super();
    this.id = id;
    this.#context = context;
    this.#limit = context.maxMessages;
  }

  // State

  get kind(): Kind | undefined {
    return this.#data.kind;
  }

  get external_ref(): string | null {
    return this.#data.external_ref ?? null;
  }

  /** The participants' `user_id`s. */
  get participants(): readonly string[] {
    return this.#data.participants ?? [];
  }

  /** The participants with names and roles, once the conversation is watched. Older servers don't have them. */
  get members(): readonly Member[] {
    return this.#data.members ?? [];
  }

  get status(): "open" | "closed" {
    return this.#data.status ?? "open";
  }

  /** A preview of the newest message. */
  get last_message(): string | null {
    return this.#data.last_message ?? null;
  }

  get last_at(): string | null {
    return this.#data.last_at ?? null;
  }

  /** The number of unread messages of other users; 100 means 100 or more. */
  get unread_count(): number {
    return this.#data.unread_count ?? 0;
  }

  /** The loaded messages, oldest first, followed by those that the server doesn't have yet. Every change makes a new array. */
  get messages(): readonly (Message | PendingMessage)[] {
    return (this.#shown ??= [...this.#window.messages, ...this.#outgoing.filter(({ echo }) => !echo).map(({ pending }) => pending)]);
  }

  /** Whether the newest messages have been loaded. */
  get isLoaded(): boolean {
    return this.#window.isLoaded;
  }

  /** Whether there are messages before the first of `messages`. */
  get hasEarlier(): boolean {
    return this.#window.isLoaded && !this.#window.isComplete;
  }

  /** The other users who are typing. */
  get typing(): readonly { user_id: string; name: string }[] {
    return [...this.#typing].map(([user_id, { name }]) => ({ user_id, name }));
  }

  /** The other users who have read a message. */
  readers(message: { sender_id: string; created_at: string }): string[] {
    return [...this.#reads].flatMap(([user, at]) => (at >= message.created_at && user !== message.sender_id ? [user] : []));
  }

  // Actions

  /**
   * Loads the newest messages, and keeps them up to date until `unwatch` has been called as often as `watch`. Resolves when they
   * are loaded. Rejects if that fails; the client then loads them later.
   */
  async watch(): Promise<this> {
    this.#watchers++;
    this.#context.watching(this);
    await this.sync();
    return this;
  }

  unwatch(): void {
    if (this.#watchers === 0) return;
    this.#watchers--;
    if (this.#watchers === 0) {
      this.#limit = this.#context.maxMessages;
      this.#window.trim(PAGE);
      this.#changed();
    }
    this.#context.watching(this);
  }

  /** Loads a page of messages before the first one. They may exceed `maxMessages` while the conversation is watched. */
  loadEarlier(): Promise<void> {
    return this.#exclusively(async () => {
      if (!this.hasEarlier) return;
      await this.#window.fetch(
        () => this.#history(this.#window.messages[0]?.created_at ?? this.#window.from),
        (page) => this.#window.prepend(page, page.length < PAGE),
      );
      this.#limit = Math.max(this.#limit, this.#window.messages.length + PAGE);
      this.#changed();
    });
  }

  /**
   * Sends a message, and resolves with the server's message. A pending message is in `messages` at once. Messages are sent in the
   * order of the calls, and again after a temporary failure; the server stores each once. After a final failure, the pending
   * message stays in `messages` until `retry` or `discard`.
   */
  send(draft: string | Draft): Promise<Message> {
    const content: Draft = typeof draft === "string" ? { body: draft } : draft;
    const { body, file, media_url, reply_to, metadata } = content;
    const id = messageId();
    const pending: PendingMessage = {
      id,
      client_message_id: id,
      conversation_id: this.id,
      sender_id: this.#context.user.user_id,
      body: body || null,
      message_type: file || media_url ? "image" : "text",
      media_url: media_url ?? null,
      reply_to: reply_to ?? null,
      ...(metadata && { metadata }),
      created_at: new Date().toISOString(),
      edited_at: null,
      deleted_at: null,
      ...(file && { file }),
      progress: 0,
      state: "sending",
    };
    const promise = new Promise<Message>((resolve, reject) => {
      const outgoing = { pending, draft: content, isSending: true, isDone: false, resolve, reject };
      this.#outgoing.push(outgoing);
      this.#enqueue(outgoing);
    });
    promise.catch(() => {}); // `messages` shows the failure if the caller ignores the promise
    this.#typed = -Infinity;
    this.#changed();
    return promise;
  }

  /** Sends a failed message again. */
  retry(id: string): Promise<Message> {
    const outgoing = this.#outgoing.find(({ pending }) => pending.id === id);
    if (outgoing?.pending.state !== "failed") return Promise.reject(new TinyChatError(0, "no such failed message"));
    const promise = new Promise<Message>((resolve, reject) => Object.assign(outgoing, { resolve, reject }));
    promise.catch(() => {});
    const { error: _, ...pending } = outgoing.pending;
    outgoing.isSending = true;
    outgoing.pending = { ...pending, state: "sending" };
    this.#enqueue(outgoing);
    this.#changed();
    return promise;
  }

  /** Removes a failed message. */
  discard(id: string): void {
    this.#outgoing = this.#outgoing.filter(({ pending, isSending }) => pending.id !== id || isSending);
    this.#changed();
  }

  async edit(id: string, body: string): Promise<Message> {
    const { message } = await this.#context.api.edit(this.id, id, { sender_id: this.#context.user.user_id, body });
    this.take(message);
    return message;
  }

  async delete(id: string): Promise<Message> {
    const { message } = await this.#context.api.delete(this.id, id, { sender_id: this.#context.user.user_id });
    this.take(message);
    return message;
  }

  /** Shows the other users that this user is typing. Call it on every key press: it makes at most one request in two seconds. */
  async type(): Promise<void> {
    if (Date.now() - this.#typed < TYPING_EVERY) return;
    this.#typed = Date.now();
    const { user_id, name } = this.#context.user;
    await this.#context.api.typing(this.id, { sender_id: user_id, ...(name && { sender_name: name }) }).catch(() => {}); // not important
  }

  /** Marks the loaded messages as read, or all if none are loaded. Makes a request only if there are new ones. */
  markRead(): Promise<void> {
    const result = this.#reading.then(() => this.#markRead());
    this.#reading = result.catch(() => {});
    return result;
  }

  async #markRead(): Promise<void> {
    const { api, user, missing } = this.#context;
    const newest = this.#window.messages.at(-1);
    if (newest && (this.#reads.get(user.user_id) ?? "") >= newest.created_at) return;
    try {
      if (missing.has("read")) return this.update({ unread_count: 0 });
      const { read } = await api.read(this.id, { user_id: user.user_id, ...(newest && { message_id: newest.id }) });
      this.takeRead(read);
      this.update({ unread_count: read.unread_count });
      this.#context.listChanged();
    } catch (error) {
      if (!isMissing(error)) throw error;
      missing.add("read");
      this.update({ unread_count: 0 });
    }
  }

  // For the client: data from the server

  /** @internal */
  get isWatched(): boolean {
    return this.#watchers > 0;
  }

  /** @internal Whether the client must keep the conversation. */
  get isNeeded(): boolean {
    return this.isWatched || this.#outgoing.length > 0;
  }

  /** @internal */
  update(data: Partial<ConversationData>): void {
    const changed = (Object.keys(data) as (keyof ConversationData)[]).some((key) => JSON.stringify(data[key]) !== JSON.stringify(this.#data[key]));
    if (!changed) return;
    if (data.last_at !== undefined) this.#counted ??= data.last_at ?? "";
    this.#data = { ...this.#data, ...data };
    this.#changed();
  }

  /** @internal Updates the conversation from the server's data, unless newer data is known. */
  updateIfNewer(data: Partial<ConversationData>): void {
    if ((data.updated_at ?? "") >= (this.#data.updated_at ?? "")) this.update(data);
  }

  /** @internal Removes the messages, to free memory. */
  forget(): void {
    this.#window.clear();
    this.#changed();
  }

  /** @internal Takes a broadcast of typing. */
  takeTyping({ senderId, senderName }: { senderId: string; senderName?: string | null }): void {
    if (senderId === this.#context.user.user_id) return;
    platform.clearTimeout(this.#typing.get(senderId)?.timer);
    const timer = platform.setTimeout(() => this.#stoppedTyping(senderId), TYPING_LASTS);
    this.#typing.set(senderId, { name: senderName ?? senderId, timer });
    this.#tell({ type: "typing", conversation: this });
    this.#changed();
  }

  /** @internal */
  takeRead({ user_id, read_at }: { user_id: string; read_at?: string | null | undefined }): void {
    if (!read_at || read_at <= (this.#reads.get(user_id) ?? "")) return;
    this.#reads.set(user_id, read_at);
    this.#tell({ type: "read", conversation: this, read: { conversation_id: this.id, user_id, read_at } });
    this.#changed();
  }

  /** @internal Takes a message from a broadcast or from the response to a change. */
  take(message: Message): void {
    const change = this.#window.takeLive(message);
    this.#stoppedTyping(message.sender_id);
    if (!change) return;
    this.#settle(message);
    this.#preview(message);
    if (change === "created" && !this.isWatched) this.#window.trim(PAGE);
    else this.#window.trim(this.#limit);
    this.#tell({ type: "message", conversation: this, change, message });
    this.#changed();
  }

  /** @internal Loads the newest messages, or updates the loaded ones. Calls during a run share the next run. */
  sync(): Promise<void> {
    return (this.#syncing ??= this.#exclusively(() => {
      this.#syncing = undefined;
      return Promise.all([this.#syncMessages(), this.#syncMembers()]);
    }).then(() => {}));
  }

  async #syncMessages(): Promise<void> {
    if (!this.#window.isLoaded) return this.#load();
    if (this.#window.isPlain) return this.#reread();
    for (let page = 0; page < MOST_PAGES; page++) {
      const since = this.#window.cursor ?? EPOCH;
      const { messages, more } = await this.#context.api.messages(this.id, { since, limit: String(CHANGES) });
      if (more === undefined) return this.#reread(); // a server that doesn't know `since`
      this.#announce(this.#window.takeChanges(messages));
      if (!more) return;
    }
    await this.#load();
  }

  async #load(): Promise<void> {
    await this.#window.fetch(
      () => this.#history(),
      (page) => this.#window.reset(page, page.length < PAGE),
    );
    for (const message of this.#window.messages) this.#settle(message);
    this.#changed();
  }

  /** Reads the history back to the oldest loaded message. */
  async #reread(): Promise<void> {
    const { from } = this.#window;
    let changes: [Message, Change][] = [];
    await this.#window.fetch(
      async () => {
        let all: Message[] = [];
        for (let pages = 0, before: string | undefined; ; pages++) {
          const page = await this.#history(before);
          all = [...page, ...all];
          before = all[0]?.created_at ?? "";
          if (page.length < PAGE) return { all, from };
          if (before <= from) return { all: all.filter(({ created_at }) => created_at >= from), from };
          if (all.length > this.#limit) return { all, from: before };
        }
      },
      ({ all, from }, meanwhile) => (changes = this.#window.replace(all, from, meanwhile)),
    );
    this.#announce(changes);
  }

  async #history(before?: string): Promise<Message[]> {
    const { messages } = await this.#context.api.messages(this.id, { limit: String(PAGE), ...(before && { before }) });
    return messages;
  }

  async #syncMembers(): Promise<void> {
    const { api, missing } = this.#context;
    if (missing.has("conversation")) return;
    try {
      const { conversation } = await api.conversation(this.id);
      const { unread_count: _, ...data } = conversation;
      this.updateIfNewer(data);
      for (const member of data.members ?? []) this.takeRead(member);
    } catch (error) {
      if (!isMissing(error)) throw error;
      missing.add("conversation").add("read"); // the server got both in the same release
    }
  }

  #announce(changes: [Message, Change][]): void {
    if (changes.length === 0) return;
    this.#window.trim(this.#limit);
    for (const [message, change] of changes) {
      this.#settle(message);
      this.#preview(message);
      this.#tell({ type: "message", conversation: this, change, message });
    }
    this.#changed();
  }

  /** Updates the conversation's preview, place and unread count, as far as a single message shows them. */
  #preview(message: Message): void {
    const { last_at, updated_at, unread_count = 0 } = this.#data;
    const { created_at, sender_id, deleted_at } = message;
    const serverCounts = !this.#context.missing.has("read");
    const unread = { unread_count: sender_id === this.#context.user.user_id ? 0 : unread_count + 1 };
    const isNews = created_at > (this.#counted ?? "") && !deleted_at;
    if (isNews) this.#counted = created_at;
    if (isNews && !serverCounts) this.update(unread);
    if (message.updated_at && updated_at && message.updated_at <= updated_at) return this.#context.refreshList();
    const facts: Partial<ConversationData> = message.updated_at ? { updated_at: message.updated_at } : {};
    const isNewest = created_at > (last_at ?? "") && !deleted_at;
    if (isNewest) Object.assign(facts, { last_at: created_at }, serverCounts && unread);
    if (!deleted_at && created_at >= (last_at ?? "")) {
      facts.last_message = [...(message.body ?? "[image]")].slice(0, PREVIEW).join("");
    }
    if (!isNewest || message.edited_at) this.#context.refreshList();
    this.update(facts);
    this.#context.listChanged();
    if (isNewest) this.#context.rise(this);
  }

  // Sending

  #enqueue(outgoing: Outgoing): void {
    this.#sends = this.#sends.then(() => this.#send(outgoing));
  }

  async #send(outgoing: Outgoing): Promise<void> {
    const { draft, pending } = outgoing;
    const { api, user } = this.#context;
    try {
      if (draft.file) {
        outgoing.url ??= await api.upload(this.id, draft.file, (progress) => {
          outgoing.pending = { ...outgoing.pending, progress };
          this.#changed();
        });
      }
      const { file: _file, media_url: _url, ...rest } = draft;
      const url = outgoing.url ?? draft.media_url;
      const input = { ...rest, sender_id: user.user_id, client_message_id: pending.id, ...(url && { message_type: "image", media_url: url }) };
      const { message } = await api.send(this.id, input as Parameters<Api["send"]>[1]);
      this.#finish(outgoing, message);
      this.take(message);
    } catch (thrown) {
      if (outgoing.isDone) return;
      const error = asError(thrown);
      delete outgoing.echo;
      outgoing.isSending = false;
      outgoing.pending = { ...outgoing.pending, state: "failed", error };
      outgoing.reject(error);
      this.#changed();
    }
  }

  #finish(outgoing: Outgoing, message: Message): void {
    outgoing.isDone = true;
    this.#outgoing = this.#outgoing.filter((each) => each !== outgoing);
    outgoing.resolve(message);
    this.#changed();
  }

  /** Removes the pending message that this message was, if any. */
  #settle(message: Message): void {
    if (message.sender_id !== this.#context.user.user_id || this.#outgoing.length === 0) return;
    const { client_message_id: id } = message;
    if (id) {
      const own = this.#outgoing.find(({ pending }) => pending.id === id);
      if (own) this.#finish(own, message);
    } else if (!this.#outgoing.some(({ echo }) => echo === message.id)) {
      // Only the content identifies it. The response to the request will be certain.
      const own = this.#outgoing.find(({ pending, isSending, echo, url }) => isSending && !echo && pending.body === message.body && (url ?? pending.media_url) === message.media_url);
      if (own) own.echo = message.id;
    }
  }

  #stoppedTyping(user: string): void {
    platform.clearTimeout(this.#typing.get(user)?.timer);
    if (!this.#typing.delete(user)) return;
    this.#tell({ type: "typing", conversation: this });
    this.#changed();
  }

  /** Runs `work` after all earlier work: pages of history and of changes must not overlap. */
  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work);
    this.#queue = result.catch(() => {});
    return result;
  }

  #changed(): void {
    this.#shown = undefined;
    this.#tell({ type: "change", conversation: this });
  }

  #tell(event: ConversationEvent): void {
    this.emit(event);
    this.#context.emit(event);
  }
}

/** Whether the server lacks the route, as older ones do. */
function isMissing(error: unknown): boolean {
  const { status, message } = asError(error);
  return status === 404 && message === "not found";
}

/** Returns an id that is unique among this user's messages. It doesn't have to be hard to guess. */
function messageId(): string {
  const part = () => Math.random().toString(36).slice(2, 12);
  return `${Date.now().toString(36)}-${part()}${part()}`;
}
