// Two people and the log; on a narrow screen, with tabs. `?only=ada` shows one person, for two windows side by side.

import { h } from "./dom.js";
import { Log } from "./log.js";
import { Person } from "./person.js";
import { tries } from "./tries.js";
import { View } from "./view.js";

/** The demo tenant's key, which supabase/seed.sql creates. */
const KEY = "pk_test_DemoTenantOnlyForLocalUse01";

const PEOPLE = [
  { id: "ada", user_id: "u_42", name: "Ada Lovelace", role: "customer" },
  { id: "sam", user_id: "driver_3", name: "Sam Ortiz", role: "driver" },
];

const CONVERSATIONS = [
  { kind: "direct", external_ref: "lift_home", participants: ["u_42", "driver_3"] },
  { kind: "support", external_ref: "ticket_77", participants: ["u_42", "driver_3", "agent_7"] },
  { kind: "order", external_ref: "order_9001", participants: ["u_42", "driver_3"] },
];

const names = new Map([...PEOPLE.map(({ user_id, name }) => [user_id, name]), ["agent_7", "Support"]]);
const log = new Log();

// A user token tells the API which user an app acts for. Without a token, the API accepts any user that the app names.
const tokens = localStorage.getItem("tokens") !== "off";
const tokensSwitch = document.querySelector("#tokens");
tokensSwitch.checked = tokens;
tokensSwitch.addEventListener("change", () => {
  localStorage.setItem("tokens", tokensSwitch.checked ? "on" : "off");
  location.reload();
});

const only = new URLSearchParams(location.search).get("only");
const chosen = PEOPLE.filter(({ id }) => id === only);
const people = (chosen.length ? chosen : PEOPLE).map((facts) => new Person(facts, tokens ? null : KEY, log.of(facts), names));
const views = people.map((person) => new View(person, CONVERSATIONS[0].participants));

const main = document.querySelector("main");
main.append(...views.map(({ element }) => element), log.element);
const sam = people.find(({ facts }) => facts.id === "sam");
if (sam) log.list.before(tries(sam));
main.classList.toggle("one", people.length === 1);

// A narrow screen shows only one of the three parts.
const parts = [...people.map(({ facts: { id, name } }) => [id, name.split(" ")[0]]), ["log", "Log"]];
const tabs = parts.map(([id, name]) =>
  h("button", { type: "button", onclick: () => showPart(id) }, name),
);
function showPart(wanted) {
  main.dataset.part = wanted;
  parts.forEach(([id], index) => tabs[index].setAttribute("aria-pressed", id === wanted));
}
document.querySelector(".tabs").append(...tabs);
showPart(parts[0][0]);

try {
  for (const conversation of CONVERSATIONS) await people[0].chat.startConversation(conversation);
  for (const person of people) {
    await person.chat.connect();
    const order = person.chat.conversations.find(({ external_ref }) => external_ref === "order_9001");
    if (order) await person.enter(order.id);
  }
} catch (error) {
  main.prepend(h("p", { className: "notice", role: "alert" }, `The demo can't start: ${error.message}.`));
}
