// The demo of `make dev` in real Chromium. Runs inside the local cloud: `make browser`.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, test } from "node:test";
import { API_URL, Window, api, browser, meet, open } from "./window.mjs";

after(() => browser.close());

const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);
const image = (name, size = PNG.length) => ({
  name,
  mimeType: "image/png",
  buffer: Buffer.concat([PNG, Buffer.alloc(size - PNG.length)]),
});

test("a message appears in the other window, as text whatever is in it", async (t) => {
  const { ada, sam } = await meet(t);
  const hostile = `<img src=x onerror="document.title='broken'"> & <script>document.title='broken'</script>`;
  await ada.say(hostile);
  await sam.message(hostile).waitFor();
  assert.equal(await sam.page.title(), "TinyChat demo");
  await sam.say("Read you.");
  await ada.message("Read you.").waitFor();
  assert.equal(await ada.message("Read you.").count(), 1);
  assert.equal(await ada.message(hostile).count(), 1);
});

test("an edit and a deletion reach the other window", async (t) => {
  const { ada, sam } = await meet(t);
  await ada.say("Ring at the front dor");
  await sam.message("front dor").waitFor();
  await ada.act("Edit", "front dor");
  assert.equal(await ada.input.inputValue(), "Ring at the front dor");
  await ada.say("Ring at the front door");
  await sam.message("front door").getByText("edited").waitFor();
  await ada.act("Delete", "front door");
  await ada.message("front door").getByText("Really?").click();
  await sam.message("front door").waitFor({ state: "detached" });
  await ada.message("front door").waitFor({ state: "detached" });
});

test("who types is named, until the message or three seconds later", async (t) => {
  const { ada, sam } = await meet(t);
  const indicator = sam.side.getByRole("status").filter({ hasText: "Ada is typing…" });
  await ada.input.pressSequentially("On my");
  await indicator.waitFor();
  await ada.input.press("Enter");
  await indicator.waitFor({ state: "detached" });
  await ada.input.pressSequentially("w");
  await indicator.waitFor();
  await indicator.waitFor({ state: "detached", timeout: 4_000 });
  assert.equal(await ada.side.getByText("is typing").count(), 0);
});

test("an image is previewed, uploaded and shown to both", async (t) => {
  const { ada, sam } = await meet(t);
  await ada.side.locator("input[type=file]").setInputFiles(image("parcel.png"));
  await ada.side.getByRole("img", { name: "Preview" }).waitFor();
  await ada.say("Here it is");
  const picture = sam.message("Here it is").getByRole("img");
  await picture.waitFor();
  await picture.evaluate((element) => element.decode());
  assert.match(await picture.getAttribute("src"), /\/storage\/v1\/object\/public\/chat\/.*\.png$/);
  assert.equal(await ada.logged("upload").count(), 1);
});

test("an image from elsewhere is shown, and one that is gone is its description", async (t) => {
  const { ada, conversation } = await meet(t);
  const elsewhere = createServer((_, response) => response.writeHead(200, { "content-type": "image/png" }).end(PNG));
  await once(elsewhere.listen(0, "127.0.0.1"), "listening");
  const media_url = `http://127.0.0.1:${elsewhere.address().port}/image.png`;
  const send = (body) =>
    api("POST", `/v1/conversations/${conversation.id}/messages`, { sender_id: "driver_3", message_type: "image", media_url, body });
  await send("Still there");
  await ada.message("Still there").getByRole("img").evaluate((element) => element.decode());
  elsewhere.close();
  elsewhere.closeAllConnections();
  await send("No more");
  await ada.message("No more").getByRole("img", { name: "No more" }).waitFor();
});

test("an image above 4 MB goes directly to storage and shows how far it is", async (t) => {
  const { ada, sam } = await meet(t);
  await ada.context.newCDPSession(ada.page).then((session) =>
    session.send("Network.emulateNetworkConditions", { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: 1_000_000 }),
  );
  await ada.side.locator("input[type=file]").setInputFiles(image("big.png", 6_000_000));
  await ada.side.getByText("directly to storage").waitFor();
  await ada.button("Send").click();
  const bar = ada.side.getByRole("progressbar");
  await bar.waitFor();
  await ada.page.waitForFunction((bar) => bar.value > 0 && bar.value < 1, await bar.elementHandle());
  await sam.side.locator(".message img").waitFor();
  assert.equal(await ada.page.locator("#log summary").filter({ hasText: /PUT/ }).count(), 1);
});

test("what isn't an image is refused, and the message can be discarded", async (t) => {
  const { ada } = await meet(t);
  await ada.side.locator("input[type=file]").setInputFiles({ ...image("no.png"), buffer: Buffer.from("no image at all") });
  await ada.button("Send").click();
  await ada.side.getByText("Not sent: unsupported mime").waitFor();
  await ada.button("Discard").click();
  assert.equal(await ada.side.locator(".message").count(), 0);
  assert.equal(ada.problems.splice(0).length, 1); // the browser's own line about the 415
});

