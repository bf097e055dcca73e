// A TinyChat server in memory. Its network and Realtime fail on demand, and its time is that of the test's clock.

import type { ConversationData, ConversationUpdate, Message } from "../../src/types.ts";
import type { Fetch, Request, Response } from "../../src/platform.ts";

/** The fault of a request: the connection is refused; a 500 before any effect; a lost response after all effects; a slow request;
 * a slow response, which is outdated; a 429. */
export type HttpFault = "refused" | "failed" | "lost" | "slow" | "late" | "busy" | "none";
/** The fault of a broadcast to a single listener. */
export type BroadcastFault = "dropped" | "twice" | "late" | "none";

interface Stored {
  data: ConversationData;
  clock: number;
  messages: Map<string, Message>;
  reads: Map<string, string>;
}

type Listener = (event: string, payload: unknown) => void;

const LATENCY = 20;
const iso = (clock: number) => new Date(clock).toISOString();

class Refusal extends Error {
  constructor(
    readonly status: number,
    text: string,
  ) {
    super(text);
  }
}

export class FakeServer {
  readonly conversations = new Map<string, Stored>();
  readonly requests: { method: string; path: string; token: string }[] = [];
  /** The faults of the next requests and broadcasts. */
  http: HttpFault[] = [];
  broadcasts: BroadcastFault[] = [];
  isUp = true;
  /** Whether Realtime loses all broadcasts without an error. */
  isSilent = false;
  /** The only valid token, if tokens are required. */
  token: string | undefined;
  /** Returns the JWT that identifies a user to Realtime. */
  realtimeToken: (() => string) | undefined;
  isPrivate = false;
  inbox = false;
  #listeners = new Map<string, Set<Listener>>();
  #ids = 0;
  /** Whether it has `updated_at`, `since`, read cursors, unread counts and updates of conversations. */
  readonly #modern: boolean;

  constructor(modern: boolean) {
    this.#modern = modern;
  }

  // Actions of other users and of backends

  create(participants: string[], external_ref: string | null = null): string {
    const id = `conversation-${++this.#ids}`;
    const now = Date.now();
    const data: ConversationData = {
      id, tenant_id: "tenant", kind: "order", external_ref, participants, last_message: null, last_at: null, status: "open", updated_at: iso(now),
    };
    this.conversations.set(id, { data, clock: now, messages: new Map(), reads: new Map(participants.map((each) => [each, iso(now)])) });
    this.#tell(this.#inboxes(data), "conversation", { conversation: data });
    return id;
  }

