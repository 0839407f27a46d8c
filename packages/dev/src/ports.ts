/** Free ports of the loopback interface. */
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * Ports are looked for below those that systems give to outgoing connections (Linux from 32768 on, others from 49152 on): with
 * many processes that connect to each other one that is free now would soon be somebody's end of a connection.
 */
const range = { from: 16_384, to: 32_768 };
const triesMax = 100;

/**
 * Ports that nobody listens on just now. Another program may take one before we use it; whoever starts something on it
 * finds that out.
 */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  // All are held at the same time, so that no port is given twice.
  const ports = await Promise.all(servers.map(listenAnywhere));
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

async function listenAnywhere(server: ReturnType<typeof createServer>): Promise<number> {
  for (let tries = 1; ; tries += 1) {
    const port = randomInt(range.from, range.to);
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
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || tries >= triesMax) throw error;
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
