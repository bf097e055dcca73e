// Attempts by Sam's app to read and write as another user. A publishable key allows them, a user token doesn't.

import { h } from "./dom.js";

/** Ada's conversations with support and with Sam, which supabase/seed.sql creates. */
const PRIVATE = "c0ffee00-0000-4000-8000-000000000002";
const SHARED = "c0ffee00-0000-4000-8000-000000000001";

const TRIES = [
  ["read Ada's conversation with support", "GET", `/v1/conversations/${PRIVATE}/messages`],
  ["write as Ada", "POST", `/v1/conversations/${SHARED}/messages`, { sender_id: "u_42", body: "Leave it with the neighbour, please." }],
];

export function tries(sam) {
  const outcome = h("output");
  const attempt = async (method, path, body) => {
    outcome.textContent = "…";
    const { status, answer } = await sam.call(method, path, body);
    outcome.className = status < 400 ? "bad" : "good";
    outcome.textContent = status < 400 ? `${status}: allowed, because a publishable key can act as any user` : `${status}: ${answer.error}`;
  };
  const buttons = TRIES.map(([label, ...call]) => h("button", { type: "button", onclick: () => sam.trying(() => attempt(...call)) }, label));
  return h("div", { className: "tries", role: "group", ariaLabel: "Attempts by Sam's app" }, h("span", {}, "Sam's app tries to"), buttons, outcome);
}
