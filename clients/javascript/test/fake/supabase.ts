// The parts of supabase-js that the client uses, for tests.

import type { FakeServer } from "./server.ts";

const LATENCY = 10;
const REJOIN = 1000;

export const supabase = {
  server: undefined as FakeServer | undefined,
  clients: [] as FakeSupabase[],
  createClient(_url: string, _key: string, options: { accessToken: () => Promise<string> }) {
    if (!supabase.server) throw new Error("no server");
    const client = new FakeSupabase(supabase.server, options.accessToken);
    supabase.clients.push(client);
    return client;
  },
  /** Breaks every websocket. Every channel is joined again after a while. */
  breakAll() {
    for (const client of supabase.clients) for (const channel of client.channels.values()) channel.break();
  },
};

type Status = "SUBSCRIBED" | "CHANNEL_ERROR" | "CLOSED";

class FakeChannel {
  state: "new" | "joining" | "joined" | "errored" | "closed" = "new";
  readonly #callbacks = new Map<string, (message: { payload: unknown }) => void>();
  #status: (status: Status) => void = () => {};
  readonly #server: FakeServer;
  readonly topic: string;
  readonly isPrivate: boolean;

  constructor(server: FakeServer, topic: string, isPrivate: boolean) {
    this.#server = server;
    this.topic = topic;
    this.isPrivate = isPrivate;
  }

  on(_type: string, { event }: { event: string }, callback: (message: { payload: unknown }) => void) {
    this.#callbacks.set(event, callback);
    return this;
  }

  subscribe(status: (status: Status) => void) {
    if (this.state !== "new") throw new Error("subscribed twice");
    this.#status = status;
    this.#join(LATENCY);
    return this;
  }

  #join(latency: number) {
    this.state = "joining";
    setTimeout(() => {
      if (this.state !== "joining") return;
      if (!this.#server.isUp) return this.#join(REJOIN);
      this.state = "joined";
      this.#server.join(this.topic, this.#listener);
      this.#status("SUBSCRIBED");
    }, latency);
  }

  break() {
    if (this.state === "closed") return;
    this.#server.leave(this.topic, this.#listener);
    this.state = "errored";
    this.#status("CHANNEL_ERROR");
    this.#join(REJOIN);
  }

  close() {
    this.teardown();
    this.#status("CLOSED");
  }

  teardown() {
    this.#server.leave(this.topic, this.#listener);
    this.state = "closed";
  }

  receive(event: string, payload: unknown) {
    this.#callbacks.get(event)?.({ payload });
  }

  readonly #listener = (event: string, payload: unknown) => this.receive(event, payload);
}

export class FakeSupabase {
  readonly channels = new Map<string, FakeChannel>();
  readonly tokens: string[] = [];
  readonly #server: FakeServer;
  readonly realtime = { setAuth: async (token: string) => void this.tokens.push(token), disconnect: async () => "ok" };

  constructor(server: FakeServer, accessToken: () => Promise<string>) {
    this.#server = server;
    void accessToken().then((token) => this.tokens.push(token));
  }

  channel(topic: string, { config }: { config: { private: boolean } }) {
    const known = this.channels.get(topic);
    if (known) return known;
    const channel = new FakeChannel(this.#server, topic, config.private);
    this.channels.set(topic, channel);
    return channel;
  }

  async removeChannel(channel: FakeChannel) {
    await new Promise((resolve) => setTimeout(resolve, LATENCY));
    channel.close();
    this.channels.delete(channel.topic);
  }
}
