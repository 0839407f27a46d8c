import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { verifyService } from '@meshd/binding/host-chain';
import { type HostIdentity, initService, issueHost, loadHostIdentity } from '@meshd/binding/host-files';
import { generateSeed, type SigningKey, signingKeyFromSeed } from '@meshd/crypto/ed448';
import { signEnvelope } from '@meshd/dare/sign';
import { encodeTagged } from '@meshd/encoding/codec';
import {
  peerFailureMs,
  peerFetchesPerSecondMax,
  peerPendingMs,
  peerRenewMs,
  peersWantedMax,
} from '@meshd/limits/peers';
import type { SettlePeer } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import { ProfileService } from '@meshd/schema/profiles';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { leasePeers, lookupPeer, settlePeer } from './peer-pins.js';
import { rpcEnvelope } from './rpc-messages.js';
import { migrateDirectory } from './storage/migrate.js';
import { openPeers, type PeerStore } from './storage/peers.js';
import { emptyDatabase, type TestDatabase } from './storage/test-kit.js';

let database: TestDatabase;
let peers: PeerStore;
/** Another shard's. */
let others: PeerStore;
let host: HostIdentity;
let nowMs = Date.UTC(2026, 0, 15);
const clock = () => nowMs;
const newKey = () => signingKeyFromSeed(generateSeed());

/** A ProfileService by its own key and any others. */
function profileOf(key: SigningKey, updatedMs: number, ...also: SigningKey[]) {
  const { udf, raw } = key.publicKey;
  const member = {
    UDF: udf,
    PublicParameters: { tag: 'PublicKeyECDH' as const, value: { crv: 'Ed448', Public: raw } },
  };
  const body = { KeyOfflineSignature: member, KeysOnlineSignature: [member], Updated: new Date(updatedMs) };
  return signEnvelope({ payload: encodeTagged(ProfileService, body, 'json'), keys: [key, ...also] });
}

function answer(domain: string, key: SigningKey, profile = profileOf(key, nowMs), features = ['auth-1', 'manifest-1']) {
  const peer = {
    ...{ domain, serviceKey: Buffer.from(key.publicKey.raw), profileService: rpcEnvelope(profile), features },
    verifiedMs: nowMs,
  };
  return { owner: 'worker', domain, peer, failure: '' };
}

const lease = (owner = 'worker', from = peers) => leasePeers(from, { owner, peersMax: 64, leaseMs: 15_000 }, nowMs);
const lookup = (domain: string) => lookupPeer(peers, { domain }, nowMs);

/** Wants a domain, leases it and settles it; what was noted. */
async function call(domain: string, asked: SettlePeer): Promise<string> {
  nowMs += 1001;
  const { peers: leased } = await lease();
  expect(leased.map((each) => each.domain)).toEqual([domain]);
  return settlePeer(peers, asked, clock);
}

beforeAll(async () => {
  database = await emptyDatabase();
  await migrateDirectory(database.url);
  peers = openPeers(database.url);
  others = openPeers(database.url);
  const directory = await mkdtemp(join(tmpdir(), 'meshd-peers-'));
  await initService(directory, { nowMs });
  await issueHost(directory, 'router', { nowMs, domains: ['b.example'] });
  host = await loadHostIdentity(join(directory, 'router'));
  await rm(directory, { recursive: true });
});
beforeEach(async () => {
  await database.query('TRUNCATE directory_peer');
  nowMs += 10_000;
});
afterAll(async () => {
  await Promise.all([peers.stop(), others.stop()]);
  await database.drop();
});

