/** Devices of one account: one is connected by a PIN again and again, one synchronises for the first time again and again. */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { MeshConnection } from '@meshd/binding/mesh-connection';
import { credentialKind } from '@meshd/client/catalog/kinds';
import { stretchPin } from '@meshd/client/connect/pin';
import { type Device, withDevice } from '@meshd/client/device';
import { type ClientEnvironment, type ServiceLocation, systemEnvironment } from '@meshd/client/environment';
import { Home } from '@meshd/client/home';
import { completeConnection, requestConnection } from '@meshd/client/operations/connect-device';
import { createAccount } from '@meshd/client/operations/create-account';
import { acceptByPins, givePin } from '@meshd/client/operations/device-pins';
import { syncAccount } from '@meshd/client/operations/sync';
import { homePins } from '@meshd/client/service-pin';
import { clientFeatures } from '@meshd/client/session';
import { encryptBody } from '@meshd/client/writer';
import { serveCalls } from './child.ts';
import { framesToCheck, type ToCheck } from './frames-to-check.ts';

const environment = systemEnvironment();
let service: { url: string; domain: string; ca: string; folder: string } | undefined;

function known() {
  if (service === undefined) throw new Error('the service is not known yet');
  return service;
}

const homeOf = (name: string) => join(known().folder, name);
const addressOf = (name: string) => `${name}@${known().domain}`;
const as = <T>(name: string, work: (device: Device) => Promise<T>) => withDevice(homeOf(name), environment, work);

/** What a device has done to be connected. */
export interface ConnectWork {
  /** Processor time, without that of stretching the PIN. */
  readonly cpuMs: number;
  readonly scryptMs: number;
  readonly elapsedMs: number;
  readonly requests: readonly string[];
  readonly signed: number;
  readonly verified: number;
  /** The same signature made or checked again by one run of the program: work done twice. */
  readonly doneTwice: number;
}

/** Counts requests and signature operations of whatever runs meanwhile. */
class Counter {
  readonly requests: string[] = [];
  readonly operations: string[] = [];
  signed = 0;
  verified = 0;
  #run = 0;
  readonly #native = createRequire(import.meta.url)('node:crypto') as Record<'sign' | 'verify', Native>;
  readonly #former = { sign: this.#native.sign, verify: this.#native.verify };

