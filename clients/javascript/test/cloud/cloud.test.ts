// The client with the real supabase-js against the local cloud: `make client`.

import { execFileSync, spawn } from "node:child_process";
import { createHmac, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { afterAll, afterEach, expect, test, vi } from "vitest";
import WebSocket from "ws";
import { type Conversation, type Fetch, type Message, type Options, TinyChat, transport } from "../../src/index.ts";
import { Relay } from "./relay.ts";

const setting = (name: string) => {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: these tests run inside the local cloud, by \`make client\``);
  return value;
};
const API_URL = setting("API_URL");
const KEY = setting("TINYCHAT_API_KEY");
const SUPABASE_URL = setting("SUPABASE_URL");

const PNG = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64");

const clients: TinyChat[] = [];
afterEach(() => clients.splice(0).forEach((client) => client.disconnect()));
afterAll(() => faults({}));

function client(user_id: string, options: Partial<Options> = {}): TinyChat {
  const client = new TinyChat({
    url: API_URL, key: KEY, user: { user_id, name: user_id }, realtime: { transport: WebSocket }, poll: { live: 2000, otherwise: 1000 }, ...options,
  });
  client.on("error", () => {});
  clients.push(client);
  return client;
}

/** Returns the clients of two new users, who watch a conversation of theirs. */
async function meet(options: Partial<Options> = {}) {
  const [a, b] = ["ada", "sam"].map((name) => `${name}_${crypto.randomUUID()}`) as [string, string];
  const ada = client(a, options);
  const sam = client(b);
  await Promise.all([ada.connect(), sam.connect()]);
  const { id } = await ada.startConversation({ kind: "order", external_ref: crypto.randomUUID(), participants: [a, b] });
  const conversations = await Promise.all([ada.conversation(id).watch(), sam.conversation(id).watch()]);
  await vi.waitFor(() => expect([ada.connection, sam.connection]).toEqual(["live", "live"]), 10_000);
  return { id, ada, sam, hers: conversations[0], his: conversations[1] };
}

/** Sets the faults of the local cloud. */
async function faults(wanted: object) {
  const response = await fetch(`${SUPABASE_URL}/__faults`, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(wanted),
  });
  expect(response.status).toBe(200);
}

async function history(id: string): Promise<Message[]> {
  const response = await fetch(`${API_URL}/v1/conversations/${id}/messages?limit=200`, { headers: { "x-tinychat-api-key": KEY } });
  return ((await response.json()) as { messages: Message[] }).messages;
}

const bodies = (messages: readonly { body: string | null }[]) => messages.map(({ body }) => body);
/** Histories leave out `receiver_id`, which the answers to changes have. */
const plain = (messages: readonly object[]) => messages.map((message) => ({ ...message, receiver_id: null }));
const soon = (check: () => void | Promise<void>) => vi.waitFor(check, { timeout: 20_000, interval: 100 });

test("messages, edits, deletions and typing reach the other side", async () => {
  const { hers, his } = await meet();
  const first = await hers.send("Hi");
  await soon(() => expect(bodies(his.messages)).toEqual(["Hi"]));
  await hers.type();
  await soon(() => expect(his.typing).toHaveLength(1));
  await his.send({ body: "Hello", reply_to: first.id });
  await hers.edit(first.id, "Hi there");
  await soon(() => expect(bodies(his.messages)).toEqual(["Hi there", "Hello"]));
  await hers.delete(first.id);
  await soon(() => expect(bodies(his.messages)).toEqual(["Hello"]));
  expect(hers.messages).toEqual(his.messages);
  await expect(his.edit(hers.messages[0]!.id, "no")).resolves.toMatchObject({ body: "no" });
  await expect(hers.edit(hers.messages[0]!.id, "no")).rejects.toMatchObject({ status: 403 });
});

test("the list has previews and unread counts, and messages show their readers", async () => {
  const { id, sam, hers } = await meet();
  await sam.sync();
  sam.conversation(id).unwatch();
  await hers.send("one");
  await hers.send("two");
  const facts = () => sam.conversations.map(({ id, last_message, unread_count }) => ({ id, last_message, unread_count }));
  await soon(() => expect(facts()).toEqual([{ id, last_message: "two", unread_count: 2 }]));
  expect(sam.unread_count).toBe(2);
  const [, two] = hers.messages;
  expect(hers.readers(two!)).toEqual([]);
  await sam.conversation(id).markRead();
  expect(sam.unread_count).toBe(0);
  await soon(() => expect(hers.readers(two!)).toEqual([sam.user!.user_id]));
});