describe('pins of other services', () => {
  it('[S70] an unknown domain is wanted by being looked up, called once, and then known', async () => {
    expect(await lookup('b.example')).toEqual({ peer: undefined, retryAfterMs: peerPendingMs });
    const { offlineKey } = await verifyService(host.profileService);
    const { peers: leased } = await lease();
    expect(leased).toEqual([{ domain: 'b.example', pinned: undefined }]);
    expect((await lease('another', others)).peers).toEqual([]);
    const peer = {
      ...{ domain: 'b.example', serviceKey: Buffer.from(offlineKey.raw), features: ['auth-1'], verifiedMs: 0 },
      profileService: rpcEnvelope(host.profileService),
    };
    expect(await settlePeer(peers, { owner: 'worker', domain: 'b.example', peer, failure: '' }, clock)).toBe('');
    const known = await lookupPeer(others, { domain: 'b.example' }, nowMs);
    expect(known.peer).toMatchObject({ domain: 'b.example', features: ['auth-1'], verifiedMs: nowMs });
    expect(Buffer.compare(known.peer?.serviceKey as Buffer, offlineKey.raw)).toBe(0);
    nowMs += peerRenewMs - 1;
    expect((await lease()).peers).toEqual([]);
    nowMs += 1;
    expect((await lease()).peers[0]?.pinned?.domain).toBe('b.example');
  });

  it('[S70] a storm of invented domains causes at most 5 calls in any second, all shards together', async () => {
    for (let at = 0; at < 40; at += 1) await lookup(`invented-${at}.example`);
    const leasedAt: number[] = [];
    for (let step = 0; step < 40; step += 1) {
      const answers = await Promise.all([lease('one'), lease('two', others)]);
      for (const { peers: leased } of answers) leasedAt.push(...leased.map(() => nowMs));
      nowMs += 100;
    }
    expect(leasedAt.length).toBeGreaterThanOrEqual(15);
    for (const from of leasedAt) {
      const within = leasedAt.filter((at) => at >= from && at < from + 1000);
      expect(within.length).toBeLessThanOrEqual(peerFetchesPerSecondMax);
    }
  });

  it('[S70] a storm fills no more rows than are allowed, and does not keep pinned services from being renewed', async () => {
    const key = newKey();
    await lookup('old.example');
    expect(await call('old.example', answer('old.example', key))).toBe('');
    await database.query(
      `INSERT INTO directory_peer (domain, due_at_ms, last_wanted_ms)
       SELECT 'x' || n || '.example', 1, 1 FROM generate_series(1, $1::int) n`,
      [peersWantedMax],
    );
    expect((await lookup('one-more.example')).retryAfterMs).toBe(peerPendingMs);
    const [counted] = await database.query<{ n: string }>('SELECT count(*) AS n FROM directory_peer');
    expect(Number(counted?.n)).toBe(peersWantedMax + 1);
    nowMs += peerRenewMs;
    expect((await lease()).peers.map(({ domain }) => domain)).toContain('old.example');
  });

  it('[S70] a failure is kept for ten minutes, then called again only if somebody asked meanwhile', async () => {
    await lookup('down.example');
    await lookup('gone.example');
    expect((await lease()).peers).toHaveLength(2);
    for (const domain of ['down.example', 'gone.example']) {
      const asked = { owner: 'worker', domain, peer: undefined, failure: 'connect' };
      expect(await settlePeer(peers, asked, clock)).toBe('connect');
    }
    expect((await lookup('down.example')).retryAfterMs).toBe(peerFailureMs);
    nowMs += peerFailureMs - 1;
    await lookup('down.example');
    expect((await lease()).peers).toEqual([]);
    nowMs += 1;
    expect((await lease()).peers.map(({ domain }) => domain)).toEqual(['down.example']);
    expect(await database.query(`SELECT 1 FROM directory_peer WHERE domain = 'gone.example'`)).toEqual([]);
  });

  it('[S26] [S70] another service takes the place of a pinned one only with its signature', async () => {
    const [first, second, thief] = [newKey(), newKey(), newKey()];
    const due = () => database.query('UPDATE directory_peer SET due_at_ms = 1');
    const pinnedKey = async () => Buffer.from((await lookup('b.example')).peer?.serviceKey ?? []).toString('hex');
    const hex = (key: SigningKey) => Buffer.from(key.publicKey.raw).toString('hex');
    await lookup('b.example');
    expect(await call('b.example', answer('b.example', first))).toBe('');
    await due();
    expect(await call('b.example', answer('b.example', thief))).toMatch(/^pin-mismatch: another key/);
    expect(await pinnedKey()).toBe(hex(first));
    await due();
    const older = answer('b.example', first, profileOf(first, 1000));
    expect(await call('b.example', older)).toMatch(/^pin-mismatch: an older profile/);
    await due();
    const crossSigned = profileOf(second, nowMs, first);
    expect(await call('b.example', answer('b.example', second, crossSigned))).toBe('');
    expect(await pinnedKey()).toBe(hex(second));
  });

  it('[S70] a key that is not that of the profile, a profile that does not hold, another domain: not pinned', async () => {
    const [key, other] = [newKey(), newKey()];
    const good = answer('b.example', key);
    const cases: [SettlePeer, RegExp][] = [
      [{ ...good, peer: { ...good.peer, serviceKey: Buffer.from(other.publicKey.raw) } }, /not the key of its profile/],
      [{ ...good, peer: { ...good.peer, domain: 'c.example' } }, /another domain/],
      [answer('b.example', key, { ...profileOf(key, nowMs), payload: Buffer.from('{}') }), /host-refused/],
      [answer('b.example', key, undefined, ['auth-1', 'a b']), /features-malformed/],
    ];
    for (const [asked, failure] of cases) {
      await database.query('TRUNCATE directory_peer');
      await lookup('b.example');
      expect(await call('b.example', asked)).toMatch(failure);
      expect((await lookup('b.example')).peer).toBeUndefined();
    }
  });

  it('[S23] [S75] a service without auth-1 is not pinned, and a word that vanished is a failure', async () => {
    const key = newKey();
    await lookup('old.example');
    expect(await call('old.example', answer('old.example', key, undefined, ['manifest-1']))).toBe(
      'feature-missing: auth-1',
    );
    expect((await lookup('old.example')).peer).toBeUndefined();
    await database.query('UPDATE directory_peer SET due_at_ms = 1');
    expect(await call('old.example', answer('old.example', key))).toBe('');
    await database.query('UPDATE directory_peer SET due_at_ms = 1');
    expect(await call('old.example', answer('old.example', key, undefined, ['auth-1']))).toBe(
      'feature-missing: manifest-1',
    );
    expect((await lookup('old.example')).peer?.features).toEqual(['auth-1', 'manifest-1']);
  });

  it('who lost the lease settles nothing', async () => {
    await lookup('b.example');
    await lease('slow');
    nowMs += 15_000;
    expect((await lease('worker')).peers).toHaveLength(1);
    const late = { ...answer('b.example', newKey()), owner: 'slow' };
    await expect(settlePeer(peers, late, clock)).rejects.toMatchObject({ code: 'not-found' });
    expect((await lookup('b.example')).peer).toBeUndefined();
  });
});
