// How the demo looks, as far as a program can tell.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, test } from "node:test";
import { API_URL, api, browser, meet, open } from "./window.mjs";

after(() => browser.close());

const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
const LANDSCAPE = { ...PHONE, viewport: { width: 844, height: 390 } };
const DESKTOP = { viewport: { width: 1440, height: 900 } };

async function findings(page) {
  await page.evaluate(await readFile(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8"));
  const { violations } = await page.evaluate(async () => {
    // A picture that is fading in hasn't its full contrast yet. Animations that repeat for ever never finish.
    const ending = document.getAnimations().filter((animation) => animation.effect.getComputedTiming().endTime < Infinity);
    await Promise.allSettled(ending.map((animation) => animation.finished));
    return globalThis.axe.run();
  });
  return violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]);
}

for (const [name, options] of [
  ["a desktop", DESKTOP],
  ["a phone", PHONE],
  ["a phone on its side", LANDSCAPE],
  ["a desktop in the dark", { ...DESKTOP, colorScheme: "dark" }],
  ["a phone in the dark", { ...PHONE, colorScheme: "dark" }],
]) {
  test(`on ${name} nothing is in a screen reader's way, and nothing is off the screen`, async () => {
    const { conversation } = await api("POST", "/v1/conversations", { kind: "order", external_ref: "order_looks", participants: ["u_42", "driver_3"] });
    const send = (sender_id, body, more) => api("POST", `/v1/conversations/${conversation.id}/messages`, { sender_id, body, ...more });
    const { message } = await send("u_42", "مرحبا، أين طلبي؟");
    await send("driver_3", "On my way", { reply_to: message.id });
    await send("driver_3", "🎉");
    await send("u_42", null, { message_type: "image", media_url: "http://127.0.0.1:9/gone.png" });
    const { context, page, problems } = await open("/", options);
    await page.locator("#ada .message").first().waitFor();
    await page.locator("#log li").nth(5).waitFor({ state: "attached" });
    await page.getByRole("button", { name: "Back to the inbox" }).first().click();
    assert.deepEqual(await findings(page), []);
    await page.locator("#ada .conversations button").filter({ hasText: "order_looks" }).click();
    await page.locator("#ada .picture").first().waitFor();
    await page.locator("#ada .message").last().focus();
    assert.deepEqual(await findings(page), []);
    const size = await page.evaluate(() => ({ wide: document.documentElement.scrollWidth - innerWidth, composer: document.querySelector("#ada .composer").getBoundingClientRect().bottom - innerHeight, messages: document.querySelector("#ada .scroller").clientHeight }));
    assert.ok(size.wide <= 0 && size.composer <= 0 && size.messages > 150, JSON.stringify(size));
    await page.locator("#ada .picture").last().click();
    assert.deepEqual(await findings(page), []);
    await context.close();
    assert.deepEqual(problems, []);
  });
}

for (const [name, options] of [["a desktop", DESKTOP], ["a desktop in the dark", { ...DESKTOP, colorScheme: "dark" }], ["a phone", PHONE]]) {
  test(`on ${name} the API reference and the deliveries have nothing in a screen reader's way`, async () => {
    const { context, page } = await open("/docs#tag/messages/POST/v1/conversations/{id}/messages", options);
    await page.getByRole("button", { name: /^Test Request/ }).first().waitFor();
    await page.waitForTimeout(1_000); // there is more on the page than that
    assert.deepEqual(await findings(page), []);
    await page.goto("about:blank");
    await page.goto(`${API_URL}/docs`);
    await page.getByText("Quickstart: Python", { exact: true }).first().waitFor({ state: "attached" });
    await page.waitForTimeout(1_000);
    assert.deepEqual(await findings(page), []);
    await api("POST", "/v1/conversations/c0ffee00-0000-4000-8000-000000000001/messages", { sender_id: "u_42", body: "a delivery" });
    await page.goto(`${API_URL}/deliveries`);
    await page.locator(".entries summary").first().click();
    assert.deepEqual(await findings(page), []);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    // The end of an event's type tells it from the others.
    assert.ok(await page.locator("summary b").first().evaluate((type) => {
      type.textContent = "conversation.updated";
      return type.scrollWidth <= type.clientWidth;
    }));
    await context.close();
  });
}

