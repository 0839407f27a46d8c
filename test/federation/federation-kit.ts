/**
 * What the tests of awkward peers stand on: senders at the provider under test, known by its base URL alone, and peers whose
 * domains it finds by the DNS. One stage (`stage.ts`) is shared by all files; senders and peers are a test's own.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Device, withDevice } from '@meshd/client/device';
import { systemEnvironment } from '@meshd/client/environment';
import { type CreateOptions, createAccount } from '@meshd/client/operations/create-account';
import { type Delivery, listMessages } from '@meshd/client/operations/messages';
import type { Zone, ZoneRecord } from '@meshd/dev/dns-zone';
import { waitFor } from '@meshd/dev/wait';
import type { Conduct } from '@meshd/load/sink/behaviour';
import { type Sink, startSink } from '@meshd/load/sink/sink';
import { sendAll } from '@meshd/load/source/source';
import type { Delivery as WaitingDelivery } from '@meshd/schema/common';
import { expect, inject, vi } from 'vitest';
import type { StageReport } from './stage.js';

/** Peers are named below it. */
const peersDomain = 'peer.test';
const loopback = '127.0.0.1';
/** Three attempts that are given up at their limit, and rests of a provider that nobody hurries. */
const endedMsMax = 60_000;
/** Between two looks at what is awaited, milliseconds. */
const lookMs = 250;
const environment = systemEnvironment();
// The first file to come waits until the whole provider has started.
vi.setConfig({ testTimeout: 4 * endedMsMax, hookTimeout: 3 * endedMsMax });

/** An account at the provider under test. */
export class Sender {
  readonly address: string;
  readonly #device: Device;
  readonly #close: () => Promise<unknown>;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(device: Device, close: () => Promise<unknown>) {
    this.address = device.session.state.address;
    this.#device = device;
    this.#close = close;
  }

  /** Makes the account; its device stays connected until it is closed. */
  static async open(home: string, account: CreateOptions): Promise<Sender> {
    await createAccount(home, environment, account);
    const opened = Promise.withResolvers<Device>();
    const closed = Promise.withResolvers<void>();
    const whole = withDevice(home, environment, (device) => {
      opened.resolve(device);
      return closed.promise;
    });
    whole.catch(opened.reject);
    return new Sender(await opened.promise, () => {
      closed.resolve();
      return whole;
    });
  }

  /** One thing at a time, as a device does. */
  #do<T>(work: (device: Device) => Promise<T>): Promise<T> {
    const done = this.#last.then(() => work(this.#device));
    this.#last = done.catch(() => undefined);
    return done;
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#close();
  }

  /** Sends messages to the recipients in turn. @returns their identities, once the provider has accepted all of them */
  async send(count: number, ...recipients: readonly string[]): Promise<string[]> {
    const options = { recipients, count, contentBytes: 200, type: 'RequestContact' };
    const sent = await this.#do((device) => sendAll(device, options));
    expect(sent.map(({ result }) => result)).toEqual(sent.map(() => 'accepted'));
    return sent.map(({ id }) => id);
  }

  /** Sends one message. @returns its identity, and when its sender learnt that it was accepted, Unix milliseconds */
  async sendOne(recipient: string): Promise<{ readonly id: string; readonly acceptedMs: number }> {
    let acceptedMs = Number.NaN;
    const options = { recipients: [recipient], count: 1, contentBytes: 200, type: 'RequestContact' };
    const [sent] = await this.#do((device) =>
      sendAll(device, options, () => {
        acceptedMs = environment.nowMs();
      }),
    );
    expect(sent?.result).toBe('accepted');
    return { id: sent?.id ?? '', acceptedMs };
  }

  /** What the sender's device reads of messages: by identity the recipients with results, `queued` while there is none. */
  async fates(ids: readonly string[]): Promise<ReadonlyMap<string, Delivery | undefined>> {
    const { messages } = await this.#do((device) => listMessages(device, 'outbound'));
    const found = new Map(messages.map(({ id, deliveries }) => [id, deliveries[0]]));
    return new Map(ids.map((id) => [id, found.get(id)]));
  }

  /** The words of {@link fates}, each once. */
  async results(ids: readonly string[]): Promise<string[]> {
    return [...new Set([...(await this.fates(ids)).values()].map((one) => one?.result ?? 'lost'))];
  }

  /** What the provider says of messages that wait: attempts, and why they failed (feature `delivery-1`). */
  async waiting(ids: readonly string[]): Promise<readonly WaitingDelivery[]> {
    return this.#do(async ({ session }) => {
      const asked = { Features: ['delivery-1'], Deliveries: [...ids] };
      const { succeeded, message } = await session.call('Status', asked);
      expect(succeeded).toBe(true);
      return message.Deliveries ?? [];
    });
  }
}

