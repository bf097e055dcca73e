// Code that a TypeScript client may write with the types that openapi-typescript generates from docs/openapi.yaml. It is checked and never run.

import type { components } from "./node_modules/.types/openapi.ts";

type Schemas = components["schemas"];

export const text: Schemas["MessageInput"] = { sender_id: "u_42", body: "Hi" };
export const image: Schemas["MessageInput"] = { sender_id: "u_42", message_type: "image", media_url: "https://a.example/b.png" };
// @ts-expect-error: an image needs its address
export const none: Schemas["MessageInput"] = { sender_id: "u_42", message_type: "image", body: "Hi" };
// @ts-expect-error: a text needs its body
export const empty: Schemas["MessageInput"] = { sender_id: "u_42", message_type: "text" };

export const anything: Schemas["Json"] = { deep: { list: [1, "two", [null]], yes: true } };
// @ts-expect-error: a function is no JSON
export const nothing: Schemas["Json"] = { deep: { list: () => [] } };
