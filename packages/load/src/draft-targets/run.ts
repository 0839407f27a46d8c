/** People of one provider who write to each other over a slow line, each message at its time. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MeshConnection } from '@meshd/binding/mesh-connection';
import { withDevice } from '@meshd/client/device';
import type { ClientEnvironment } from '@meshd/client/environment';
import { Home } from '@meshd/client/home';
import { allowContact } from '@meshd/client/operations/contacts';
import { createAccount } from '@meshd/client/operations/create-account';
import { listMessages } from '@meshd/client/operations/messages';
import { homePins } from '@meshd/client/service-pin';
import { clientFeatures } from '@meshd/client/session';
import { homeTickets } from '@meshd/client/ticket-files';
import { loadArrivalMsMax, loadLookMs, loadMessagesPerAccountMax } from '@meshd/limits/load';
import { sendAll } from '../source/source.js';
import type { LoadedMessage, RunFacts } from './verdict.js';

/** What is to be sent, and where. */
export interface RunOptions {
  /** The provider's domain, its address, and what certificates to trust there. */
  readonly domain: string;
  readonly url: string;
  readonly ca: string | undefined;
  /** Address under which it is reached over the line. */
  readonly lineUrl: string;
  readonly count: number;
  readonly perSecond: number;
  /** Octets of payload of each message. */
  readonly payloadBytes: number;
  readonly environment: ClientEnvironment;
}

/** One who writes, and who reads it. */
interface Pair {
  readonly writer: string;
  readonly reader: string;
}

/** `MessageType`; the content is random octets, in clear. */
const type = 'Note';
/** Octets of the body around its content: names and identifiers, and the longest addresses of a run. */
const bodyBytesAround = (pair: Pair): number =>
  JSON.stringify({
    [type]: { MessageID: 'NXXX-XXXX-XXXX-XXXX-XXXX-XXXX-XXXX', Sender: pair.writer, Recipient: pair.reader },
  }).length + ',"Content":""'.length;

/** Octets of content with which a body has so many octets: it stands there in base64url. */
const contentBytesOf = (pair: Pair, payloadBytes: number): number =>
  Math.max(0, Math.floor(((payloadBytes - bodyBytesAround(pair)) * 3) / 4));

/**
 * Makes accounts, sends, and looks at what arrived. Accounts are made, and what arrived is read, beside the line. Everything
 * is forgotten afterwards but what the provider keeps.
 *
 * @throws ClientError where accounts cannot be made
 */
export async function runLoad(options: RunOptions): Promise<RunFacts> {
  const folder = await mkdtemp(join(tmpdir(), 'mesh-load-'));
  try {
    const pairs = await makePairs(folder, options);
    const messages = await sendOverLine(folder, pairs, options);
    const accepted = new Set(messages.filter(({ result }) => result === 'accepted').map(({ id }) => id));
    const arrived = await arrivals(folder, pairs, accepted, options);
    return { messages, perSecond: options.perSecond, arrived };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function makePairs(folder: string, { domain, url, ca, count, environment }: RunOptions): Promise<Pair[]> {
  const run = Buffer.from(environment.random(6)).toString('hex');
  const pairs: Pair[] = [];
  const needed = Math.ceil(count / loadMessagesPerAccountMax);
  for (let at = 0; at < needed; at += 1) {
    const pair = { writer: `load-${run}-${at}-writer@${domain}`, reader: `load-${run}-${at}-reader@${domain}` };
    for (const address of [pair.writer, pair.reader])
      await createAccount(join(folder, address), environment, { address, url, ca });
    await withDevice(join(folder, pair.reader), environment, (device) =>
      allowContact(device, { address: pair.writer, permissions: ['*'] }),
    );
    pairs.push(pair);
    environment.progress('making accounts', at + 1, needed);
  }
  return pairs;
}

/** The pairs send by turns, each at its share of the rate. */
async function sendOverLine(folder: string, pairs: readonly Pair[], options: RunOptions): Promise<LoadedMessage[]> {
  const { count, perSecond, payloadBytes, lineUrl, environment } = options;
  const answeredMs = new Map<string, number>();
  const sent = await Promise.all(
    pairs.map(async (pair, at) => {
      const home = join(folder, pair.writer);
      const source = {
        ...{ recipients: [pair.reader], type, contentBytes: contentBytesOf(pair, payloadBytes) },
        count: Math.floor(count / pairs.length) + (at < count % pairs.length ? 1 : 0),
        perSecond: perSecond / pairs.length,
      };
      return withDevice(home, overLine(home, lineUrl, environment), async (device) => {
        // A first request opens a connection and brings a ticket: the load begins where a device in use is.
        await device.session.call('Status', {});
        await sleep((at * 1000) / perSecond);
        return sendAll(device, source, ({ id }) => {
          answeredMs.set(id, performance.now());
          environment.progress('sending', answeredMs.size, count);
        });
      });
    }),
  );
  return sent.flat().map((one) => ({ ...one, answeredMs: answeredMs.get(one.id) ?? 0 }));
}

/** The world as it is, but the service is at the other end of the line. */
function overLine(folder: string, url: string, environment: ClientEnvironment): ClientEnvironment {
  const home = new Home(folder);
  return {
    ...environment,
    connect: ({ domain, ca }) =>
      new MeshConnection({
        ...{ domain, url, ca, pins: homePins(home), tickets: homeTickets(home), features: clientFeatures },
        form: 'json-b',
      }),
  };
}

/** Waits until every accepted message is in its reader's spool, read and verified, or the time is over. */
async function arrivals(
  folder: string,
  pairs: readonly Pair[],
  accepted: ReadonlySet<string>,
  { environment }: RunOptions,
): Promise<Set<string>> {
  const arrived = new Set<string>();
  const endMs = performance.now() + loadArrivalMsMax;
  for (;;) {
    for (const { reader } of pairs) {
      const { messages } = await withDevice(join(folder, reader), environment, (device) =>
        listMessages(device, 'inbound'),
      );
      for (const { id } of messages) if (accepted.has(id)) arrived.add(id);
    }
    environment.progress('arrived', arrived.size, accepted.size);
    if (arrived.size === accepted.size || performance.now() > endMs) return arrived;
    await sleep(loadLookMs);
  }
}
