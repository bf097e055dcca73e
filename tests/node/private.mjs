// Listens to a conversation as one user, on its private channel, and prints what it sees, one JSON object a line. Each user token,
// and so each access token, lives for so many seconds. `renewed` gets a new one whenever supabase-js asks, `kept` keeps the first.
//
//     API_URL=… TOKEN_KID=… TOKEN_SECRET=… node private.mjs <conversation id> <user> <seconds> renewed|kept
import { createHmac } from "node:crypto";
import { createClient } from "@supabase/supabase-js";
import ws from "ws";

const [conversationId, user, seconds, mode] = process.argv.slice(2);
const { API_URL, TOKEN_KID, TOKEN_SECRET } = process.env;
const print = (line) => console.log(JSON.stringify(line));
const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

function userToken() {
  const now = Math.floor(Date.now() / 1000);
  const input = `${part({ alg: "HS256", kid: TOKEN_KID })}.${part({ sub: user, iat: now, exp: now + Number(seconds) })}`;
  return `${input}.${createHmac("sha256", TOKEN_SECRET).update(input).digest("base64url")}`;
}

async function realtime() {
  const response = await fetch(`${API_URL}/v1/config`, { headers: { "x-tinychat-api-key": userToken() } });
  return (await response.json()).realtime;
}

// supabase-js asks for a token twice as it starts. If the first answer came after the second, it would keep that token for good.
let asked;
const renewed = () => (asked ??= realtime().finally(() => { asked = undefined; }));

const first = await realtime();
const supabase = createClient(first.supabase_url, first.supabase_anon_key, {
  accessToken: async () => (mode === "renewed" ? await renewed() : first).access_token,
  realtime: { heartbeatIntervalMs: 1000, transport: globalThis.WebSocket ?? ws }, // supabase-js asks at each heartbeat
});
await supabase.realtime.setAuth(); // otherwise the channel might join before it has the token
supabase
  .channel(`${first.channel_prefix}${conversationId}`, { config: { private: first.private } })
  .on("broadcast", { event: "message" }, ({ event, payload }) => print({ event, payload }))
  .subscribe((status) => print({ status }));
