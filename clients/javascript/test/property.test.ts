// After any sequence of faults the client's state is the server's.

import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { TinyChat, type Message } from "../src/index.ts";
import { type BroadcastFault, FakeServer, type HttpFault } from "./fake/server.ts";
import { supabase } from "./fake/supabase.ts";

vi.mock("@supabase/supabase-js", async () => ({ createClient: (await import("./fake/supabase.ts")).supabase.createClient }));

beforeEach(() => void vi.useFakeTimers({ now: new Date("2026-01-15T10:00:00Z") }));
afterEach(() => void vi.useRealTimers());

const ME = { user_id: "me", name: "Me" };
const RUNS = Number(process.env["RUNS"] ?? 150);

interface Kind {
  name: string;
  modern: boolean;
  inbox: boolean;
}

const KINDS: Kind[] = [
  { name: "a server with updated_at and since", modern: true, inbox: false },
  { name: "a server with inbox channels", modern: true, inbox: true },
  { name: "a server with only the history", modern: false, inbox: false },
];

class World {
  readonly server: FakeServer;
  readonly client: TinyChat;
  readonly id: string;
  readonly modern: boolean;
  readonly sent: Promise<unknown>[] = [];
  tokens = 1;

  constructor({ modern, inbox }: Kind, history: number) {
    this.modern = modern;
    this.server = new FakeServer(modern);
    this.server.inbox = inbox;
    supabase.server = this.server;
    supabase.clients = [];
    this.id = this.server.create(["me", "other"]);
    for (let n = 0; n < history; n++) this.server.send(this.id, { sender_id: n % 3 ? "other" : "me", body: `old ${n}` });
    this.server.create(["me", "third"]);
    this.server.token = "token-1";
    this.client = new TinyChat({
      url: "http://api", user: ME, token: async () => `token-${this.tokens}`, fetch: this.server.fetch, retries: 2, maxMessages: 120,
    });
    this.client.on("error", () => {});
  }

  get conversation() {
    return this.client.conversation(this.id);
  }

  /** Returns one of the server's messages by a number; mostly one of the newest. */
  message(n: number): Message | undefined {
    const visible = this.server.visible(this.id);
    return visible.at(-1 - (n % Math.min(visible.length, n % 5 ? 8 : 100)));
  }

  async pass(milliseconds: number) {
    await vi.advanceTimersByTimeAsync(milliseconds);
    const times = this.conversation.messages.filter(({ state }) => !state).map(({ created_at }) => created_at);
    expect(times).toEqual([...new Set(times)].sort());
  }
}

type Step = (world: World) => void | Promise<unknown>;