/** Another service, as awkward as it is told. */
export class Peer {
  readonly sink: Sink;
  readonly #federation: Federation;

  constructor(sink: Sink, federation: Federation) {
    this.sink = sink;
    this.#federation = federation;
  }

  get domain(): string {
    return this.sink.domain;
  }

  /** An account of this service: a sink has all. */
  account(name: string): string {
    return `${name}@${this.domain}`;
  }

  /** Identities of the messages that it took, as often as it took them for different ones. */
  get taken(): string[] {
    return this.sink.tally.messages.filter(({ taken }) => taken).map(({ id }) => id);
  }

  /** Requests and connections so far that were treated awkwardly. */
  get met(): number {
    return this.sink.tally.counts.met;
  }

  /** What the DNS says of it: where it is, unless something else is given. */
  async publish(zone: Zone = this.#federation.zoneAt(this.domain, this.sink.address.port)): Promise<void> {
    await this.#federation.publish(this.domain, zone);
  }
}

/** The stage, as one test file uses it. */
export class Federation {
  readonly report: StageReport;
  readonly #folder: string;
  readonly #stage: string;
  readonly #sinks: Sink[] = [];
  readonly #senders: Sender[] = [];
  readonly #ca: string;
  /** Files of one run share the provider under test. */
  readonly #mark = randomBytes(4).toString('hex');
  #count = 0;

  private constructor(report: StageReport, stage: string, folder: string, ca: string) {
    this.report = report;
    this.#stage = stage;
    this.#folder = folder;
    this.#ca = ca;
  }

  static async open(): Promise<Federation> {
    const stage = inject('federationStage');
    const report = (await order('POST', `${stage}/`)) as StageReport;
    const folder = await mkdtemp(join(tmpdir(), 'meshd-awkward-'));
    return new Federation(report, stage, folder, await readFile(report.caFile, 'utf8'));
  }

