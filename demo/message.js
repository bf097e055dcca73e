// The list items of messages, grouped by sender and time.

import { h } from "./dom.js";
import { avatar, icon, iconButton } from "./icons.js";
import { lightbox } from "./lightbox.js";
import { clock, count, day, gist, isBigEmoji, whose } from "./words.js";

/** Messages of one sender are a group if they are at most this many milliseconds apart. */
const GROUP = 5 * 60 * 1000;
const SURE = 3000;

export function areGrouped(before, after) {
  return before?.sender_id === after?.sender_id && day(before?.created_at) === day(after?.created_at)
    && new Date(after.created_at) - new Date(before.created_at) < GROUP;
}

/** Creates the item of a message. The second argument has what depends on other messages; `acts` are its actions. Its buttons
 * become tab stops when the message has the focus: see keyboard.js. Every message has the parts that only the first or last of
 * a group shows. So a group can grow without creating items again, which a screen reader would read again. */
export function messageItem(message, { mine, name, quote, replies, isNew }, acts) {
  const about = gist(message).slice(0, 60);
  const stop = { tabIndex: -1 };
  return h("li", { className: `message ${mine ? "mine" : "theirs"} ${whose(message.sender_id)}${isNew ? " news" : ""}`, "data-id": message.id, tabIndex: -1 },
    !mine && h("span", { className: "name", dir: "auto" }, name),
    !mine && avatar(name, message.sender_id),
    h("div", { className: "row" },
      h("div", { className: `bubble${message.media_url ? " pictured" : ""}${!message.media_url && !quote && isBigEmoji(message.body) ? " emoji" : ""}`, title: new Date(message.created_at).toLocaleString() },
        quote && h("button", { type: "button", className: "quote", dir: "auto", onclick: acts.jump, ...stop }, quote),
        message.media_url && picture(message.media_url, message.body ?? `Image from ${name}`, stop),
        message.body && h("p", { dir: "auto" }, message.body)),
      h("div", { className: "actions" },
        iconButton("reply", `Reply: ${about}`, acts.reply, { title: "Reply", ...stop }),
        mine && iconButton("edit", `Edit: ${about}`, acts.edit, { title: "Edit", ...stop }),
        mine && deleteButton(about, acts.delete, stop))),
    h("div", { className: "meta" },
      replies > 0 && h("button", { type: "button", className: "quiet", onclick: acts.jumpToReply, ...stop }, count(replies, "reply", "replies")),
      message.edited_at && h("span", {}, "edited"),
      h("time", { dateTime: message.created_at }, clock(message.created_at)),
      mine && h("span", { className: "state" })));
}

/** Shows on an own message that it was sent, or who has seen it. */
export function showReaders(item, names) {
  const text = names.length ? `Seen by ${names.join(", ")}` : "Sent";
  const state = item.querySelector(".state");
  if (state.title === text) return;
  state.title = text;
  state.classList.toggle("seen", names.length > 0);
  state.replaceChildren(icon(names.length ? "ticks" : "tick"), h("span", { className: "unseen" }, text));
}

/** Creates a button that deletes with the second click, because a deletion is final. */
function deleteButton(about, remove, properties) {
  const name = `Delete: ${about}`;
  const button = iconButton("delete", name, () => {
    if (button.dataset.sure) return remove();
    button.dataset.sure = "yes";
    button.ariaLabel = `Really? ${name}`;
    button.replaceChildren("Really?");
    setTimeout(() => {
      delete button.dataset.sure;
      button.ariaLabel = name;
      button.replaceChildren(icon("delete"));
    }, SURE);
  }, { title: "Delete", ...properties });
  return button;
}

/** Creates the item of a pending or failed message; `preview` is its image's URL. */
export function pendingItem({ sender_id, body, file, state, error, progress }, preview, acts) {
  const failed = state === "failed";
  return h("li", { className: `message mine last pending news ${whose(sender_id)}${failed ? " failed" : ""}`, tabIndex: -1 },
    h("div", { className: "row" },
      h("div", { className: `bubble${preview ? " pictured" : ""}` },
        preview && picture(preview, "The image that is being sent", {}),
        body && h("p", { dir: "auto" }, body),
        file && !failed && h("progress", { max: 1, value: progress, ariaLabel: "Upload" }))),
    h("div", { className: "meta" },
      failed ? h("span", { className: "bad" }, `Not sent: ${error.message}`) : h("span", { className: "state" }, icon("clock"), "Sending…"),
      failed && h("button", { type: "button", onclick: acts.again }, "Try again"),
      failed && h("button", { type: "button", onclick: acts.discard }, "Discard")));
}

/** Creates an image that opens in full size. Its URL comes from another user, so only http(s) URLs and own previews are allowed. */
function picture(url, alt, properties) {
  if (!/^(https?|blob):/i.test(url)) return null;
  return h("button", { type: "button", className: "picture", onclick: () => lightbox(url, alt), ...properties }, h("img", { src: url, alt, loading: "lazy" }));
}
