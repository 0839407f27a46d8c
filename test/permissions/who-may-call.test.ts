/**
 * Who may call what (semantics 4.1): every transaction in every form of authentication, once, against a provider that
 * runs.
 */
import { join as joinPath } from 'node:path';
import { loadHostIdentity } from '@meshd/binding/host-files';
import type { MeshConnection } from '@meshd/binding/mesh-connection';
import type { RequestSigner } from '@meshd/binding/request-sign';
import type { HeldTicket } from '@meshd/binding/ticket-hold';
import { startTestProvider, type TestProvider } from '@meshd/dev/test-provider';
import { RequestConnection } from '@meshd/schema/messages-mesh';
import type { RequestOf, Transaction } from '@meshd/schema/protocol';
import { messageOf } from '@meshd/shard/testing/outbox-kit';
import {
  entry,
  mark,
  opening,
  Person,
  type SelfDraft,
  selfEntry,
  signedObject,
  TestWriter,
  testKey,
} from '@meshd/shard/testing/person';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  connected,
  creationOf,
  hostTicket,
  type Joined,
  join,
  linkTo,
  list,
  type Place,
  TicketCalls,
  ticketFor,
  unconnected,
  type Verdict,
  verdictOf,
} from './people.js';

let provider: TestProvider;
let place: Place;
let link: MeshConnection;
let underTicket: TicketCalls;
let alice: Joined;
let host: RequestSigner;

beforeAll(async () => {
  provider = await startTestProvider({
    domains: ['example.com'],
    router: { sourceLimits: { signedRefusalsPerSecond: 1000 } },
  });
  const { domain, url, ca } = provider;
  place = { domain, url, ca };
  link = linkTo(place);
  underTicket = new TicketCalls(place);
  alice = await join(link, 'alice');
  const identity = await loadHostIdentity(joinPath(provider.plan.serviceFolder, 'outbound'));
  host = { key: identity.signingKey, profile: identity.profileHost, connection: identity.connectionHost };
});
afterAll(async () => {
  underTicket?.close();
  await link?.close();
  await provider?.stop();
});

/** How the caller shows who it is. */
type Form = 'null' | 'device' | 'device ticket' | 'profile' | 'ticket' | 'host' | 'host ticket';

const signersOf = (form: Form): RequestSigner[] => {
  const { person, device } = alice;
  if (form === 'null') return [];
  if (form.startsWith('device')) return [unconnected(person, device)];
  return [form.startsWith('host') ? host : connected(device)];
};

const tickets = new Map<Form, Promise<HeldTicket>>();

function ticketOf(form: Form): Promise<HeldTicket> {
  const obtained = () =>
    form === 'host ticket'
      ? hostTicket(provider.plan.serviceFolder, place.domain, Date.now())
      : ticketFor(place, signersOf(form)[0] as RequestSigner);
  const held = tickets.get(form) ?? obtained();
  tickets.set(form, held);
  return held;
}

async function call<T extends Transaction>(form: Form, transaction: T, message: RequestOf<T>): Promise<Verdict> {
  if (!form.endsWith('ticket')) return verdictOf(link, transaction, message, signersOf(form));
  return (await underTicket.call(transaction, message, await ticketOf(form))).verdict;
}

const ok: Verdict = [201];
const nobody: Verdict = [401];
const notForYou: Verdict = [403, 2];
const needsAdmin: Verdict = [403, 3];
const notForHosts: Verdict = [403, 5];
/** The device's request waits for somebody's answer. */
const waiting: Verdict = [300, 17];
const nothing: Verdict = [404];
/** Taken as a caller; nothing was to be posted. */
const empty: Verdict = [400];
/** The Mesh's own signature is missing: nobody else's stands in for it. */
const notTheMesh: Verdict = [401, 10];

interface Row {
  readonly ids: string;
  readonly message: () => object;
  readonly answers: Readonly<Record<Form, Verdict>>;
}

const ofAlice = () => ({ Account: alice.person.address });

/** A connected device asks to be connected anew: its entry is no answer to that. */
function connectionRequest() {
  const { person, device } = alice;
  const members = {
    ServiceID: person.address,
    EnvelopedProfileDevice: device.profile,
    ClientNonce: new Uint8Array(16),
  };
  return signedObject(RequestConnection, members, testKey(`${person.name} ${device.name} device offline`));
}

let containers = 0;
/** A container of its own for every call, so that no upload stands in the way of another. */
function uploadOfAlice() {
  const container = `my_Own${++containers}`;
  const { person, device } = alice;
  const { envelopes } = new TestWriter(container, person.accountUdf, device.signature).write([opening()]);
  return { ...ofAlice(), Updates: [{ Container: container, Envelopes: [...envelopes] }] };
}

