// Reading a conversation: its end is followed, any other place is kept.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, test } from "node:test";
import { api, browser, meet } from "./window.mjs";

after(() => browser.close());

const fill = async (conversation, count) => {
  for (let n = 0; n < count; n++) {
    await api("POST", `/v1/conversations/${conversation.id}/messages`, { sender_id: "driver_3", body: `no. ${n};` });
  }
};
const scroller = (window) => window.side.getByRole("log");
const fromEnd = (window) => scroller(window).evaluate((e) => e.scrollHeight - e.scrollTop - e.clientHeight);
const scrollUp = (window) => scroller(window).evaluate((e) => e.scrollTo(0, 0));
const top = (window, text) => window.message(text).evaluate((e) => e.getBoundingClientRect().top);

test("who reads the newest message goes on doing so while images load", async (t) => {
  const { ada, conversation } = await meet(t);
  const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="300" height="230"><rect width="300" height="230" fill="teal"/></svg>';
  const slow = createServer((_, response) => {
    setTimeout(() => response.writeHead(200, { "content-type": "image/svg+xml" }).end(svg), 300);
  });
  await once(slow.listen(0, "127.0.0.1"), "listening");
  t.after(() => slow.close());
  await fill(conversation, 12);
  for (let n = 0; n < 5; n++) {
    const media_url = `http://127.0.0.1:${slow.address().port}/${n}.svg`;
    await api("POST", `/v1/conversations/${conversation.id}/messages`, { sender_id: "driver_3", message_type: "image", media_url, body: `image ${n}` });
  }
  await ada.message("image 4").waitFor();
  await ada.page.waitForFunction(() => [...document.querySelectorAll("#ada .message img")].slice(-2).every((image) => image.complete && image.naturalWidth));
  await ada.page.waitForTimeout(300);
  assert.ok(await fromEnd(ada) < 2, `${await fromEnd(ada)} px from the end`);
});

test("new messages are counted while one reads further up, and a click leads to them", async (t) => {
  const { ada, sam, conversation } = await meet(t);
  await fill(conversation, 40);
  await ada.message("no. 39;").waitFor();
  await scrollUp(ada);
  await ada.side.getByRole("button", { name: "To the newest message" }).waitFor();
  await sam.say("one more");
  await sam.say("and another");
  const pill = ada.side.getByRole("button", { name: "2 new messages" });
  await pill.waitFor();
  assert.ok(await fromEnd(ada) > 500);
  await pill.click();
  await pill.waitFor({ state: "hidden" });
  assert.ok(await fromEnd(ada) < 2);
});

test("one's own message leads to the end, and one that failed doesn't hold the reader there", async (t) => {
  const { ada, sam, conversation } = await meet(t);
  await fill(conversation, 40);
  await ada.message("no. 39;").waitFor();
  await scrollUp(ada);
  await ada.page.route("**/messages", (route) => (route.request().method() === "POST" ? route.abort() : route.continue()));
  await ada.input.fill("not today");
  await ada.input.press("Enter");
  await ada.side.getByText("Not sent").waitFor();
  assert.ok(await fromEnd(ada) < 2);
  await scrollUp(ada);
  await sam.say("reading on?");
  await ada.side.getByRole("button", { name: "1 new message" }).waitFor();
  assert.ok(await fromEnd(ada) > 500);
  ada.problems.length = 0; // the browser's own line about the request
});

test("earlier messages leave the reader where they were, within one day, too", async (t) => {
  const { ada, conversation } = await meet(t);
  await fill(conversation, 60);
  await ada.message("no. 59;").waitFor();
  await ada.page.reload();
  await ada.enter(conversation.external_ref);
  await ada.message("no. 59;").waitFor();
  await scrollUp(ada);
  const before = await top(ada, "no. 11;");
  await ada.button("Show earlier messages").click();
  await ada.message("no. 0;").waitFor({ state: "attached" });
  const moved = await top(ada, "no. 11;") - before;
  assert.ok(Math.abs(moved) < 3, `moved by ${moved} px`);
});

test("a message was sent until the other person has it on screen, and is seen from then on", async (t) => {
  const { ada, sam, conversation } = await meet(t);
  await sam.toInbox();
  await ada.say("Look up");
  const row = sam.conversation(conversation.external_ref);
  await row.getByText("Look up").waitFor();
  const state = ada.message("Look up").locator(".state");
  assert.equal(await state.textContent(), "Sent");
  await row.click();
  await state.getByText("Seen by Sam Ortiz").waitFor({ state: "attached" });
});