const number = fc.nat(999);
const step: fc.Arbitrary<[string, Step]> = fc.oneof(
  { weight: 5, arbitrary: fc.constant<[string, Step]>(["I send", (w) => void w.sent.push(w.conversation.send(`mine ${w.sent.length % 4}`).catch(() => {}))]) },
  { weight: 5, arbitrary: fc.constant<[string, Step]>(["other sends", (w) => void w.server.send(w.id, { sender_id: "other", body: "theirs" })]) },
  { weight: 2, arbitrary: number.map((n): [string, Step] => [`other edits ${n}`, (w) => void (w.message(n) && w.server.edit(w.id, w.message(n)!.id, `edited ${n}`))]) },
  { weight: 2, arbitrary: number.map((n): [string, Step] => [`other deletes ${n}`, (w) => void (w.message(n) && w.server.delete(w.id, w.message(n)!.id))]) },
  { weight: 2, arbitrary: number.map((n): [string, Step] => [`I edit ${n}`, (w) => void (w.message(n) && w.conversation.edit(w.message(n)!.id, `my edit ${n}`).catch(() => {}))]) },
  { weight: 2, arbitrary: number.map((n): [string, Step] => [`I delete ${n}`, (w) => void (w.message(n) && w.conversation.delete(w.message(n)!.id).catch(() => {}))]) },
  { weight: 1, arbitrary: fc.constantFrom(60, 250, 1100).map((n): [string, Step] => [`other sends ${n}`, (w) => {
    for (let i = 0; i < n; i++) w.server.send(w.id, { sender_id: "other", body: `many ${i}` });
  }]) },
  { weight: 2, arbitrary: fc.constant<[string, Step]>(["I read", (w) => void w.conversation.markRead().catch(() => {})]) },
  { weight: 1, arbitrary: fc.constant<[string, Step]>(["other reads", (w) => void w.server.read(w.id, "other")]) },
  { weight: 2, arbitrary: fc.constant<[string, Step]>(["I load earlier", (w) => void w.conversation.loadEarlier().catch(() => {})]) },
  { weight: 1, arbitrary: fc.constant<[string, Step]>(["a new conversation", (w) => void w.server.send(w.server.create(["me", "third"]), { sender_id: "third", body: "new" })]) },
  { weight: 2, arbitrary: fc.record({
    add_participants: fc.subarray(["agent_1", "agent_2"]), remove_participants: fc.subarray(["agent_1", "agent_2"]), status: fc.constantFrom("open", "closed", null),
  }).map((change): [string, Step] => [`a backend changes ${JSON.stringify(change)}`, (w) => void (w.modern && w.server.update(w.id, change))]) },
  { weight: 1, arbitrary: fc.constant<[string, Step]>(["I look away and back", async (w) => {
    w.conversation.unwatch();
    await w.pass(500);
    w.conversation.watch().catch(() => {});
  }]) },
  { weight: 1, arbitrary: fc.constant<[string, Step]>(["I am offline for a while", async (w) => {
    w.client.disconnect();
    await w.pass(3000);
    await Promise.race([w.client.connect().catch(() => {}), w.pass(1000)]);
  }]) },
  { weight: 2, arbitrary: fc.array(fc.constantFrom<HttpFault>("refused", "failed", "lost", "slow", "late", "busy", "none"), { maxLength: 12 }).map((faults): [string, Step] => [`requests: ${faults}`, (w) => void (w.server.http = [...faults])]) },
  { weight: 3, arbitrary: fc.array(fc.constantFrom<BroadcastFault>("dropped", "twice", "late", "none"), { maxLength: 12 }).map((faults): [string, Step] => [`broadcasts: ${faults}`, (w) => void (w.server.broadcasts = [...faults])]) },
  { weight: 1, arbitrary: fc.constant<[string, Step]>(["the websocket breaks", () => supabase.breakAll()]) },
  { weight: 1, arbitrary: fc.boolean().map((is): [string, Step] => [`Realtime is ${is ? "silent" : "well"}`, (w) => void (w.server.isSilent = is)]) },
  { weight: 1, arbitrary: fc.boolean().map((is): [string, Step] => [`the server is ${is ? "up" : "down"}`, (w) => {
    w.server.isUp = is;
    if (!is) supabase.breakAll();
  }]) },
  { weight: 1, arbitrary: fc.constant<[string, Step]>(["the token expires", (w) => void (w.server.token = `token-${++w.tokens}`)]) },
  { weight: 6, arbitrary: fc.constantFrom(0, 5, 30, 100, 700, 5000, 70_000).map((ms): [string, Step] => [`${ms} ms pass`, (w) => w.pass(ms)]) },
);

for (const kind of KINDS) {
  const { modern } = kind;
  describe(kind.name, () => {
    test("after any sequence of faults the client's state is the server's", { timeout: 600_000 }, async () => {
      const scenario = fc.record({ history: fc.constantFrom(0, 3, 70, 180), steps: fc.array(step, { maxLength: 40, size: "max" }) });
      await fc.assert(
        fc.asyncProperty(scenario, async ({ history, steps }) => {
          const world = new World(kind, history);
          const { client, server, conversation, id } = world;
          client.connect().catch(() => {});
          conversation.watch().catch(() => {});
          for (const [, run] of steps) await run(world);
          await settle(world);

          const visible = server.visible(id);
          const shown = conversation.messages;
          expect(shown.filter(({ state }) => state)).toEqual([]);
          expect(shown).toEqual(visible.slice(visible.length - shown.length));
          expect(shown.length).toBeGreaterThanOrEqual(Math.min(visible.length, 1));
          if (!conversation.hasEarlier) expect(shown.length).toBe(visible.length);

          const expected = server.list("me");
          expect(client.conversations.map(({ id }) => id)).toEqual(expected.map(({ id }) => id));
          client.conversations.forEach((conversation, index) => {
            const { last_message, last_at, participants, status, unread_count } = expected[index]!;
            expect(conversation).toMatchObject({ last_message, last_at, participants, ...(modern && { status, unread_count }) });
          });
          if (modern) expect(conversation.members.map(({ user_id }) => user_id).sort()).toEqual([...conversation.participants].sort());
          if (modern) expect(conversation.readers({ sender_id: "me", created_at: server.conversations.get(id)!.reads.get("other")! })).toContain("other");

          // Each sent message is stored once.
          const everything = [...server.conversations.get(id)!.messages.values()];
          expect(everything.filter(({ client_message_id }) => client_message_id)).toHaveLength(world.sent.length);
          client.disconnect();
        }),
        { numRuns: RUNS, endOnFailure: false, ...(process.env["SEED"] && { seed: Number(process.env["SEED"]) }) },
      );
    });
  });
}

/** Ends all faults and lets time pass. */
async function settle(world: World) {
  const { client, server, conversation } = world;
  Object.assign(server, { http: [], broadcasts: [], isUp: true, isSilent: false });
  await world.pass(130_000);
  if (client.connection === "offline") client.connect().catch(() => {});
  for (const { id, state } of conversation.messages) if (state === "failed") conversation.retry(id).catch(() => {});
  await world.pass(200_000);
}
