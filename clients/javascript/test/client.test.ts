import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type ClientEvent, type Conversation, TinyChat, TinyChatError } from "../src/index.ts";
import { supabase } from "./fake/supabase.ts";
import { chat, client, fakeServer, jwt, outcome, pass } from "./support.ts";

vi.mock("@supabase/supabase-js", async () => ({ createClient: (await import("./fake/supabase.ts")).supabase.createClient }));

beforeEach(() => void vi.useFakeTimers({ now: new Date("2026-01-15T10:00:00Z") }));
afterEach(() => void vi.useRealTimers());

const bodies = (conversation: { messages: readonly { body: string | null }[] }) => conversation.messages.map(({ body }) => body);

describe("sending", () => {
  test("a message is shown at once, and becomes the server's message", async () => {
    const server = fakeServer();
    const { conversation } = await chat(server);
    const sent = conversation.send("Hi");
    expect(conversation.messages).toMatchObject([{ body: "Hi", state: "sending", sender_id: "me" }]);
    await pass(100);
    expect(conversation.messages).toEqual([await sent]);
    expect(conversation.messages[0]?.state).toBeUndefined();
  });

  test("a lost response doesn't store a message twice", async () => {
    for (const modern of [true, false]) {
      const server = fakeServer(modern);
      const { id, conversation } = await chat(server);
      server.http = ["lost", "lost"];
      void conversation.send("Hi");
      await pass(200);
      expect(bodies(conversation)).toEqual(["Hi"]); // not beside its own broadcast
      await pass(5000);
      expect(server.visible(id)).toHaveLength(1);
      expect(conversation.messages).toEqual(server.visible(id));
    }
  });

  test("messages are stored in the order in which they were sent", async () => {
    const server = fakeServer();
    const { conversation } = await chat(server);
    server.http = ["failed", "refused"];
    for (const text of ["one", "two", "three"]) void conversation.send(text);
    await pass(10_000);
    expect(bodies(conversation)).toEqual(["one", "two", "three"]);
  });

  test("a failed message stays at the end, and can be sent again or discarded", async () => {
    const server = fakeServer();
    const { id, conversation } = await chat(server);
    server.isUp = false;
    const results = Promise.all([outcome(conversation.send("again")), outcome(conversation.send("never"))]);
    await pass(60_000);
    expect((await results).map((result) => "error" in result && result.error.status)).toEqual([0, 0]);
    server.isUp = true;
    server.send(id, { sender_id: "other", body: "hello?" });
    await pass(70_000);
    expect(conversation.messages).toMatchObject([{ body: "hello?" }, { body: "again", state: "failed", error: { status: 0 } }, { state: "failed" }]);
    conversation.discard(conversation.messages[2]!.id);
    const sent = conversation.retry(conversation.messages[1]!.id);
    await pass(100);
    expect(conversation.messages.at(-1)).toEqual(await sent);
    expect(server.visible(id).map(({ body }) => body)).toEqual(["hello?", "again"]);
  });

  test("a refused message is not sent again", async () => {
    const server = fakeServer();
    const { me, conversation } = await chat(server);
    const before = server.requests.length;
    const result = outcome(me.conversation("nowhere").send("Hi"));
    await pass(60_000 - 1);
    expect(await result).toMatchObject({ error: { status: 404, message: "conversation not found", isTemporary: false } });
    expect(server.requests.slice(before).filter(({ path }) => path.endsWith("nowhere/messages"))).toHaveLength(1);
    expect(conversation.messages).toEqual([]);
  });

  test("a 429 delays the retry as long as its header says", async () => {
    const server = fakeServer();
    const { conversation } = await chat(server);
    server.http = ["busy"];
    void conversation.send("Hi");
    await pass(1990);
    expect(conversation.messages[0]?.state).toBe("sending");
    await pass(100);
    expect(conversation.messages[0]?.state).toBeUndefined();
  });

  test("a request without a response times out", async () => {
    const server = fakeServer();
    const hanging = client(server, {
      retries: 0,
      fetch: (_, { signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("aborted")))),
    });
    const result = outcome(hanging.connect());
    await pass(31_000);
    expect(await result).toMatchObject({ error: { status: 0, message: "The server didn't respond" } });
    expect(hanging.connection).toBe("offline");
  });
});

