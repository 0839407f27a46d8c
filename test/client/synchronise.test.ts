/** What a device does beyond the plain commands, against a whole provider: tickets, waiting, proofs, partial replicas. */
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MeshConnection, type VerifiedResponse } from '@meshd/binding/mesh-connection';
import { withDevice } from '@meshd/client/device';
import { deviceEntries, updateDraft, withPart } from '@meshd/client/device-entries';
import { type ClientEnvironment, type ServiceConnection, systemEnvironment } from '@meshd/client/environment';
import { loadEvidence } from '@meshd/client/evidence';
import { Home } from '@meshd/client/home';
import { auditHome } from '@meshd/client/operations/audit';
import { changeDevices } from '@meshd/client/operations/change-devices';
import { createAccount } from '@meshd/client/operations/create-account';
import { downloadContainer } from '@meshd/client/operations/download';
import { checkProof, proveFrame } from '@meshd/client/operations/prove';
import { syncAccount, synchronise } from '@meshd/client/operations/sync';
import { queueFiles, uploadFiles } from '@meshd/client/operations/upload';
import { watchAccount } from '@meshd/client/operations/watch';
import { enqueue } from '@meshd/client/pending';
import { homePins } from '@meshd/client/service-pin';
import { clientFeatures } from '@meshd/client/session';
import { homeTickets } from '@meshd/client/ticket-files';
import { signEnvelope } from '@meshd/dare/sign';
import { startTestProvider, type TestProvider } from '@meshd/dev/test-provider';
import { decodeTagged, encodeTagged } from '@meshd/encoding/codec';
import { ConnectionAccount, connectionRegistry } from '@meshd/schema/connections';
import { ProfileMesh, profileRegistry } from '@meshd/schema/profiles';
import type { Transaction } from '@meshd/schema/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { waitingRequests } from '../waiting-requests.js';

const container = 'my_Notes';
const address = 'alice@mesh.localhost';
const startMs = 120_000;

interface Exchange {
  readonly home: string;
  readonly transaction: Transaction;
  readonly message: object;
  readonly response: VerifiedResponse<Transaction>;
}

let provider: TestProvider;
let folder: string;
let home: string;
/** The same device with replicas of its own. */
let other: string;
const exchanges: Exchange[] = [];

const contentOf = (text: string) => new TextEncoder().encode(text);
const textOf = (octets: Uint8Array | undefined) => octets && new TextDecoder().decode(octets);

/** The real connection, with a look at what it carries. */
function environmentOf(folderOfHome: string): ClientEnvironment {
  const environment = systemEnvironment();
  return {
    ...environment,
    connect: (service): ServiceConnection => {
      const at = new Home(folderOfHome);
      const connection = new MeshConnection({
        ...service,
        pins: homePins(at),
        tickets: homeTickets(at),
        features: clientFeatures,
      });
      return {
        call: async (transaction, message, signers, options) => {
          const response = await connection.call(transaction, message, signers, options);
          exchanges.push({ home: folderOfHome, transaction, message, response });
          return response;
        },
        hello: () => connection.hello(),
        offers: (word) => connection.offers(word),
        close: () => connection.close(),
      };
    },
  };
}

function upload(at: string, files: Record<string, string>) {
  const list = Object.entries(files).map(([name, text]) => ({ name, content: contentOf(text) }));
  return withDevice(at, environmentOf(at), (device) => uploadFiles(device, container, list));
}

const sync = (at: string) => withDevice(at, environmentOf(at), (device) => synchronise(device));

async function contents(at: string): Promise<Record<string, string | undefined>> {
  const result = await withDevice(at, environmentOf(at), (device) => downloadContainer(device, container));
  const current = result.entries.filter((entry) => entry.current);
  return Object.fromEntries(current.map(({ name, content }) => [name, textOf(content)]));
}

beforeAll(async () => {
  provider = await startTestProvider({ domains: ['mesh.localhost'] });
  folder = await mkdtemp(join(tmpdir(), 'meshd-sync-'));
  home = join(folder, 'home');
  other = join(folder, 'other');
  await createAccount(home, environmentOf(home), {
    address,
    url: provider.url,
    ca: await readFile(provider.caFile, 'utf8'),
  });
  await upload(home, { first: 'one', second: 'two' });
  await cp(home, other, { recursive: true });
}, startMs);

afterAll(async () => {
  await provider?.stop();
  await rm(folder, { recursive: true, force: true });
});

