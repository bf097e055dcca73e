// The client: one user's conversations, kept up to date.

import { Api } from "./api.js";
import { Conversation, type ConversationEvent } from "./conversation.js";
import { Credential } from "./credential.js";
import { type TinyChatError, asError } from "./error.js";
import { Emitter } from "./events.js";
import { Live, type LiveEvent } from "./live.js";
import { type Fetch, platform, transport } from "./platform.js";
import type { Config, Connection, ConversationData, ConversationInput, ConversationUpdate, Message, User, UserInput } from "./types.js";

export interface Options {
  /** The API's address, such as `https://api.tinychat.dev`. */
  url: string;
  /** The tenant's publishable key; on a backend, its secret key. */
  key?: string;
  /** Returns a token of this user from your backend. It replaces the key, and is called before the first request and when a token expires. */
  token?: () => Promise<string>;
  /** The user whom this client acts for. Every `connect` sends it to the server. */
  user: UserInput;
  /** Options for supabase-js's `realtime`: before Node.js 22, `{ transport: WebSocket }` from the package ws. */
  realtime?: object;
  /** Replaces the platform's `fetch`. */
  fetch?: Fetch;
  /** The number of retries after a temporary failure; 4 by default, which take about 8 seconds. */
  retries?: number;
  /** The number of messages of a conversation that are kept; 1,000 by default. */
  maxMessages?: number;
  /** Milliseconds between polls for lost broadcasts: by default 60,000 while Realtime is connected, and 10,000 while it isn't. */
  poll?: { live?: number; otherwise?: number };
}

export type ClientEvent =
  | ConversationEvent
  /** The list of conversations, or something in it, has changed. */
  | { type: "conversations" }
  | { type: "connection"; connection: Connection }
  /** Something in the background failed. It is retried. */
  | { type: "error"; error: TinyChatError };

/** Realtime allows 100 channels per connection. Some are reserved for watched conversations that aren't in the list. */
const MOST_CHANNELS = 90;
/** The number of conversations that keep their messages although they aren't watched any more. */
const MOST_UNWATCHED = 20;
/** Conversations with more participants aren't broadcast on inbox channels. */
const INBOX_PARTICIPANTS = 20;
const LIST_PAUSE = 300;

export class TinyChat extends Emitter<ClientEvent> {
  readonly #options: Options;
  readonly #api: Api;
  readonly #live: Live;
  readonly #known = new Map<string, Conversation>();
  readonly #missing = new Set<"read" | "conversation">();
  #order: string[] = [];
  #listed: readonly Conversation[] | undefined;
  #unwatched: string[] = [];
  #config: Config | undefined;
  #user: User | undefined;
  #connection: Connection = "offline";
  #session = 0;
  #pages = 1;
  #next: string | null = null;
  #listing: Promise<void> | undefined;
  #listTimer: unknown;
  #listChanges = 0;
  #pollTimer: unknown;