test("a reply quotes what it answers, and leads there", async (t) => {
  const { ada, sam } = await meet(t);
  await ada.say("Which door?");
  for (let line = 0; line < 25; line++) await ada.say(`Line ${line}.`);
  await sam.act("Reply", "Which door?");
  await sam.say("The green one");
  const reply = ada.message("The green one");
  await reply.waitFor();
  await ada.message("Which door?").getByRole("button", { name: "1 reply" }).waitFor({ state: "attached" });
  await reply.getByRole("button", { name: "Which door?", exact: true }).click();
  await ada.page.waitForFunction(
    (item) => item.getBoundingClientRect().top > 0 && item.classList.contains("found"),
    await ada.side.locator(".message").first().elementHandle(),
  );
});

test("after a gap in the connection, history fills in what was missed", async (t) => {
  const { ada, sam } = await meet(t);
  for (const text of ["stays", "is mistaken", "goes"]) await ada.say(text);
  await sam.message("goes").waitFor();
  await sam.status("Live").click();
  await sam.status("Offline").waitFor();
  await ada.say("sent meanwhile");
  await ada.act("Edit", "is mistaken");
  await ada.say("is right now");
  await ada.act("Delete", "goes");
  await ada.message("goes").getByText("Really?").click();
  await ada.message("goes").waitFor({ state: "detached" });
  assert.equal(await sam.message("sent meanwhile").count(), 0);
  await sam.status("Offline").click();
  await sam.message("sent meanwhile").waitFor();
  await sam.message("is right now").waitFor();
  assert.deepEqual(await sam.side.locator(".message p").allTextContents(), ["stays", "is right now", "sent meanwhile"]);
  await ada.say("and live again");
  await sam.message("and live again").waitFor();
});

test("what couldn't be sent is sent once when the network is back", async (t) => {
  const { ada, sam } = await meet(t);
  await ada.context.setOffline(true);
  await ada.input.fill("hold the line");
  await ada.input.press("Enter");
  await ada.side.getByText("Not sent: The network failed").waitFor();
  await ada.context.setOffline(false);
  await ada.button("Try again").click();
  await sam.message("hold the line").waitFor();
  await ada.side.locator(".pending").waitFor({ state: "detached" });
  assert.equal(await sam.message("hold the line").count(), 1);
  ada.problems.length = 0; // the browser's own lines about the network
});

test("the inbox shows previews and what is unread, newest first, and filters by kind", async (t) => {
  const { ada, sam, conversation } = await meet(t);
  await sam.toInbox();
  await ada.say("Are you there?");
  const row = sam.conversation(conversation.external_ref);
  await row.getByText("Are you there?").waitFor();
  assert.equal(await row.locator(".unread").textContent(), "1");
  assert.match(await sam.side.locator(".conversations button").first().textContent(), /Are you there/);
  await sam.button("Support").click();
  await row.waitFor({ state: "detached" });
  await sam.conversation("ticket_77").waitFor();
  await sam.button("Orders").click();
  await row.click();
  await sam.message("Are you there?").waitFor();
  await sam.toInbox();
  await row.locator(".unread").waitFor({ state: "detached" });
});

test("a conversation is begun from the inbox, and the same reference finds it again", async (t) => {
  const { ada, conversation } = await meet(t);
  await ada.say("first");
  await ada.toInbox();
  await ada.side.getByLabel("External reference").fill(conversation.external_ref);
  await ada.button("Start").click();
  await ada.message("first").waitFor();
});

test("a conversation that Ada starts appears in Sam's inbox, and so does what she says there", async (t) => {
  const { ada, sam } = await meet(t);
  await sam.toInbox();
  const reference = `order_${randomUUID().slice(0, 8)}`;
  await ada.toInbox();
  await ada.side.getByLabel("External reference").fill(reference);
  await ada.button("Start").click();
  // Now and then the list is loaded anew anyway; what is to be seen here is that Sam is told.
  await sam.page.locator("#log .live b").getByText("conversation", { exact: true }).first().waitFor();
  const row = sam.conversation(reference);
  await row.getByText("No messages yet").waitFor();
  await ada.say("Can you hear me?");
  await sam.logged("user:").filter({ hasText: "Can you hear me?" }).first().waitFor();
  await row.getByText("Can you hear me?").waitFor();
  assert.equal(await row.locator(".unread").textContent(), "1");
  assert.match(await sam.side.locator(".conversations button").first().textContent(), /Can you hear me/);
  await row.click();
  await sam.message("Can you hear me?").waitFor();
});

