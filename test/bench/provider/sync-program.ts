/** Devices with tickets: their requests in JSON-B, made before they are sent, and the client's own synchronisation. */
import { join } from 'node:path';
import { MeshConnection } from '@meshd/binding/mesh-connection';
import { type SignRequestOptions, signRequest } from '@meshd/binding/request-sign';
import type { HeldTicket } from '@meshd/binding/ticket-hold';
import { withDevice } from '@meshd/client/device';
import { systemEnvironment } from '@meshd/client/environment';
import { Home } from '@meshd/client/home';
import { createAccount } from '@meshd/client/operations/create-account';
import { syncAccount } from '@meshd/client/operations/sync';
import { homePins } from '@meshd/client/service-pin';
import { clientFeatures, Session } from '@meshd/client/session';
import { homeTickets } from '@meshd/client/ticket-files';
import { sha512 } from '@meshd/crypto/digest';
import { systemRandom } from '@meshd/crypto/random';
import { downloadEntriesMax, downloadPayloadBytesMax } from '@meshd/limits/limits';
import type { RequestOf } from '@meshd/schema/protocol';
import { serveCalls } from './child.ts';
import { obtainTicket } from './obtain-ticket.ts';
import { postAll } from './post-all.ts';
import type { Target } from './post-socket.ts';
import { UploadChain } from './upload-chain.ts';

/** One account with the ticket of its device. */
interface Member {
  readonly folder: string;
  readonly session: Session;
  readonly ticket: HeldTicket;
  readonly chains: Map<string, UploadChain>;
}

const environment = systemEnvironment();
let service: { url: string; domain: string; ca: string; folder: string } | undefined;
const members = new Map<string, Member>();
let prepared: Uint8Array[][] = [];

function known() {
  if (service === undefined) throw new Error('the service is not known yet');
  return service;
}

function memberOf(name: string): Member {
  const member = members.get(name);
  if (member === undefined) throw new Error(`no account ${name}`);
  return member;
}

async function open(names: readonly string[]): Promise<void> {
  for (const name of names) {
    if (members.has(name)) continue;
    const address = `${name}@${known().domain}`;
    const folder = join(known().folder, name);
    const { state } = await createAccount(folder, environment, { address, ...known() });
    const session = await Session.open(new Home(folder), environment, state);
    members.set(name, { folder, session, ticket: await obtainTicket(session, known()), chains: new Map() });
  }
}

type Proof = 'ticket' | 'signature';

async function requestOf<T extends 'Status' | 'Download'>(
  { session, ticket }: Member,
  transaction: T,
  message: RequestOf<T>,
  proof: Proof = 'ticket',
): Promise<Uint8Array> {
  const options: SignRequestOptions<T> = {
    transaction,
    // Named in both forms: a request that names none has those of its ticket, and would be answered with heads.
    message: { Features: ['entry', 'page'], ...message, Account: session.state.address } as RequestOf<T>,
    service: known().domain,
    nowMs: Date.now(),
    random: systemRandom,
    signers: [session.deviceSigner],
    form: 'json-b',
    ...(proof === 'ticket' ? { ticket } : {}),
  };
  return (await signRequest<T>(options)).body;
}

const times = <T>(count: number, make: () => Promise<T>) => Promise.all(Array.from({ length: count }, make));

function chainOf(member: Member, container: string): UploadChain {
  const chain = member.chains.get(container) ?? new UploadChain(member.session, known().domain, container);
  chain.proof = { ticket: member.ticket, form: 'json-b' };
  member.chains.set(container, chain);
  return chain;
}

