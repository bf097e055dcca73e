// The state of one person's side: the client, the open conversation and the filter. Its "change" events tell the view to render.

import { TinyChat } from "@tinychat/client";
import { loggedFetch, loggedSocket } from "./wire.js";

export class Person extends EventTarget {
  filter = null;
  /** The open conversation. */
  conversation = null;
  notice = "";
  #changes = false;
  #fetch;
  #credential;

  /**
   * `facts` are id, user_id, name and role; `names` are all known names, by user_id; `key` is the tenant's publishable key.
   * Without it, the person has user tokens, which the local cloud signs as a tenant's backend does.
   */
  constructor(facts, key, log, names) {
    super();
    this.facts = facts;
    this.names = names;
    const { user_id, name, role } = facts;
    this.#fetch = loggedFetch(log);
    const token = async () => {
      const response = await this.#fetch(`${location.origin}/demo/token?${new URLSearchParams({ user_id, role })}`, { method: "GET" });
      if (response.status !== 200) throw new Error("no user token");
      return response.text();
    };
    this.#credential = key ? async () => key : token;
    this.chat = new TinyChat({
      url: location.origin,
      ...(key ? { key } : { token }),
      user: { user_id, name, role },
      fetch: this.#fetch,
      realtime: { transport: loggedSocket(log) },
      retries: 2, // fewer than the default, so that errors appear soon
    });
    for (const event of ["change", "conversations", "connection"]) this.chat.on(event, () => this.#changed());
    this.chat.on("error", ({ error }) => this.#say(error.message));
  }

  get inbox() {
    return this.chat.conversations.filter(({ kind }) => !this.filter || kind === this.filter);
  }

  show(filter) {
    this.filter = filter;
    this.#changed();
  }

  async begin(kind, reference, participants) {
    return this.trying(async () => {
      const conversation = await this.chat.startConversation({ kind, participants, ...(reference && { external_ref: reference }) });
      await this.enter(conversation.id);
    });
  }

  async enter(id) {
    this.conversation?.unwatch();
    const conversation = this.chat.conversation(id);
    this.conversation = conversation;
    this.#changed();
    await this.trying(() => conversation.watch());
  }

  leave() {
    this.conversation?.unwatch();
    this.conversation = null;
    this.#changed();
  }

  /** Makes a request with this person's credential, without the client. */
  async call(method, path, body) {
    const headers = { "x-tinychat-api-key": await this.#credential(), ...(body && { "content-type": "application/json" }) };
    const response = await this.#fetch(location.origin + path, { method, headers, ...(body && { body: JSON.stringify(body) }) });
    return { status: response.status, answer: JSON.parse(await response.text()) };
  }

  /** Runs `work`, and returns whether it succeeded. Otherwise `notice` has the error. */
  async trying(work) {
    try {
      await work();
      this.#say("");
      return true;
    } catch (error) {
      this.#say(error.message);
      return false;
    }
  }

  #say(notice) {
    if (this.notice === notice) return;
    this.notice = notice;
    this.#changed();
  }

  /** Reports several changes in the same task once. */
  #changed() {
    if (this.#changes) return;
    this.#changes = true;
    queueMicrotask(() => {
      this.#changes = false;
      this.dispatchEvent(new Event("change"));
    });
  }
}
