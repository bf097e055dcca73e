import { afterEach, expect, test, vi } from "vitest";
import { TinyChat, type Request, transport } from "../src/index.ts";
import { outcome } from "./support.ts";

vi.mock("@supabase/supabase-js", () => ({ createClient: () => ({}) }));
afterEach(() => void vi.unstubAllGlobals());

const MB = 1024 * 1024;
const json = (status: number, body: unknown) => ({ status, headers: { get: () => null }, text: async () => JSON.stringify(body) });

/** Returns a client, the list of its requests, and gives them these responses in order. */
function recorded(...answers: ReturnType<typeof json>[]) {
  const requests: [string, Request][] = [];
  const fetch = async (url: string, request: Request) => {
    requests.push([url, request]);
    return answers.shift() ?? json(200, { message: { id: "m", conversation_id: "c", sender_id: "me", created_at: "2026" } });
  };
  const client = new TinyChat({ url: "http://api", key: "pk_test_key", user: { user_id: "me" }, fetch });
  return { requests, conversation: client.conversation("c") };
}

test("an image of up to 4 MB goes in a form", async () => {
  const { requests, conversation } = recorded(json(200, { url: "https://images/1.png" }));
  await conversation.send({ file: new File([new Uint8Array(4 * MB)], "1.png", { type: "image/png" }), body: "Look" });
  const [[url, upload], [, message]] = requests as [[string, Request], [string, Request]];
  expect(url).toBe("http://api/v1/conversations/c/upload");
  expect(upload.headers).toEqual({ "x-tinychat-api-key": "pk_test_key" }); // a form sets its own content type
  expect((upload.body as FormData).get("file")).toMatchObject({ name: "1.png", size: 4 * MB, type: "image/png" });
  expect(JSON.parse(message.body)).toMatchObject({ body: "Look", message_type: "image", media_url: "https://images/1.png", sender_id: "me" });
});

test("a larger image is sent directly to storage, without the key", async () => {
  const upload = { method: "PUT", url: "https://storage/1?signature", headers: { "content-type": "image/heic" }, expires_at: "2026" };
  const { requests, conversation } = recorded(json(200, { url: "https://images/1.heic", upload }), json(200, {}));
  const file = new File([new Uint8Array(4 * MB + 1)], "1.HEIC"); // browsers don't know this type
  await conversation.send({ file });
  expect(JSON.parse(requests[0]![1].body)).toEqual({ content_type: "image/heic", size: 4 * MB + 1 });
  const [url, put] = requests[1]!;
  expect([url, put.method, put.headers, put.body]).toEqual(["https://storage/1?signature", "PUT", upload.headers, file]);
  expect(JSON.parse(requests[2]![1].body)).not.toHaveProperty("body");
});

test("a file of React Native's pickers is read when it is needed", async () => {
  const upload = { method: "PUT", url: "https://storage/1", headers: {}, expires_at: "2026" };
  const blob = new Blob(["large"]);
  vi.stubGlobal("fetch", async (url: string) => (expect(url).toBe("file:///1.png"), { blob: async () => blob }));
  const appended: unknown[] = [];
  vi.stubGlobal("FormData", class {
    append = (...all: unknown[]) => appended.push(...all);
  });
  const { requests, conversation } = recorded(json(200, { url: "u" }), json(200, {}), json(200, { url: "u", upload }), json(200, {}));
  const file = { uri: "file:///1.png", name: "1.png", type: "image/png", size: 5 };
  await conversation.send({ file });
  expect(appended).toEqual(["file", file]);
  await outcome(conversation.send({ file: { ...file, size: 5 * MB } }));
  expect(requests.find(([url]) => url === "https://storage/1")?.[1].body).toBe(blob);
});

test("an upload that the server refuses fails its message with the server's text", async () => {
  const { conversation } = recorded(json(415, { error: "unsupported mime: image/svg+xml" }));
  const { error } = (await outcome(conversation.send({ file: new File(["<svg/>"], "1.svg", { type: "image/svg+xml" }) }))) as { error: unknown };
  expect(error).toMatchObject({ status: 415, message: "unsupported mime: image/svg+xml" });
  expect(conversation.messages).toMatchObject([{ state: "failed", message_type: "image", media_url: null }]);
});

test("a message shows the progress of its upload if the platform reports it", async () => {
  class Xhr {
    upload: { onprogress?: (event: { loaded: number; total: number }) => void } = {};
    status = 200;
    responseText = JSON.stringify({ url: "https://images/1.png" });
    headers: Record<string, string> = {};
    onload?: () => void;
    open = (method: string, url: string) => expect([method, url]).toEqual(["POST", "http://api/v1/conversations/c/upload"]);
    setRequestHeader = (name: string, value: string) => void (this.headers[name] = value);
    getResponseHeader = () => null;
    send() {
      this.upload.onprogress?.({ loaded: 1, total: 4 });
      this.onload?.();
    }
  }
  vi.stubGlobal("XMLHttpRequest", Xhr);
  const shares: unknown[] = [];
  const { conversation } = recorded();
  const fetch = (url: string, request: Request) =>
    request.onProgress ? transport(url, request) : Promise.resolve(json(200, { message: { id: "m", conversation_id: "c", sender_id: "me", created_at: "2026" } }));
  const client = new TinyChat({ url: "http://api", key: "pk", user: { user_id: "me" }, fetch }).conversation(conversation.id);
  client.on("change", () => shares.push(client.messages[0]?.state && (client.messages[0] as { progress: number }).progress));
  await client.send({ file: new File(["png"], "1.png", { type: "image/png" }) });
  expect(shares).toContain(0.25);
});
