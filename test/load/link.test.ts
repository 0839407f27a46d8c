/** Slow lines: what comes out is what went in, and not sooner than the line allows. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { linkBurstBytes } from '@meshd/limits/load';
import { type Link, openLink } from '@meshd/load/link/open-link';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const bitsPerSecond = 2_000_000;
const bytes = 100_000;
const echo = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
const links: Link[] = [];
let port = 0;
beforeAll(async () => {
  await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
  port = (echo.address() as { port: number }).port;
});
afterAll(async () => {
  for (const link of links) await link.stop();
  await new Promise((resolve) => echo.close(resolve));
});

async function thereAndBack(link: Link): Promise<{ octets: Buffer; tookMs: number; sent: Buffer }> {
  const sent = randomBytes(bytes);
  const socket = connect({ host: '127.0.0.1', port: link.port, allowHalfOpen: true });
  const parts: Buffer[] = [];
  socket.on('data', (part) => parts.push(part));
  const start = performance.now();
  socket.end(sent);
  await once(socket, 'end');
  return { octets: Buffer.concat(parts), tookMs: performance.now() - start, sent };
}

describe('a slow line', () => {
  it('by a relay passes on every octet, at its pace at the most', async () => {
    const link = await openLink({ bitsPerSecond, to: { host: '127.0.0.1', port }, by: 'relay' });
    links.push(link);
    const { octets, sent, tookMs } = await thereAndBack(link);
    expect(octets.equals(sent)).toBe(true);
    // One way at least; what comes back overtakes nothing.
    expect(tookMs).toBeGreaterThan(((bytes - linkBurstBytes) * 8 * 1000) / bitsPerSecond);
  });

  it('is made by the kernel where this machine lets us, and else by a relay that says why', async () => {
    const link = await openLink({ bitsPerSecond, to: { host: '127.0.0.1', port } });
    links.push(link);
    expect(link.by === 'kernel' || (link.why ?? '') !== '').toBe(true);
    const { octets, sent } = await thereAndBack(link);
    expect(octets.equals(sent)).toBe(true);
  });
});
