// The demo in a real browser: windows on one person's side each, as two people would have them on two machines.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { chromium } from "playwright-core";

export const API_URL = process.env.API_URL;
const OURS = [API_URL, process.env.SUPABASE_URL];
const KEY = process.env.TINYCHAT_API_KEY;

export const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  // Root can't have a sandbox; the others keep the browser from calling home.
  args: ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

/** Calls the API as a server of the tenant would. */
export async function api(method, path, body) {
  const headers = { "x-tinychat-api-key": KEY, "content-type": "application/json" };
  const response = await fetch(API_URL + path, { method, headers, body: body && JSON.stringify(body) });
  assert.equal(response.status, 200, await response.clone().text());
  return response.json();
}

/** Opens a page in a browser context of its own. What goes wrong in it fails the test that asks `problems`. */
export async function open(path, options = {}) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(20_000); // a machine that is busy with other tests takes its time to load a page
  const page = await context.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => {
    // An image in an older message may be at an address that is gone: a run's ports are its own.
    const gone = message.text().startsWith("Failed to load") && !OURS.some((url) => message.location().url.startsWith(url));
    if (message.type() === "error" && !gone) problems.push(message.text());
  });
  page.on("response", (response) => {
    const { protocol, hostname, href } = new URL(response.url());
    if (protocol !== "blob:" && protocol !== "data:" && hostname !== "127.0.0.1") problems.push(`from elsewhere: ${href}`);
  });
  await page.goto(API_URL + path);
  return { context, page, problems };
}

/** One person's window. */
export class Window {
  static async open(person, options) {
    const { context, page, problems } = await open(`/?only=${person}`, options);
    const window = new Window(page, page.locator(`#${person}`));
    Object.assign(window, { context, problems });
    await window.status("Live").waitFor();
    return window;
  }

  constructor(page, side) {
    this.page = page;
    this.side = side;
    this.input = side.getByRole("textbox", { name: /^Message from/ });
  }

  status = (word) => this.side.getByRole("button", { name: new RegExp(`^${word}`) });
  button = (name) => this.side.getByRole("button", { name, exact: true });
  message = (text) => this.side.locator(".message").filter({ hasText: text });
  conversation = (reference) => this.side.locator(".conversations button").filter({ hasText: reference });
  logged = (text) => this.page.locator("#log li").filter({ hasText: text });

  async toInbox() {
    await this.button("Back to the inbox").click();
  }

  async enter(reference) {
    await this.toInbox();
    await this.conversation(reference).click();
    await this.side.getByRole("heading", { name: reference }).waitFor();
    await this.status("Live").waitFor(); // its channel is joined: who is typing is broadcast once
  }

  async say(text) {
    await this.input.fill(text);
    await this.input.press("Enter");
    await this.message(text).waitFor();
  }

  /** Presses one of the buttons that a message of one's own or another's has. */
  async act(action, text) {
    await this.message(text).hover();
    await this.message(text).getByRole("button", { name: new RegExp(`^${action}`) }).click();
  }

  async close() {
    await this.context.close();
    assert.deepEqual(this.problems, []);
  }
}

/** Ada and Sam, each in a window, in a new conversation. */
export async function meet(t) {
  const external_ref = `order_${randomUUID().slice(0, 8)}`;
  const { conversation } = await api("POST", "/v1/conversations", { kind: "order", external_ref, participants: ["u_42", "driver_3"] });
  const [ada, sam] = await Promise.all([Window.open("ada"), Window.open("sam")]);
  for (const window of [ada, sam]) await window.enter(external_ref);
  t.after(async () => {
    await ada.close();
    await sam.close();
  });
  return { ada, sam, conversation };
}