const table: Readonly<Record<Exclude<Transaction, 'DeleteAccount'>, Row>> = {
  Hello: {
    ids: '[R075] [R080] [R082]',
    message: () => ({}),
    answers: {
      ...{ null: ok, device: ok, 'device ticket': ok, profile: ok, ticket: ok },
      ...{ host: ok, 'host ticket': ok },
    },
  },
  CreateAccount: {
    ids: '[R075] [R083]',
    message: () => creationOf(new Person('newcomer')),
    answers: {
      ...{ null: nobody, device: notTheMesh, 'device ticket': nobody, profile: notForYou, ticket: notForYou },
      ...{ host: notForHosts, 'host ticket': notForHosts },
    },
  },
  Status: {
    ids: '[R075] [R084] [R085] [R264]',
    message: ofAlice,
    answers: {
      ...{ null: nobody, device: nobody, 'device ticket': nobody, profile: ok, ticket: ok },
      ...{ host: notForHosts, 'host ticket': notForHosts },
    },
  },
  Download: {
    ids: '[R075] [R084] [R085] [R264]',
    message: () => ({ ...ofAlice(), Select: [{ Container: 'mmm_Device' }] }),
    answers: {
      ...{ null: nobody, device: nobody, 'device ticket': nobody, profile: ok, ticket: ok },
      ...{ host: notForHosts, 'host ticket': notForHosts },
    },
  },
  Upload: {
    ids: '[R075] [R084] [R085] [R264] [S33]',
    message: uploadOfAlice,
    answers: {
      ...{ null: nobody, device: nobody, 'device ticket': nobody, profile: ok, ticket: ok },
      ...{ host: notForHosts, 'host ticket': notForHosts },
    },
  },
  Post: {
    ids: '[R075] [R086]',
    message: () => ({}),
    answers: {
      ...{ null: nobody, device: nobody, 'device ticket': nobody, profile: empty, ticket: empty },
      ...{ host: empty, 'host ticket': empty },
    },
  },
  Connect: {
    ids: '[R075] [R084]',
    message: () => ({ MessageConnectionRequestClient: connectionRequest() }),
    answers: {
      ...{ null: nobody, device: ok, 'device ticket': ok, profile: notForYou, ticket: notForYou },
      ...{ host: notForHosts, 'host ticket': notForHosts },
    },
  },
  Complete: {
    ids: '[R075] [R084] [R085]',
    message: () => ({ ServiceID: alice.person.address, DeviceUDF: alice.device.udf }),
    answers: {
      ...{ null: nobody, device: waiting, 'device ticket': waiting, profile: ok, ticket: ok },
      ...{ host: notForHosts, 'host ticket': notForHosts },
    },
  },
  StoreLarge: {
    ids: '[R018] [R075] [R264]',
    message: ofAlice,
    answers: {
      ...{ null: nobody, device: nobody, 'device ticket': nobody, profile: ok, ticket: ok },
      ...{ host: notForHosts, 'host ticket': notForHosts },
    },
  },
  // By the key of a locator, which is no device's of an account.
  FetchLarge: {
    ids: '[R018] [R075]',
    message: () => ({ ...ofAlice(), Identifier: 'M-NONE' }),
    answers: {
      ...{ null: nobody, device: nothing, 'device ticket': nothing, profile: notForYou, ticket: notForYou },
      ...{ host: notForHosts, 'host ticket': notForHosts },
    },
  },
};

for (const [transaction, { ids, message, answers }] of Object.entries(table) as [Transaction, Row][]) {
  describe(`${ids} ${transaction}`, () => {
    for (const [form, verdict] of Object.entries(answers) as [Form, Verdict][]) {
      const id = form.endsWith('ticket') ? '[R086] [S33] ' : '';
      it(`${id}in the form "${form}": ${verdict.join('/')}`, async () => {
        expect(await call(form, transaction, message() as never)).toEqual(verdict);
      });
    }
  });
}

/** Rows of the table that are parts of Upload: as Upload itself, and with an administrator's word where one is needed. */
const asUpload: readonly (readonly [Form, Verdict])[] = [
  ['null', nobody],
  ['device', nobody],
  ['device ticket', nobody],
  ['profile', ok],
  ['ticket', ok],
  ['host', notForHosts],
  ['host ticket', notForHosts],
];

