/** A service in memory for tests: keeps containers as the real one does, and can be told to cheat. */
import { cp, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { VerifiedHello, VerifiedResponse } from '@meshd/binding/mesh-connection';
import { systemRandom } from '@meshd/crypto/random';
import { nonceUdf } from '@meshd/crypto/udf';
import { frameZero, placeFrame } from '@meshd/dare/batch';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { apex } from '@meshd/dare/merkle';
import type { ContainerUpdate } from '@meshd/schema/common';
import { accountSpools, spoolContentType } from '@meshd/schema/container-name';
import type { RequestOf, ResponseOf, Transaction } from '@meshd/schema/protocol';
import type { ClientEnvironment, ServiceConnection } from './environment.js';
import { appendFrame, noTrees } from './frame.js';
import { createAccount } from './operations/create-account.js';

interface Answer {
  readonly status: number;
  readonly extended?: number;
  readonly message?: object;
}

/** Digest over frames, as `ContainerStatus` has it. */
export function digestOver(frames: readonly EnvelopeOctets[]): Uint8Array | undefined {
  let trees = noTrees;
  for (const octets of frames) trees = appendFrame(trees, octets).trees;
  return apex(trees.tree);
}

/** One account's containers. */
export class FakeService {
  readonly containers = new Map<string, EnvelopeOctets[]>();
  /** Frames in one answer; small values force paging. */
  pageFrames = 1000;
  /** What Status and Download show instead of the truth. */
  shown: (name: string, frames: readonly EnvelopeOctets[]) => readonly EnvelopeOctets[] = (_name, frames) => frames;
  /** Runs before each Upload: other writers. */
  beforeUpload: () => Promise<void> = async () => undefined;
  readonly calls: Transaction[] = [];

  connect(): ServiceConnection {
    return {
      call: (transaction, message) => this.#call(transaction, message),
      hello: async () => ({ message: { ConstraintsUpdate: { MaxEntries: 1000 } } }) as unknown as VerifiedHello,
      close: async () => undefined,
    };
  }

  /** An environment whose device speaks with this service; the clock stands still and nothing waits. */
  environment(nowMs = 1_700_000_000_000): ClientEnvironment {
    return {
      nowMs: () => nowMs,
      random: systemRandom,
      progress: () => undefined,
      pause: async () => undefined,
      connect: () => this.connect(),
    };
  }

  async #call<T extends Transaction>(transaction: T, message: RequestOf<T>): Promise<VerifiedResponse<T>> {
    this.calls.push(transaction);
    const { status, extended, message: answer } = await this.#answer(transaction, message);
    return {
      status,
      statusExtended: extended,
      description: undefined,
      succeeded: status < 300,
      message: (answer ?? {}) as ResponseOf<T>,
    } as VerifiedResponse<T>;
  }

  async #answer(transaction: Transaction, message: object): Promise<Answer> {
    switch (transaction) {
      case 'CreateAccount':
        return this.#create();
      case 'Status':
        return this.#status();
      case 'Download':
        return this.#download(message as RequestOf<'Download'>);
      case 'Upload':
        await this.beforeUpload();
        return this.#upload(message as RequestOf<'Upload'>);
      default:
        return { status: 201 };
    }
  }

  #create(): Answer {
    for (const name of accountSpools) {
      const uniqueId = nonceUdf(systemRandom);
      const draft = frameZero({ contentType: spoolContentType, uniqueId, createdMs: 0 });
      this.containers.set(name, [placeFrame(draft, noTrees).envelope]);
    }
    return { status: 201 };
  }

  #view(name: string): readonly EnvelopeOctets[] {
    return this.shown(name, this.containers.get(name) ?? []);
  }

  #status(): Answer {
    const heads = [...this.containers.keys()].flatMap((name) => {
      const frames = this.#view(name);
      return frames.length === 0 ? [] : [{ Container: name, Index: frames.length, Digest: digestOver(frames) }];
    });
    return { status: 201, message: { ContainerStatus: heads } };
  }

  #download(message: RequestOf<'Download'>): Answer {
    const { Container: name = '', IndexMin: from = 0 } = message.Select?.[0] ?? {};
    const frames = this.#view(name);
    const update: ContainerUpdate = {
      Container: name,
      Index: frames.length,
      Digest: digestOver(frames),
      Envelopes: frames.slice(from, from + this.pageFrames),
    };
    return { status: 201, message: { Updates: [update] } };
  }

  #upload(message: RequestOf<'Upload'>): Answer {
    const { Container: name = '', Index: index, Envelopes: envelopes = [] } = message.Updates?.[0] ?? {};
    const frames = this.containers.get(name) ?? [];
    if (index !== frames.length) return { status: 409, extended: 12 };
    this.containers.set(name, [...frames, ...envelopes]);
    const Entries = envelopes.map((_, at) => ({ IndexRequest: at, IndexContainer: index + at, Result: 'Accept' }));
    return { status: 201, message: { Entries } };
  }
}

/** A fresh folder for a home. */
export function temporaryHome(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'mesh-home-'));
}

/** A copy of a home: a second replica of the same device. */
export async function copyHome(folder: string): Promise<string> {
  const copy = await temporaryHome();
  await cp(folder, copy, { recursive: true });
  return copy;
}

/** A service and a home with a finished account at it. */
export async function accountAt(service: FakeService): Promise<string> {
  const folder = await temporaryHome();
  const address = 'alice@example.com';
  await createAccount(folder, service.environment(), { address, url: 'https://example.com' });
  return folder;
}
