// The caller's credential: a key, or a user token that is renewed before it expires.

import { TinyChatError, asError } from "./error.js";
import { platform } from "./platform.js";

/** The share of a token's life that is left when it is renewed, and its maximum in milliseconds. */
const MARGIN = 0.1;
const LONGEST_MARGIN = 60_000;

export class Credential {
  #current: string | undefined;
  #freshUntil = Infinity;
  #renewal: Promise<string> | undefined;
  readonly #source: (() => Promise<string>) | undefined;

  constructor(key: string | undefined, token: (() => Promise<string>) | undefined) {
    if ((key === undefined) === (token === undefined)) throw new TypeError("either `key` or `token` is required");
    this.#current = key;
    this.#source = token;
  }

  /** Returns the key or token for a request. */
  async get(): Promise<string> {
    return this.#current !== undefined && Date.now() < this.#freshUntil ? this.#current : this.#renew();
  }

  /**
   * Returns a new token for a request whose token, `refused`, has expired. Rejects if the application returns the same token
   * again, so that a broken token server can't cause a loop.
   */
  async replace(refused: string): Promise<string> {
    const next = this.#current === refused ? await this.#renew() : await this.get();
    if (next === refused) throw new TinyChatError(401, "user token expired");
    return next;
  }

  #renew(): Promise<string> {
    const source = this.#source;
    if (!source) throw new TinyChatError(401, "user token expired");
    this.#renewal ??= source()
      .then(
        (token) => {
          this.#current = token;
          this.#freshUntil = freshUntil(token);
          return token;
        },
        (error) => {
          throw new TinyChatError(0, `no user token: ${asError(error).message}`, { cause: error });
        },
      )
      .finally(() => (this.#renewal = undefined));
    return this.#renewal;
  }
}

/**
 * Returns the local time until which a new JWT is fresh. Only the JWT's own two times are compared, because this device's clock
 * may be wrong.
 */
export function freshUntil(jwt: string): number {
  try {
    const payload = (jwt.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
    const { exp, iat } = JSON.parse(platform.atob(payload)) as { exp: number; iat: number };
    const life = (exp - iat) * 1000;
    return life > 0 ? Date.now() + life - Math.min(life * MARGIN, LONGEST_MARGIN) : Infinity;
  } catch {
    return Infinity; // not a JWT: the server reports its expiry
  }
}
