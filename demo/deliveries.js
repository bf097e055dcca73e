// The page of webhook deliveries. The local cloud returns the outbox, newest first.

import { List, h } from "./dom.js";
import { icon } from "./icons.js";
import { clock, count, gist } from "./words.js";

const PAUSE = 1000;

const list = new List(document.querySelector(".entries"));
const notice = document.querySelector(".notice");
const fails = document.querySelector("#fails");
fails.addEventListener("change", () => fetch(`/deliveries/receiver?fails=${fails.checked}`, { method: "POST" }));

/** Returns a delivery's state: a class for its colour, and a text. */
function state({ outcome, attempts, status, latency_ms, next_attempt_at, disabled }) {
  const answer = attempts === 0 ? "" : status ? `${status} · ${latency_ms} ms` : "no response";
  if (outcome === "delivered") return ["good", answer];
  if (outcome === "dead") return ["bad", `given up, ${answer}`];
  if (disabled) return ["bad", "endpoint disabled"];
  const seconds = Math.max(0, Math.round((new Date(next_attempt_at) - Date.now()) / 1000));
  return ["waiting", attempts === 0 ? "being delivered" : `${answer}, again in ${seconds} s`];
}

/** The results of the demo tenant's receiver. Others are unknown. */
const SIGNATURES = { true: ["good", "signature valid"], false: ["bad", "signature invalid"] };

/** The text of an event's message, or the status of its conversation. */
function said(payload) {
  const { message, conversation } = JSON.parse(payload).data;
  return message ? gist(message) : (conversation?.status ?? "");
}

function item(delivery) {
  const { event_id, endpoint_id, url, tenant, type, created_at, payload, attempts, answer } = delivery;
  const [mood, words] = state(delivery);
  const [verdict, verified] = SIGNATURES[delivery.signature] ?? ["", ""];
  const facts = [["Event", event_id], ["Endpoint", `${url} (${endpoint_id}) of ${tenant}`], ["Attempts", String(attempts)], ["Response", answer || "empty"]];
  const open = list.get(key(delivery))?.querySelector("details").open ?? false;
  return h("li", {},
    h("details", { open },
      h("summary", {},
        h("time", { dateTime: created_at }, clock(created_at, true)),
        h("b", {}, type),
        h("span", { className: "said", dir: "auto" }, said(payload)),
        h("span", { className: "endpoint", title: url }, `${tenant} · ${url.replace(/^https?:\/\//, "")}`),
        h("span", { className: `state-text ${mood}` }, words, attempts > 1 && ` (${count(attempts, "attempt")})`),
        h("span", { className: `signature ${verdict}` }, verified),
        icon("down")),
      h("div", { className: "wire" },
        h("dl", {}, facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
        h("h2", {}, "Payload"),
        h("pre", { tabIndex: 0 }, JSON.stringify(JSON.parse(payload), null, 2)))));
}

const key = ({ endpoint_id, event_id }) => `${endpoint_id} ${event_id}`;

async function look() {
  try {
    const response = await fetch("/deliveries/latest");
    if (!response.ok) throw new Error(`the local cloud responds with ${response.status}`);
    const latest = await response.json();
    if (list.element.children.length === 0) fails.checked = latest.fails;
    list.show(latest.deliveries.map((delivery) => [key(delivery), JSON.stringify([state(delivery), delivery.attempts, delivery.signature]), () => item(delivery)]));
    notice.hidden = true;
  } catch (error) {
    notice.textContent = `The deliveries can't be loaded: ${error.message}.`;
    notice.hidden = false;
  }
}

for (;;) {
  if (!document.hidden) await look();
  await new Promise((resolve) => setTimeout(resolve, PAUSE));
}