describe("live", () => {
  test("events go to callbacks and to loops", async () => {
    const server = fakeServer();
    const { id, me, conversation } = await chat(server);
    const seen: unknown[] = [];
    const stop = conversation.on("message", ({ change, message }) => seen.push([change, message.body]));
    const looped: ClientEvent[] = [];
    const loop = (async () => {
      for await (const event of me.events()) {
        if (event.type !== "message") continue;
        looped.push(event);
        if (event.change === "deleted") break;
      }
    })();
    const message = server.send(id, { sender_id: "other", body: "Hi" });
    await pass(100);
    server.edit(id, message.id, "Hello");
    await pass(100);
    server.delete(id, message.id);
    await pass(100);
    await loop;
    expect(seen).toEqual([["created", "Hi"], ["updated", "Hello"], ["deleted", null]]);
    expect(looped).toHaveLength(3);
    stop();
    server.send(id, { sender_id: "other", body: "unheard" });
    await pass(100);
    expect(seen).toHaveLength(3);
  });

  test("a conversation that isn't watched has an event for each message", async () => {
    const server = fakeServer();
    const { me } = await chat(server);
    const id = server.create(["me", "third"]);
    await Promise.all([me.sync(), pass(500)]);
    const seen: unknown[] = [];
    me.on("message", ({ conversation, message }) => seen.push([conversation.id, message.body]));
    server.broadcasts = ["twice"];
    server.send(id, { sender_id: "third", body: "Psst" });
    await pass(10_000);
    expect(seen).toEqual([[id, "Psst"]]);
    expect(me.conversations[0]).toMatchObject({ id, last_message: "Psst", unread_count: 1 });
    expect(me.conversation(id).isLoaded).toBe(false);
  });

  test("a reader that is far behind loses the oldest events", async () => {
    const server = fakeServer();
    const { id, me } = await chat(server);
    const events = me.events();
    for (let n = 0; n < 500; n++) server.send(id, { sender_id: "other", body: `${n}` });
    await pass(1000);
    me.disconnect();
    let count = 0;
    for await (const event of events) {
      count++;
      if (event.type === "connection" && event.connection === "offline") break;
    }
    expect(count).toBe(1000);
  });

  test("a listener that throws doesn't keep an event from other listeners", async () => {
    const server = fakeServer();
    const { id, conversation } = await chat(server);
    const reported: unknown[] = [];
    const report = (error: unknown) => reported.push(error);
    process.on("unhandledRejection", report);
    conversation.on("message", () => {
      throw new Error("mine");
    });
    const heard = vi.fn();
    conversation.on("message", heard);
    server.send(id, { sender_id: "other", body: "Hi" });
    await pass(100);
    vi.useRealTimers();
    await new Promise((resolve) => setTimeout(resolve, 10));
    process.off("unhandledRejection", report);
    expect(heard).toHaveBeenCalledOnce();
    expect(reported).toMatchObject([{ message: "mine" }]);
  });

  test("a broadcast about another conversation than its channel's is ignored", async () => {
    const server = fakeServer();
    const { id, conversation } = await chat(server);
    const other = server.create(["third"]);
    const message = server.send(other, { sender_id: "third", body: "secret" });
    const channel = supabase.clients[0]!.channels.get(`conv:${id}`)!;
    for (const payload of [{ message }, {}, null, { message: { id: 1 } }, "?"]) channel.receive("message", payload);
    channel.receive("typing", {});
    channel.receive("read", {});
    expect(conversation.messages).toEqual([]);
    expect(conversation.typing).toEqual([]);
  });

  test("missed messages are read after the connection is back", async () => {
    const server = fakeServer();
    const { id, me, conversation } = await chat(server);
    supabase.breakAll();
    expect(me.connection).toBe("connecting");
    server.send(id, { sender_id: "other", body: "missed" });
    await pass(500);
    expect(bodies(conversation)).toEqual([]);
    await pass(700);
    expect(me.connection).toBe("live");
    expect(bodies(conversation)).toEqual(["missed"]);
    const since = server.requests.filter(({ path }) => path.endsWith("/messages")).length;
    expect(since).toBeLessThan(6);
  });

  test("broadcasts may arrive twice, late and in any order", async () => {
    for (const modern of [true, false]) {
      const server = fakeServer(modern);
      const { id, conversation } = await chat(server);
      server.broadcasts = ["late", "twice", "late", "none"];
      const message = server.send(id, { sender_id: "other", body: "Hi" });
      server.edit(id, message.id, "Hello");
      const gone = server.send(id, { sender_id: "other", body: "gone" });
      server.delete(id, gone.id);
      for (const wait of [100, 2500, 2500]) {
        await pass(wait);
        expect(bodies(conversation)).toEqual(["Hello"]);
      }
    }
  });

  test("a channel that the server closes is joined again", async () => {
    const server = fakeServer();
    const { id, me, conversation } = await chat(server);
    const [fake] = supabase.clients;
    await Promise.all([fake!.removeChannel(fake!.channels.get(`conv:${id}`)!), pass(100)]);
    expect(me.connection).toBe("connecting");
    server.send(id, { sender_id: "other", body: "missed" });
    await pass(6000);
    expect(me.connection).toBe("live");
    expect(bodies(conversation)).toEqual(["missed"]);
  });

  test("messages that Realtime has lost arrive with the next poll", async () => {
    const server = fakeServer();
    const { id, conversation } = await chat(server);
    server.isSilent = true;
    server.send(id, { sender_id: "other", body: "silence" });
    await pass(61_000);
    expect(bodies(conversation)).toEqual(["silence"]);
  });

  test("disconnecting ends all timers and channels, and connecting again catches up", async () => {
    const server = fakeServer();
    const { id, me, conversation } = await chat(server);
    me.disconnect();
    expect(vi.getTimerCount()).toBe(0);
    server.send(id, { sender_id: "other", body: "meanwhile" });
    await pass(300_000);
    expect(bodies(conversation)).toEqual([]);
    await Promise.all([me.connect(), pass(1000)]);
    expect(bodies(conversation)).toEqual(["meanwhile"]);
    expect(me.connection).toBe("live");
  });

  test("an inbox channel replaces those of conversations", async () => {
    const server = fakeServer();
    server.inbox = true;
    const watched = server.create(["me", "other"]);
    const listed = server.create(["me", "other"]);
    const large = server.create(["me", ...Array.from({ length: 25 }, (_, n) => `u${n}`)]);
    const me = client(server);
    await Promise.all([me.connect(), me.conversation(watched).watch(), pass(500)]);
    expect([...supabase.clients[0]!.channels.keys()].sort()).toEqual([`conv:${watched}`, `conv:${large}`, "user:uuid-of-me"].sort());
    server.send(listed, { sender_id: "other", body: "Hi" });
    await pass(100);
    expect(me.conversations[0]).toMatchObject({ id: listed, last_message: "Hi", unread_count: 1 });
  });
});

