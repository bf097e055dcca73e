// The Realtime connection, with a channel for each wanted topic.

import { createClient } from "@supabase/supabase-js";
import { freshUntil } from "./credential.js";
import { platform } from "./platform.js";
import type { Config } from "./types.js";

/** Milliseconds before a channel that the server has closed is joined again, and before another attempt to renew a token. */
const PAUSE = 5000;
const EVENTS = ["message", "typing", "read", "conversation"] as const;

export type LiveEvent = (typeof EVENTS)[number];

interface Channel {
  channel: ReturnType<Supabase["channel"]>;
  isJoined: boolean;
  isLeaving: boolean;
}

type Supabase = ReturnType<typeof createClient>;

interface Listener {
  /** Returns the configuration with a new access token. */
  config(): Promise<Config>;
  event(topic: string, event: LiveEvent, payload: unknown): void;
  /** Called when a channel is joined, for the first time or again. Earlier events may have been missed. */
  joined(topic: string): void;
  changed(): void;
}

export class Live {
  #supabase: Supabase | undefined;
  #realtime: Config["realtime"] | undefined;
  #channels = new Map<string, Channel>();
  #wanted = new Set<string>();
  #renewal: unknown;
  #retry: unknown;
  readonly #listener: Listener;
  readonly #options: object | undefined;

  /** `options` are those of supabase-js's `realtime`. */
  constructor(options: object | undefined, listener: Listener) {
    this.#options = options;
    this.#listener = listener;
  }

  /** Whether every wanted channel is joined. */
  get isLive(): boolean {
    return this.#supabase !== undefined && [...this.#wanted].every((topic) => this.#channels.get(topic)?.isJoined);
  }

  start({ realtime }: Config): void {
    this.stop();
    this.#realtime = realtime;
    const token = () => this.#realtime?.access_token ?? realtime.supabase_anon_key;
    this.#supabase = createClient(realtime.supabase_url, realtime.supabase_anon_key, {
      // Without this, supabase-js would start its own authentication, with storage and timers.
      accessToken: async () => token(),
      ...(this.#options && { realtime: this.#options }),
    });
    this.#renewLater();
    this.listen(this.#wanted);
  }

  stop(): void {
    platform.clearTimeout(this.#renewal);
    platform.clearTimeout(this.#retry);
    const channels = [...this.#channels.values()];
    this.#channels.clear();
    // Disconnecting leaves all channels, and `teardown` ends their attempts to join.
    for (const { channel } of channels) channel.teardown();
    void this.#supabase?.realtime.disconnect();
    this.#supabase = undefined;
  }

  /** Joins the channels of these topics, and leaves all others. */
  listen(topics: Iterable<string>): void {
    this.#wanted = new Set(topics);
    if (!this.#supabase) return;
    for (const [topic, channel] of this.#channels) if (!this.#wanted.has(topic)) this.#leave(topic, channel);
    for (const topic of this.#wanted) if (!this.#channels.has(topic)) this.#join(this.#supabase, topic);
  }

  #join(supabase: Supabase, topic: string): void {
    const channel = supabase.channel(topic, { config: { private: this.#realtime?.private ?? false } });
    const entry: Channel = { channel, isJoined: false, isLeaving: false };
    this.#channels.set(topic, entry);
    for (const event of EVENTS) {
      channel.on("broadcast", { event }, ({ payload }) => {
        if (this.#channels.get(topic) === entry) this.#listener.event(topic, event, payload);
      });
    }
    channel.subscribe((status) => {
      if (this.#channels.get(topic) !== entry) return;
      entry.isJoined = status === "SUBSCRIBED";
      if (entry.isJoined) this.#listener.joined(topic);
      // supabase-js joins again after an error, but not after the server has closed the channel.
      else if (status === "CLOSED" && !entry.isLeaving) this.#lost(topic);
      // Realtime may have refused an old token.
      else if (status === "CHANNEL_ERROR" && this.#realtime?.access_token) this.#renewSoon(PAUSE);
      this.#listener.changed();
    });
  }

  #leave(topic: string, entry: Channel): void {
    if (entry.isLeaving) return;
    entry.isLeaving = true;
    entry.isJoined = false;
    // A topic has one channel at a time. It can be joined again after it has been left.
    void this.#supabase?.removeChannel(entry.channel).finally(() => {
      if (this.#channels.get(topic) !== entry) return;
      this.#channels.delete(topic);
      this.listen(this.#wanted);
    });
  }

  #lost(topic: string): void {
    this.#channels.delete(topic);
    platform.clearTimeout(this.#retry);
    this.#retry = platform.setTimeout(() => this.listen(this.#wanted), PAUSE);
  }

  #renewLater(): void {
    const token = this.#realtime?.access_token;
    if (!token) return;
    const until = freshUntil(token);
    if (until < Infinity) this.#renewSoon(until - Date.now());
  }

  #renewSoon(milliseconds: number): void {
    platform.clearTimeout(this.#renewal);
    this.#renewal = platform.setTimeout(() => void this.#renew(), milliseconds);
  }

  async #renew(): Promise<void> {
    const supabase = this.#supabase;
    try {
      const { realtime } = await this.#listener.config();
      if (this.#supabase !== supabase) return;
      this.#realtime = realtime;
      if (realtime.access_token) await supabase?.realtime.setAuth(realtime.access_token);
      this.#renewLater();
    } catch {
      if (this.#supabase === supabase && supabase) this.#renewSoon(PAUSE);
    }
  }
}
