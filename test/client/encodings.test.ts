/** `mesh --encoding` as the line sees it: which encoding requests and answers are in, by a proxy that notes each. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, request as requestOf, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { startTestProvider, type TestProvider } from '@meshd/dev/test-provider';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mesh } from './mesh-program.js';

/** Media types of a request and its answer. */
type Pair = readonly [sent: string | undefined, answered: string | undefined];

const json = 'application/json';
const jsonB = 'application/json-b';
let provider: TestProvider;
let proxy: Server;
let url: string;
let folder: string;
let home: string;
const seen: Pair[] = [];

beforeAll(async () => {
  provider = await startTestProvider();
  const { server: files } = provider.plan.certificates;
  const [cert, key] = await Promise.all([readFile(files.certFile), readFile(files.keyFile)]);
  proxy = createServer({ cert, key }, async (incoming, outgoing) => {
    const { method, url: path, headers } = incoming;
    const { port, domain: servername, ca } = provider;
    const onward = requestOf({ host: '127.0.0.1', port, method, path, headers, servername, ca });
    onward.on('response', (answer) => {
      seen.push([headers['content-type'], answer.headers['content-type']]);
      outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(outgoing);
    });
    // A program that ends cuts its connections.
    await pipeline(incoming, onward).catch(() => undefined);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  folder = await mkdtemp(join(tmpdir(), 'meshd-encodings-'));
  home = join(folder, 'home');
  url = `https://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  await typed('account', 'create', `alice@${provider.domain}`, '--url', url, '--ca', provider.caFile);
});
afterAll(async () => {
  proxy?.closeAllConnections();
  proxy?.close();
  await provider?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Runs a command that must succeed. @returns what went over the line meanwhile */
async function typed(...args: string[]): Promise<Pair[]> {
  seen.length = 0;
  const { code, stderr } = await mesh([...args, '--home', home]);
  expect([code, stderr], args.join(' ')).toEqual([0, '']);
  expect(seen).not.toEqual([]);
  return [...seen];
}

describe('[R089] mesh --encoding', () => {
  it.each([
    ['json', json],
    ['json-b', jsonB],
  ])('%s: requests and their answers are %s', async (encoding, mediaType) => {
    for (const pair of await typed('account', 'sync', '--encoding', encoding))
      expect(pair).toEqual([mediaType, mediaType]);
  });

  it('is the best that the service takes where it is not given', async () => {
    for (const pair of await typed('account', 'status')) expect(pair).toEqual([jsonB, jsonB]);
  });

  it('does not make a Hello anything but JSON: it is what tells of encodings', async () => {
    const args = ['hello', `alice@${provider.domain}`, '--encoding', 'json-b', '--url', url, '--ca', provider.caFile];
    expect(await typed(...args)).toEqual([[json, json]]);
  });
});