describe('a device that comes back', () => {
  it('[S32] [R244] learns in one small request under a ticket that nothing has changed', async () => {
    await sync(home);
    exchanges.length = 0;
    await sync(home);
    expect(exchanges.map(({ transaction }) => transaction)).toEqual(['Status']);
    const [only] = exchanges;
    expect(only?.response.authenticatedBy).toBe('ticket');
    expect(only?.response.form).toBe('json-b');
    const { sent, received } = only?.response.bodyBytes ?? { sent: 0, received: 0 };
    expect(sent + received).toBeLessThan(2048);
  });

  it('[S45] keeps the newest signed heads with the credentials of the host', async () => {
    const names = await readdir(home);
    expect(names).toContain('heads.dare');
    const audit = await withDevice(home, environmentOf(home), auditHome);
    expect(audit.evidence).toEqual([]);
    expect(audit.replicas.every(({ isIntact, signedHead }) => isIntact && signedHead === 'same')).toBe(true);
  });

  it('[S46] demands that what is new continues what it has', async () => {
    await upload(home, { third: 'three' });
    exchanges.length = 0;
    await sync(other);
    const downloads = exchanges.filter(({ transaction }) => transaction === 'Download');
    expect(downloads).toHaveLength(1);
    expect(JSON.stringify(downloads[0]?.message)).toContain('"ProveFrom":3');
    expect(await contents(other)).toEqual({ first: 'one', second: 'two', third: 'three' });
  });
});

describe('[R124] [R247] [R250] a profile of the Mesh that was replaced elsewhere', () => {
  it('comes with the next Status, once, and counts from then on', async () => {
    await withDevice(home, environmentOf(home), async ({ session }) => {
      const { identity, keys, state } = session;
      const { value } = decodeTagged(profileRegistry, identity.profileMesh.payload ?? new Uint8Array(0), {
        form: 'json',
      });
      const newer = { ...(value as ProfileMesh), Updated: new Date(Date.now() + 1000) };
      const payload = encodeTagged(ProfileMesh, newer, 'json');
      const SignedProfileMesh = signEnvelope({ payload, keys: [keys.key('meshOffline')] });
      const SignedAssertionAccount = identity.profileAccount;
      const binding = { ServiceID: state.address, SignedProfileMesh, SignedAssertionAccount };
      expect((await session.send('CreateAccount', binding, [session.meshSigner])).status).toBe(202);
    });
    exchanges.length = 0;
    await sync(other);
    await sync(other);
    const brought = exchanges.flatMap(({ transaction, response }) =>
      transaction === 'Status'
        ? [(response.message as { EnvelopedProfileMaster?: object }).EnvelopedProfileMaster]
        : [],
    );
    expect(brought).toEqual([expect.anything(), undefined]);
    await upload(other, { renewed: 'under the new profile' });
    expect(await contents(home)).toMatchObject({ renewed: 'under the new profile' });
  });
});

describe('[R124] [R251] a connection of this device that was replaced elsewhere', () => {
  it('comes with the next Status, once, and requests are signed under it from then on', async () => {
    const newer = await withDevice(home, environmentOf(home), async (device) => {
      const { identity, keys } = device.session;
      const { value } = decodeTagged(connectionRegistry, identity.connectionAccount.payload ?? new Uint8Array(0), {
        form: 'json',
      });
      const Updated = new Date((value.Updated?.getTime() ?? 0) + 1000);
      const payload = encodeTagged(ConnectionAccount, { ...(value as ConnectionAccount), Updated }, 'json');
      const connectionAccount = signEnvelope({ payload, keys: [keys.key('accountOnline')] });
      await changeDevices(device, async () => {
        const [own] = await deviceEntries(device);
        if (own === undefined) throw new Error('the device is not listed');
        const change = { EnvelopedConnectionAccount: connectionAccount };
        const entry = withPart(own.entry, identity.accountUdf, change);
        return [await updateDraft(device, own, entry, { nowMs: Date.now() })];
      });
      return payload;
    });
    exchanges.length = 0;
    await sync(other);
    await upload(other, { reconnected: 'under the newer connection' });
    const brought = exchanges.flatMap(({ transaction, response }) =>
      transaction === 'Status' && response.succeeded
        ? [(response.message as { EnvelopedCatalogEntryDevice?: object }).EnvelopedCatalogEntryDevice]
        : [],
    );
    expect(brought).toEqual([expect.anything(), undefined]);
    expect(exchanges.map(({ transaction }) => transaction)).not.toContain('Complete');
    const held = await withDevice(other, environmentOf(other), async ({ session }) => session.identity);
    expect(Buffer.from(held.connectionAccount.payload ?? [])).toEqual(Buffer.from(newer));
    expect(await contents(home)).toMatchObject({ reconnected: 'under the newer connection' });
  });
});