describe("an inbox channel", () => {
  test("a conversation that another user starts appears in the list and counts its messages", async () => {
    const server = fakeServer();
    server.inbox = true;
    server.create(["me", "other"]);
    const me = client(server);
    await Promise.all([me.connect(), pass(500)]);
    const id = server.create(["other", "me"]);
    await pass(400);
    expect(me.conversations.map(({ id }) => id)).toContain(id);
    server.send(id, { sender_id: "other", body: "one" });
    server.send(id, { sender_id: "other", body: "two" });
    await pass(50);
    expect(me.conversations[0]).toMatchObject({ id, last_message: "two", unread_count: 2 });
    expect(me.unread_count).toBe(2);
    expect([...supabase.clients[0]!.channels.keys()]).toEqual(["user:uuid-of-me"]);
  });

  test("what is read on another device is read here", async () => {
    const server = fakeServer();
    server.inbox = true;
    const id = server.create(["me", "other"]);
    server.send(id, { sender_id: "other", body: "one" });
    const me = client(server);
    await Promise.all([me.connect(), pass(500)]);
    expect(me.unread_count).toBe(1);
    server.read(id, "me");
    await pass(400);
    expect(me.unread_count).toBe(0);
  });
});

describe("a conversation's life", () => {
  const facts = ({ status, participants, members }: Conversation) => ({ status, participants, members: members.map(({ user_id }) => user_id) });

  test("a backend changes participants and status, with retries", async () => {
    const server = fakeServer();
    const { id, me, conversation } = await chat(server, { key: "sk_test" });
    server.http = ["refused", "lost"];
    const result = me.updateConversation(id, { add_participants: ["agent"], remove_participants: ["other"], status: "closed" });
    await pass(5000);
    expect(await result).toBe(conversation);
    expect(facts(conversation)).toEqual({ status: "closed", participants: ["me", "agent"], members: ["me", "agent"] });
    expect(me.conversations[0]).toMatchObject({ id, status: "closed" });
    server.isSilent = true; // the response is enough
    await Promise.all([me.updateConversation(id, { status: "open", add_participants: ["other"] }), pass(500)]);
    expect(facts(conversation)).toEqual({ status: "open", participants: ["me", "agent", "other"], members: ["me", "agent", "other"] });
    const none = outcome(me.updateConversation(id, { remove_participants: ["me", "agent", "other"] }));
    await pass(500);
    expect(await none).toMatchObject({ error: { status: 400, message: "participants is required" } });
    expect(conversation.participants).toEqual(["me", "agent", "other"]);
    await Promise.all([me.updateConversation(id, { remove_participants: ["me"] }), pass(500)]);
    expect(me.conversations).toEqual([]);
  });

  test("a publishable key is refused", async () => {
    const server = fakeServer();
    const { id, me, conversation } = await chat(server);
    const result = outcome(me.updateConversation(id, { status: "closed" }));
    await pass(500);
    expect(await result).toMatchObject({ error: { status: 403, message: "secret key required" } });
    expect(conversation.status).toBe("open");
  });

  test("a late response doesn't undo the preview of a newer message", async () => {
    const server = fakeServer();
    const { id, me, conversation } = await chat(server, { key: "sk_test" });
    server.http = ["late"];
    const preview = me.updateConversation(id, { status: "closed" }).then(({ last_message }) => last_message);
    await pass(100);
    server.send(id, { sender_id: "other", body: "Wait" });
    await pass(1000);
    expect(await preview).toBe("Wait");
    expect(conversation.status).toBe("closed");
  });

  test("changes by a backend reach watched conversations and lists, with and without inbox channels", async () => {
    for (const inbox of [true, false]) {
      const server = fakeServer();
      server.inbox = inbox;
      const { id, me, conversation } = await chat(server);
      const listed = server.create(["me", "other"]);
      await Promise.all([me.sync(), pass(500)]);
      const listens = me.conversations.find((each) => each.id === listed)!;
      for (const each of [id, listed]) server.update(each, { add_participants: ["agent"], remove_participants: ["other"], status: "closed" });
      server.send(id, { sender_id: "agent", message_type: "system", body: "agent joined" });
      await pass(500);
      expect(facts(conversation)).toEqual({ status: "closed", participants: ["me", "agent"], members: ["me", "agent"] });
      expect(conversation.messages).toMatchObject([{ message_type: "system", body: "agent joined" }]);
      expect(conversation).toMatchObject({ last_message: "agent joined", unread_count: 1 });
      expect(listens).toMatchObject({ status: "closed", participants: ["me", "agent"] });
      server.update(listed, { status: "open" });
      await pass(500);
      expect(listens.status).toBe("open");
      server.update(listed, { remove_participants: ["me"] });
      await pass(500);
      expect(me.conversations.map(({ id }) => id)).toEqual([id]);
    }
  });

  test("a change without a broadcast arrives with the next poll", async () => {
    const server = fakeServer();
    const { id, conversation } = await chat(server);
    server.isSilent = true;
    server.update(id, { status: "closed" });
    await pass(61_000);
    expect(conversation.status).toBe("closed");
  });
});

