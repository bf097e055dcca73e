/** The error of a failed request. `message` is the server's text, which may be shown to users. */
export class TinyChatError extends Error {
  override readonly name = "TinyChatError";
  /** The HTTP status, or 0 if there was no response. */
  readonly status: number;

  constructor(status: number, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.status = status;
  }

  /** Whether the same request may succeed later: the network or the server failed, or there were too many requests. */
  get isTemporary(): boolean {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

/** Converts a thrown value to a `TinyChatError`. */
export function asError(thrown: unknown): TinyChatError {
  if (thrown instanceof TinyChatError) return thrown;
  return new TinyChatError(0, thrown instanceof Error ? thrown.message : String(thrown), { cause: thrown });
}
