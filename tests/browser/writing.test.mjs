// Writing a message: what has been written is never lost.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { api, browser, meet, open } from "./window.mjs";

after(() => browser.close());

const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

test("the message box has its height after a visit to the inbox", async (t) => {
  const { ada, conversation } = await meet(t);
  const height = async () => (await ada.input.boundingBox()).height;
  const before = await height();
  await ada.enter(conversation.external_ref);
  assert.equal(await height(), before);
  await ada.input.fill("one\ntwo\nthree");
  assert.ok(await height() > before + 30);
  await ada.enter(conversation.external_ref);
  assert.ok(await height() > before + 30);
});

test("an edit that failed keeps its text, and works when it is sent again", async (t) => {
  const { ada, sam } = await meet(t);
  await ada.say("Ring at the front dor");
  await ada.input.fill("half a thought");
  await ada.act("Edit", "front dor");
  await ada.page.route("**/messages/*", (route) => route.abort());
  await ada.input.fill("Ring at the front door");
  await ada.input.press("Enter");
  await ada.side.getByRole("alert").getByText("The network failed").waitFor();
  assert.equal(await ada.input.inputValue(), "Ring at the front door");
  await ada.side.getByText("Editing").waitFor();
  await ada.page.unroute("**/messages/*");
  await ada.input.press("Enter");
  await sam.message("front door").getByText("edited").waitFor();
  await ada.side.getByRole("alert").waitFor({ state: "hidden" });
  assert.equal(await ada.input.inputValue(), "half a thought");
  ada.problems.length = 0; // the browser's own line about the request
});

test("each conversation keeps its draft", async (t) => {
  const { ada, sam, conversation } = await meet(t);
  await sam.say("Which door?");
  await ada.act("Reply", "Which door?");
  await ada.input.fill("The green");
  await ada.toInbox();
  await ada.conversation(conversation.external_ref).getByText("Draft: The green").waitFor();
  await ada.conversation("order_9001").click();
  assert.equal(await ada.input.inputValue(), "");
  await ada.enter(conversation.external_ref);
  assert.equal(await ada.input.inputValue(), "The green");
  await ada.say("The green one");
  await sam.message("The green one").getByRole("button", { name: "Which door?", exact: true }).waitFor();
  await ada.toInbox();
  assert.equal(await ada.conversation(conversation.external_ref).getByText("Draft").count(), 0);
});

test("Escape gives up a reply or an edit, not what had been written", async (t) => {
  const { ada } = await meet(t);
  await ada.say("original");
  await ada.input.fill("a thought");
  await ada.act("Edit", "original");
  assert.equal(await ada.input.inputValue(), "original");
  await ada.input.press("Escape");
  assert.equal(await ada.input.inputValue(), "a thought");
  await ada.act("Reply", "original");
  await ada.input.press("Escape");
  assert.equal(await ada.side.getByText("Replying to").count(), 0);
  assert.equal(await ada.input.inputValue(), "a thought");
});

for (const [way, event, property] of [["pasted", "paste", "clipboardData"], ["dropped", "drop", "dataTransfer"]]) {
  test(`an image is ${way}, another file refused`, async (t) => {
    const { ada, sam } = await meet(t);
    const give = (name, type, base64) => ada.input.evaluate((input, [event, property, name, type, base64]) => {
      const data = new DataTransfer();
      data.items.add(new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], name, { type }));
      const options = { bubbles: true, cancelable: true };
      input.dispatchEvent(property === "dataTransfer" ? new DragEvent(event, { ...options, dataTransfer: data }) : new ClipboardEvent(event, { ...options, clipboardData: data }));
    }, [event, property, name, type, base64]);
    await give("notes.pdf", "application/pdf", btoa("no image"));
    await ada.side.getByRole("alert").getByText("notes.pdf is not").waitFor();
    await give("parcel.png", "image/png", PNG);
    await ada.side.getByRole("img", { name: "Preview" }).waitFor();
    await ada.say(`${way} it`);
    await sam.message(`${way} it`).locator("img").waitFor();
  });
}

test("an unknown name in ?only= shows both people", async () => {
  const { context, page, problems } = await open("/?only=bob");
  await page.locator("#ada").waitFor();
  await page.locator("#sam .message").first().waitFor();
  await context.close();
  assert.deepEqual(problems, []);
});

test("what is begun from the inbox has the focus in its message box", async (t) => {
  const { ada } = await meet(t);
  await ada.toInbox();
  await ada.side.getByLabel("External reference").fill(`order_${Date.now()}`);
  await ada.side.getByLabel("External reference").press("Enter");
  await ada.side.getByText("Write the first one.").waitFor();
  await ada.page.waitForFunction(() => document.activeElement.name === "body");
  await ada.page.keyboard.type("and so it begins");
  await ada.page.keyboard.press("Enter");
  await ada.message("and so it begins").waitFor();
});

test("what arrives in the inbox leaves the focus where it is", async (t) => {
  const { ada, conversation } = await meet(t);
  await ada.toInbox();
  await ada.conversation("ticket_77").focus();
  await api("POST", `/v1/conversations/${conversation.id}/messages`, { sender_id: "driver_3", body: "news" });
  await ada.conversation(conversation.external_ref).getByText("news").waitFor();
  assert.match(await ada.page.evaluate(() => document.activeElement.textContent), /ticket_77/);
});
