// A server that forwards connections to another server, and can be stopped and started.

import { once } from "node:events";
import { type AddressInfo, type Socket, connect, createServer } from "node:net";

export class Relay {
  #server = createServer();
  #sockets = new Set<Socket>();
  #port = 0;
  readonly #target: URL;

  private constructor(target: string) {
    this.#target = new URL(target);
  }

  static async to(target: string): Promise<Relay> {
    const relay = new Relay(target);
    await relay.up();
    return relay;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  async up(): Promise<void> {
    this.#server = createServer((near) => {
      const far = connect(Number(this.#target.port), this.#target.hostname);
      for (const [socket, other] of [[near, far], [far, near]] as const) {
        this.#sockets.add(socket);
        socket.on("error", () => {}).on("close", () => (this.#sockets.delete(socket), other.destroy())).pipe(other);
      }
    });
    await once(this.#server.listen(this.#port, "127.0.0.1"), "listening");
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Refuses new connections and breaks the open ones. */
  async down(): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server, "close");
  }
}
