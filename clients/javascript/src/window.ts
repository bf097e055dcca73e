// The loaded messages of a conversation: all that the server has from a certain time on.

import type { Change, Message } from "./types.js";

/** The maximum number of known versions of messages that aren't shown: deleted ones, and those of a conversation that isn't loaded. */
const REMEMBERED = 500;

/**
 * A message's version, which compares as a string. Older servers have no `updated_at`, but the time of an edit, and deletion, which
 * is final.
 */
const version = ({ updated_at, deleted_at, edited_at }: Message) => updated_at ?? (deleted_at ? "~" : (edited_at ?? ""));

export class Window {
  #messages = new Map<string, Message>();
  #sorted: readonly Message[] | undefined;
  /** The known versions of messages that aren't shown, by id. */
  #hidden = new Map<string, string>();
  /** The time from which on all messages are loaded: "" for all, undefined before the first page. */
  #from: string | undefined;
  #cursor: string | undefined;
  /** The broadcasts during a request for history, whose response may be older. */
  #meanwhile: Message[] | undefined;

  get isLoaded(): boolean {
    return this.#from !== undefined;
  }

  /** Whether all messages are loaded. */
  get isComplete(): boolean {
    return this.#from === "";
  }

  /** Whether the server's messages have no `updated_at`, so that changes can't be requested. */
  get isPlain(): boolean {
    return this.messages.some(({ updated_at }) => updated_at === undefined);
  }

  /** The `updated_at` up to which all changes are loaded. Only responses to GET move it, because broadcasts can be lost. */
  get cursor(): string | undefined {
    return this.#cursor;
  }

  get from(): string {
    return this.#from ?? "";
  }

  /** The messages, oldest first. Every change makes a new array. */
  get messages(): readonly Message[] {
    return (this.#sorted ??= [...this.#messages.values()].sort((a, b) => (a.created_at < b.created_at ? -1 : 1)));
  }

  get(id: string): Message | undefined {
    return this.#messages.get(id);
  }

  /** Takes a message from a broadcast or from the response to a change. Returns the change, if any. */
  takeLive(message: Message): Change | undefined {
    this.#meanwhile?.push(message);
    // All changes up to the cursor are known.
    if (message.updated_at && this.#cursor !== undefined && message.updated_at <= this.#cursor) return undefined;
    return this.#take(message);
  }

  /** Takes a page of `since`. Returns the changes. */
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

  /** Fetches a page of history. Broadcasts during the request are taken again after `take` has taken the page. */
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

  /** Replaces everything with the newest page. */
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
   * Replaces everything with the history since `from`, because the server can't list changes. A known message that is missing, and
   * wasn't broadcast `meanwhile`, has been deleted. Older messages are removed.
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

  /** Removes the oldest messages, so that at most `most` are left; not during a request for a page that may adjoin them. */
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
      this.#hide(id, version(message)); // reports each change once
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