  constructor(options: Options) {
    super();
    this.#options = options;
    const credential = new Credential(options.key, options.token);
    this.#api = new Api(options.url, credential, options.fetch ?? transport, options.retries ?? 4);
    this.#live = new Live(options.realtime, {
      config: () => this.#api.config(),
      event: (topic, event, payload) => this.#took(topic, event, payload),
      joined: (topic) => this.#joined(topic),
      changed: () => this.#connectionChanged(),
    });
  }

  /** The user as stored on the server, after `connect`. */
  get user(): User | undefined {
    return this.#user;
  }

  get config(): Config | undefined {
    return this.#config;
  }

  get connection(): Connection {
    return this.#connection;
  }

  /** The user's conversations, newest activity first: up to 100, and more after `loadMore`. Every change makes a new array. */
  get conversations(): readonly Conversation[] {
    return (this.#listed ??= this.#order.map((id) => this.conversation(id)));
  }

  /** Whether `loadMore` would load more conversations. */
  get hasMore(): boolean {
    return this.#next !== null;
  }

  /** The number of unread messages in `conversations`. */
  get unread_count(): number {
    return this.conversations.reduce((sum, { unread_count }) => sum + unread_count, 0);
  }

  /**
   * Registers the user, loads the conversations and subscribes to their changes. Rejects if the server can't be reached or
   * refuses, and can then be called again. After `disconnect`, it catches up with missed changes.
   */
  async connect(): Promise<void> {
    if (this.#connection !== "offline") return;
    const session = ++this.#session;
    this.#setConnection("connecting");
    try {
      const [config, { user }] = await Promise.all([this.#api.config(), this.#api.upsertUser(this.#options.user)]);
      if (session !== this.#session) return;
      this.#config = config;
      this.#user = user;
      await this.#list();
      if (session !== this.#session) return;
      this.#listen();
      this.#live.start(config);
      this.#connectionChanged();
      for (const conversation of this.#watched()) this.#sync(conversation);
      this.#pollLater();
    } catch (error) {
      if (session === this.#session) this.disconnect();
      throw error;
    }
  }

  /** Unsubscribes. Loaded data is kept, and messages that are being sent are still sent. */
  disconnect(): void {
    this.#session++;
    platform.clearTimeout(this.#pollTimer);
    platform.clearTimeout(this.#listTimer);
    this.#listTimer = undefined;
    this.#live.stop();
    this.#setConnection("offline");
  }

  /** Catches up at once. Call it when an app returns to the foreground. */
  async sync(): Promise<void> {
    await Promise.all([this.#list(), ...this.#watched().map((conversation) => conversation.sync())]);
  }

  /** Returns the conversation with this id. It may be missing from the list. `watch` loads it. */
  conversation(id: string): Conversation {
    let conversation = this.#known.get(id);
    if (!conversation) {
      conversation = new Conversation(id, {
        api: this.#api,
        user: this.#options.user,
        maxMessages: this.#options.maxMessages ?? 1000,
        missing: this.#missing,
        emit: (event) => this.#conversationEvent(event),
        refreshList: () => this.#listLater(),
        rise: ({ id }) => this.#rise(id),
        listChanged: () => void this.#listChanges++,
        watching: (conversation) => this.#watching(conversation),
      });
      this.#known.set(id, conversation);
    }
    return conversation;
  }

  /** Creates a conversation, or returns the existing one with this kind and `external_ref`. */
  async startConversation(input: ConversationInput): Promise<Conversation> {
    const { conversation: data } = await this.#api.createConversation(input);
    const conversation = this.conversation(data.id);
    conversation.update(data);
    if (!this.#order.includes(data.id) && data.participants.includes(this.#options.user.user_id)) {
      this.#setOrder([data.id, ...this.#order]);
      this.#listLater();
    }
    return conversation;
  }

  /**
   * Adds and removes participants, closes the conversation, or opens it again. Only a secret key and a user token with the
   * role `admin` or `support` may do this. Leaving out a field changes nothing.
   */
  async updateConversation(id: string, change: ConversationUpdate): Promise<Conversation> {
    const { conversation: data } = await this.#api.updateConversation(id, change);
    const conversation = this.conversation(id);
    conversation.updateIfNewer(data);
    this.#listChanges++;
    this.#listLater();
    if (conversation.isWatched) this.#sync(conversation); // for the members' names
    return conversation;
  }

  /** Loads the next page of the list. */
  async loadMore(): Promise<void> {
    if (this.#next === null) return;
    this.#pages++;
    await this.#list();
  }

  // The list

  /** Reads the list. Calls during a run share the next run. */
  async #list(): Promise<void> {
    const running = this.#listing;
    if (running) await running.catch(() => {});
    this.#listing ??= this.#readList().finally(() => (this.#listing = undefined));
    return this.#listing;
  }

  async #readList(): Promise<void> {
    platform.clearTimeout(this.#listTimer);
    this.#listTimer = undefined;
    const changes = this.#listChanges;
    const all = new Map<string, ConversationData>();
    let next: string | null | undefined;
    for (let page = 0; page < this.#pages && next !== null; page++) {
      const query = { user_id: this.#options.user.user_id, ...(next && { cursor: next }) };
      const answer = await this.#api.conversations(query);
      for (const data of answer.conversations) all.set(data.id, data);
      next = answer.next ?? null;
    }
    this.#next = next ?? null;
    // A server without unread counts also lacks read cursors and the route for a single conversation.
    const [any] = all.values();
    for (const route of any ? (["read", "conversation"] as const) : []) {
      if (any?.unread_count === undefined) this.#missing.add(route);
      else this.#missing.delete(route);
    }
    for (const data of all.values()) {
      this.conversation(data.id).updateIfNewer(data); // a message may have arrived during the request
    }
    this.#setOrder([...all.keys()]);
    for (const [id, conversation] of this.#known) if (!all.has(id) && !conversation.isNeeded) this.#known.delete(id);
    if (changes !== this.#listChanges) this.#listLater();
  }

  #listLater(): void {
    if (this.#connection !== "offline") this.#listTimer ??= platform.setTimeout(() => this.#list().catch((error) => this.#failed(error)), LIST_PAUSE);
  }

  #setOrder(order: string[]): void {
    const isSame = order.length === this.#order.length && order.every((id, index) => id === this.#order[index]);
    if (isSame) return;
    this.#order = order;
    this.#listed = undefined;
    this.#listen();
    this.emit({ type: "conversations" });
  }

  #rise(id: string): void {
    if (this.#order.includes(id)) this.#setOrder([id, ...this.#order.filter((each) => each !== id)]);
    else this.#listLater();
  }

  #conversationEvent(event: ConversationEvent): void {
    this.emit(event);
    if (event.type !== "change" || !this.#order.includes(event.conversation.id)) return;
    this.#listed = undefined;
    this.emit({ type: "conversations" });
  }

  // Live

  #watched(): Conversation[] {
    return [...this.#known.values()].filter(({ isWatched }) => isWatched);
  }

  #watching({ id, isWatched }: Conversation): void {
    this.#unwatched = this.#unwatched.filter((each) => each !== id);
    if (!isWatched && this.#unwatched.push(id) > MOST_UNWATCHED) this.#known.get(this.#unwatched.shift() ?? "")?.forget();
    this.#listen();
  }

  #listen(): void {
    if (!this.#config) return;
    const { channel_prefix, user_channel_prefix } = this.#config.realtime;
    const listed = this.#order.map((id) => this.conversation(id));
    const told = user_channel_prefix !== undefined && this.#user !== undefined;
    const others = told ? listed.filter(({ participants }) => participants.length > INBOX_PARTICIPANTS) : listed;
    const ids = new Set([...this.#watched(), ...others].slice(0, MOST_CHANNELS).map(({ id }) => `${channel_prefix}${id}`));
    if (told) ids.add(`${user_channel_prefix}${this.#user?.id}`);
    this.#live.listen(ids);
    this.#connectionChanged();
  }

  #took(topic: string, event: LiveEvent, payload: any): void {
    const prefix = this.#config?.realtime.channel_prefix ?? "";
    const own = topic.startsWith(prefix) ? topic.slice(prefix.length) : undefined;
    const { message, read, conversation: data } = payload ?? {};
    const id = message?.conversation_id ?? read?.conversation_id ?? data?.id ?? own;
    // Anyone can broadcast anything on a public channel.
    if (typeof id !== "string" || (own !== undefined && id !== own)) return;
    const conversation = this.conversation(id);
    if (event === "message" && isMessage(message)) conversation.take(message);
    else if (event === "typing" && typeof payload?.senderId === "string") conversation.takeTyping(payload);
    else if (event === "read" && typeof read?.user_id === "string") {
      conversation.takeRead(read);
      if (read.user_id === this.#options.user.user_id) this.#listLater();
    } else if (event === "conversation") {
      this.#listLater();
      if (conversation.isWatched) this.#sync(conversation);
    }
  }

  #joined(topic: string): void {
    const prefix = this.#config?.realtime.channel_prefix ?? "";
    this.#listLater();
    for (const conversation of this.#watched()) {
      if (topic === `${prefix}${conversation.id}` || !topic.startsWith(prefix)) this.#sync(conversation);
    }
  }

  #connectionChanged(): void {
    if (this.#connection !== "offline") this.#setConnection(this.#live.isLive ? "live" : "connecting");
  }

  #setConnection(connection: Connection): void {
    if (connection === this.#connection) return;
    this.#connection = connection;
    this.emit({ type: "connection", connection });
  }

  /** Polls, because broadcasts can be lost without an error. */
  #pollLater(): void {
    const { live = 60_000, otherwise = 10_000 } = this.#options.poll ?? {};
    const session = this.#session;
    this.#pollTimer = platform.setTimeout(
      () =>
        void this.sync()
          .catch((error) => this.#failed(error))
          .then(() => session === this.#session && this.#pollLater()),
      this.#connection === "live" ? live : otherwise,
    );
  }

  #sync(conversation: Conversation): void {
    conversation.sync().catch((error) => this.#failed(error));
  }

  #failed(error: unknown): void {
    this.emit({ type: "error", error: asError(error) });
  }
}

function isMessage(value: Partial<Message> | undefined): value is Message {
  return typeof value?.id === "string" && typeof value.created_at === "string";
}
