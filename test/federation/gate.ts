/** A line between two processes that a test can mute, cut and close: TCP underneath TLS. */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

type Pair = readonly [caller: Socket, callee: Socket];

/** The line. It begins open. */
export class Gate {
  readonly #server: Server;
  /** Connections, and how many records of application data each caller has sent. */
  readonly #pairs = new Map<Pair, () => number>();
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
    for (const [, callee] of this.#pairs.keys()) callee.resume();
  }

  /** Whoever is called hears everything, and no answer of it gets out; new connections are made all the same. */
  mute(): void {
    this.#state = 'mute';
    for (const pair of this.#pairs.keys()) this.#muteIfAsked(pair);
  }

  /** Ends all connections; what was kept is lost. New ones pass as before. */
  cut(): void {
    for (const pair of this.#pairs.keys()) for (const socket of pair) socket.destroy();
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
    const records = recordsOf(caller);
    this.#pairs.set(pair, records);
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
    caller.on('data', () => void (this.#state === 'mute' && this.#muteIfAsked(pair)));
  }

  /** The first record of application data ends the caller's handshake, the second begins a request. */
  #muteIfAsked(pair: Pair): void {
    if ((this.#pairs.get(pair)?.() ?? 0) > 1) pair[1].pause();
  }
}

/** Type of TLS records of application data, and what stands before every record. */
const applicationData = 23;
const recordHeaderBytes = 5;

/** Counts the records of application data that a caller sends. */
function recordsOf(caller: Socket): () => number {
  let count = 0;
  let header = Buffer.alloc(0);
  let bytesLeft = 0;
  caller.on('data', (octets: Buffer) => {
    for (let at = 0; at < octets.length; ) {
      const wanted = bytesLeft > 0 ? bytesLeft : recordHeaderBytes - header.length;
      const part = octets.subarray(at, at + wanted);
      at += part.length;
      if (bytesLeft > 0) {
        bytesLeft -= part.length;
        continue;
      }
      header = Buffer.concat([header, part]);
      if (header.length < recordHeaderBytes) return;
      bytesLeft = header.readUInt16BE(recordHeaderBytes - 2);
      if (header[0] === applicationData) count += 1;
      header = Buffer.alloc(0);
    }
  });
  return () => count;
}

function carry(from: Socket, to: Socket): void {
  from.on('data', (octets) => void to.write(octets));
  from.on('end', () => to.end());
}
