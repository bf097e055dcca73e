// The demo without a mouse, and with a thumb.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { API_URL, api, browser, meet, open } from "./window.mjs";

after(() => browser.close());

const focused = (page) => page.evaluate(() => document.activeElement.closest(".message, .composer, .scroller")?.className ?? document.activeElement.tagName);

test("from load to a sent message it is at most ten stops", async (t) => {
  const { sam, conversation } = await meet(t);
  for (const sender_id of ["u_42", "driver_3"]) {
    for (let n = 0; n < 15; n++) await api("POST", `/v1/conversations/${conversation.id}/messages`, { sender_id, body: `no. ${n}` });
  }
  const { context, page } = await open("/");
  await page.locator("#ada .message").first().waitFor();
  await page.locator("#log li").nth(5).waitFor();
  let stops = 0;
  do {
    await page.keyboard.press("Tab");
    stops++;
  } while (stops < 200 && await page.evaluate(() => document.activeElement.name !== "body"));
  assert.ok(stops <= 10, `${stops} stops`);
  const text = `by keyboard at ${Date.now()}`;
  await page.keyboard.type(text);
  await page.keyboard.press("Enter");
  await page.locator("#sam .message").filter({ hasText: text }).waitFor();
  await context.close();
  assert.ok(sam.page.url().startsWith(API_URL));
});

test("arrow keys go from message to message, and Tab to what can be done with one", async (t) => {
  const { ada, sam } = await meet(t);
  for (const text of ["first", "second", "third"]) await ada.say(text);
  await sam.message("third").waitFor();
  await ada.side.getByRole("log").focus();
  const { keyboard } = ada.page;
  await keyboard.press("ArrowUp");
  await keyboard.press("ArrowUp");
  assert.match(await ada.page.evaluate(() => document.activeElement.textContent), /second/);
  await keyboard.press("Tab");
  assert.equal(await ada.page.evaluate(() => document.activeElement.ariaLabel), "Reply: second");
  await keyboard.press("Tab");
  await keyboard.press("Enter");
  await keyboard.type("!");
  await keyboard.press("Enter");
  await sam.message("second!").getByText("edited").waitFor();
});

test("deleting asks by name, and the focus goes to the neighbour", async (t) => {
  const { ada } = await meet(t);
  for (const text of ["stays", "goes", "stays, too"]) await ada.say(text);
  const row = ada.message("goes");
  await row.getByRole("button", { name: "Delete: goes", exact: true }).focus();
  await ada.page.keyboard.press("Enter");
  await row.getByRole("button", { name: "Really? Delete: goes", exact: true }).waitFor();
  await ada.page.keyboard.press("Enter");
  await row.waitFor({ state: "detached" });
  assert.match(await focused(ada.page), /message/);
  assert.match(await ada.page.evaluate(() => document.activeElement.closest(".message").textContent), /stays, too/);
});

test("the last page of history leaves the focus among the messages", async (t) => {
  const { ada, conversation } = await meet(t);
  for (let n = 0; n < 55; n++) await api("POST", `/v1/conversations/${conversation.id}/messages`, { sender_id: "driver_3", body: `no. ${n};` });
  await ada.page.reload();
  await ada.enter(conversation.external_ref);
  await ada.message("no. 54;").waitFor();
  await ada.button("Show earlier messages").focus();
  await ada.page.keyboard.press("Enter");
  await ada.message("no. 0;").waitFor({ state: "attached" });
  await ada.page.waitForFunction(() => document.activeElement.closest(".message"));
});

test("on a phone a long press shows what can be done with a message, beside it", async (t) => {
  const { ada: desktop, conversation } = await meet(t);
  const long = "The green one, to the left of the bakery; the bell is broken, so please call me when you are there. ".repeat(2);
  await desktop.say(long);
  const { context, page, problems } = await open("/?only=ada", { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
  await page.getByRole("button", { name: "Back to the inbox" }).tap();
  await page.locator(".conversations button").filter({ hasText: conversation.external_ref }).tap();
  const actions = page.locator(".message .actions");
  await page.locator(".message .bubble").waitFor();
  const seen = () => actions.evaluate((element) => getComputedStyle(element).opacity);
  await page.mouse.move(0, 0);
  assert.equal(await seen(), "0");
  const box = await page.locator(".message .bubble").boundingBox();
  const touch = await context.newCDPSession(page);
  await touch.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: [{ x: box.x + 20, y: box.y + 20 }] });
  await page.locator(".message.chosen").waitFor();
  await touch.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
  await page.waitForTimeout(300);
  assert.equal(await seen(), "1");
  await page.getByRole("button", { name: /^Edit: / }).tap();
  assert.equal(await page.getByRole("textbox", { name: /^Message from/ }).inputValue(), long.trim());
  await context.close();
  assert.deepEqual(problems, []);
});