test("a conversation that another user starts appears in the list, which one channel keeps up to date", async () => {
  const poll = { live: 600_000, otherwise: 600_000 };
  const { ada, sam } = await meet({ poll });
  const phone = client(sam.user!.user_id, { poll });
  await phone.connect();
  const started = await ada.startConversation({ kind: "direct", participants: [ada.user!.user_id, sam.user!.user_id] });
  await soon(() => expect(phone.conversations.map(({ id }) => id)).toContain(started.id));
  await started.send("Here");
  await soon(() => expect(phone.conversations[0]).toMatchObject({ id: started.id, last_message: "Here", unread_count: 1 }));
  await sam.conversation(started.id).markRead();
  await soon(() => expect(phone.unread_count).toBe(0));
});

test("a backend adds and removes participants, closes a conversation and opens it again", async () => {
  const { id, ada, sam, hers, his } = await meet({ poll: { live: 600_000, otherwise: 600_000 } });
  const key = setting("TINYCHAT_SECRET_KEY");
  const backend = client("backend", { key });
  const [a, s, agent] = [ada.user!.user_id, sam.user!.user_id, `agent_${crypto.randomUUID()}`];
  const facts = ({ status, participants, members }: Conversation) => ({ status, participants, members: members.map(({ user_id }) => user_id).sort() });

  const changed = await backend.updateConversation(id, { add_participants: [agent], status: "closed" });
  expect(changed).toMatchObject({ id, status: "closed", participants: [a, s, agent] });
  for (const each of [hers, his]) await soon(() => expect(facts(each)).toEqual({ status: "closed", participants: [a, s, agent], members: [a, s, agent].sort() }));
  await expect(hers.send("Hello?")).rejects.toMatchObject({ status: 403, message: "conversation is closed" });
  hers.discard(hers.messages[0]!.id);

  await backend.updateConversation(id, { status: "open" });
  const system = { sender_id: "backend", message_type: "system", body: "The conversation is open again." };
  const response = await fetch(`${API_URL}/v1/conversations/${id}/messages`, {
    method: "POST", headers: { "content-type": "application/json", "x-tinychat-api-key": key }, body: JSON.stringify(system),
  });
  expect(response.status).toBe(200);
  await soon(() => expect(hers.messages).toMatchObject([system]));
  await hers.send("Hello?");
  expect(hers.status).toBe("open");

  await soon(() => expect(sam.conversations.map(({ id }) => id)).toContain(id));
  await backend.updateConversation(id, { remove_participants: [s] });
  await soon(() => expect(sam.conversations.map(({ id }) => id)).not.toContain(id));
  await soon(() => expect(facts(hers)).toEqual({ status: "open", participants: [a, agent], members: [a, agent].sort() }));
  await expect(ada.updateConversation(id, { status: "closed" })).rejects.toMatchObject({ status: 403, message: "secret key required" });
});

test("images are uploaded both ways", async () => {
  const { hers, his } = await meet();
  for (const size of [PNG.length, 5_000_000]) {
    const file = new File([PNG, new Uint8Array(size - PNG.length)], "1.png", { type: "image/png" });
    const message = await hers.send({ file, body: `${size}` });
    await soon(() => expect(his.messages.at(-1)).toMatchObject({ message_type: "image", media_url: message.media_url, body: `${size}` }));
    const image = await fetch(message.media_url!);
    expect([image.status, image.headers.get("content-type"), (await image.arrayBuffer()).byteLength]).toEqual([200, "image/png", size]);
  }
});

test("long histories are loaded page by page", async () => {
  const { id, hers } = await meet();
  for (let n = 0; n < 120; n++) void hers.send(`${n}`);
  await soon(async () => expect(hers.messages.filter(({ state }) => !state)).toHaveLength(120));
  const late = client("late");
  const conversation = await late.conversation(id).watch();
  expect(conversation.messages).toHaveLength(50);
  while (conversation.hasEarlier) await conversation.loadEarlier();
  expect(plain(conversation.messages)).toEqual(plain(await history(id)));
});

test("messages arrive even if Realtime loses every broadcast", async () => {
  const { hers, his } = await meet();
  await faults({ realtime: { status: 500 } });
  await hers.send("lost on the way");
  await soon(() => expect(bodies(his.messages)).toEqual(["lost on the way"]));
  await faults({});
});

