/** Relays connections, each way at a pace where one is set. Used by the process of `relay-main.ts`. */
import { connect, createServer, type NetConnectOpts, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { linkBurstBytes, relayPieceBytes } from '@meshd/limits/load';
import { Pace } from './pace.js';

/** An end of a relay: a port, or a socket in the file system, which is the same in every network namespace. */
export type RelayEnd = { readonly host: string; readonly port: number } | { readonly path: string };

/** What one relay does. */
export interface RelayPlan {
  readonly listen: RelayEnd;
  readonly to: RelayEnd;
  /** Each way; as fast as it goes when absent. */
  readonly bitsPerSecond?: number;
}

const paceOf = (bitsPerSecond: number): Pace => new Pace(bitsPerSecond, linkBurstBytes);

/** A relay that runs. */
export interface Relay {
  /** Where it listens, if that is a port. */
  readonly port: number | undefined;
  /** Ends it, and all connections at once. */
  stop(): void;
}

/** Starts a relay. @throws errors of sockets */
export async function startRelay({ listen, to, bitsPerSecond }: RelayPlan): Promise<Relay> {
  const paces = bitsPerSecond === undefined ? undefined : ([paceOf(bitsPerSecond), paceOf(bitsPerSecond)] as const);
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    const far = connect({ ...to, allowHalfOpen: true, noDelay: true } as NetConnectOpts);
    const end = (): void => {
      near.destroy();
      far.destroy();
    };
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', end).once('close', () => sockets.delete(socket));
    }
    if (paces === undefined) {
      near.pipe(far);
      far.pipe(near);
    } else {
      const [forth, back] = paces;
      void carry(near, far, forth).catch(end);
      void carry(far, near, back).catch(end);
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(listen, resolve);
  });
  const address = server.address();
  return {
    port: address === null || typeof address === 'string' ? undefined : address.port,
    stop: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** All connections share the line: a piece of one, then a piece of another. */
async function carry(from: Socket, to: Socket, pace: Pace): Promise<void> {
  for await (const octets of from as AsyncIterable<Buffer>) {
    for (let at = 0; at < octets.length; at += relayPieceBytes) {
      const piece = octets.subarray(at, at + relayPieceBytes);
      const throughMs = pace.take(piece.length, performance.now());
      const waitMs = throughMs - performance.now();
      if (waitMs >= 1) await sleep(waitMs);
      if (!to.write(piece)) await drained(to);
    }
  }
  to.end();
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    if (socket.destroyed) reject(new Error('the other end is gone'));
    socket.once('drain', resolve);
    socket.once('close', () => reject(new Error('the other end is gone')));
  });
}