  send(id: string, input: Partial<Message> & { sender_id: string }): Message {
    const stored = this.#stored(id);
    const { client_message_id } = input;
    for (const message of stored.messages.values()) {
      if (client_message_id && this.#clientIds.get(message.id) === client_message_id && message.sender_id === input.sender_id) return message;
    }
    const time = this.#tick(stored);
    const message: Message = {
      id: `message-${++this.#ids}`, conversation_id: id, sender_id: input.sender_id, receiver_id: null, body: input.body ?? null,
      message_type: input.message_type ?? "text", media_url: input.media_url ?? null, reply_to: input.reply_to ?? null,
      created_at: time, edited_at: null, deleted_at: null, updated_at: time, ...(client_message_id && { client_message_id }),
    };
    if (client_message_id) this.#clientIds.set(message.id, client_message_id);
    stored.data.last_at = time;
    stored.reads.set(input.sender_id, time);
    return this.#changed(stored, message);
  }
  #clientIds = new Map<string, string>();

  edit(id: string, messageId: string, body: string): Message {
    const stored = this.#stored(id);
    const message = stored.messages.get(messageId);
    if (!message || message.deleted_at) throw new Refusal(404, "message not found");
    const time = this.#tick(stored);
    return this.#changed(stored, { ...message, body, edited_at: time, updated_at: time });
  }

  delete(id: string, messageId: string): Message {
    const stored = this.#stored(id);
    const message = stored.messages.get(messageId);
    if (!message) throw new Refusal(404, "message not found");
    if (message.deleted_at) return message;
    const time = this.#tick(stored);
    return this.#changed(stored, { ...message, body: null, media_url: null, deleted_at: time, updated_at: time });
  }

  update(id: string, { add_participants, remove_participants, status }: ConversationUpdate): ConversationData {
    const stored = this.#stored(id);
    const { data } = stored;
    const added = add_participants ?? [];
    const staying = data.participants.filter((user) => !remove_participants?.includes(user) || added.includes(user));
    const participants = [...new Set([...staying, ...added])];
    if (participants.length === 0) throw new Refusal(400, "participants is required");
    const change = { participants, status: status ?? data.status ?? "open" };
    const before = this.#inboxes(data);
    if (JSON.stringify([data.participants, data.status]) === JSON.stringify([change.participants, change.status])) return data;
    const time = this.#tick(stored);
    for (const user of added) if (!stored.reads.has(user)) stored.reads.set(user, time);
    for (const user of stored.reads.keys()) if (!participants.includes(user)) stored.reads.delete(user);
    stored.data = { ...data, ...change, updated_at: time };
    this.#tell([...new Set([`conv:${id}`, ...before, ...this.#inboxes(stored.data)])], "conversation", { conversation: stored.data });
    return stored.data;
  }

  read(id: string, user_id: string, messageId?: string) {
    const stored = this.#stored(id);
    const to = messageId ? stored.messages.get(messageId)?.created_at : iso(stored.clock);
    if (!to) throw new Refusal(400, "message_id is not a message in this conversation");
    const before = stored.reads.get(user_id) ?? "";
    const read = { conversation_id: id, user_id, read_at: to > before ? to : before };
    stored.reads.set(user_id, read.read_at);
    if (to > before) this.#broadcast(`conv:${id}`, "read", { read });
    return { ...read, unread_count: this.unread(id, user_id) };
  }

  // State

  /** The messages that a user can see, oldest first. */
  visible(id: string): Message[] {
    return [...this.#stored(id).messages.values()].filter(({ deleted_at }) => !deleted_at).map((message) => this.#shown(message));
  }

  unread(id: string, user_id: string): number {
    const { reads } = this.#stored(id);
    return this.visible(id).filter(({ sender_id, created_at }) => sender_id !== user_id && created_at > (reads.get(user_id) ?? "")).length;
  }

  list(user_id: string): ConversationData[] {
    const own = [...this.conversations.values()].filter(({ data }) => data.participants.includes(user_id));
    const activity = ({ data }: Stored) => data.last_at ?? "";
    return own.sort((a, b) => (activity(a) < activity(b) ? 1 : -1)).map((stored) => this.#listed(stored, user_id));
  }

  // The network

  readonly fetch: Fetch = async (url, request) => {
    const fault = this.http.shift() ?? "none";
    await wait(fault === "slow" ? LATENCY * 50 : LATENCY);
    if (!this.isUp || fault === "refused") throw new TypeError("connection refused");
    if (fault === "failed") return answer(500, { error: "database unavailable" });
    if (fault === "busy") return answer(429, { message: "Too Many Requests" }, "2");
    const result = this.#handle(url, request);
    await wait(fault === "late" ? LATENCY * 50 : LATENCY);
    if (fault === "lost") throw new TypeError("connection reset");
    return result;
  };

  #handle(url: string, request: Request): Response {
    const { method, headers, body } = request;
    const { pathname, searchParams } = new URL(url);
    const token = headers["x-tinychat-api-key"] ?? "";
    this.requests.push({ method, path: pathname, token });
    try {
      if (this.token !== undefined && token !== this.token) throw new Refusal(401, "user token expired");
      const input = typeof body === "string" ? JSON.parse(body) : body;
      return answer(200, this.#route(method, pathname.split("/").slice(2), searchParams, input, headers));
    } catch (error) {
      if (error instanceof Refusal) return answer(error.status, { error: error.message });
      throw error;
    }
  }

  #route(method: string, [resource, id = "", part, messageId = ""]: string[], query: URLSearchParams, input: any, headers: Request["headers"]): unknown {
    switch (`${method} ${resource}${id && "/id"}${part ? `/${part}` : ""}${messageId && "/id"}`) {
      case "GET config":
        return { tenant: { id: "tenant", name: "Tenant" }, realtime: this.#realtime() };
      case "POST users":
        return { user: { id: `uuid-of-${input.user_id}`, ...input } };
      case "GET conversations":
        return { conversations: this.list(query.get("user_id") ?? "").slice(0, 100), ...(this.#modern && { next: null }) };
      case "POST conversations":
        return { conversation: this.#listed(this.#stored(this.create(input.participants, input.external_ref)), "") };
      case "GET conversations/id/messages":
        return this.#messages(id, query);
      case "POST conversations/id/messages":
        return { message: this.#shown(this.send(id, input)) };
      case "PATCH conversations/id/messages/id":
        return { message: this.#shown(this.edit(id, messageId, input.body)) };
      case "DELETE conversations/id/messages/id":
        return { message: this.#shown(this.delete(id, messageId)) };
      case "POST conversations/id/typing":
        this.#broadcast(`conv:${id}`, "typing", { senderId: input.sender_id, senderName: input.sender_name ?? null });
        return { ok: true };
    }
    if (this.#modern && method === "POST" && part === "read") return { read: this.read(id, input.user_id, input.message_id) };
    if (this.#modern && method === "PATCH" && resource === "conversations" && !part) {
      if (!headers["x-tinychat-api-key"]?.startsWith("sk_")) throw new Refusal(403, "secret key required");
      return { conversation: this.update(id, input) };
    }
    if (this.#modern && method === "GET" && resource === "conversations" && !part) {
      const stored = this.#stored(id);
      const members = [...stored.reads].map(([user_id, read_at]) => ({ user_id, name: null, role: "customer", read_at }));
      const { unread_count: _, ...data } = this.#listed(stored, "");
      return { conversation: { ...data, members } };
    }
    throw new Refusal(404, "not found");
  }

  #realtime() {
    return {
      supabase_url: "http://supabase", supabase_anon_key: "anon", channel_prefix: "conv:",
      ...(this.isPrivate && { private: true }),
      ...(this.realtimeToken && { access_token: this.realtimeToken() }),
      ...(this.inbox && { user_channel_prefix: "user:" }),
    };
  }

  #messages(id: string, query: URLSearchParams): unknown {
    const limit = Math.min(Number(query.get("limit") ?? 50), 200);
    const since = query.get("since");
    if (this.#modern && since) {
      const changes = [...this.#stored(id).messages.values()].filter((message) => (message.updated_at ?? "") > since);
      changes.sort((a, b) => ((a.updated_at ?? "") < (b.updated_at ?? "") ? -1 : 1));
      return { messages: changes.slice(0, limit), more: changes.length > limit };
    }
    const before = query.get("before") ?? "~";
    return { messages: this.visible(id).filter(({ created_at }) => created_at < before).slice(-limit) };
  }

  #stored(id: string): Stored {
    const stored = this.conversations.get(id);
    if (!stored) throw new Refusal(404, "conversation not found");
    return stored;
  }

  #tick(stored: Stored): string {
    stored.clock = Math.max(Date.now(), stored.clock + 1);
    return iso(stored.clock);
  }

  #changed(stored: Stored, message: Message): Message {
    const { id } = stored.data;
    stored.messages.set(message.id, message);
    stored.data.updated_at = message.updated_at!;
    if (!message.deleted_at && message.created_at === stored.data.last_at) stored.data.last_message = message.body;
    else stored.data.last_message = this.visible(id).at(-1)?.body ?? null;
    this.#broadcast(`conv:${id}`, "message", { message: this.#shown(message) });
    return message;
  }

  #shown(message: Message): Message {
    if (this.#modern) return message;
    const { updated_at: _updated, client_message_id: _id, ...plain } = message;
    return plain;
  }

  #listed({ data }: Stored, user_id: string): ConversationData {
    if (this.#modern) return { ...data, unread_count: Math.min(this.unread(data.id, user_id), 100) };
    const { updated_at: _updated, status: _status, ...plain } = data;
    return plain;
  }

  // Realtime

  join(topic: string, listener: Listener): void {
    if (!this.#listeners.has(topic)) this.#listeners.set(topic, new Set());
    this.#listeners.get(topic)?.add(listener);
  }

  leave(topic: string, listener: Listener): void {
    this.#listeners.get(topic)?.delete(listener);
  }

  #broadcast(topic: string, event: string, payload: unknown): void {
    const stored = this.conversations.get(topic.slice("conv:".length));
    this.#tell([topic, ...(stored && event !== "typing" ? this.#inboxes(stored.data) : [])], event, payload);
  }

  #inboxes({ participants }: ConversationData): string[] {
    return this.inbox && participants.length <= 20 ? participants.map((user) => `user:uuid-of-${user}`) : [];
  }

  #tell(topics: string[], event: string, payload: unknown): void {
    for (const each of topics) {
      for (const listener of this.#listeners.get(each) ?? []) {
        if (this.isSilent) continue;
        const fault = this.broadcasts.shift() ?? "none";
        const deliver = () => listener(event, structuredClone(payload));
        if (fault !== "dropped") setTimeout(deliver, fault === "late" ? LATENCY * 100 : LATENCY);
        if (fault === "twice") setTimeout(deliver, LATENCY * 200);
      }
    }
  }
}

const wait = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds));

function answer(status: number, body: unknown, retryAfter: string | null = null): Response {
  const text = JSON.stringify(body);
  return { status, headers: { get: (name) => (name === "retry-after" ? retryAfter : null) }, text: async () => text };
}