test("after any faults both sides have the server's messages, each once", { timeout: 180_000 }, async () => {
  const [api, realtime] = await Promise.all([Relay.to(API_URL), Relay.to(SUPABASE_URL)]);
  let lose = false;
  /** Goes through relays that can be stopped, and loses responses. */
  const shaky: Fetch = async (url, request) => {
    const response = await transport(url.replace(API_URL, api.url), request);
    const text = (await response.text()).replaceAll(SUPABASE_URL, realtime.url);
    if (lose && request.method !== "GET" && Math.random() < 0.7) throw new TypeError("lost after it was done");
    return { status: response.status, headers: response.headers, text: async () => text };
  };
  const { id, hers, his } = await meet({ fetch: shaky });
  const sent: string[] = [];
  const chatter = async () => {
    for (let n = 0; n < 4; n++) {
      for (const [side, name] of [[hers, "ada"], [his, "sam"]] as const) {
        sent.push(`${name} ${sent.length}`);
        void side.send(sent.at(-1)!);
      }
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    const own = his.messages.filter(({ sender_id, state }) => !state && sender_id.startsWith("sam"));
    const [edited, deleted] = [own.at(-1), own.at(-2)];
    if (edited && deleted) {
      sent[sent.indexOf(edited.body!)] = `edited ${edited.body}`;
      sent.splice(sent.indexOf(deleted.body!), 1);
      await Promise.allSettled([his.edit(edited.id, `edited ${edited.body}`), his.delete(deleted.id)]);
    }
  };
  await chatter();
  await Promise.all([api.down(), realtime.down()]);
  await chatter();
  await api.up();
  await chatter();
  await realtime.up();
  lose = true;
  await chatter();
  lose = false;
  await faults({ realtime: { reset: true } });
  await chatter();
  await faults({ postgres: { down: "immediate" } });
  await new Promise((resolve) => setTimeout(resolve, 1500));
  await faults({});
  await realtime.down();
  await chatter();
  await realtime.up();
  await vi.waitFor(
    async () => {
      for (const side of [hers, his]) {
        for (const { id, state } of side.messages) if (state === "failed") void side.retry(id);
      }
      const server = await history(id);
      expect(bodies(server).sort()).toEqual([...sent].sort());
      expect(plain(hers.messages)).toEqual(plain(server));
      expect(plain(his.messages)).toEqual(plain(server));
    },
    { timeout: 90_000, interval: 1000 },
  );
  await Promise.all([api.down(), realtime.down()]);
});

test("an expired user token is replaced by a new one, which only reaches its user's conversations", async () => {
  const { id, ada, sam } = await meet();
  const { sign } = tokenKey(ada.config!.tenant.id);
  const hers = ada.user!.user_id;
  const now = Math.floor(Date.now() / 1000);
  const tokens = [sign({ sub: hers, iat: now - 3600, exp: now - 120 }), sign({ sub: hers, iat: now, exp: now + 3600 })];
  const token = vi.fn(async () => tokens[token.mock.calls.length - 1]!);
  const { key: _, ...options } = { key: KEY, url: API_URL, user: { user_id: hers }, realtime: { transport: WebSocket } };
  const phone = new TinyChat({ ...options, token });
  clients.push(phone);
  await phone.connect();
  const conversation = await phone.conversation(id).watch();
  await vi.waitFor(() => expect(phone.connection).toBe("live"), 10_000);
  await sam.conversation(id).send("Hi");
  await soon(() => expect(bodies(conversation.messages)).toEqual(["Hi"]));
  await conversation.send("Hello");
  const strangers = await sam.startConversation({ kind: "direct", participants: [sam.user!.user_id] });
  await expect(phone.conversation(strangers.id).watch()).rejects.toMatchObject({ status: 404 });
  expect(token).toHaveBeenCalledTimes(2);
});

/** Creates a key for user tokens, as `tinychat tokens create` does. */
function tokenKey(tenant: string) {
  const kid = crypto.randomUUID();
  const secret = randomBytes(32);
  const pad = (byte: number) => Buffer.alloc(64, byte).map((each, index) => each ^ (secret[index] ?? 0)).reduce((hex, each) => hex + each.toString(16).padStart(2, "0"), "");
  const insert = `insert into tinychat.token_keys (id, tenant_id, inner_pad, outer_pad) values ('${kid}', '${tenant}', '\\x${pad(0x36)}', '\\x${pad(0x5c)}')`;
  execFileSync("psql", ["-q", "-d", setting("DATABASE_URL"), "-c", insert]);
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const sign = (claims: object) => {
    const input = `${encode({ alg: "HS256", kid })}.${encode(claims)}`;
    return `${input}.${createHmac("sha256", secret).update(input).digest("base64url")}`;
  };
  return { sign };
}

test("README's program runs, prints the documented output, and ends", async () => {
  const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
  const block = (language: string) => [...readme.matchAll(new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``, "g"))].map(([, text]) => text).join("");
  const child = spawn("node", ["--input-type=module"], { cwd: new URL("../..", import.meta.url), stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.end(block("js"));
  let printed = "";
  child.stdout.on("data", (chunk) => (printed += chunk));
  expect((await once(child, "exit"))[0]).toBe(0);
  expect(printed).toBe(block("text"));
});