describe('a device without a connection', () => {
  it('[R015] queues what it writes, and uploads it on top of what others wrote meanwhile', async () => {
    const queued = await withDevice(other, environmentOf(other), (device) =>
      queueFiles(device, container, [{ name: 'offline', content: contentOf('written on the road') }]),
    );
    expect(queued).toBe(1);
    await upload(home, { meanwhile: 'at home' });
    const { flushed } = await sync(other);
    expect(flushed).toMatchObject({ conflicts: [], waitingCount: 0, failures: [] });
    expect(flushed.placed.map(({ name }) => name)).toEqual(['offline']);
    expect(await contents(home)).toMatchObject({ meanwhile: 'at home', offline: 'written on the road' });
  });

  it('[R129] [R130] keeps both versions of what two devices changed: the newest under its name', async () => {
    await sync(other);
    const earlier = { ...environmentOf(other), nowMs: () => Date.now() - 60_000 };
    await withDevice(other, earlier, (device) =>
      queueFiles(device, container, [{ name: 'first', content: contentOf('older change') }]),
    );
    await upload(home, { first: 'newer change' });
    const { flushed } = await sync(other);
    expect(flushed.conflicts).toMatchObject([{ name: 'first', choice: 'theirs', mine: 'update', theirs: 'update' }]);
    const copy = flushed.conflicts[0]?.copy ?? '';
    expect(await contents(home)).toMatchObject({ first: 'newer change', [copy]: 'older change' });
  });

  it('[R129] tells where a deletion meets a change, leaves both as they are, and does what the user says', async () => {
    await sync(other);
    await withDevice(other, environmentOf(other), async (device) => {
      const { entries } = await downloadContainer(device, container);
      const found = entries.find(({ name, current }) => name === 'second' && current);
      const { uniqueId = '', frameIndex: base } = found ?? {};
      const deletion = { name: 'second', uniqueId, body: undefined, base, modifiedMs: Date.now() };
      await enqueue(device.session.home, container, [deletion]);
    });
    await upload(home, { second: 'changed meanwhile' });
    const { flushed } = await sync(other);
    const clash = { container, name: 'second', mine: 'delete', theirs: 'update' };
    expect(flushed).toMatchObject({ conflicts: [{ ...clash, choice: 'later' }], placed: [], waitingCount: 1 });
    expect(await contents(other)).toMatchObject({ second: 'changed meanwhile' });
    const decided = await withDevice(other, environmentOf(other), (device) =>
      synchronise(device, { decide: async () => 'mine' }),
    );
    expect(decided.flushed).toMatchObject({ conflicts: [{ ...clash, choice: 'mine' }], waitingCount: 0 });
    await sync(home);
    expect(await contents(home)).not.toHaveProperty('second');
  });
});

describe('[R117] a partial replica', () => {
  it('[R131] leaves out the bodies of superseded entries, has the same root, and completes them when they are read', async () => {
    const partial = join(folder, 'partial');
    await cp(home, partial, { recursive: true });
    await rm(join(partial, 'containers'), { recursive: true });
    const whole = await withDevice(home, environmentOf(home), (device) => syncAccount(device));
    const synced = await withDevice(partial, environmentOf(partial), (device) =>
      syncAccount(device, undefined, { filter: { words: ['Superseded'] } }),
    );
    const rootOf = (list: typeof whole) => Buffer.from(list.find((each) => each.container === container)?.root ?? []);
    expect(rootOf(synced)).toEqual(rootOf(whole));
    const audit = await withDevice(partial, environmentOf(partial), auditHome);
    const state = audit.replicas.find((each) => each.container === container);
    expect(state).toMatchObject({ isIntact: true });
    expect(state?.redactedCount).toBeGreaterThan(0);
    const { entries } = await withDevice(partial, environmentOf(partial), (device) =>
      downloadContainer(device, container),
    );
    expect(entries.every(({ isRedacted }) => !isRedacted)).toBe(true);
    expect(entries.find(({ name, current }) => name === 'first' && !current)?.content).toBeDefined();
  });
});