const calls = {
  async use(options: { url: string; domain: string; ca: string; folder: string }) {
    service = options;
  },

  /** Makes accounts of these names, each with a device that has a ticket. */
  open,

  /** Who a device is, for those who go round the router or write behind the shard's back. */
  async identityOf(name: string) {
    const { session } = memberOf(name);
    const { key, connection } = session.deviceSigner;
    const { header, payload, trailer } = connection ?? { header: new Uint8Array(0), payload: null, trailer: null };
    return {
      ...{ address: session.state.address, key: key.publicKey.raw, seed: session.keys.seed('connectionSignature') },
      ...{ connection: { header, payload, trailer }, connectionDigest: sha512(payload ?? new Uint8Array(0)) },
    };
  },

  /** Statuses that bring nothing that the device has: the profile is known. */
  async prepareStatus(plan: { names: readonly string[]; each: number; proof: Proof }) {
    prepared = await Promise.all(
      plan.names.map((name) => {
        const member = memberOf(name);
        const ProfileMasterDigest = sha512(member.session.identity.profileMesh.payload ?? new Uint8Array(0));
        return times(plan.each, () => requestOf(member, 'Status', { ProfileMasterDigest }, plan.proof));
      }),
    );
  },

  /** Uploads of one frame each, under tickets; the container is opened first. */
  async prepareUploads(plan: { names: readonly string[]; container: string; each: number; payloadBytes: number }) {
    const { names, container, each, payloadBytes } = plan;
    const fresh = names.map(memberOf).filter((member) => !member.chains.has(container));
    const opening = fresh.map(async (member) => [await chainOf(member, container).open()]);
    const opened = await Promise.all(opening);
    prepared = [];
    for (const name of names) {
      const chain = chainOf(memberOf(name), container);
      const bodies: Uint8Array[] = [];
      for (let at = 0; at < each; at += 1) bodies.push(await chain.next(1, payloadBytes));
      prepared.push(bodies);
      await new Promise((resolve) => setImmediate(resolve));
    }
    return { opened, sample: chainOf(memberOf(names[0] as string), container).sample };
  },

  /** One upload of so many large frames into a container of their own. */
  async prepareLargeFrames(large: { name: string; container: string; frameCount: number; frameBytes: number }) {
    const chain = chainOf(memberOf(large.name), large.container);
    prepared = [[await chain.open(), await chain.next(large.frameCount, large.frameBytes)]];
  },

  /** Downloads of a range of frames. */
  async prepareDownloads(plan: { name: string; container: string; from: number; to: number; each: number }) {
    const { name, container, from, to, each } = plan;
    const message: RequestOf<'Download'> = {
      Select: [{ Container: container, IndexMin: from, IndexMax: to }],
      ConstraintsPost: { MaxEntries: downloadEntriesMax, BytesMax: downloadPayloadBytesMax },
    };
    prepared = [await times(each, () => requestOf(memberOf(name), 'Download', message))];
  },

  post: (target: Target) => postAll(prepared, target),

  /** Posts what was handed over in place of what was prepared. */
  postThese: ({ bodies, target }: { bodies: Uint8Array[][]; target: Target }) => postAll(bodies, target),

  /** A device that is in step synchronises: requests, and octets of bodies both ways. */
  async resync(name: string) {
    const { folder } = memberOf(name);
    const counted = { requests: 0, sentBytes: 0, receivedBytes: 0, ticketed: 0 };
    const { url, ca } = known();
    const counting = {
      ...environment,
      connect: ({ domain }: { domain: string }) => {
        const home = new Home(folder);
        const link = new MeshConnection({
          ...{ domain, url, ca, pins: homePins(home), tickets: homeTickets(home), features: clientFeatures },
        });
        const call: MeshConnection['call'] = async (transaction, message, signers, options) => {
          const response = await link.call(transaction, message, signers, options);
          counted.requests += 1;
          counted.sentBytes += response.bodyBytes.sent;
          counted.receivedBytes += response.bodyBytes.received;
          if (response.authenticatedBy === 'ticket') counted.ticketed += 1;
          return response;
        };
        return {
          call,
          offers: (word: Parameters<MeshConnection['offers']>[0]) => link.offers(word),
          hello: () => {
            counted.requests += 1;
            return link.hello();
          },
          close: () => link.close(),
        };
      },
    };
    await withDevice(folder, counting, (device) => syncAccount(device));
    return counted;
  },
};

/** What the bench asks of the devices. */
export type SyncCalls = typeof calls;

serveCalls(calls);
