/**
 * What lies in the databases, recomputed from the frames alone: both trees, names for life (S44), and the service's own
 * catalog and spool (schema 10, encoding 3.9).
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Account, createAccount, item } from './kit/account.js';
import { type Opened, objectOf, open, type Wire } from './kit/dare.js';
import { readShard, type StoredContainer, type StoredFrame, wireOf } from './kit/database.js';
import { verify } from './kit/keys.js';
import { b64, sha512, unb64 } from './kit/octets.js';
import type { Peer } from './kit/peer.js';
import { profileAccount } from './kit/people.js';
import { type Running, startProvider } from './kit/provider.js';
import { hostKeyOf } from './kit/response.js';
import { leafOf, logOf, payloadDigestOf, treeDigests } from './kit/trees.js';

let running: Running;
let peer: Peer;
let kept: Account;
let updated: Account;
let deleted: Account;
let containers: StoredContainer[];

beforeAll(async () => {
  running = await startProvider();
  peer = running.peer;
  kept = await Account.open(peer);
  for (const size of [1, 2, 5, 9]) {
    const entries = Array.from({ length: size }, (_, i) => item(`k${size}-${i}`, `${i}`));
    await kept.append('mmm_Credential', entries);
  }
  updated = await Account.open(peer);
  const { person } = updated;
  const newer = { ...person, profileAccount: profileAccount(person.address, person, Date.now() + 5000) };
  expect((await createAccount(peer, newer)).status).toBe(202);
  deleted = await Account.open(peer);
  const signers = [deleted.signer, deleted.admin];
  expect((await peer.call('DeleteAccount', { Account: deleted.person.address }, signers)).status).toBe(201);
  containers = (await Promise.all(running.provider.databases.shards.map(readShard))).flat();
});
afterAll(() => running?.stop());

const openedOf = (container: StoredContainer): Opened[] => container.frames.map((frame) => open(wireOf(frame)));
const ofService = (name: string): StoredContainer[] =>
  containers.filter((container) => container.address === '@service' && container.name === name);

describe('every container', () => {
  it('[R116] [S44] has the leaves, tree digests and the name for life that its frames give', () => {
    expect(containers.length).toBeGreaterThan(12);
    for (const container of containers) {
      const frames = openedOf(container);
      const leaves = frames.map((frame, index) => leafOf(index, frame));
      const digests = frames.map(payloadDigestOf);
      expect(container.frames.map(({ frame_index }) => Number(frame_index))).toEqual(frames.map((_, index) => index));
      expect(Number(container.frame_count)).toBe(frames.length);
      expect(container.frames.map(({ leaf }) => b64(leaf))).toEqual(leaves.map(b64));
      expect(container.frames.map(({ payload_digest }) => b64(payload_digest))).toEqual(digests.map(b64));
      expect(container.frames.map(({ tree_digest }) => b64(tree_digest))).toEqual(treeDigests(digests).map(b64));
      const subject = container.address === '@service' ? peer.service.udf : container.account_udf;
      expect(b64(container.log_id)).toBe(b64(logOf(subject, container.name, leaves[0] as Uint8Array)));
    }
  });

  it('[R001] holds of an account what its devices uploaded, octet for octet', () => {
    const stored = containers.find(
      ({ account_udf, name }) => account_udf === kept.subject && name === 'mmm_Credential',
    );
    const mine = kept.container('mmm_Credential').frames.map((wire) => b64(open(wire).payload ?? sha512()));
    expect(stored?.frames.map(({ payload }) => b64(payload as Buffer))).toEqual(mine);
  });
});

describe('the service’s own stores', () => {
  /** Frames behind frame 0, each with a valid signature of a host of this service. */
  function signedFrames(
    container: StoredContainer,
  ): { frame: Opened; tag: string; members: Record<string, unknown> }[] {
    return openedOf(container)
      .slice(1)
      .map((frame, at) => {
        const wire = wireOf(container.frames[at + 1] as StoredFrame);
        const entries = frame.trailer.signatures ?? [];
        expect(entries.map(({ alg }) => alg)).toEqual(['S512']);
        const entry = entries[0];
        const raw = hostKeyOf(entry?.Profile, entry?.Connection, peer.service, 'example.com', Date.now());
        expect(verify(raw, sha512(frame.payload as Uint8Array), unb64(entry?.signature ?? ''))).toBe(true);
        const tag = Object.keys(JSON.parse(Buffer.from(frame.payload as Uint8Array).toString('utf8')))[0] as string;
        return { frame, tag, members: objectOf<Record<string, unknown>>(wire, tag) };
      });
  }

  it('[R028] [R029] mmm_Account has an entry for every account, each state of it signed by a host', () => {
    const entries = ofService('mmm_Account').flatMap(signedFrames);
    expect(new Set(entries.map(({ tag }) => tag))).toEqual(new Set(['AccountEntry']));
    const eventsOf = (account: Account) =>
      entries
        .filter(({ frame }) => frame.meta.UniqueID === account.person.address)
        .map(({ frame }) => frame.meta.Event);
    expect(eventsOf(kept)).toEqual(['New']);
    expect(eventsOf(updated)).toEqual(['New', 'Update']);
    expect(eventsOf(deleted)).toEqual(['New', 'Delete']);
    const entry = entries.find(({ frame }) => frame.meta.UniqueID === kept.person.address);
    expect(entry?.members).toMatchObject({ ServiceID: kept.person.address, Status: 'Connected' });
    const profile = (entry?.members.SignedProfileMesh ?? []) as Wire;
    expect(b64(open(profile).payload as Uint8Array)).toBe(b64(open(kept.person.profileMesh).payload as Uint8Array));
  });

  it('[R307] its events have First and Previous of the entries before', () => {
    for (const container of ofService('mmm_Account')) {
      const last = new Map<string, { first: number; previous: number }>();
      openedOf(container).forEach(({ meta }, index) => {
        if (index === 0) return;
        const key = meta.UniqueID as string;
        const before = last.get(key);
        if (meta.Event === 'New') expect(before).toBeUndefined();
        else expect(meta).toMatchObject({ First: before?.first, Previous: before?.previous });
        if (meta.Event === 'Delete') last.delete(key);
        else last.set(key, { first: before?.first ?? index, previous: index });
      });
    }
  });

  it('[R030] mmm_Incident tells of the account that was deleted', () => {
    const reports = ofService('mmm_Incident').flatMap(signedFrames);
    expect(new Set(reports.map(({ tag }) => tag))).toEqual(new Set(['IncidentReport']));
    const mine = reports.filter(({ members }) => members.Account === deleted.person.address);
    expect(mine).toHaveLength(1);
    expect(mine[0]?.members).toMatchObject({ ReportID: expect.stringMatching(/^N/), Kind: expect.any(String) });
    expect(mine[0]?.frame.meta).toMatchObject({ MessageType: 'IncidentReport', cty: 'application/mmm' });
    expect(mine[0]?.frame.meta.UniqueID).toBe(mine[0]?.members.ReportID);
  });

  it('[S49] their frame 0 has the form of every frame 0 that the service makes', () => {
    for (const [name, cty] of [
      ['mmm_Account', 'application/mmm-catalog'],
      ['mmm_Incident', 'application/mmm-spool'],
    ] as const) {
      for (const container of ofService(name)) {
        const [first] = openedOf(container);
        expect(first?.meta).toEqual({ UniqueID: expect.stringMatching(/^N/), cty, Created: expect.any(String) });
        expect(first?.payload).toHaveLength(0);
        expect(first?.trailer.signatures).toBeUndefined();
      }
    }
  });
});
