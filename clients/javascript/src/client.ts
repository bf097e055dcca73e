// The client: one user's conversations, kept up to date.

import { Api } from "./api.js";
import { Conversation, type ConversationEvent } from "./conversation.js";
import { Credential } from "./credential.js";
import { type TinyChatError, asError } from "./error.js";
import { Emitter } from "./events.js";
import { Live, type LiveEvent } from "./live.js";
import { type Fetch, platform, transport } from "./platform.js";
import type { Config, Connection, ConversationData, ConversationInput, Message, User, UserInput } from "./types.js";

export interface Options {
  /** The API's address, such as `https://api.tinychat.dev`. */
  url: string;
  /** The tenant's publishable key. */
  key?: string;
  /** Instead of a key: asks your backend for a token of this user. Called before the first request, and when one expires. */
  token?: () => Promise<string>;
  /** Whom this client acts for. The server learns it at every `connect`. */
  user: UserInput;
  /** Options for supabase-js's `realtime`: before Node.js 22, `{ transport: WebSocket }` from the package ws. */
  realtime?: object;
  /** Replaces the platform's `fetch`. */
  fetch?: Fetch;
  /** How often a request is made again after a failure that may pass; 4 by default, which takes about 8 seconds. */
  retries?: number;
  /** How many messages of a conversation are kept; 1,000 by default. */
  maxMessages?: number;
  /** Milliseconds between looks for what Realtime lost: by default 60,000 while it is connected, and 10,000 while it isn't. */
  poll?: { live?: number; otherwise?: number };
}

export type ClientEvent =
  | ConversationEvent
  /** The list of conversations, or something in it, has changed. */
  | { type: "conversations" }
  | { type: "connection"; connection: Connection }
  /** Something in the background failed. It is tried again. */
  | { type: "error"; error: TinyChatError };

/** A connection has 100 channels; some are left for what is watched beyond the list. */
const MOST_CHANNELS = 90;
/** How many conversations that aren't watched any more keep their messages. */
const MOST_UNWATCHED = 20;
/** Conversations with more participants aren't told of on users' own channels. */
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

  /** The user as the server has it, once connected. */
  get user(): User | undefined {
    return this.#user;
  }

  get config(): Config | undefined {
    return this.#config;
  }

  get connection(): Connection {
    return this.#connection;
  }

  /** The user's conversations, newest activity first: up to 100, and more after `loadMore`. A new array whenever it changes. */
  get conversations(): readonly Conversation[] {
    return (this.#listed ??= this.#order.map((id) => this.conversation(id)));
  }

  /** Whether there are conversations beyond the last of `conversations`. */
  get hasMore(): boolean {
    return this.#next !== null;
  }

  /** How many messages are unread in `conversations`. */
  get unread_count(): number {
    return this.conversations.reduce((sum, { unread_count }) => sum + unread_count, 0);
  }

  /**
   * Registers the user, loads the conversations and listens. Rejects if the server can't be reached or refuses, and can then be
   * called again. Connecting anew after `disconnect` catches up with what was missed.
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
      for (const conversation of this.#watched()) conversation.sync().catch((error) => this.#failed(error));
      this.#pollLater();
    } catch (error) {
      if (session === this.#session) this.disconnect();
      throw error;
    }
  }

  /** Stops listening. What was loaded stays, and messages that are being sent are still sent. */
  disconnect(): void {
    this.#session++;
    platform.clearTimeout(this.#pollTimer);
    platform.clearTimeout(this.#listTimer);
    this.#listTimer = undefined;
    this.#live.stop();
    this.#setConnection("offline");
  }

  /** Catches up at once, as when an app comes back to the foreground. */
  async sync(): Promise<void> {
    await Promise.all([this.#list(), ...this.#watched().map((conversation) => conversation.sync())]);
  }

  /** The conversation with this id. It needn't be in the list, and isn't loaded before `watch`. */
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

  /** Creates a conversation, or finds the one that has this kind and `external_ref`. */
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

  /** Loads the next page of the list. */
  async loadMore(): Promise<void> {
    if (this.#next === null) return;
    this.#pages++;
    await this.#list();
  }

  // The list

  /** Reads the list. Calls that come while it is read share one more run. */
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
    // Servers that don't count unread messages have no read cursors either, nor a route for one conversation.
    const [any] = all.values();
    for (const route of any ? (["read", "conversation"] as const) : []) {
      if (any?.unread_count === undefined) this.#missing.add(route);
      else this.#missing.delete(route);
    }
    for (const data of all.values()) {
      const conversation = this.conversation(data.id);
      // A message may have come while the list was on its way.
      if (!conversation.updated_at || (data.updated_at ?? "") >= conversation.updated_at) conversation.update(data);
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
    // On a public channel anyone can broadcast anything.
    if (typeof id !== "string" || (own !== undefined && id !== own)) return;
    const conversation = this.conversation(id);
    if (event === "message" && isMessage(message)) conversation.take(message);
    else if (event === "typing" && typeof payload?.senderId === "string") conversation.takeTyping(payload);
    else if (event === "read" && typeof read?.user_id === "string") {
      conversation.takeRead(read);
      if (read.user_id === this.#options.user.user_id) this.#listLater();
    } else if (event === "conversation") {
      this.#listLater();
      if (conversation.isWatched) conversation.sync().catch((error) => this.#failed(error));
    }
  }

  #joined(topic: string): void {
    const prefix = this.#config?.realtime.channel_prefix ?? "";
    this.#listLater();
    for (const conversation of this.#watched()) {
      if (topic === `${prefix}${conversation.id}` || !topic.startsWith(prefix)) conversation.sync().catch((error) => this.#failed(error));
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

  /** Broadcasts get lost without a word: what they would have said is read now and then. */
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

  #failed(error: unknown): void {
    this.emit({ type: "error", error: asError(error) });
  }
}

function isMessage(value: Partial<Message> | undefined): value is Message {
  return typeof value?.id === "string" && typeof value.created_at === "string";
}