test("long histories load page by page, with a line between days", async (t) => {
  const { ada, conversation } = await meet(t);
  for (let n = 0; n < 60; n++) {
    await api("POST", `/v1/conversations/${conversation.id}/messages`, { sender_id: "driver_3", body: `no. ${n};` });
  }
  await ada.message("no. 59;").waitFor();
  await ada.page.reload();
  await ada.enter(conversation.external_ref);
  await ada.message("no. 59;").waitFor();
  assert.equal(await ada.message("no. 0;").count(), 0);
  await ada.button("Show earlier messages").click();
  await ada.message("no. 0;").waitFor();
  assert.equal(await ada.side.locator(".message").count(), 60);
  assert.deepEqual(await ada.side.locator(".day").allTextContents(), ["Today"]);
  await ada.enter("order_9001");
  await ada.side.getByText(/January 15|15 January/).waitFor();
});

test("the log shows each call and event with what went over the wire", async (t) => {
  const { ada, conversation } = await meet(t);
  await ada.say("for the record");
  const call = ada.logged("POST").filter({ hasText: "/messages" }).first();
  await call.getByText(/200 · \d+ ms/).waitFor();
  await call.locator("summary").click();
  await call.getByText('"body": "for the record"').first().waitFor();
  await ada.context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await call.getByRole("button", { name: "Copy as curl" }).click();
  const curl = await ada.page.evaluate(() => navigator.clipboard.readText());
  assert.ok(curl.includes(`${API_URL}/v1/conversations/${conversation.id}/messages`), curl);
  const event = ada.logged("conv:").filter({ hasText: "message" }).first();
  await event.locator("summary").click();
  await event.getByText('"body": "for the record"').waitFor();
});

test("the keyboard is enough", async (t) => {
  const { ada, sam } = await meet(t);
  await ada.button("Back to the inbox").focus();
  await ada.page.keyboard.press("Enter");
  await ada.page.keyboard.press("Enter"); // the conversation that was open has the focus
  await ada.page.waitForFunction(() => document.activeElement?.name === "body");
  await ada.page.keyboard.type("no mouse");
  await ada.page.keyboard.press("Enter");
  await sam.message("no mouse").waitFor();
  await sam.message("no mouse").getByRole("button", { name: "Reply: no mouse" }).focus();
  await sam.page.keyboard.press("Enter");
  await sam.page.keyboard.type("none");
  await sam.page.keyboard.press("Escape");
  assert.equal(await sam.side.getByText("Replying to").count(), 0);
});

test("both sides are on one page, too", async () => {
  const { context, page, problems } = await open("/", { viewport: { width: 1400, height: 860 } });
  const [ada, sam] = ["ada", "sam"].map((person) => new Window(page, page.locator(`#${person}`)));
  const text = `on one page at ${Date.now()}`;
  await ada.say(text);
  await sam.message(text).waitFor();
  await context.close();
  assert.deepEqual(problems, []);
});

test("the API reference shows every operation and quickstart, makes calls, and nothing comes from elsewhere", async () => {
  const { context, page, problems } = await open("/docs#tag/setup/GET/v1/config", { viewport: { width: 1440, height: 900 } });
  for (const title of ["Send a message", "Upload an image", "A message was sent", "Quickstart: Python", "User tokens"]) {
    await page.getByText(title, { exact: true }).first().waitFor({ state: "attached" });
  }
  await page.getByText("x-tinychat-api-key: pk_test_DemoTenantOnlyForLocalUse01").first().waitFor();
  await page.getByRole("button", { name: /^Test Request ?\(get \/v1\/config\)/ }).click();
  const client = page.locator("[role=dialog]");
  await client.locator("button", { hasText: "Send get request" }).filter({ visible: true }).first().click();
  await client.getByText("Acme Logistics").first().waitFor();
  const overview = await (await fetch(`${API_URL}/llms.txt`)).text();
  for (const path of overview.match(/\((\/[^)]*)\)/g)) {
    assert.equal((await fetch(API_URL + path.slice(1, -1))).status, 200, path);
  }
  assert.equal((await (await fetch(`${API_URL}/docs/openapi.json`)).json()).info.title, "TinyChat API");
  await context.close();
  assert.deepEqual(problems, []);
});

test("the page of deliveries shows attempts, answers, payload and signature as they come", async (t) => {
  const { ada } = await meet(t);
  const { context, page, problems } = await open("/deliveries");
  const delivery = (text) => page.locator(".entries li").filter({ hasText: text });
  await ada.say("to be delivered");
  const good = delivery("to be delivered");
  await good.filter({ hasText: "signature valid" }).filter({ hasText: /200 · \d+ ms/ }).waitFor();
  await good.locator("summary").click();
  await good.getByText('"body": "to be delivered"').waitFor();
  const fails = page.getByRole("switch", { name: "Receiver fails" });
  await fails.click();
  await ada.say("to be tried again");
  const again = delivery("to be tried again");
  await again.filter({ hasText: /500 · \d+ ms, again in \d+ s/ }).waitFor();
  await fails.click();
  await again.filter({ hasText: /200 · \d+ ms \(2 attempts\)/ }).waitFor();
  await context.close();
  assert.deepEqual(problems, []);
});
