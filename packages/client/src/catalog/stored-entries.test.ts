/** What a service has of the entries of catalogs: no names, no contents, no lengths (S60, S63). */
import { openEnvelope } from '@meshd/dare/envelope';
import { describe, expect, it } from 'vitest';
import { withDevice } from '../device.js';
import { accountAt, FakeService } from '../fake-service.fixture.js';
import { putItem } from '../operations/catalog-items.js';
import { itemKinds } from './kinds.js';

const words = {
  Service: 'bank.example',
  Path: 'Doctors/oncology',
  Key: 'biopsy',
  Title: 'Results',
  Password: 'hunter2',
};

describe('[S60] [S61] [S63] entries of catalogs', () => {
  it('of every kind are stored under blinded names, padded, encrypted, and under the manifest of their batch', async () => {
    const service = new FakeService();
    const home = await accountAt(service);
    for (const kind of itemKinds) {
      await withDevice(home, service.environment(), (device) => putItem(device, kind, words));
      const frames = service.containers.get(kind.container) ?? [];
      const entry = openEnvelope(frames[1] as never);
      const all = frames.flatMap(({ header, payload, trailer }) => [header, payload, trailer]);
      const text = all.map((part) => Buffer.from(part ?? []).toString('latin1')).join('\n');
      const shown = [text, JSON.stringify(entry.contentMetaData)].join('\n');
      for (const word of Object.values(words)) expect(shown).not.toContain(word);
      expect(entry.contentMetaData?.UniqueID).toMatch(/^(?:[A-Z2-7]{4}-){13}[A-Z2-7]{4}$/);
      expect(entry.header.enc).toBe('A256GCM');
      expect([entry.header.Salt?.length, ((entry.payload?.length ?? 0) - 16) % 256]).toEqual([16, 0]);
      expect(entry.signatures.filter(({ Manifest }) => Manifest !== undefined)).toHaveLength(1);
    }
  });
});
