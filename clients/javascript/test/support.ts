import { vi } from "vitest";
import { type Options, TinyChat } from "../src/index.ts";
import { FakeServer } from "./fake/server.ts";
import { supabase } from "./fake/supabase.ts";

export const pass = (milliseconds: number) => vi.advanceTimersByTimeAsync(milliseconds);

/** Creates a server, to which the stand-in for supabase-js connects. */
export function fakeServer(modern = true): FakeServer {
  const server = new FakeServer(modern);
  supabase.server = server;
  supabase.clients = [];
  return server;
}

export const client = (server: FakeServer, options: Partial<Options> = {}) =>
  new TinyChat({
    url: "http://api/", user: { user_id: "me", name: "Me" }, fetch: server.fetch, ...(options.token ? {} : { key: "pk_test" }), ...options,
  });

/** Returns a connected client and its only conversation, which it has with "other" and watches. */
export async function chat(server: FakeServer, options: Partial<Options> = {}) {
  const id = server.create(["me", "other"]);
  const me = client(server, options);
  await Promise.all([me.connect(), me.conversation(id).watch(), pass(500)]);
  return { id, me, conversation: me.conversation(id) };
}

/** Returns a JWT without a valid signature, issued at the device's time plus `skew` seconds. */
export function jwt(name: string, life: number, skew = 0): string {
  const iat = Math.floor(Date.now() / 1000) + skew;
  const payload = Buffer.from(JSON.stringify({ sub: "me", name, iat, exp: iat + life })).toString("base64url");
  return `e30.${payload}.${name}`;
}

export const outcome = (promise: Promise<unknown>) => promise.then((value) => ({ value }), (error) => ({ error }));
