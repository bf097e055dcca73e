// Verifies webhooks as a receiver does, with the official library. Reads {"secret", "headers", "body"} objects, one a
// line, and prints the event or why it was refused.
import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";

// Not with readline: from Node.js 24 on it ends a line at U+2028, too, which JSON leaves as it is.
for (const line of readFileSync(0, "utf8").trimEnd().split("\n")) {
  const { secret, headers, body } = JSON.parse(line);
  try {
    console.log(JSON.stringify(new Webhook(secret).verify(body, headers)));
  } catch (error) {
    console.log(JSON.stringify(error.message));
  }
}
