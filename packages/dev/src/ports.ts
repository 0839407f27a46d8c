/** Free ports of the loopback interface. */
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

/**
 * Ports are looked for below those that systems give to outgoing connections (Linux from 32768 on, others from 49152 on): with
 * many processes that connect to each other one that is free now would soon be somebody's end of a connection.
 */
const range = { from: 16_384, to: 32_768 };
const triesMax = 100;

/** For so long a port that was given out is given to nobody else who asks here: time to listen on it. */
const claimMs = 60_000;

/**
 * Ports that nobody listens on just now, and that no other process was given by this a moment ago. A stranger may still take one
 * before we use it; whoever starts something on it finds that out.
 */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  // All are held at the same time, so that no port is given twice.
  const ports = await Promise.all(servers.map(listenAnywhere));
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/**
 * Claims a port among all processes that ask here, by a datagram socket on the same number, which nothing else is sent to: it
 * hinders nobody who listens for connections, and goes with the process.
 */
function claim(port: number): Promise<boolean> {
  const socket = createSocket('udp4');
  return new Promise((resolve) => {
    socket.once('error', () => {
      socket.close();
      resolve(false);
    });
    socket.bind({ port, address: '127.0.0.1', exclusive: true }, () => {
      socket.unref();
      setTimeout(() => socket.close(), claimMs).unref();
      resolve(true);
    });
  });
}

async function listenAnywhere(server: ReturnType<typeof createServer>): Promise<number> {
  for (let tries = 1; ; tries += 1) {
    if (tries > triesMax) throw new Error('no port is free');
    const port = randomInt(range.from, range.to);
    if (!(await claim(port))) continue;
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, '127.0.0.1', () => {
          server.off('error', reject);
          resolve();
        });
      });
      return port;
    } catch (error) {
      server.removeAllListeners('error');
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    }
  }
}

/** Whether something can listen there now. */
export function isPortFree(host: string, port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}
