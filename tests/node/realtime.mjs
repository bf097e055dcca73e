// Follows a conversation exactly as the API reference shows, and prints what it sees, one JSON object a line.
//
//     API_URL=… API_KEY=… node realtime.mjs <conversation id> <protocol version>
//
// supabase-js is pinned to the last release that runs on Node 20, which has no WebSocket of its own.
import { createClient } from "@supabase/supabase-js";
import ws from "ws";

const [conversationId, vsn] = process.argv.slice(2);
const apiKey = process.env.API_KEY;
const print = (line) => console.log(JSON.stringify(line));

// 1. Bootstrap: pull realtime creds from /v1/config
const cfg = await fetch(`${process.env.API_URL}/v1/config`, {
  headers: { "x-tinychat-api-key": apiKey },
}).then((r) => r.json());

const supabase = createClient(
  cfg.realtime.supabase_url,
  cfg.realtime.supabase_anon_key,
  { realtime: { vsn, transport: globalThis.WebSocket ?? ws } },
);

// 2. Subscribe to a conversation's channel
supabase
  .channel(`${cfg.realtime.channel_prefix}${conversationId}`)
  .on("broadcast", { event: "message" }, ({ event, payload }) => print({ event, payload }))
  .on("broadcast", { event: "typing" }, ({ event, payload }) => print({ event, payload }))
  .subscribe((status) => print({ status }));
