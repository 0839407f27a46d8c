/** Puts an answer on the wire, as awkwardly as told. Nothing here throws: a peer that is gone is no concern of a sink. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '@meshd/crypto/random';
import { sinkDripMs, sinkOversizeBytes } from '@meshd/limits/load';
import type { Behaviour } from './behaviour.js';
import type { WireAnswer } from './spoil.js';

const noiseBytes = 512;
const blockBytes = 64 * 1024;

/** Behaviours in which nothing is answered at all, so that there need not be an answer. */
export const answersNothing: ReadonlySet<Behaviour> = new Set(['hang', 'noise', 'oversized']);

/** Sends nothing that belongs to HTTP, or nothing that ends, or nothing. */
export async function deliverNothing(http: ServerResponse, behaviour: Behaviour, random: Random): Promise<void> {
  if (behaviour === 'noise') http.socket?.end(random(noiseBytes));
  if (behaviour === 'oversized') await floods(http);
}

/** Sends an answer: whole, by drops, the first half, or not at all. */
export async function deliver(http: ServerResponse, answer: WireAnswer, behaviour: Behaviour): Promise<void> {
  const { httpStatus, headers, body } = answer;
  if (behaviour === 'lose') {
    http.destroy();
    return;
  }
  http.writeHead(httpStatus, { ...headers, 'Content-Length': body.length });
  if (behaviour === 'drip') await drips(http, body);
  else if (behaviour === 'cut') http.write(body.subarray(0, body.length / 2), () => http.destroy());
  else http.end(body);
}

async function drips(http: ServerResponse, body: Uint8Array): Promise<void> {
  for (let at = 0; at < body.length && !http.destroyed; at += 1) {
    http.write(body.subarray(at, at + 1));
    await sleep(sinkDripMs, undefined, { ref: false });
  }
  http.end();
}

/** Begins as an answer does and goes on with what means nothing in it, until the peer has had enough. */
async function floods(http: ServerResponse): Promise<void> {
  const block = Buffer.alloc(blockBytes, ' ');
  http.writeHead(200, { 'Content-Type': 'application/json' });
  http.write('[');
  for (let bytes = 0; bytes < sinkOversizeBytes && !http.destroyed; bytes += block.length) {
    if (!http.write(block)) await Promise.race([once(http, 'drain'), once(http, 'close')]);
  }
  http.end();
}
