/** What the outbound worker makes of a slow line, of destinations that are dead, and of very many of them. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect, createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { waitFor } from '@meshd/dev/wait';
import { openLink } from '@meshd/load/link/open-link';
import { type Figure, median } from './harness.ts';
import { undoAtEnd } from './provider/bench-provider.ts';
import { startChild } from './provider/child.ts';
import { counted, deliver, deliveryMsMax, names, pairCount, recipients, senders } from './provider/deliver-messages.ts';
import type { SinkCalls } from './provider/sink-program.ts';
import { Looks, sinkAuthority, type TwoProviders, twoProviders } from './provider/two-providers.ts';

const linkBitsPerSecond = 10_000_000;
/** Long enough that the beginning of a connection does not count. */
const bareBytes = 6 * 1024 * 1024;

/** What one TLS connection carries over a line like the other: octets a second, its beginning left out. */
async function startBareLine(): Promise<() => Promise<number>> {
  const { alpha } = await twoProviders();
  const { certFile, keyFile } = alpha.plan.certificates.server;
  const [cert, key] = await Promise.all([readFile(certFile), readFile(keyFile)]);
  let arrived: { bytes: number; atMs: number }[] = [];
  const server = createTlsServer({ cert, key, minVersion: 'TLSv1.3' }, (socket: TLSSocket) => {
    let bytes = 0;
    socket.on('data', (octets) => {
      bytes += octets.length;
      arrived.push({ bytes, atMs: performance.now() });
      if (bytes >= bareBytes) socket.end();
    });
    socket.on('error', () => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  undoAtEnd(async () => server.close());
  const { port } = server.address() as { port: number };
  const link = await openLink({ bitsPerSecond: linkBitsPerSecond, to: { host: '127.0.0.1', port } });
  undoAtEnd(() => link.stop());
  const octets = randomBytes(bareBytes);
  return async () => {
    arrived = [];
    const socket = connect({ host: '127.0.0.1', port: link.port, servername: alpha.domains[0], ca: alpha.ca });
    await once(socket, 'secureConnect');
    socket.write(octets);
    socket.resume();
    await once(socket, 'close');
    const first = arrived.find(({ bytes }) => bytes >= bareBytes / 8);
    const last = arrived.at(-1);
    if (first === undefined || last === undefined) throw new Error('nothing arrived');
    return ((last.bytes - first.bytes) * 1000) / (last.atMs - first.atMs);
  };
}

const outboundAdmin = ({ alpha }: TwoProviders): string =>
  alpha.processes.adminUrls.find(({ name }) => name === 'outbound')?.url as string;

/** Posts that broke or were given up, and those that took more than five seconds, since the worker started. */
async function troubles(two: TwoProviders): Promise<number> {
  const all = await counted(outboundAdmin(two), 'outbound_posts_total', '');
  const answered = await counted(outboundAdmin(two), 'outbound_posts_total', 'result="answered"');
  return all - answered;
}

/** A line of 10 Mb/s between the two. */
export const postLink10mbit: Figure = {
  ...{ name: 'post-link-10mbit', unit: 'octetsPerSecond', target: 0.95, direction: 'at least' },
  limitIs: 'one TLS connection over such a line; a Post that is not answered in time makes a round worth 0',
  async prepare() {
    const two = await twoProviders();
    const to = { host: '127.0.0.1', port: two.beta.port };
    const link = await openLink({ bitsPerSecond: linkBitsPerSecond, to });
    undoAtEnd(() => link.stop());
    await two.setPlace('slow.test', link.port);
    const limit = await startBareLine();
    const send = await deliver({ each: 32, messageBytes: 'full', to: names('slow-reader', '@slow.test') });
    let lost = 0;
    const ours = async (): Promise<number> => {
      const before = await troubles(two);
      const { steadyBytesPerSecond } = await send();
      const isSteady = (await troubles(two)) === before;
      if (!isSteady) lost += 1;
      return isSteady ? steadyBytesPerSecond : 0;
    };
    return {
      async round(flip) {
        if (!flip) return { value: await ours(), limit: await limit() };
        const first = await limit();
        return { value: await ours(), limit: first };
      },
      details: () => ({ shapedBy: link.by, roundsWithLostPosts: lost }),
    };
  },
};

const voidQueued = 10_000;
const smallBytes = 4096;

let blackHole: Promise<void> | undefined;

/** A destination that accepts connections and never says a word, with all that is queued for it. */
function ensureBlackHole(): Promise<void> {
  blackHole ??= (async () => {
    const { alpha, people, setPlace } = await twoProviders();
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.once('close', () => sockets.delete(socket));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    undoAtEnd(async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    await setPlace('void.test', (server.address() as { port: number }).port);
    const to = names('nobody', '@void.test').map((one) => [one]);
    const each = voidQueued / pairCount;
    const plan = { senders, recipients: to, each, messageBytes: smallBytes, messagesPerPost: 16 };
    await people.call('prepare', plan);
    await people.call('post', alpha.target);
    const queue = await Looks.open(alpha);
    if ((await queue.waiting('void.test')) !== voidQueued) throw new Error('the queue of the black hole is not full');
  })();
  return blackHole;
}

const besideEach = 60;
const aloneRounds = 5;

/** A healthy destination beside it. Alone it can only be measured before: what is queued stays queued. */
export const postBesideBlackHole: Figure = {
  ...{ name: 'post-beside-black-hole', unit: 'messagesPerSecond', target: 0.9, direction: 'at least' },
  limitIs: 'the same destination before 10,000 messages waited for a black hole; the median of five rounds',
  async prepare() {
    const send = await deliver({ each: besideEach, messageBytes: smallBytes });
    await send();
    const alone: number[] = [];
    for (let round = 0; round < aloneRounds; round += 1) alone.push((await send()).perSecond);
    await ensureBlackHole();
    return { round: async () => ({ value: (await send()).perSecond, limit: median(alone) }) };
  },
};

const besidePerSecond = 40;
const besideSeconds = 8;

/** How long a message takes beside it, at a rate that the healthy destination bears, from when it was to be sent. */
export const postBesideBlackHoleP99: Figure = {
  ...{ name: 'post-beside-black-hole-p99', unit: 'milliseconds', target: 1, direction: 'at most' },
  limitIs: `a second, at ${besidePerSecond} messages a second`,
  async prepare() {
    const { alpha, beta, people } = await twoProviders();
    await people.call('open', { senders, recipients });
    await ensureBlackHole();
    const looks = await Looks.open(beta);
    const each = (besidePerSecond * besideSeconds) / pairCount;
    return {
      async round() {
        const to = recipients.map((one) => [one]);
        await people.call('prepare', { senders, recipients: to, each, messageBytes: smallBytes, messagesPerPost: 1 });
        const before = await looks.inbound(recipients);
        const arrivedMs = recipients.map((): number[] => []);
        let isSent = false;
        const sending = people.call('postAtRate', { target: alpha.target, perSecond: besidePerSecond });
        const sent = sending.finally(() => {
          isSent = true;
        });
        const endMs = performance.now() + deliveryMsMax;
        // Messages to one recipient arrive in the order in which they were sent.
        while (!isSent || arrivedMs.some(({ length }) => length < each)) {
          const now = await looks.inbound(recipients);
          for (const [at, one] of recipients.entries()) {
            const count = (now.get(one) ?? 0) - (before.get(one) ?? 0);
            const times = arrivedMs[at] as number[];
            while (times.length < count) times.push(Date.now());
          }
          if (performance.now() > endMs) throw new Error('messages beside the black hole do not arrive');
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        const intended = await sent;
        const took = arrivedMs.flatMap((times, at) => times.map((time, nth) => time - (intended[at]?.[nth] ?? 0)));
        took.sort((a, b) => a - b);
        return { value: took[Math.ceil(0.99 * took.length) - 1] ?? Number.POSITIVE_INFINITY, limit: 1000 };
      },
    };
  },
};

const destinationCount = 1000;

/** As many destinations as messages, beside as many messages for one of them; all of them stand-ins that sign receipts. */
export const post1000Destinations: Figure = {
  ...{ name: 'post-1000-destinations', unit: 'messagesPerSecond', target: 0.5, direction: 'at least' },
  limitIs: 'as many messages for one of these destinations',
  async prepare() {
    const { alpha, people, folder, setPlaces } = await twoProviders();
    const sinks = startChild<SinkCalls>('./sink-program.ts');
    undoAtEnd(() => sinks.stop());
    const domains = Array.from({ length: destinationCount }, (_, at) => `s${at}.test`);
    const authority = join(folder, sinkAuthority);
    const ports = await sinks.call('start', { domains, folder: join(folder, 'sinks'), authority });
    await setPlaces(new Map(domains.map((domain, at) => [domain, ports[at] as number])));
    await people.call('open', { senders });
    const queue = await Looks.open(alpha);
    const each = Math.ceil(destinationCount / pairCount);
    const count = each * pairCount;
    const rate = async (domainOf: (at: number) => string): Promise<number> => {
      const to = senders.map((name, at) =>
        Array.from({ length: each }, (_, nth) => `${name}@${domainOf((at * each + nth) % destinationCount)}`),
      );
      await people.call('prepare', { senders, recipients: to, each, messageBytes: smallBytes, messagesPerPost: 1 });
      const start = performance.now();
      await people.call('post', alpha.target);
      await waitFor(async () => ((await queue.waiting('s%.test')) === 0 ? true : undefined), {
        ...{ what: 'the last receipt', deadlineMs: deliveryMsMax, pauseMs: 20 },
      });
      return (count * 1000) / (performance.now() - start);
    };
    const many = () => rate((at) => domains[at] as string);
    const one = () => rate(() => domains[0] as string);
    return {
      async round(flip) {
        if (!flip) return { value: await many(), limit: await one() };
        const first = await one();
        return { value: await many(), limit: first };
      },
    };
  },
};