describe("typing", () => {
  test("typing makes a request every two seconds at most", async () => {
    const server = fakeServer();
    const { conversation } = await chat(server);
    for (let n = 0; n < 50; n++) {
      void conversation.type();
      await pass(100);
    }
    expect(server.requests.filter(({ path }) => path.endsWith("/typing"))).toHaveLength(3);
  });

  test("a typing user is shown until the message, or for three seconds", async () => {
    const server = fakeServer();
    const { id, conversation } = await chat(server);
    const other = client(server, { user: { user_id: "other", name: "Olga" } });
    void other.conversation(id).type();
    await pass(100);
    expect(conversation.typing).toEqual([{ user_id: "other", name: "Olga" }]);
    await pass(3000);
    expect(conversation.typing).toEqual([]);
    void other.conversation(id).type();
    await pass(100);
    void other.conversation(id).send("Hi");
    await pass(100);
    expect(conversation.typing).toEqual([]);
    void conversation.type();
    await pass(100);
    expect(conversation.typing).toEqual([]); // the own typing is left out
  });
});

describe("reading", () => {
  test("unread messages are counted, and marking them as read shows the others", async () => {
    const server = fakeServer();
    const { id, me, conversation } = await chat(server);
    for (const body of ["one", "two"]) server.send(id, { sender_id: "other", body });
    await pass(100);
    expect([conversation.unread_count, me.unread_count]).toEqual([2, 2]);
    const other = client(server, { user: { user_id: "other" } });
    await Promise.all([other.connect(), other.conversation(id).watch(), pass(500)]);
    const [message] = other.conversation(id).messages;
    expect(other.conversation(id).readers(message!)).toEqual([]);
    await Promise.all([conversation.markRead(), pass(100)]);
    expect([conversation.unread_count, me.unread_count]).toEqual([0, 0]);
    expect(other.conversation(id).readers(message!)).toEqual(["me"]);
    const before = server.requests.length;
    await Promise.all([conversation.markRead(), conversation.markRead(), pass(100)]);
    expect(server.requests).toHaveLength(before);
  });

  test("a message that comes while others are being marked is marked, too", async () => {
    const server = fakeServer();
    const { id, conversation } = await chat(server);
    server.send(id, { sender_id: "other", body: "one" });
    await pass(100);
    void conversation.markRead();
    server.send(id, { sender_id: "other", body: "two" });
    await pass(25);
    void conversation.markRead();
    await pass(200);
    expect(server.unread(id, "me")).toBe(0);
  });

  test("a list that is older than a read cursor is soon read again", async () => {
    const server = fakeServer();
    const { id, me, conversation } = await chat(server);
    server.send(id, { sender_id: "other", body: "one" });
    await pass(500);
    server.http = ["late"];
    void me.sync(); // the list says 1, and arrives after the response to markRead
    await pass(30);
    server.broadcasts = ["dropped"]; // it would cause another request
    void conversation.markRead();
    await pass(2000);
    expect(conversation.unread_count).toBe(0);
  });

  test("a message that was in the list before its broadcast is counted, with servers that don't count", async () => {
    const server = fakeServer(false);
    const { id, me, conversation } = await chat(server);
    server.broadcasts = ["late"];
    server.send(id, { sender_id: "other", body: "one" });
    await Promise.all([me.sync(), pass(100)]);
    expect(conversation.last_message).toBe("one");
    await pass(5000);
    expect(conversation.unread_count).toBe(1);
  });

  test("with a server without read cursors, the client counts and makes no request", async () => {
    const server = fakeServer(false);
    const { id, conversation } = await chat(server);
    server.send(id, { sender_id: "other", body: "one" });
    await pass(1000);
    expect(conversation.unread_count).toBe(1);
    await Promise.all([conversation.markRead(), pass(100)]);
    expect(conversation.unread_count).toBe(0);
    server.send(id, { sender_id: "other", body: "two" });
    await pass(1000);
    await Promise.all([conversation.markRead(), pass(100)]);
    expect(conversation.unread_count).toBe(0);
    expect(server.requests.filter(({ path }) => path.endsWith("/read"))).toHaveLength(0);
  });
});

