/** A whole provider and a bare line to it: what is sent is any octets, what comes back is judged octet by octet. */
import { request as httpsRequest } from 'node:https';
import { credDigest, responseInput } from '@meshd/binding/credential';
import { MeshConnection } from '@meshd/binding/mesh-connection';
import { memoryPinStore } from '@meshd/binding/pins';
import { reqAuthOf } from '@meshd/binding/request-authenticate';
import { receiveRequest } from '@meshd/binding/request-open';
import { combinedSigningKey, combineSeeds } from '@meshd/crypto/combined-key';
import { sha512 } from '@meshd/crypto/digest';
import { generateSeed, type PublicKeyEd448, signingKeyFromSeed, verify } from '@meshd/crypto/ed448';
import { type EnvelopeOctets, openEnvelope, readEnvelope } from '@meshd/dare/envelope';
import { startTestProvider, type TestProvider, type TestProviderOptions } from '@meshd/dev/test-provider';
import { ConnectionAccount } from '@meshd/schema/connections';
import {
  entry,
  opening,
  Person,
  publicMember,
  signedObject,
  type TestDevice,
  TestWriter,
} from '@meshd/shard/testing/person';
import pg from 'pg';

export const domain = 'example.com';

/** A person with an account, one device, and a catalog that is not written yet. */
export interface Member {
  readonly person: Person;
  readonly device: TestDevice;
  readonly writer: TestWriter;
}

/** An answer as it came. */
export interface WireAnswer {
  readonly httpStatus: number;
  readonly body: Buffer;
  /** A signature of the router's host that holds for the very request. */
  readonly isSigned: boolean;
  readonly status: number;
  readonly extended: number | undefined;
  /** Members of the response but for `ID`. */
  readonly message: Record<string, unknown>;
}

/** What is posted; octets alone are JSON. */
export type Ask =
  | Uint8Array
  | string
  | { readonly body: Uint8Array | string; readonly method?: string; readonly headers?: Record<string, string> };

/** A provider and the line to it. */
export interface Wire {
  readonly provider: TestProvider;
  ask(ask: Ask): Promise<WireAnswer>;
  isSignedFor(answer: Uint8Array, request: Uint8Array): Promise<boolean>;
  /** Makes an account. With `combined` its device authenticates by a combined key and is not listed. */
  join(name: string, options?: { readonly combined?: boolean }): Promise<Member>;
  /** Digest of every table that requests may change, by database. */
  stored(): Promise<Record<string, string>>;
  /** Refusals that the router counts under this code. */
  refusals(code: string): Promise<number>;
  stop(): Promise<void>;
}

/** What time alone changes. */
const restless = new Set(['shard_lease']);

/** Starts a provider of `example.com` that signs any number of refusals. */
export async function openWire(options: Omit<TestProviderOptions, 'domains'> = {}): Promise<Wire> {
  const provider = await startTestProvider({
    ...{ domains: [domain], ...options },
    router: { sourceLimits: { signedRefusalsPerSecond: 1_000_000 }, ...options.router },
  });
  const link = new MeshConnection({ domain, url: provider.url, ca: provider.ca, pins: memoryPinStore() });
  const pools = [provider.databases.directory, ...provider.databases.shards].map(
    (connectionString) => new pg.Pool({ connectionString, max: 1 }),
  );
  const stranger = new Person('stranger').device();
  const { host } = await link.call('Status', { Account: 'nobody@example.com' }, [connected(stranger)]);

  const wire: Wire = {
    provider,
    ask: (ask) => send(provider, host.key, ask),
    isSignedFor: async (answer, request) => isSignedFor(answer, request, host.key),
    join: (name, options = {}) => join(link, name, options.combined ?? false),
    stored: async () => Object.assign({}, ...(await Promise.all(pools.map(digestsOf)))),
    refusals: (code) => counted(provider, code),
    stop: async () => {
      for (const pool of pools) await pool.end();
      await link.close();
      await provider.stop();
    },
  };
  return wire;
}

const connected = (device: TestDevice) => ({ key: device.authentication, connection: device.connection });

async function join(link: MeshConnection, name: string, combined: boolean): Promise<Member> {
  const person = new Person(name);
  const message = {
    ServiceID: person.address,
    SignedProfileMesh: person.profileMesh,
    SignedAssertionAccount: person.profileAccount,
  };
  const made = await link.call('CreateAccount', message, [{ key: person.meshOffline }]);
  const device = combined ? withCombinedKey(person) : person.device();
  const writer = new TestWriter('mmm_Credential', person.accountUdf, device.signature);
  if (combined) return { person, device, writer };
  const devices = new TestWriter('mmm_Device', person.accountUdf, person.admin);
  const { envelopes } = devices.write([opening(), entry({ UniqueID: device.udf, Event: 'New' }, device.entry)]);
  const updates = [{ Container: 'mmm_Device', Envelopes: [...envelopes] }];
  const listed = await link.call('Upload', { Account: person.address, Updates: updates }, [connected(device)]);
  if (made.status !== 201 || listed.status !== 201) throw new Error(`${name}: ${made.status}, ${listed.status}`);
  return { person, device, writer };
}

