// Types of the API, from docs/openapi.yaml, and types of the client.

import type { TinyChatError } from "./error.js";
import type { components } from "./openapi.js";

type Schemas = components["schemas"];

export type Kind = Schemas["Kind"];
export type UserInput = Schemas["UserInput"];
export type User = Schemas["User"];
export type ConversationInput = Schemas["ConversationInput"];
export type ConversationUpdate = Schemas["ConversationUpdate"];
export type MessageInput = Schemas["MessageInput"];

/** The response of `GET /v1/config`. */
export interface Config {
  tenant: Schemas["ConfigAnswer"]["tenant"];
  realtime: {
    supabase_url: string;
    supabase_anon_key: string;
    channel_prefix: string;
    private?: boolean;
    /** With a user token: the JWT that identifies the user to Realtime. */
    access_token?: string;
    expires_at?: string;
    /** If users have inbox channels: the prefix of the channels' names. */
    user_channel_prefix?: string;
  };
}

/** The time up to which a user has read a conversation. */
export interface Read {
  conversation_id: string;
  user_id: string;
  read_at: string;
}

export interface Member {
  user_id: string;
  name?: string | null;
  role?: Schemas["Role"] | null;
  read_at?: string | null;
}

/** A conversation on the server. Older servers leave out the optional fields. */
export type ConversationData = Omit<Schemas["Conversation"], "updated_at" | "status"> & {
  status?: "open" | "closed";
  unread_count?: number;
  updated_at?: string;
  members?: Member[];
};

/** A message on the server. Older servers leave out the optional fields. */
export type Message = Omit<Schemas["Message"], "updated_at"> & {
  receiver_id?: string | null;
  updated_at?: string;
  client_message_id?: string | null;
  metadata?: Record<string, unknown>;
  state?: undefined;
};

/** A message that the server doesn't have yet. `id` is its `client_message_id`, and `created_at` is the local time. */
export interface PendingMessage {
  readonly id: string;
  readonly client_message_id: string;
  readonly conversation_id: string;
  readonly sender_id: string;
  readonly body: string | null;
  readonly message_type: "text" | "image";
  readonly media_url: string | null;
  readonly reply_to: string | null;
  readonly metadata?: Record<string, unknown>;
  readonly created_at: string;
  readonly edited_at: null;
  readonly deleted_at: null;
  /** The image that is sent with it. */
  readonly file?: ImageFile;
  /** The share of the image that has been uploaded, from 0 to 1. */
  readonly progress: number;
  readonly state: "sending" | "failed";
  /** The reason for the failure. */
  readonly error?: TinyChatError;
}

/** A `Blob` or `File`, or the `{ uri, name, type, size }` of React Native's pickers. */
export type ImageFile =
  | { readonly size: number; readonly type: string; readonly name?: string }
  | { readonly uri: string; readonly size: number; readonly type: string; readonly name: string };

/** A message to send: a text, an image, or both. */
export interface Draft {
  body?: string;
  /** An image to upload first. */
  file?: ImageFile;
  /** The URL of an image that is already on the web. */
  media_url?: string;
  /** The id of the message that this is a reply to. */
  reply_to?: string;
  receiver_id?: string;
  metadata?: Record<string, unknown>;
}

export type Change = "created" | "updated" | "deleted";
/** `offline` before `connect` and after `disconnect`; `live` while every channel is joined. */
export type Connection = "connecting" | "live" | "offline";