describe("user tokens", () => {
  const tokens = () => {
    const server = fakeServer();
    const token = vi.fn(async () => (server.token = jwt(`token-${token.mock.calls.length}`, 3600)));
    return { server, token };
  };

  test("a token is requested once, and renewed before it expires", async () => {
    const { server, token } = tokens();
    const { me } = await chat(server, { token });
    expect(token).toHaveBeenCalledOnce();
    await pass(3_530_000);
    expect(token).toHaveBeenCalledOnce();
    await pass(70_000);
    expect(token).toHaveBeenCalledTimes(2);
    expect(server.requests.filter((request) => request.token !== server.token).length).toBeGreaterThan(0);
    me.disconnect();
  });

  test("a wrong clock makes no difference", async () => {
    const server = fakeServer();
    const token = vi.fn(async () => (server.token = jwt("token", 3600, -86_400)));
    await chat(server, { token });
    await pass(600_000);
    expect(token).toHaveBeenCalledOnce();
  });

  test("an expired token is replaced once, for all requests that it failed", async () => {
    const { server, token } = tokens();
    const { me, conversation } = await chat(server, { token });
    server.token = "another";
    const result = Promise.all([conversation.send("Hi"), me.sync()]);
    await pass(500);
    await result;
    expect(token).toHaveBeenCalledTimes(2);
    expect(bodies(conversation)).toEqual(["Hi"]);
  });

  test("a backend that gives the same expired token again causes no loop", async () => {
    const server = fakeServer();
    server.token = "good";
    const token = vi.fn(async () => "stale");
    const me = client(server, { token });
    const result = outcome(me.connect());
    await pass(120_000);
    expect(await result).toMatchObject({ error: { status: 401, message: "user token expired" } });
    expect(token.mock.calls.length).toBeLessThanOrEqual(3);
    expect(server.requests.length).toBeLessThanOrEqual(2);
  });

  test("a token that expires at once causes no loop", async () => {
    const server = fakeServer();
    server.token = "good";
    const token = vi.fn(async () => `stale-${token.mock.calls.length}`);
    const result = outcome(client(server, { token }).connect());
    await pass(120_000);
    expect(await result).toMatchObject({ error: { status: 401 } });
    expect(server.requests.length).toBeLessThanOrEqual(4);
  });

  test("a request to a backend that fails is retried", async () => {
    const server = fakeServer();
    server.token = "good";
    const token = vi.fn(async () => {
      if (token.mock.calls.length < 3) throw new Error("away");
      return "good";
    });
    const result = outcome(client(server, { token }).connect());
    await pass(5000);
    expect(await result).toEqual({ value: undefined });
  });

  test("Realtime gets a new access token before the old one expires", async () => {
    const { server, token } = tokens();
    let count = 0;
    server.isPrivate = true;
    server.realtimeToken = () => jwt(`realtime-${++count}`, 600);
    await chat(server, { token });
    const [fake] = supabase.clients;
    expect([...fake!.channels.values()].every(({ isPrivate }) => isPrivate)).toBe(true);
    await pass(545_000);
    expect(fake!.tokens.map((each) => each.split(".")[2])).toEqual(["realtime-1", "realtime-2"]);
    expect(supabase.clients).toHaveLength(1);
  });

  test("either a key or a token is needed", () => {
    const options = { url: "http://api", user: { user_id: "me" } };
    expect(() => new TinyChat(options)).toThrow("either `key` or `token`");
    expect(() => new TinyChat({ ...options, key: "k", token: async () => "t" })).toThrow("either `key` or `token`");
  });
});

