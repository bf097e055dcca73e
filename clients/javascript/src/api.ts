// The REST API: a method for each route, with retries and the credential.

import type { Credential } from "./credential.js";
import { TinyChatError, asError } from "./error.js";
import { type Fetch, platform, sleep } from "./platform.js";
import type {
  Config, ConversationData, ConversationInput, ConversationUpdate, ImageFile, Message, MessageInput, Read, User, UserInput,
} from "./types.js";

const TIMEOUT = 30_000;
const UPLOAD_TIMEOUT = 300_000;
/** API Gateway and Lambda accept a file of about 4.4 MB in a request. */
const LARGEST_FORM = 4 * 1024 * 1024;
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 10_000;
const LONGEST_WAIT = 60_000;

interface Call {
  method: string;
  body?: unknown;
  /** `false` if the request must not be made twice. */
  retry?: boolean;
  onProgress?: ((share: number) => void) | undefined;
}

export class Api {
  readonly #url: string;
  readonly #credential: Credential;
  readonly #fetch: Fetch;
  readonly #retries: number;

  constructor(url: string, credential: Credential, fetch: Fetch, retries: number) {
    this.#url = url.replace(/\/+$/, "");
    this.#credential = credential;
    this.#fetch = fetch;
    this.#retries = retries;
  }

  config = () => this.#call<Config>("/config", { method: "GET" });

  upsertUser = (user: UserInput) => this.#call<{ user: User }>("/users", { method: "POST", body: user });

  conversations = (query: Record<string, string>) =>
    this.#call<{ conversations: ConversationData[]; next?: string | null }>(`/conversations?${encode(query)}`, { method: "GET" });

  createConversation = (body: ConversationInput) =>
    // A retry is safe only with a reference: without one, each request creates a conversation.
    this.#call<{ conversation: ConversationData }>("/conversations", { method: "POST", body, retry: !!body.external_ref });

  conversation = (id: string) => this.#call<{ conversation: ConversationData }>(`/conversations/${id}`, { method: "GET" });

  updateConversation = (id: string, body: ConversationUpdate) =>
    this.#call<{ conversation: ConversationData }>(`/conversations/${id}`, { method: "PATCH", body });

  messages = (id: string, query: Record<string, string>) =>
    this.#call<{ messages: Message[]; more?: boolean }>(`/conversations/${id}/messages?${encode(query)}`, { method: "GET" });

  send = (id: string, body: MessageInput) =>
    this.#call<{ message: Message }>(`/conversations/${id}/messages`, { method: "POST", body });

  edit = (id: string, message: string, body: { sender_id: string; body: string }) =>
    this.#call<{ message: Message }>(`/conversations/${id}/messages/${message}`, { method: "PATCH", body });

  delete = (id: string, message: string, body: { sender_id: string }) =>
    this.#call<{ message: Message }>(`/conversations/${id}/messages/${message}`, { method: "DELETE", body });

  read = (id: string, body: { user_id: string; message_id?: string }) =>
    this.#call<{ read: Read & { unread_count: number } }>(`/conversations/${id}/read`, { method: "POST", body });

  typing = (id: string, body: { sender_id: string; sender_name?: string }) =>
    this.#call<{ ok: true }>(`/conversations/${id}/typing`, { method: "POST", body, retry: false });

  /** Uploads an image and returns its URL. A small image is sent in a form, a large one directly to storage. */
  async upload(id: string, file: ImageFile, onProgress?: (share: number) => void): Promise<string> {
    const path = `/conversations/${id}/upload`;
    if (file.size <= LARGEST_FORM) {
      const form = new platform.FormData();
      form.append("file", file, ...("uri" in file ? [] : [file.name ?? "image"]));
      return (await this.#call<{ url: string }>(path, { method: "POST", body: form, onProgress })).url;
    }
    const content_type = file.type || (/\.hei[cf]$/i.test(file.name ?? "") ? "image/heic" : "application/octet-stream");
    const answer = await this.#call<{ url: string; upload: { method: string; url: string; headers: Record<string, string> } }>(path, {
      method: "POST",
      body: { content_type, size: file.size },
    });
    const { method, url, headers } = answer.upload;
    const body = "uri" in file ? await (await platform.fetch(file.uri)).blob() : file;
    await this.#retrying(true, () => this.#exchange(url, { method, headers, body, onProgress }, UPLOAD_TIMEOUT));
    return answer.url;
  }

  #call<T>(path: string, { method, body, retry = true, onProgress }: Call): Promise<T> {
    const isForm = body instanceof platform.FormData;
    const url = `${this.#url}/v1${path}`;
    const attempt = async (credential: string) => {
      const headers: Record<string, string> = { "x-tinychat-api-key": credential };
      if (body !== undefined && !isForm) headers["content-type"] = "application/json";
      const content = body === undefined ? {} : { body: isForm ? body : JSON.stringify(body) };
      const request = { method, headers, ...content, ...(onProgress && { onProgress }) };
      return JSON.parse(await this.#exchange(url, request, isForm ? UPLOAD_TIMEOUT : TIMEOUT)) as T;
    };
    return this.#retrying(retry, async () => {
      const credential = await this.#credential.get();
      try {
        return await attempt(credential);
      } catch (error) {
        const { status, message } = asError(error);
        if (status !== 401 || message !== "user token expired") throw error;
        return attempt(await this.#credential.replace(credential));
      }
    });
  }

  async #retrying<T>(retry: boolean, attempt: () => Promise<T>): Promise<T> {
    for (let pause = FIRST_PAUSE, left = retry ? this.#retries : 0; ; pause = Math.min(pause * 2, LONGEST_PAUSE), left--) {
      try {
        return await attempt();
      } catch (thrown) {
        const error = asError(thrown);
        if (left <= 0 || !error.isTemporary) throw error;
        // Jitter prevents many clients from retrying at the same moment.
        await sleep(error instanceof Busy ? error.retryAfter : pause * (0.5 + Math.random() / 2));
      }
    }
  }

  /** Makes one attempt. Returns the text of a successful response. */
  async #exchange(url: string, request: Parameters<Fetch>[1], timeout: number): Promise<string> {
    const controller = new platform.AbortController();
    const timer = platform.setTimeout(() => controller.abort(), timeout);
    let response, text;
    try {
      response = await this.#fetch(url, { ...request, signal: controller.signal });
      text = await response.text();
    } catch (error) {
      throw new TinyChatError(0, controller.signal.aborted ? "The server didn't respond" : "The network failed", { cause: error });
    } finally {
      platform.clearTimeout(timer);
    }
    if (response.status >= 200 && response.status < 300) return text;
    const message = errorText(text) ?? `Status ${response.status}`;
    const seconds = Number(response.headers.get("retry-after"));
    if (response.status === 429 && seconds > 0) throw new Busy(message, Math.min(seconds * 1000, LONGEST_WAIT));
    throw new TinyChatError(response.status, message);
  }
}

/** A 429 with a `retry-after` header. */
class Busy extends TinyChatError {
  constructor(
    message: string,
    readonly retryAfter: number,
  ) {
    super(429, message);
  }
}

function errorText(text: string): string | undefined {
  try {
    const { error, message } = JSON.parse(text) as { error?: string; message?: string };
    return error ?? message;
  } catch {
    return undefined;
  }
}

// React Native's URLSearchParams is incomplete.
const encode = (query: Record<string, string>) =>
  Object.entries(query).map((pair) => pair.map(encodeURIComponent).join("=")).join("&");
