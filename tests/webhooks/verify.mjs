// Verifies webhooks as a receiver does, with the official library. Reads {"secret", "headers", "body"} objects, one a
// line, and prints the event or why it was refused.
import { createInterface } from "node:readline";
import { Webhook } from "standardwebhooks";

for await (const line of createInterface({ input: process.stdin })) {
  const { secret, headers, body } = JSON.parse(line);
  try {
    console.log(JSON.stringify(new Webhook(secret).verify(body, headers)));
  } catch (error) {
    console.log(JSON.stringify(error.message));
  }
}