  /** A new account at the provider under test. */
  async sender(): Promise<Sender> {
    this.#count += 1;
    const name = `s${this.#mark}-${this.#count}`;
    const address = `${name}@${this.report.domain}`;
    const home = join(this.#folder, name);
    const sender = await Sender.open(home, { address, url: this.report.url, ca: this.#ca });
    this.#senders.push(sender);
    return sender;
  }

  /** A new peer that the DNS knows. */
  async peer(conduct?: Conduct): Promise<Peer> {
    this.#count += 1;
    const domain = `p${this.#mark}-${this.#count}.${peersDomain}`;
    const options = { domain, folder: join(this.#folder, domain), listen: { host: loopback, port: 0 } };
    const sink = await startSink({ ...options, authority: this.report.peerAuthority, conduct });
    this.#sinks.push(sink);
    const peer = new Peer(sink, this);
    await peer.publish();
    return peer;
  }

  /** The zone in which a domain's service is at a port of this machine, or at another address. */
  zoneAt(domain: string, port: number, address = loopback): Zone {
    const host = `host.${domain}`;
    const records: ZoneRecord[] = [
      { name: `_mmm._tcp.${domain}`, type: 'SRV', ttl: 1, data: { priority: 0, weight: 0, port, target: host } },
      { name: host, type: 'A', ttl: 1, data: address },
    ];
    return { records };
  }

  /** Sets what the DNS says of a domain. */
  async publish(domain: string, zone: Zone): Promise<void> {
    await order('PUT', `${this.#stage}/zone/${domain}`, zone);
  }

  /** How often the DNS was asked, `TYPE name`. */
  async asked(question: string): Promise<number> {
    return ((await order('GET', `${this.#stage}/asked/${encodeURIComponent(question)}`)) as { count: number }).count;
  }

  /** An operator of the provider has messages for a domain tried now, or dropped; nothing happens where it is not ours. */
  async operate(action: 'retry' | 'drop', domain: string): Promise<void> {
    await order('POST', `${this.#stage}/${action}/${domain}`);
  }

  /**
   * Waits until all messages have ended as wanted. The destination's rest is cut short, so that nobody waits for what other
   * tests show; another provider takes its time.
   */
  async untilEnded(sender: Sender, ids: readonly string[], results: readonly string[], domain?: string): Promise<void> {
    await until(`${results} for ${domain ?? 'a peer'}`, async () => {
      const now = await sender.results(ids);
      if (now.includes('queued') && domain !== undefined) await this.operate('retry', domain);
      return now.join() === results.join() || `they are ${now}: ${await reasonsOf(sender, ids)}`;
    });
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#senders.map((one) => one.close()), ...this.#sinks.map((sink) => sink.stop())]);
    await rm(this.#folder, { recursive: true, force: true });
  }
}

const reasonsOf = async (sender: Sender, ids: readonly string[]): Promise<string> =>
  (await sender.waiting(ids)).map(({ Attempts, Reason }) => `${Attempts} attempts, ${Reason}`).join('; ');

/** Waits for a condition, which may say instead what it still lacks. */
export function until(what: string, holds: () => Promise<boolean | string>): Promise<true> {
  const ask = async () => {
    const said = await holds();
    if (typeof said === 'string') throw new Error(said);
    return said || undefined;
  };
  return waitFor(ask, { what, deadlineMs: endedMsMax, pauseMs: lookMs });
}

async function order(method: string, url: string, body?: unknown): Promise<unknown> {
  const response = await fetch(url, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const said = await response.json();
  if (!response.ok) throw new Error((said as { error: string }).error);
  return said;
}

/** Three messages: what is done to one must not be done to those behind it. */
export const messagesSent = 3;

/** What an {@link awkwardThenWell} scene is about. */
export interface Scene {
  readonly conduct: Conduct;
  /** Why messages wait, as the sender is told while they do; words of ours. */
  readonly reason?: string | RegExp;
  /** Whether the peer is known from before, so that it is found awkward by a Post and not by a Hello. */
  readonly isKnown?: boolean;
}

/** What a scene leaves behind. */
export interface Played {
  readonly sender: Sender;
  readonly peer: Peer;
  /** From when the messages were sent until the first attempt was noted to have failed, milliseconds. */
  readonly failedAfterMs: number;
}

/**
 * The scene of most files: messages go to a peer that is awkward, none of them ends by that, and none is lost or doubled
 * when the peer becomes well.
 */
export async function awkwardThenWell(federation: Federation, scene: Scene): Promise<Played> {
  const { conduct, reason, isKnown = false } = scene;
  const [sender, peer] = await Promise.all([
    federation.sender(),
    federation.peer(isKnown ? undefined : { ...conduct }),
  ]);
  const first = isKnown ? await sender.send(1, peer.account('bob')) : [];
  await federation.untilEnded(sender, first, isKnown ? ['delivered'] : []);
  peer.sink.behave(conduct);
  const startMs = performance.now();
  const ids = await sender.send(messagesSent, peer.account('bob'));
  await until('a request', async () => peer.met > 0);
  const waited = await untilAttempted(sender, ids);
  const failedAfterMs = performance.now() - startMs;
  if (reason !== undefined && federation.report.isOurs) {
    expect(waited.map(({ Reason }) => Reason)).toContainEqual(expect.stringMatching(reason));
  }
  expect(await sender.results(ids)).toEqual(['queued']);
  peer.sink.behave({ behaviour: 'well' });
  await federation.untilEnded(sender, ids, ['delivered'], peer.domain);
  await onceEach(sender, peer, [...first, ...ids]);
  return { sender, peer, failedAfterMs };
}

/** Waits until the provider has noted an attempt that failed; one that does not tell of attempts is taken at its word. */
export async function untilAttempted(sender: Sender, ids: readonly string[]): Promise<readonly WaitingDelivery[]> {
  let waiting: readonly WaitingDelivery[] = [];
  await until('an attempt', async () => {
    waiting = await sender.waiting(ids);
    return waiting.length === 0 || waiting.some(({ Attempts = 0 }) => Attempts > 0);
  });
  return waiting;
}

/** Nothing lost, nothing double, the sender told with the peer's own receipt, and nothing left that might come again. */
export async function onceEach(sender: Sender, peer: Peer, ids: readonly string[]): Promise<void> {
  expect([...peer.taken].sort()).toEqual([...ids].sort());
  const fates = [...(await sender.fates(ids)).values()];
  expect(fates.map((fate) => fate?.receiptMs !== undefined)).toEqual(ids.map(() => true));
  expect(await sender.waiting(ids)).toEqual([]);
}
