/**
 * Who may call what (semantics 4.1): every transaction in every form of authentication, once, against a provider that
 * runs.
 */
import type { MeshConnection } from '@meshd/binding/mesh-connection';
import { type EnvelopeOctets, openEnvelope } from '@meshd/dare/envelope';
import type { RequestOf, Transaction } from '@meshd/schema/protocol';
import { messageOf } from '@meshd/shard/testing/outbox-kit';
import { entry, mark, opening, Person, type SelfDraft, selfEntry, TestWriter } from '@meshd/shard/testing/person';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Callers, type Form, verdicts } from './callers.js';
import { describeConnectionPermissions } from './connection-permissions.scenes.js';
import {
  connected,
  connectionRequestOf,
  creationOf,
  type Joined,
  join,
  list,
  revoke,
  unconnected,
  type Verdict,
  verdictOf,
} from './people.js';

const { ok, nobody, notForYou, needsAdmin, notForHosts, waiting, nothing, empty, notTheMesh } = verdicts;

let callers: Callers;
let alice: Joined;
let link: MeshConnection;
beforeAll(async () => {
  callers = await Callers.start();
  ({ alice, link } = callers);
});
afterAll(() => callers?.stop());

const call = <T extends Transaction>(form: Form, transaction: T, message: RequestOf<T>): Promise<Verdict> =>
  callers.call(form, transaction, message);

interface Row {
  readonly ids: string;
  readonly message: () => object;
  readonly answers: Readonly<Record<Form, Verdict>>;
}

const ofAlice = () => ({ Account: alice.person.address });

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
    // A connected device asks to be connected anew: its entry is no answer to that.
    message: () => ({ MessageConnectionRequestClient: connectionRequestOf(alice.person, alice.device) }),
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

describe.each(['Upload', 'Post'] as const)('[R075] [R264] [R266] [R281] Self of %s', (transaction) => {
  const signed = ['profile', 'ticket'] as const;
  let sent = 0;
  const selfOf = (draft: Omit<SelfDraft, 'uniqueId'>, signer = alice.device.signature) => {
    const uniqueId = `NAAA-${transaction}-${++sent}`;
    return { ...ofAlice(), Self: [selfEntry(alice.person.accountUdf, signer, { ...draft, uniqueId })] };
  };
  const say = (form: Form, draft: Omit<SelfDraft, 'uniqueId'>, signer = alice.device.signature) =>
    call(form, transaction, selfOf(draft, signer) as never);

  for (const [form, verdict] of asUpload) {
    it(`in the form "${form}": ${verdict.join('/')}`, async () => {
      expect(await say(form, mark('', 'Read', 'NAAA-NONE'))).toEqual(verdict);
    });
  }

  it('[S25] MessagePIN and ChallengeConnection need an administrator, whose word may come under a ticket: 403/3', async () => {
    const { admin } = alice.person;
    // A challenge of a request that nobody has made is refused to administrators as well (S53).
    const toAdministrators = { MessagePIN: ok, ChallengeConnection: [400, 13] } as const;
    for (const [type, verdict] of Object.entries(toAdministrators)) {
      for (const form of signed) {
        expect(await say(form, { type })).toEqual(needsAdmin);
        expect(await say(form, { type }, admin)).toEqual(verdict);
      }
    }
  });

  it('[R144] [S25] so does the answer to a device that asks to be connected: 403/3, and it goes on waiting', async () => {
    const { person } = alice;
    for (const form of signed) {
      const phone = person.device(`asks for ${transaction} in the form ${form}`);
      const asks = { MessageConnectionRequestClient: connectionRequestOf(person, phone) };
      const byItself = [unconnected(person, phone)];
      const polls = () => verdictOf(link, 'Complete', { ServiceID: person.address, DeviceUDF: phone.udf }, byItself);
      const { message } = await link.call('Connect', asks, byItself);
      const name = openEnvelope(message.EnvelopedConnectionResponse as EnvelopeOctets).contentMetaData?.UniqueID ?? '';
      expect(name).not.toBe('');
      for (const answer of ['Accept', 'Reject', 'Closed']) {
        expect(await say(form, mark('', answer, name))).toEqual(needsAdmin);
      }
      expect(await polls()).toEqual(waiting);
      // That it was seen, anybody may say.
      expect(await say(form, mark('', 'Read', name))).toEqual(ok);
      expect(await say(form, mark('', 'Reject', name), person.admin)).toEqual(ok);
      expect(await polls()).toEqual([403, 18]);
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

describe('[R075] [R264] [S25] the deletion of a device from the device catalog', () => {
  it.each(['profile', 'ticket'] as const)(
    'in the form "%s", where the manifest is no administrator\'s: 403/3, and the device stays',
    async (form) => {
      const { person, device, devices } = alice;
      const third = person.device(`stays in the form ${form}`);
      await list(link, alice, third);
      const frameIndex = devices.trees.log.frameCount - 1;
      const deletion = entry({ UniqueID: third.udf, Event: 'Delete', First: frameIndex, Previous: frameIndex });
      // Neither by another device nor by the one itself.
      for (const signer of [device.signature, third.signature]) {
        const { envelopes } = devices.seal([deletion], { signer });
        const Updates = [{ Container: 'mmm_Device', Envelopes: [...envelopes] }];
        expect(await call(form, 'Upload', { ...ofAlice(), Updates })).toEqual(needsAdmin);
      }
      expect(await verdictOf(link, 'Status', ofAlice(), [connected(third)])).toEqual(ok);
      await revoke(link, alice, third, frameIndex);
      expect(await verdictOf(link, 'Status', ofAlice(), [connected(third)])).toEqual([401, 4]);
    },
  );
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

describeConnectionPermissions(() => callers);