describe('[R075] [R264] [R266] Self of Upload', () => {
  let sent = 0;
  const selfOf = (draft: Omit<SelfDraft, 'uniqueId'>, signer = alice.device.signature) => {
    const entryOf = selfEntry(alice.person.accountUdf, signer, { uniqueId: `NAAA-SELF-${++sent}`, ...draft });
    return { ...ofAlice(), Self: [entryOf] };
  };
  for (const [form, verdict] of asUpload) {
    it(`in the form "${form}": ${verdict.join('/')}`, async () => {
      const { uniqueId: _, ...draft } = mark('', 'Read', 'NAAA-NONE');
      expect(await call(form, 'Upload', selfOf(draft))).toEqual(verdict);
    });
  }

  it('[S25] MessagePIN and ChallengeConnection need an administrator, whose word may come under a ticket: 403/3', async () => {
    const { admin } = alice.person;
    // A challenge of a request that nobody has made is refused to administrators as well (S53).
    const toAdministrators = { MessagePIN: ok, ChallengeConnection: [400, 13] } as const;
    for (const [type, verdict] of Object.entries(toAdministrators)) {
      for (const form of ['profile', 'ticket'] as const) {
        expect(await call(form, 'Upload', selfOf({ type }))).toEqual(needsAdmin);
        expect(await call(form, 'Upload', selfOf({ type }, admin))).toEqual(verdict);
      }
    }
  });
});

describe('[R075] [R264] [R266] [S25] an Upload to the device catalog', () => {
  for (const [form, verdict] of asUpload) {
    it(`in the form "${form}": ${verdict.join('/')}, and 403/3 where the manifest is no administrator's`, async () => {
      const third = alice.person.device(`listed in the form ${form}`);
      const draft = entry({ UniqueID: third.udf, Event: 'New' }, third.entry);
      const upload = (signer = alice.person.admin) => {
        const { envelopes, tree, log } = alice.devices.seal([draft], { signer });
        const Updates = [{ Container: 'mmm_Device', Envelopes: [...envelopes] }];
        return { trees: { tree, log }, message: { ...ofAlice(), Updates } };
      };
      if (verdict === ok) {
        expect(await call(form, 'Upload', upload(alice.device.signature).message)).toEqual(needsAdmin);
      }
      const { message, trees } = upload();
      expect(await call(form, 'Upload', message)).toEqual(verdict);
      if (verdict === ok) alice.devices.trees = trees;
    });
  }
});

describe('[R083] CreateAccount', () => {
  it('signed by a key of the Mesh in it: 201', async () => {
    const person = new Person('founder');
    expect(await verdictOf(link, 'CreateAccount', creationOf(person), [{ key: person.meshOffline }])).toEqual(ok);
  });
});

describe('[R075] [R296] [S25] DeleteAccount', () => {
  const forms: [Form, Verdict][] = [
    ['null', nobody],
    ['device', nobody],
    ['device ticket', nobody],
    ['profile', needsAdmin],
    ['ticket', needsAdmin],
    ['host', notForHosts],
    ['host ticket', notForHosts],
  ];
  for (const [form, verdict] of forms) {
    it(`in the form "${form}" alone: ${verdict.join('/')}`, async () => {
      expect(await call(form, 'DeleteAccount', ofAlice())).toEqual(verdict);
    });
  }

  it('by a device with the signature of an administrator beside it: 201', async () => {
    const { person, device } = await join(link, 'leaver');
    const signers = [connected(device), { key: person.admin }];
    expect(await verdictOf(link, 'DeleteAccount', { Account: person.address }, signers)).toEqual(ok);
  });
});