describe("memory", () => {
  test("a conversation keeps its newest messages, and earlier ones only while it is watched", async () => {
    const server = fakeServer();
    const { id, conversation } = await chat(server, { maxMessages: 100 });
    for (let n = 0; n < 300; n++) server.send(id, { sender_id: "other", body: `${n}` });
    await pass(1000);
    expect(bodies(conversation)).toHaveLength(100);
    expect(conversation.hasEarlier).toBe(true);
    for (let page = 0; page < 2; page++) await Promise.all([conversation.loadEarlier(), pass(100)]);
    expect(bodies(conversation)[0]).toBe("100");
    server.send(id, { sender_id: "other", body: "300" });
    await pass(100);
    expect(conversation.messages.length).toBeGreaterThan(200);
    conversation.unwatch();
    expect(bodies(conversation)).toHaveLength(50);
    expect(bodies(conversation).at(-1)).toBe("300");
  });

  test("after a long gap, the oldest messages are removed and can be loaded again", async () => {
    for (const modern of [true, false]) {
      const server = fakeServer(modern);
      const { id, me, conversation } = await chat(server, { maxMessages: 100 });
      for (let n = 0; n < 20; n++) server.send(id, { sender_id: "other", body: `old ${n}` });
      await pass(1000);
      const deleted = vi.fn();
      conversation.on("message", ({ change }) => change === "deleted" && deleted());
      me.disconnect();
      for (let n = 0; n < 1100; n++) server.send(id, { sender_id: "other", body: `${n}` });
      await Promise.all([me.connect(), pass(2000)]);
      expect(bodies(conversation).at(-1)).toBe("1099");
      expect(conversation.messages.length).toBeLessThanOrEqual(150);
      while (conversation.hasEarlier) await Promise.all([conversation.loadEarlier(), pass(100)]);
      expect(conversation.messages).toEqual(server.visible(id));
      expect(deleted).not.toHaveBeenCalled();
    }
  });

  test("a conversation that was watched long ago has no messages in memory", async () => {
    const server = fakeServer();
    const { me } = await chat(server);
    for (let n = 0; n < 25; n++) {
      const id = server.create(["me"]);
      server.send(id, { sender_id: "other", body: "Hi" });
      const conversation = me.conversation(id);
      await Promise.all([conversation.watch(), pass(100)]);
      conversation.unwatch();
    }
    await pass(1000);
    expect(me.conversations.filter(({ isLoaded }) => isLoaded)).toHaveLength(21); // and the watched one
  });

  test("`messages` and `conversations` are the same arrays until something changes", async () => {
    const server = fakeServer();
    const { id, me, conversation } = await chat(server);
    const [messages, conversations] = [conversation.messages, me.conversations];
    expect(conversation.messages).toBe(messages);
    expect(me.conversations).toBe(conversations);
    server.send(id, { sender_id: "other", body: "Hi" });
    await pass(100);
    expect(conversation.messages).not.toBe(messages);
    expect(me.conversations).not.toBe(conversations);
  });
});

test("errors carry the server's text", () => {
  const error = new TinyChatError(403, "tenant is suspended");
  expect(error).toMatchObject({ name: "TinyChatError", status: 403, message: "tenant is suspended", isTemporary: false });
  expect(new TinyChatError(503, "Service Unavailable").isTemporary).toBe(true);
});
