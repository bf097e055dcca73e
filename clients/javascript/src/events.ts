// Events, for callbacks and for `for await`.

/** How many events a slow reader of `events()` may be behind. The oldest are dropped first: the state has what they said. */
const BEHIND = 1000;

export class Emitter<Event extends { type: string }> {
  #listeners = new Set<(event: Event) => void>();

  /** Calls `listener` with each event of a type, until the function that this returns is called. */
  on<Type extends Event["type"]>(type: Type, listener: (event: Extract<Event, { type: Type }>) => void): () => void {
    const filtered = (event: Event) => event.type === type && listener(event as Extract<Event, { type: Type }>);
    this.#listeners.add(filtered);
    return () => void this.#listeners.delete(filtered);
  }

  /** All events from now on. Leaving the loop stops it. */
  events(): AsyncIterableIterator<Event> {
    const waiting: Event[] = [];
    let wake: ((result: IteratorResult<Event>) => void) | undefined;
    let done = false;
    const listener = (event: Event) => {
      if (wake) wake({ value: event });
      else if (waiting.push(event) > BEHIND) waiting.shift();
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

  /** Tells all listeners. One that throws doesn't keep the event from the others. */
  protected emit(event: Event): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(event);
      } catch (error) {
        Promise.reject(error); // reported as the platform reports what nobody catches
      }
    }
  }
}
