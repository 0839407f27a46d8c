/** Devices of one account that write the same container: each has its own keys, its own line and its own copy. */
import type { MeshConnection } from '@meshd/binding/mesh-connection';
import type { FrameDraft } from '@meshd/dare/batch';
import { openEnvelope } from '@meshd/dare/envelope';
import { emptyLog, root } from '@meshd/dare/log-tree';
import { apex, emptyDareTree } from '@meshd/dare/merkle';
import { type ReaderState, type Tiled, tileManifests, trustedState } from '@meshd/dare/replay';
import type { ConstraintsSelect } from '@meshd/schema/common';
import { opening, type Person, type TestDevice, TestWriter } from '@meshd/shard/testing/person';
import { expect } from 'vitest';
import { connected, upload } from '../permissions/people.js';

/** A device of a person, and its own line to the service. */
export interface DeviceOnline {
  readonly person: Person;
  readonly device: TestDevice;
  readonly link: MeshConnection;
}

/** Downloads as this device. */
export function download({ person, device, link }: DeviceOnline, select: ConstraintsSelect[], constraints: object) {
  const message = { Account: person.address, Select: select, ConstraintsPost: constraints };
  return link.call('Download', message, [connected(device)]);
}

/** An entry as its reader has it, with the name of the key under whose manifest it stands. */
export interface SignedEntry {
  readonly id: string | undefined;
  readonly signer: string | undefined;
}

const nothingRead = trustedState(emptyDareTree, emptyLog);

/** What two copies have in common where they are one history: who signed what, and the contents. */
const digestsOf = ({ tree, log }: ReaderState): string =>
  [root(log), apex(tree) ?? new Uint8Array(0)].map((octets) => Buffer.from(octets).toString('hex')).join(' ');

/** One device's copy of a container: it writes on top of what it has verified, and fetches the rest when it is behind. */
export class WritingDevice {
  readonly online: DeviceOnline;
  /** Identifiers of the entries of which the service said that they are stored. */
  readonly written: string[] = [];
  readonly #writer: TestWriter;
  readonly #writers: readonly DeviceOnline[];
  #state = nothingRead;

  /** @param writers whose manifests it takes */
  constructor(online: DeviceOnline, container: string, writers: readonly DeviceOnline[]) {
    const { person, device } = online;
    this.online = online;
    this.#writer = new TestWriter(container, person.accountUdf, device.signature);
    this.#writers = writers;
  }

  /** @param zero opens the container, if nobody has */
  async write(entries: readonly FrameDraft[], zero = opening()): Promise<void> {
    const { person, device, link } = this.online;
    for (;;) {
      this.#writer.trees = this.#state;
      const { envelopes, tree, log } = this.#writer.seal(this.#state === nothingRead ? [zero, ...entries] : entries);
      const { status, statusExtended } = await upload(link, person, device, this.#writer.container, envelopes);
      if (status === 201) {
        this.#state = trustedState(tree, log);
        this.written.push(...entries.map(({ contentMeta }) => contentMeta.UniqueID ?? ''));
        return;
      }
      expect([status, statusExtended]).toEqual([409, 12]);
      await this.catchUp();
    }
  }

  /** Verifies what others wrote on top of what it has: what it wrote itself must still be below. */
  async catchUp(): Promise<void> {
    this.#state = (await this.#read(this.#state)).state;
  }

  /** Everything as one sees it who has nothing yet. */
  async readAnew(): Promise<{ readonly digests: string; readonly entries: readonly SignedEntry[] }> {
    const { frames, state } = await this.#read(nothingRead);
    let signer: string | undefined;
    // A manifest stands on the last frame of those that it covers; frame 0 is no entry.
    const entries = frames
      .slice(1)
      .reverse()
      .map(({ envelope }): SignedEntry => {
        signer = envelope.signatures[0]?.kid ?? signer;
        return { id: envelope.contentMetaData?.UniqueID, signer };
      });
    return { digests: digestsOf(state), entries: entries.reverse() };
  }

  get digests(): string {
    return digestsOf(this.#state);
  }

  async #read(state: ReaderState): Promise<Tiled> {
    const { container, accountUdf } = this.#writer;
    const select = { Container: container, IndexMin: state.log.frameCount };
    const { message } = await download(this.online, [select], { MaxEntries: 1000 });
    const envelopes = (message.Updates?.[0]?.Envelopes ?? []).map(openEnvelope);
    const keys = this.#writers.map(({ device }) => device.signature.publicKey);
    const entitled = ({ kid }: { readonly kid?: string | undefined }) => keys.find(({ udf }) => udf === kid);
    const tiled = await tileManifests(envelopes, state, { accountUdf, container, entitled });
    expect(tiled.uncoveredCount).toBe(0);
    return tiled;
  }
}
