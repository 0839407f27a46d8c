/** What a device's connection permits (R123): the same by signature and by ticket. Part of `who-may-call.test.ts`, at its provider. */
import type { RequestOf, Transaction } from '@meshd/schema/protocol';
import { entry, opening, TestWriter } from '@meshd/shard/testing/person';
import { describe, expect, it } from 'vitest';
import { type Callers, verdicts } from './callers.js';
import { connected, join, list, ticketFor, type Verdict, verdictOf } from './people.js';

const { ok, notForYou, needsAdmin } = verdicts;
let containers = 0;

/** Declares the tests. */
export function describeConnectionPermissions(callers: () => Callers): void {
  describe('[R123] [R264] permissions of a connection', () => {
    /** A second device of a person who has credentials, with these permissions. */
    async function limited(name: string, permissions: readonly { Name: string; Role?: string }[]) {
      const { link, place, underTicket } = callers();
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
      const { link } = callers();
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
}
