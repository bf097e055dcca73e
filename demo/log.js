// The live log: every HTTP call and every Realtime event, newest first, with what went over the wire.

import { h } from "./dom.js";

const MOST = 200;

export class Log {
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
        h("button", { type: "button", className: "quiet", onclick: () => this.list.replaceChildren() }, "Clear")),
      this.list);
  }

  /** The log of one person's doings. */
  of(person) {
    return {
      call: (method, path, body, key) => this.#call(person, method, path, body, key),
      event: (name, topic, payload) => this.#event(person, name, topic, payload),
    };
  }

  #call(person, method, path, body, key) {
    const began = performance.now();
    const outcome = h("span", { className: "outcome" }, "…");
    const details = h("div", { className: "wire" });
    if (body) details.append(h("h3", {}, "Request"), wire(body));
    const own = path.startsWith("/");
    this.#add(person, "http", [h("b", {}, method), " ", h("span", { className: "path", title: path }, short(path)), outcome], details);
    return (status, answer) => {
      outcome.textContent = `${status} · ${Math.round(performance.now() - began)} ms`;
      outcome.classList.toggle("bad", !(status < 400));
      if (answer) details.append(h("h3", {}, "Answer"), wire(answer));
      if (own && typeof body !== "string") {
        details.append(copyButton(curl(method, new URL(path, location.href).href, body, key)));
      }
    };
  }

  #event(person, name, topic, payload) {
    const details = h("div", { className: "wire" });
    if (payload) details.append(h("h3", {}, "Payload"), wire(payload));
    this.#add(person, "live", [h("b", {}, name), " ", h("span", { className: "path", title: topic }, short(topic))], details);
  }

  #add(person, kind, line, details) {
    const who = h("span", { className: `who ${person.id}` }, person.name.split(" ")[0]);
    const time = new Date().toLocaleTimeString([], { hour12: false });
    const entry = h("li", { className: `${kind} ${person.id}` },
      h("details", {}, h("summary", {}, who, h("span", { className: "line" }, line), h("time", {}, time)), details));
    this.list.prepend(entry);
    while (this.list.children.length > MOST) this.list.lastChild.remove();
  }
}

/** Ids are long: their ends tell them apart. The signature in a signed URL is nobody's reading. */
function short(path) {
  const ids = /([0-9a-f]{4})[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{8}([0-9a-f]{4})/g;
  return path.replace(/\?X-Amz.*|\?x-id.*/, "?…").replace(ids, "$1…$2");
}

function wire(value) {
  return h("pre", { tabIndex: 0 }, typeof value === "string" ? value : JSON.stringify(value, null, 2));
}

function curl(method, url, body, key) {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const parts = ["curl", "-X", method, quoted(url), "-H", quoted(`x-tinychat-api-key: ${key}`)];
  if (body) parts.push("-H", quoted("content-type: application/json"), "-d", quoted(JSON.stringify(body)));
  return parts.join(" ");
}

function copyButton(text) {
  const button = h("button", {
    type: "button",
    className: "quiet",
    onclick: async () => {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    },
  }, "Copy as curl");
  return button;
}
