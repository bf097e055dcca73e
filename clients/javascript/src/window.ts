// The messages of one conversation that are known here: all that the server has from a time on, and nothing else.

import type { Change, Message } from "./types.js";

/** How many versions are kept of what may come again: deleted messages, and messages of a conversation that isn't loaded. */
const REMEMBERED = 500;

/**
 * Versions of a message compare as strings. Servers before `updated_at` say only when a message was edited and that it was
 * deleted, which nothing follows.
 */
const version = ({ updated_at, deleted_at, edited_at }: Message) => updated_at ?? (deleted_at ? "~" : (edited_at ?? ""));

export class Window {
  #messages = new Map<string, Message>();
  #sorted: readonly Message[] | undefined;
  /** Messages that aren't shown, by id, with the version that is known. */
  #hidden = new Map<string, string>();
  /** The time from which on all messages are here: "" for all, undefined before the first page. */
  #from: string | undefined;
  #cursor: string | undefined;
  /** What came live while a page of history was on its way: the page may be older. */
  #meanwhile: Message[] | undefined;

  get isLoaded(): boolean {
    return this.#from !== undefined;
  }

  /** Whether there is nothing before the oldest message. */
  get isComplete(): boolean {
    return this.#from === "";
  }

  /** Whether the server's messages have no `updated_at`, so that there is no asking for changes. */
  get isPlain(): boolean {
    return this.messages.some(({ updated_at }) => updated_at === undefined);
  }

  /** The `updated_at` up to which all changes are here. Answers to GET alone move it: broadcasts get lost. */
  get cursor(): string | undefined {
    return this.#cursor;
  }

  get from(): string {
    return this.#from ?? "";
  }

  /** Oldest first. A new array whenever something has changed. */
  get messages(): readonly Message[] {
    return (this.#sorted ??= [...this.#messages.values()].sort((a, b) => (a.created_at < b.created_at ? -1 : 1)));
  }

  get(id: string): Message | undefined {
    return this.#messages.get(id);
  }

  /** Takes a message from a broadcast or from the answer to a change, and says what it changed. */
  takeLive(message: Message): Change | undefined {
    this.#meanwhile?.push(message);
    // The state at the cursor is known, and what is older can't be news.
    if (message.updated_at && this.#cursor !== undefined && message.updated_at <= this.#cursor) return undefined;
    return this.#take(message);
  }

  /** Takes a page of `since`, and says what it changed. */
  takeChanges(messages: readonly Message[]): [Message, Change][] {
    const changes = messages.flatMap((message): [Message, Change][] => {
      const change = this.#take(message);
      return change ? [[message, change]] : [];
    });
    const last = messages.at(-1)?.updated_at;
    if (last !== undefined) {
      this.#cursor = last;
      for (const [id, known] of this.#hidden) if (known <= last) this.#hidden.delete(id);
    }
    return changes;
  }

  /** Fetches a page of history. What comes live while it is on its way is taken again once `take` has taken the page. */
  async fetch<Page>(get: () => Promise<Page>, take: (page: Page, meanwhile: ReadonlySet<string>) => void): Promise<void> {
    this.#meanwhile = [];
    try {
      const page = await get();
      const meanwhile = this.#meanwhile;
      take(page, new Set(meanwhile.map(({ id }) => id)));
      this.#meanwhile = undefined;
      for (const message of meanwhile) this.takeLive(message);
    } finally {
      this.#meanwhile = undefined;
    }
  }

  /** Begins anew with the newest page. */
  reset(messages: readonly Message[], isLast: boolean): void {
    this.clear();
    this.#from = isLast ? "" : (messages[0]?.created_at ?? "");
    for (const message of messages) this.#messages.set(message.id, message);
    this.#cursor = messages.reduce<string | undefined>((newest, { updated_at }) => (updated_at && updated_at > (newest ?? "") ? updated_at : newest), undefined);
  }

  /** Adds the page before the oldest message. */
  prepend(messages: readonly Message[], isLast: boolean): void {
    this.#from = isLast ? "" : (messages[0]?.created_at ?? "");
    for (const message of messages) this.#take(message);
  }

  /**
   * Takes all of history from `from` on, read anew because the server can't list changes. What was known, isn't there and
   * didn't come `meanwhile` was deleted; what is older is forgotten.
   */
  replace(messages: readonly Message[], from: string, meanwhile: ReadonlySet<string>): [Message, Change][] {
    const there = new Set(messages.map(({ id }) => id));
    const missing = this.messages.filter(({ id }) => !there.has(id) && !meanwhile.has(id));
    const gone = missing.filter(({ created_at }) => created_at >= from);
    this.#from = from;
    for (const { id } of missing) this.#messages.delete(id);
    this.#sorted = undefined;
    for (const { id } of gone) this.#hide(id, "~");
    const deleted = { body: null, media_url: null, deleted_at: new Date().toISOString() };
    return [...gone.map((message): [Message, Change] => [{ ...message, ...deleted }, "deleted"]), ...this.takeChanges(messages)];
  }

  /** Forgets the oldest messages, so that at most `most` are left; not while a page is on its way that may border on them. */
  trim(most: number): void {
    if (this.#meanwhile || this.#messages.size <= most) return;
    const { messages } = this;
    const first = messages.at(-most);
    if (!first) return;
    this.#from = first.created_at;
    for (const { id, created_at } of messages) if (created_at < first.created_at) this.#messages.delete(id);
    this.#sorted = undefined;
  }

  clear(): void {
    this.#messages.clear();
    this.#hidden.clear();
    this.#from = this.#cursor = this.#sorted = undefined;
  }

  #take(message: Message): Change | undefined {
    const { id } = message;
    const known = this.#messages.get(id);
    const knownVersion = known ? version(known) : this.#hidden.get(id);
    if (knownVersion !== undefined && knownVersion >= version(message)) return undefined;
    if (this.#from === undefined) {
      this.#hide(id, version(message)); // not to say the same twice
      return message.deleted_at ? "deleted" : message.edited_at ? "updated" : "created";
    }
    if (message.deleted_at) {
      this.#hide(id, version(message));
      return known && "deleted";
    }
    if (message.created_at < this.#from) return undefined;
    this.#hidden.delete(id);
    this.#messages.set(id, message);
    this.#sorted = undefined;
    return known ? "updated" : "created";
  }

  #hide(id: string, known: string): void {
    if (this.#messages.delete(id)) this.#sorted = undefined;
    this.#hidden.set(id, known);
    if (this.#hidden.size > REMEMBERED) this.#hidden.delete(this.#hidden.keys().next().value!);
  }
}
