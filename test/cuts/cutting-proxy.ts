/** A line between client and provider that breaks where it is told to: TCP underneath TLS, cut after so many octets. */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** Which way the octets go that are counted: `up` from the client to the provider. */
export type Direction = 'up' | 'down';

/** Where a connection ends: after exactly so many octets that way, handshake of TLS included. */
export interface Cut {
  readonly direction: Direction;
  readonly octets: number;
}

/** The line. */
export class CuttingProxy {
  /** Asked for each connection: where it breaks, or undefined for one that lasts. */
  cutOf: (connection: number) => Cut | undefined = () => undefined;
  /** Connections so far, and those of them that were cut. */
  connectionCount = 0;
  cutCount = 0;
  /** Octets that passed since the last {@link reset}. */
  passed: Record<Direction, number> = { up: 0, down: 0 };
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(port: number) {
    this.#server = createServer((client) => this.#join(client, connect(port, '127.0.0.1')));
  }

  /** @param port of the provider, on the loopback interface */
  static async start(port: number): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(port);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get url(): string {
    return `https://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Counts anew, and breaks connections as told from now on. */
  reset(cutOf: (connection: number) => Cut | undefined): void {
    this.cutOf = cutOf;
    this.connectionCount = 0;
    this.cutCount = 0;
    this.passed = { up: 0, down: 0 };
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(client: Socket, provider: Socket): void {
    const cut = this.cutOf(this.connectionCount++);
    const ends = [client, provider];
    for (const socket of ends) {
      this.#sockets.add(socket);
      socket.setNoDelay();
      // Resets are what this is about.
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.#sockets.delete(socket);
        for (const end of ends) end.destroy();
      });
    }
    this.#carry('up', client, provider, cut);
    this.#carry('down', provider, client, cut);
  }

  #carry(direction: Direction, from: Socket, to: Socket, cut: Cut | undefined): void {
    let left = cut?.direction === direction ? cut.octets : Number.POSITIVE_INFINITY;
    from.on('data', (octets) => {
      const part = octets.subarray(0, left);
      left -= part.length;
      this.passed[direction] += part.length;
      if (part.length === octets.length) {
        if (!to.write(part)) {
          from.pause();
          to.once('drain', () => from.resume());
        }
        return;
      }
      this.cutCount += 1;
      from.pause();
      // What was let through arrives before the end.
      to.end(part, () => {
        to.destroy();
        from.destroy();
      });
    });
    from.on('end', () => to.end());
  }
}