/** A device as later ones will be: two halves make its authentication key. Its connection alone lets it in. */
function withCombinedKey(person: Person): TestDevice {
  const device = person.device();
  const [baseSeed, overlaySeed] = [generateSeed(), generateSeed()];
  const rawOf = (seed: Uint8Array) => signingKeyFromSeed(seed).publicKey.raw;
  const halves = { baseSeed, overlaySeed, baseRaw: rawOf(baseSeed), overlayRaw: rawOf(overlaySeed) };
  const authentication = combinedSigningKey(combineSeeds(halves));
  const keys = { KeySignature: publicMember(device.signature), KeyAuthentication: publicMember(authentication) };
  const body = { AuthorityUDF: person.accountUdf, ServiceID: [person.address], ...keys };
  return { ...device, authentication, connection: signedObject(ConnectionAccount, body, person.accountOnline) };
}

async function digestsOf(pool: pg.Pool): Promise<Record<string, string>> {
  const { rows: tables } = await pool.query<{ database: string; name: string }>(
    `SELECT current_database() AS database, table_name AS name FROM information_schema.tables
      WHERE table_schema = 'public' ORDER BY table_name`,
  );
  const digests: Record<string, string> = {};
  for (const { database, name } of tables) {
    if (restless.has(name)) continue;
    const { rows } = await pool.query<{ digest: string }>(
      `SELECT count(*) || ' ' || md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) AS digest FROM "${name}" AS t`,
    );
    digests[`${database}.${name}`] = rows[0]?.digest ?? '';
  }
  return digests;
}

async function counted({ adminUrls }: TestProvider, code: string): Promise<number> {
  const figures = await (await fetch(`${adminUrls.router}/metrics`)).text();
  return figures
    .split('\n')
    .filter((line) => line.startsWith('meshd_router_requests_total{') && line.includes(`code="${code}"`))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

async function isSignedFor(answer: Uint8Array, request: Uint8Array, key: PublicKeyEd448): Promise<boolean> {
  const { payload, signatures } = openEnvelope(readEnvelope(answer));
  const [proof] = signatures;
  const received = receiveRequest(request, 'json');
  const octetsOf = (envelope: EnvelopeOctets | undefined) => envelope?.payload ?? undefined;
  const input = responseInput({
    service: received.base.service,
    requestPayloadDigest: received.payloadDigest,
    reqAuth: reqAuthOf(received.entries),
    responsePayloadDigest: sha512(payload ?? new Uint8Array(0)),
    credDigest: credDigest({ profile: octetsOf(proof?.Profile), connection: octetsOf(proof?.Connection) }),
  });
  return proof?.alg === 'S512-RSP1' && proof.signature !== undefined && verify(key, input, proof.signature);
}

function send(provider: TestProvider, key: PublicKeyEd448, ask: Ask): Promise<WireAnswer> {
  const { body, method = 'POST', headers = {} } = typeof ask === 'object' && 'body' in ask ? ask : { body: ask };
  const sent = { host: domain, 'content-type': 'application/json', ...headers };
  const { port, ca } = provider;
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, ca, method, servername: domain, agent: false, headers: sent } as const;
    const request = httpsRequest({ ...options, path: '/.well-known/mmm' }, async (response) => {
      const parts: Buffer[] = [];
      for await (const part of response) parts.push(part as Buffer);
      resolve(await judged(response.statusCode ?? 0, Buffer.concat(parts), Buffer.from(body), key));
    });
    request.on('error', reject);
    request.end(body);
  });
}

async function judged(httpStatus: number, body: Buffer, request: Uint8Array, key: PublicKeyEd448): Promise<WireAnswer> {
  const isEnvelope = body.toString('latin1', 0, 1) === '[';
  const payload = isEnvelope ? openEnvelope(readEnvelope(body)).payload : body;
  const tagged = JSON.parse(Buffer.from(payload ?? '').toString('utf8'));
  const { ID: _id, ...message } = Object.values(tagged)[0] as Record<string, unknown>;
  const { Status: status, StatusExtended: extended } = message as { Status: number; StatusExtended?: number };
  const isSigned = isEnvelope && (await isSignedFor(body, request, key));
  return { httpStatus, body, isSigned, status, extended, message };
}
