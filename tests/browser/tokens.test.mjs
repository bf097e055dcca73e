// User tokens: the demo with and without them, and supabase-js with access tokens in Chromium.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHmac } from "node:crypto";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { API_URL, Window, browser } from "./window.mjs";

after(() => browser.close());

const ours = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

test("Sam's app is refused with a token what it is given with the key", async () => {
  const sam = await Window.open("sam", { viewport: { width: 1400, height: 860 } });
  const { page } = sam;
  const outcome = page.locator("#log output");
  const tokens = page.getByRole("switch", { name: "User tokens" });
  for (const [switched, read, write] of [
    [true, "404: conversation not found", "403: sender_id is not the caller"],
    [false, /^200/, /^200/],
    [true, "404: conversation not found", "403: sender_id is not the caller"],
  ]) {
    if (await tokens.isChecked() !== switched) {
      await tokens.click();
      await page.waitForLoadState();
      await sam.status("Live").waitFor();
    }
    assert.equal(await tokens.isChecked(), switched);
    for (const [label, expected] of [["read Ada's conversation with support", read], ["write as Ada", write]]) {
      await page.getByRole("button", { name: label }).click();
      await outcome.filter({ hasText: /^\d/ }).waitFor();
      const text = await outcome.textContent();
      if (expected instanceof RegExp) assert.match(text, expected);
      else assert.equal(text, expected);
      assert.equal(await sam.logged("/messages").first().locator(".outcome").textContent().then((text) => text.slice(0, 3)), text.slice(0, 3));
    }
  }
  await sam.message("Leave it with the neighbour").last().waitFor(); // that went through without the token, as Ada's
  sam.problems.splice(0); // the browser's own lines about 403 and 404
  await sam.close();
});

/** A tenant that requires user tokens, and what signs them. */
function closedTenant() {
  const folder = process.env.CARGO_TARGET_DIR ?? ours("target");
  const tinychat = (...words) => JSON.parse(execFileSync(`${folder}/debug/tinychat`, ["--json", ...words]));
  const { id, key } = tinychat("tenants", "create", "Closed");
  const backend = tinychat("keys", "create", id, "--secret").key;
  const { kid, secret } = tinychat("tokens", "create", id);
  tinychat("tokens", "require", id, "on");
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const token = (sub, seconds = 600) => {
    const now = Math.floor(Date.now() / 1000);
    const input = `${part({ alg: "HS256", kid })}.${part({ sub, iat: now, exp: now + seconds })}`;
    return `${input}.${createHmac("sha256", secret).update(input).digest("base64url")}`;
  };
  return { backend, key, token };
}

async function call(credential, method, path, body) {
  const headers = { "x-tinychat-api-key": credential, "content-type": "application/json" };
  const response = await fetch(`${API_URL}/v1${path}`, { method, headers, body: body && JSON.stringify(body) });
  assert.equal(response.status, 200, await response.clone().text());
  return response.json();
}

/**
 * Joins a conversation's channel by supabase-js in a page of its own. What the page comes to know is in `window.told`.
 * supabase-js calls `accessToken` when it starts, when it joins and at each heartbeat. If the first call ended after the second, it
 * would keep that token for good. So calls at the same time share one promise.
 */
async function listen(context, config, conversation, accessToken) {
  const page = await context.newPage();
  if (accessToken) await page.exposeFunction("accessToken", accessToken);
  await page.addScriptTag({ path: ours("demo/node_modules/@supabase/supabase-js/dist/umd/supabase.js") });
  await page.evaluate(async ([config, topic]) => {
    window.told = [];
    let asked;
    const accessToken = () => (asked ??= window.accessToken().finally(() => { asked = undefined; }));
    const options = { realtime: { heartbeatIntervalMs: 1000 }, ...(window.accessToken && { accessToken }) };
    const client = window.supabase.createClient(config.supabase_url, config.supabase_anon_key, options);
    if (window.accessToken) await client.realtime.setAuth(); // otherwise the channel might join before it has the token
    client.channel(topic, { config: { private: true } })
      .on("broadcast", { event: "message" }, ({ payload }) => window.told.push(payload.message.body))
      .subscribe((status) => window.told.push(status));
  }, [config, `${config.channel_prefix}${conversation}`]);
  return page;
}

test("with access tokens, supabase-js lets participants hear while they take part, and nobody else", async () => {
  const { backend, key, token } = closedTenant();
  const ada = token("ada");
  const { conversation } = await call(ada, "POST", "/conversations", { kind: "direct", participants: ["ada", "bob"] });
  const access = async (credential) => (await call(credential, "GET", "/config")).realtime;
  const context = await browser.newContext();
  const listeners = {};
  const renewed = async () => (await access(token("ada", 4))).access_token;
  listeners.ada = await listen(context, await access(ada), conversation.id, renewed);
  for (const [name, credential] of [["eve", () => token("eve")], ["key", () => key], ["bob", () => token("bob", 10)]]) {
    const config = await access(credential());
    assert.equal(config.private, true);
    const kept = config.access_token && (async () => config.access_token);
    listeners[name] = await listen(context, config, conversation.id, kept);
  }
  const told = (name, word) => listeners[name].waitForFunction((word) => window.told.includes(word), word, { timeout: 15_000 });
  for (const name of ["ada", "bob"]) await told(name, "SUBSCRIBED");
  await told("eve", "CHANNEL_ERROR");
  await told("key", "CHANNEL_ERROR");
  await call(ada, "POST", `/conversations/${conversation.id}/messages`, { body: "for us two" });
  for (const name of ["ada", "bob"]) await told(name, "for us two");
  await call(backend, "PATCH", `/conversations/${conversation.id}`, { remove_participants: ["bob"] });
  await told("bob", "CLOSED"); // when his token ends, and so has her first one
  await call(ada, "POST", `/conversations/${conversation.id}/messages`, { body: "for me" });
  await told("ada", "for me");
  await listeners.eve.waitForTimeout(300);
  for (const name of ["eve", "key"]) {
    const all = await listeners[name].evaluate(() => window.told);
    assert.ok(all.every((word) => word === "CHANNEL_ERROR"), `${name}: ${all}`);
  }
  assert.ok(!(await listeners.bob.evaluate(() => window.told)).includes("for me"));
  await context.close();
});