describe('a large payload over a line that breaks', () => {
  it('[R216] comes in slices, and goes on where it was cut', async () => {
    const content = Buffer.alloc(600_000, 'large ');
    await withDevice(home, environmentOf(home), (device) => uploadFiles(device, 'my_Large', [{ name: 'l', content }]));
    let calls = 0;
    const breaking: ClientEnvironment = {
      ...environmentOf(other),
      connect: (service) => {
        const connection = environmentOf(other).connect?.(service) as ServiceConnection;
        return {
          ...connection,
          call: async (transaction, message, signers, options) => {
            const { BytesOffset: offset } =
              (message as { ConstraintsPost?: { BytesOffset?: number } }).ConstraintsPost ?? {};
            const isPage =
              transaction === 'Download' && offset === undefined && JSON.stringify(message).includes('my_Large');
            calls += 1;
            // Whole pages never arrive, and of the slices every third is lost.
            if (isPage || (offset !== undefined && calls % 3 === 0)) {
              const { BindingError } = await import('@meshd/binding/errors');
              throw new BindingError('transport', 'the line broke');
            }
            return connection.call(transaction, message, signers, options);
          },
        };
      },
    };
    await withDevice(other, { ...breaking, pause: async () => undefined }, (device) => syncAccount(device));
    const { entries } = await withDevice(other, environmentOf(other), (device) =>
      downloadContainer(device, 'my_Large'),
    );
    expect(Buffer.compare(entries[0]?.content ?? new Uint8Array(0), content)).toBe(0);
    expect((await readdir(join(other, 'containers'))).filter((name) => name.includes('.part'))).toEqual([]);
  });
});

describe('a watched account', () => {
  const untilWaiting = () => expect.poll(() => waitingRequests(provider.adminUrls.shards), { timeout: 10_000 }).toBe(1);

  it('[S83] tells of a change on another device at once', async () => {
    const end = new AbortController();
    const seen: string[] = [];
    let standing: () => void = () => undefined;
    const stands = new Promise<void>((resolve) => {
      standing = resolve;
    });
    const watching = watchAccount(other, environmentOf(other), {
      signal: end.signal,
      onWatching: () => standing(),
      onChange: (changed) => {
        seen.push(...changed.map((each) => each.container));
        end.abort();
      },
    });
    await stands;
    await untilWaiting();
    exchanges.length = 0;
    await upload(home, { watched: 'news' });
    const doneMs = Date.now();
    await watching;
    expect(seen).toEqual([container]);
    // The request that waited is answered, and says what to fetch: nothing else is asked.
    const asked = exchanges.filter((each) => each.home === other);
    expect(asked.map(({ transaction }) => transaction)).toEqual(['Status', 'Download']);
    expect(asked[0]?.message).toMatchObject({ Wait: expect.any(Number) });
    // Long before the wait is over.
    expect(Date.now() - doneMs).toBeLessThan(20_000);
  });

  it('ends when it is told to, with the wait', async () => {
    const end = new AbortController();
    const watching = watchAccount(other, environmentOf(other), {
      signal: end.signal,
      onChange: () => undefined,
    });
    await untilWaiting();
    end.abort();
    await expect(watching).resolves.toBeUndefined();
  });
});

describe('a proof', () => {
  it('[S45] [S46] holds without anybody being asked, and not for another envelope', async () => {
    const { file, proven } = await withDevice(home, environmentOf(home), (device) => proveFrame(device, container, 1));
    expect(proven).toMatchObject({ container, frameIndex: 1, domain: 'mesh.localhost', event: 'New' });
    expect(await checkProof(file)).toEqual(proven);
    const { ContainerProof: value } = JSON.parse(Buffer.from(file).toString());
    const changed = Buffer.from(JSON.stringify({ ContainerProof: { ...value, Index: 2 } }));
    await expect(checkProof(changed)).rejects.toMatchObject({ code: 'proof' });
    const path = Buffer.from(JSON.stringify({ ContainerProof: { ...value, Inclusion: value.Inclusion.slice(1) } }));
    await expect(checkProof(path)).rejects.toMatchObject({ code: 'proof' });
  });
});

describe('after all that', () => {
  it('[S47] nothing speaks against the service', async () => {
    for (const at of [home, other]) expect(await loadEvidence(new Home(at))).toEqual([]);
  });
});