  start(): void {
    const { sign, verify } = this.#former;
    this.#native.sign = (...args) => {
      this.signed += 1;
      this.#note('sign', args[1]);
      return sign(...args);
    };
    this.#native.verify = (...args) => {
      this.verified += 1;
      this.#note('verify', args[1], args[3]);
      return verify(...args);
    };
    syncBuiltinESMExports();
  }

  stop(): void {
    Object.assign(this.#native, this.#former);
    syncBuiltinESMExports();
  }

  /** A run begins: what an earlier one has checked it does not know. */
  beginRun(): void {
    this.#run += 1;
  }

  get doneTwice(): number {
    return this.operations.length - new Set(this.operations).size;
  }

  #note(what: string, ...parts: unknown[]): void {
    const texts = parts.map((part) => Buffer.from(part as Uint8Array).toString('base64url'));
    this.operations.push([this.#run, what, ...texts].join(' '));
  }

  /** An environment whose requests are counted. */
  environment(folder: string): ClientEnvironment {
    return { ...environment, connect: (location) => this.#connect(folder, location) };
  }

  #connect(folder: string, { domain }: ServiceLocation) {
    const { url, ca } = known();
    const link = new MeshConnection({ domain, url, ca, pins: homePins(new Home(folder)), features: clientFeatures });
    const call: MeshConnection['call'] = (transaction, ...rest) => {
      this.requests.push(transaction);
      return link.call(transaction, ...rest);
    };
    const hello = () => {
      this.requests.push('Hello');
      return link.hello();
    };
    const offers = (word: Parameters<MeshConnection['offers']>[0]) => link.offers(word);
    return { call, hello, offers, close: () => link.close() };
  }
}

type Native = (...args: unknown[]) => unknown;

let asked = 0;
let toCheck: ToCheck | undefined;

const calls = {
  async use(options: { url: string; domain: string; ca: string; folder: string }) {
    service = options;
  },

  async createAccount(name: string) {
    const { url, ca } = known();
    await createAccount(homeOf(name), environment, { address: addressOf(name), url, ca });
  },

  /** A fresh device asks with a PIN and takes the answer; what the administrator does between is not counted. */
  async connectByPin(name: string): Promise<ConnectWork> {
    const { url, ca } = known();
    const address = addressOf(name);
    const folder = await mkdtemp(join(known().folder, 'phone-'));
    const { pin } = await as(name, (device) => givePin(device));
    const scryptMs = await processorMs(() => stretchPin(pin, address));
    const counter = new Counter();
    const counting = counter.environment(folder);
    asked += 1;
    const options = { address, url, ca, pin, description: `phone ${asked}` };
    const during = async (work: () => Promise<unknown>) => {
      counter.beginRun();
      counter.start();
      const start = performance.now();
      const cpuMs = await processorMs(work);
      counter.stop();
      return { cpuMs, elapsedMs: performance.now() - start };
    };
    const request = await during(() => requestConnection(folder, counting, options));
    await as(name, (device) => acceptByPins(device));
    let stage = '';
    const complete = await during(async () => {
      stage = (await completeConnection(folder, counting, ca)).stage;
    });
    if (stage !== 'connected') throw new Error(`the device is ${stage}`);
    await rm(folder, { recursive: true });
    const { requests, signed, verified, doneTwice } = counter;
    // The PIN is stretched once for the request and once, in another run of the program, for the answer.
    const cpuMs = request.cpuMs + complete.cpuMs - 2 * scryptMs;
    const elapsedMs = request.elapsedMs + complete.elapsedMs;
    return { cpuMs, scryptMs, elapsedMs, requests, signed, verified, doneTwice };
  },

  /** An entry as the client encrypts it, and the key that signs entries, for those who write many of them at once. */
  async sampleOf(name: string) {
    return as(name, async ({ session }) => {
      const login = {
        Protocol: 'https',
        Service: 'shop.example',
        Username: 'alice',
        Password: 'correct horse battery',
      };
      const { header, payload } = encryptBody(session, credentialKind.encode(login));
      return { address: session.state.address, seed: session.keys.seed('connectionSignature'), header, payload };
    });
  },

  /** A device that has its keys and nothing else synchronises. @returns seconds and frames */
  async firstSync(name: string) {
    const folder = await mkdtemp(join(known().folder, 'first-'));
    await cp(homeOf(name), folder, { recursive: true });
    for (const kept of ['containers', 'opened', 'heads.dare'])
      await rm(join(folder, kept), { recursive: true, force: true });
    const start = performance.now();
    const containers = await withDevice(folder, environment, (device) => syncAccount(device));
    const seconds = (performance.now() - start) / 1000;
    toCheck ??= await withDevice(folder, environment, (device) => framesToCheck(device, 'mmm_Credential'));
    await rm(folder, { recursive: true });
    return { seconds, frameCount: containers.reduce((sum, { fetchedCount }) => sum + fetchedCount, 0) };
  },

  /** The digests and signatures of the same frames, by Node alone. @returns seconds and frames */
  async checkAlone() {
    if (toCheck === undefined) throw new Error('nothing was synchronised yet');
    const start = performance.now();
    toCheck.check();
    return { seconds: (performance.now() - start) / 1000, frameCount: toCheck.frameCount };
  },
};

/** Milliseconds of processor time that this process spends on something. */
async function processorMs(work: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** What the bench asks of the devices. */
export type DeviceCalls = typeof calls;

serveCalls(calls);
