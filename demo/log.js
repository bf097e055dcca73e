// The log: every HTTP request and Realtime event with its content, newest first.

import { h } from "./dom.js";
import { icon } from "./icons.js";
import { clock, count } from "./words.js";

const MOST = 200;
/** Events without a payload share a line if they are at most this many milliseconds apart. */
const BURST = 3000;

export class Log {
  #bursts = new Map();

  constructor() {
    this.list = h("ol", { className: "entries" });
    const shows = { http: true, live: true };
    const filter = (kind, label) =>
      h("label", {}, h("input", {
        type: "checkbox",
        checked: true,
        onchange: (event) => {
          shows[kind] = event.target.checked;
          this.list.classList.toggle(`without-${kind}`, !shows[kind]);
        },
      }), label);
    this.element = h("section", { className: "log", id: "log", "aria-labelledby": "log-title" },
      h("header", {},
        h("h2", { id: "log-title" }, "Log"),
        filter("http", "HTTP"),
        filter("live", "Realtime"),
        h("button", { type: "button", className: "quiet", onclick: () => this.#clear() }, "Clear")),
      h("p", { className: "hint" }, "Open a line to see its content, and to copy a request as curl."),
      this.list);
  }

  /** Returns the log functions for a person. */
  of(person) {
    return {
      call: (method, path, body, key) => this.#call(person, method, path, body, key),
      event: (name, topic, payload) => this.#event(person, name, topic, payload),
    };
  }

  #clear() {
    this.#bursts.clear();
    this.list.replaceChildren();
  }

  #call(person, method, path, body, key) {
    const began = performance.now();
    const outcome = h("span", { className: "outcome" }, "…");
    const details = h("div", { className: "wire" }, h("h3", {}, "Request"));
    const url = new URL(path, location.href).href;
    if (path.startsWith("/") && typeof body !== "string") details.append(copyButton(curl(method, url, body, key)));
    details.append(wire(`${method} ${path}`));
    if (body) details.append(wire(body));
    const preview = h("span", {}, body ? brief(body) : "");
    const line = h("span", { className: "line", title: path }, h("b", {}, method), " ", h("span", { className: "path" }, short(path)));
    this.#add(person, "http", line, [outcome, preview], details);
    return (status, answer) => {
      outcome.textContent = `${status} · ${Math.round(performance.now() - began)} ms`;
      outcome.classList.toggle("bad", !(status < 400));
      if (answer) details.append(h("h3", {}, "Response"), wire(answer));
      if (answer && (!body || !(status < 400))) preview.textContent = brief(answer);
    };
  }

  #event(person, name, topic, payload) {
    if (!payload && this.#joinsBurst(person, name, topic)) return;
    const line = h("span", { className: "line", title: topic }, h("b", {}, name), " ", h("span", { className: "path" }, short(topic)));
    const details = h("div", { className: "wire" }, h("h3", {}, payload ? "Payload" : "Channel"), wire(payload ?? topic));
    this.#add(person, "live", line, payload ? brief(payload) : "", details);
    if (!payload) this.#bursts.set(`${person.id} ${name}`, { began: Date.now(), name, topics: [topic], line, details });
  }

  /** Adds an event to an earlier line, because a person subscribes to many channels at once. */
  #joinsBurst(person, name, topic) {
    const burst = this.#bursts.get(`${person.id} ${name}`);
    if (!burst || Date.now() - burst.began > BURST) return false;
    burst.topics.push(topic);
    burst.line.replaceChildren(h("b", {}, name), " ", h("span", { className: "path" }, count(burst.topics.length, "channel")));
    burst.details.replaceChildren(h("h3", {}, "Channels"), wire(burst.topics.join("\n")));
    return true;
  }

  #add(person, kind, line, preview, details) {
    const who = h("span", { className: `who ${person.id}` }, person.name.split(" ")[0]);
    const entry = h("li", { className: `${kind} ${person.id}` },
      h("details", {},
        h("summary", {}, who, line, icon("down"), h("span", { className: "peek" }, preview), h("time", {}, clock(new Date(), true))),
        details));
    this.list.prepend(entry);
    while (this.list.children.length > MOST) this.list.lastChild.remove();
  }
}

/** Shortens ids, of which the ends are enough to recognize them, and the signatures of signed URLs. */
function short(path) {
  const ids = /([0-9a-f]{4})[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{8}([0-9a-f]{4})/g;
  return path.replace(/\?X-Amz.*|\?x-id.*/, "?…").replace(ids, "$1…$2");
}

/** Returns a summary of a request's or event's content: a text, a count, or the beginning of the JSON. */
function brief(value) {
  const said = value.body ?? value.message?.body ?? value.error;
  if (said) return `“${said.slice(0, 200)}”`;
  if (value.messages) return count(value.messages.length, "message");
  if (value.conversations) return count(value.conversations.length, "conversation");
  return short((typeof value === "string" ? value : JSON.stringify(value)).slice(0, 200));
}

function wire(value) {
  return h("pre", { tabIndex: 0 }, typeof value === "string" ? value : JSON.stringify(value, null, 2));
}

function curl(method, url, body, key) {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const parts = ["curl", "-X", method, quoted(url)];
  if (key) parts.push("-H", quoted(`x-tinychat-api-key: ${key}`));
  if (body) parts.push("-H", quoted("content-type: application/json"), "-d", quoted(JSON.stringify(body)));
  return parts.join(" ");
}

function copyButton(text) {
  const button = h("button", {
    type: "button",
    className: "copy",
    onclick: async () => {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy as curl"), 2000);
    },
  }, "Copy as curl");
  return button;
}