test("what can be done with a message stands beside it, never on it or below it", async (t) => {
  const { ada, sam } = await meet(t);
  const long = "A message that is as wide as messages get, because it goes on and on. ".repeat(5).trim();
  await ada.say(long);
  for (const window of [ada, sam]) {
    const message = window.message("as wide as");
    await message.hover();
    const [bubble, actions] = [await message.locator(".bubble").boundingBox(), await message.locator(".actions").boundingBox()];
    assert.ok(actions.x >= bubble.x + bubble.width || actions.x + actions.width <= bubble.x, JSON.stringify({ bubble, actions }));
    assert.ok(actions.y >= bubble.y && actions.y + actions.height <= bubble.y + bubble.height);
  }
});

test("text runs in its own direction", async (t) => {
  const { ada, sam } = await meet(t);
  await ada.say("مرحبا order_9002");
  await ada.say("Hello يا صديقي");
  await sam.message("Hello").waitFor();
  const direction = (locator) => locator.evaluate((element) => getComputedStyle(element).direction);
  assert.equal(await direction(sam.message("مرحبا").locator("p")), "rtl");
  assert.equal(await direction(sam.message("Hello").locator("p")), "ltr");
  await sam.input.fill("شكرا");
  assert.equal(await direction(sam.input), "rtl");
});

test("a group of messages has one face, one name and one time; one's own say that they were sent", async (t) => {
  const { ada, sam } = await meet(t);
  for (const text of ["one", "two", "three"]) await ada.say(text);
  await sam.message("three").waitFor();
  const seen = async (window, what) => {
    const boxes = await Promise.all((await window.side.locator(`.message ${what}`).all()).map((each) => each.boundingBox()));
    return boxes.filter((box) => box?.width > 1).length;
  };
  for (const what of [".name", ".avatar", "time"]) assert.equal(await seen(sam, what), 1, what);
  await ada.message("three").getByText(/^(Sent|Seen by Sam Ortiz)$/).waitFor();
  assert.equal(await seen(ada, ".state"), 1);
});

test("a few emoji are big, words with one are not", async (t) => {
  const { ada } = await meet(t);
  await ada.say("🎉👩‍🚒");
  await ada.say("done 🎉");
  const size = (text) => ada.message(text).locator("p").last().evaluate((element) => parseFloat(getComputedStyle(element).fontSize));
  assert.ok(await size("👩‍🚒") > 2 * await size("done"));
});

test("an image opens in full, and Escape leads back to it", async (t) => {
  const { ada, conversation } = await meet(t);
  const message = { sender_id: "driver_3", message_type: "image", media_url: "http://127.0.0.1:9/gone.png", body: "The parcel" };
  await api("POST", `/v1/conversations/${conversation.id}/messages`, message);
  await ada.message("The parcel").locator(".picture").click();
  await ada.page.getByRole("dialog", { name: "The parcel" }).getByRole("button", { name: "Close" }).waitFor();
  await ada.page.keyboard.press("Escape");
  await ada.page.getByRole("dialog").waitFor({ state: "detached" });
  assert.equal(await ada.page.evaluate(() => document.activeElement.className), "picture");
});

test("nothing moves for those who asked for that", async (t) => {
  const { ada, conversation } = await meet(t);
  await ada.page.emulateMedia({ reducedMotion: "reduce" });
  await api("POST", `/v1/conversations/${conversation.id}/messages`, { sender_id: "driver_3", body: "still" });
  await ada.message("still").waitFor();
  await api("POST", `/v1/conversations/${conversation.id}/typing`, { sender_id: "driver_3", sender_name: "Sam" });
  await ada.side.getByText("Sam is typing…").waitFor();
  assert.equal(await ada.page.evaluate(() => document.getAnimations().length), 0);
});

test("the log begins with calls, says that lines open, and shows what is in them by the chat's clock", async (t) => {
  const { ada } = await meet(t);
  assert.equal(await ada.page.locator("#log summary").filter({ hasText: "subscribed" }).count(), 1);
  await ada.page.locator("#log").getByText("copy a request as curl").waitFor();
  await ada.say("hello, log");
  await ada.page.locator("#log summary").filter({ hasText: "“hello, log”" }).first().waitFor();
  const [chat, log] = [await ada.message("hello, log").locator("time").textContent(), await ada.page.locator("#log time").first().textContent()];
  const shape = (text) => text.replace(/\d+/g, "0").replace(":0:0", ":0").trim();
  assert.equal(shape(log), shape(chat));
});
