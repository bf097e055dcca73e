// The `fetch` and the WebSocket of the client, with a log.

import { transport } from "@tinychat/client";

export function loggedFetch(log) {
  return async (url, request) => {
    const path = url.startsWith(location.origin) ? url.slice(location.origin.length) : url;
    const done = log.call(request.method, path, described(request.body), request.headers?.["x-tinychat-api-key"]);
    try {
      const response = await transport(url, request);
      const text = await response.text();
      done(response.status, parse(text) ?? text);
      return { status: response.status, headers: response.headers, text: async () => text };
    } catch (error) {
      done("failed");
      throw error;
    }
  };
}

/** Returns a WebSocket class for Realtime. Its frames are arrays: join_ref, ref, topic, event, payload. */
export function loggedSocket(log) {
  return class extends WebSocket {
    constructor(...arguments_) {
      super(...arguments_);
      this.addEventListener("message", ({ data }) => {
        const [joinRef, ref, topic = "", event, payload] = parse(data) ?? [];
        const name = topic.replace(/^realtime:/, "");
        if (event === "broadcast") log.event(payload.event, name, payload.payload);
        else if (event === "phx_reply" && joinRef && joinRef === ref) log.event(payload.status === "ok" ? "subscribed" : "refused", name);
      });
      this.addEventListener("close", () => log.event("disconnected", "websocket"));
    }
  };
}

function described(body) {
  if (body instanceof FormData) {
    const { name, type, size } = body.get("file");
    return `multipart form with file: ${name}, ${type}, ${size} bytes`;
  }
  if (body instanceof Blob) return `the file, ${body.size} bytes`;
  return body && parse(body);
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