describe('[R123] [R264] permissions of a connection', () => {
  /** A second device of a person who has credentials, with these permissions. */
  async function limited(name: string, permissions: readonly { Name: string; Role?: string }[]) {
    const joined = await join(link, name);
    const { person, device: first } = joined;
    const writer = new TestWriter('mmm_Credential', person.accountUdf, first.signature);
    const envelopes = [...writer.write([opening(), entry({ UniqueID: 'a', Event: 'New' })]).envelopes];
    const store = { Account: person.address, Updates: [{ Container: 'mmm_Credential', Envelopes: envelopes }] };
    expect(await verdictOf(link, 'Upload', store, [connected(first)])).toEqual(ok);
    const device = person.device('second', permissions);
    await list(link, joined, device);
    const signer = connected(device);
    const of = { Account: person.address };
    /** By the form and by the ticket: both must say the same. */
    const both = async <T extends Transaction>(transaction: T, message: () => RequestOf<T>): Promise<Verdict> => {
      const signed = await verdictOf(link, transaction, message(), [signer]);
      const { verdict } = await underTicket.call(transaction, message(), await ticketFor(place, signer));
      expect(verdict).toEqual(signed);
      return signed;
    };
    return {
      names: async () => {
        const { message } = await link.call('Status', of, [signer]);
        return message.ContainerStatus?.map(({ Container }) => Container).toSorted();
      },
      reads: (container: string) => both('Download', () => ({ ...of, Select: [{ Container: container }] })),
      writes: (container: string) =>
        both('Upload', () => {
          const draft = entry({ UniqueID: `key ${++containers}`, Event: 'New' });
          const by = container === 'mmm_Credential' ? { ...writer.trees } : undefined;
          const own = new TestWriter(container, person.accountUdf, device.signature);
          if (by !== undefined) own.trees = by;
          const { envelopes: batch, tree, log } = own.seal(by === undefined ? [opening()] : [draft]);
          const message = { ...of, Updates: [{ Container: container, Envelopes: [...batch] }] };
          if (by !== undefined && permissions.some(({ Role }) => Role !== 'read')) writer.trees = { tree, log };
          return message;
        }),
    };
  }

  it('of one store to read: it and the device catalog are seen, nothing is written: 403/2', async () => {
    const reader = await limited('reader', [{ Name: 'mmm_Credential', Role: 'read' }]);
    expect(await reader.names()).toEqual(['mmm_Credential', 'mmm_Device']);
    expect(await reader.reads('mmm_Credential')).toEqual(ok);
    expect(await reader.reads('mmm_Inbound')).toEqual(notForYou);
    expect(await reader.writes('mmm_Credential')).toEqual(notForYou);
    expect(await reader.writes('mmm_Network')).toEqual(notForYou);
  });

  it('of one store to write: it is read and written, others are not: 403/2', async () => {
    const writer = await limited('scribe', [{ Name: 'mmm_Credential', Role: 'write' }]);
    expect(await writer.reads('mmm_Credential')).toEqual(ok);
    expect(await writer.writes('mmm_Credential')).toEqual(ok);
    expect(await writer.writes('mmm_Network')).toEqual(notForYou);
  });

  it('of Messaging: the three spools are seen', async () => {
    const messenger = await limited('messenger', [{ Name: 'Messaging', Role: 'read' }]);
    expect(await messenger.names()).toEqual(['mmm_Archive', 'mmm_Device', 'mmm_Inbound', 'mmm_Outbound']);
  });

  it('of nothing known, or in a role that nobody knows: nothing but the device catalog', async () => {
    for (const [name, permission] of [
      ['strange', { Name: 'Flying' }],
      ['prototype', { Name: 'constructor' }],
      ['odd', { Name: 'mmm_Credential', Role: 'own' }],
    ] as const) {
      const device = await limited(name, [permission]);
      expect(await device.names()).toEqual(['mmm_Device']);
      expect(await device.reads('mmm_Credential')).toEqual(notForYou);
    }
  });

  it('[S25] of Administration: the device catalog is not written without the signature of an administrator: 403/3', async () => {
    const joined = await join(link, 'named');
    const { person, devices } = joined;
    const device = person.device('second', [{ Name: 'Administration' }]);
    await list(link, joined, device);
    const third = person.device('third');
    const draft = entry({ UniqueID: third.udf, Event: 'New' }, third.entry);
    const upload = (signer = device.signature) => {
      const { envelopes } = devices.seal([draft], { signer });
      const Updates = [{ Container: 'mmm_Device', Envelopes: [...envelopes] }];
      return verdictOf(link, 'Upload', { Account: person.address, Updates }, [connected(device)]);
    };
    expect(await upload()).toEqual(needsAdmin);
  });
});

describe('a message from another provider', () => {
  it.each(['null', 'device', 'profile', 'ticket', 'host'] as const)(
    '[R163] [R172] is brought by its service alone, and not by a caller in the form: %s',
    async (form) => {
      const stranger = new Person('stranger', { address: 'stranger@other.example' });
      const device = stranger.device();
      const to = [alice.person.address];
      const message = messageOf(stranger, device, Date.now(), { to, type: 'RequestContact' });
      const post = { Accounts: to, Message: [message] };
      // The sender's own device, known to no service here; alice's own; a true host, though of another domain.
      const own = { null: [], device: [unconnected(stranger, device)], profile: [connected(device)] };
      const verdict =
        form in own ? verdictOf(link, 'Post', post, own[form as keyof typeof own]) : call(form, 'Post', post);
      const [status] = await verdict;
      expect([401, 403]).toContain(status);
    },
  );
});
