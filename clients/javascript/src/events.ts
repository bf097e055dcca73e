// Events, for callbacks and for `for await`.

/** The maximum number of events that wait for a reader of `events()`. The oldest are dropped: the state includes their changes. */
const MOST_WAITING = 1000;

export class Emitter<Event extends { type: string }> {
  #listeners = new Set<(event: Event) => void>();

  /** Calls `listener` with each event of a type. Returns a function that ends this. */
  on<Type extends Event["type"]>(type: Type, listener: (event: Extract<Event, { type: Type }>) => void): () => void {
    const filtered = (event: Event) => event.type === type && listener(event as Extract<Event, { type: Type }>);
    this.#listeners.add(filtered);
    return () => void this.#listeners.delete(filtered);
  }

  /** Returns all events from now on, for a `for await` loop. Leaving the loop unsubscribes. */
  events(): AsyncIterableIterator<Event> {
    const waiting: Event[] = [];
    let wake: ((result: IteratorResult<Event>) => void) | undefined;
    let done = false;
    const listener = (event: Event) => {
      if (wake) wake({ value: event });
      else if (waiting.push(event) > MOST_WAITING) waiting.shift();
      wake = undefined;
    };
    this.#listeners.add(listener);
    const end = { value: undefined, done: true } as const;
    return {
      next: () => {
        const value = waiting.shift();
        if (value) return Promise.resolve({ value });
        return done ? Promise.resolve(end) : new Promise((resolve) => (wake = resolve));
      },
      return: async () => {
        done = true;
        this.#listeners.delete(listener);
        wake?.(end);
        return end;
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  /** Calls all listeners, even if one of them throws. */
  protected emit(event: Event): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(event);
      } catch (error) {
        Promise.reject(error); // reported as an unhandled rejection
      }
    }
  }
}
