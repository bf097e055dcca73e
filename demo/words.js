// Texts for times, names and states.

export const day = (time) => time && new Date(time).toDateString();

export const clock = (time, seconds) =>
  new Date(time).toLocaleTimeString([], { hour: "numeric", minute: "2-digit", ...(seconds && { second: "2-digit" }) });

export function dayName(time) {
  const yesterday = new Date();
  yesterday.setDate(yesterday.getDate() - 1);
  if (day(time) === day(new Date())) return "Today";
  if (day(time) === day(yesterday)) return "Yesterday";
  const date = new Date(time);
  const year = date.getFullYear() === new Date().getFullYear() ? undefined : "numeric";
  return date.toLocaleDateString([], { weekday: "long", day: "numeric", month: "long", year });
}

export function when(time) {
  return day(time) === day(new Date()) ? clock(time) : new Date(time).toLocaleDateString([], { day: "numeric", month: "short" });
}

export const count = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;

export function typingText(names) {
  if (names.length === 0) return "";
  return names.length === 1 ? `${names[0]} is typing…` : `${names.join(" and ")} are typing…`;
}

/** Returns a message's text for a single line. */
export const gist = ({ body }) => body || "[image]";

/** Whether a text consists of up to three emoji. */
export const isBigEmoji = (text) => /^\s*(?:\p{RGI_Emoji}\s*){1,3}$/v.test(text ?? "");

/** Returns the class of a user's colours. */
export const whose = (user) => ({ u_42: "ada", driver_3: "sam" })[user] ?? "other";

/** Returns a conversation's title: its reference, or the other participants. */
export const title = ({ external_ref }, others) => external_ref ?? others;
