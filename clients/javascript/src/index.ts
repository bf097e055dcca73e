export { TinyChat } from "./client.js";
export type { ClientEvent, Options } from "./client.js";
export type { Conversation, ConversationEvent } from "./conversation.js";
export { TinyChatError } from "./error.js";
export { transport } from "./platform.js";
export type { Fetch, Request, Response } from "./platform.js";
export type {
  Change, Config, Connection, ConversationInput, ConversationUpdate, Draft, ImageFile, Kind, Member, Message, PendingMessage, Read, User,
  UserInput,
} from "./types.js";
