/** A line between two processes that a test can mute, cut and close: TCP underneath TLS. */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** The line. It begins open. */
export class Gate {
  readonly #server: Server;
  readonly #pairs = new Set<readonly [caller: Socket, callee: Socket]>();
  #state: 'open' | 'mute' | 'closed' = 'open';

  private constructor(port: number) {
    this.#server = createServer((caller) => this.#join(caller, port));
  }

  /** @param port where what is behind it listens, on the loopback interface */
  static async start(port: number): Promise<Gate> {
    const gate = new Gate(port);
    await new Promise<void>((resolve) => gate.#server.listen(0, '127.0.0.1', resolve));
    return gate;
  }

  /** Where callers come. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Everything passes; answers that were kept too. */
  open(): void {
    this.#state = 'open';
    for (const [, callee] of this.#pairs) callee.resume();
  }

  /** Whoever is called hears everything, and nothing of what it says gets out. */
  mute(): void {
    this.#state = 'mute';
    for (const [, callee] of this.#pairs) callee.pause();
  }

  /** Ends all connections; what was kept is lost. New ones pass as before. */
  cut(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
  }

  /** Ends all connections and lets no new one in. */
  close(): void {
    this.#state = 'closed';
    this.cut();
  }

  /** For good. */
  async stop(): Promise<void> {
    this.close();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(caller: Socket, port: number): void {
    if (this.#state === 'closed') {
      caller.destroy();
      return;
    }
    const callee = connect(port, '127.0.0.1');
    const pair = [caller, callee] as const;
    this.#pairs.add(pair);
    for (const socket of pair) {
      socket.setNoDelay();
      // Resets are what this is about.
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.#pairs.delete(pair);
        for (const end of pair) end.destroy();
      });
    }
    carry(caller, callee);
    carry(callee, caller);
    if (this.#state === 'mute') callee.pause();
  }
}

function carry(from: Socket, to: Socket): void {
  from.on('data', (octets) => void to.write(octets));
  from.on('end', () => to.end());
}
