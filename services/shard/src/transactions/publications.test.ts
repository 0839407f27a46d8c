/** What an account may publish (semantics 7.6): judged entry by entry, and counted. */
import { systemRandom } from '@meshd/crypto/random';
import { earlIdentifier, encryptionKeyUdf } from '@meshd/crypto/udf';
import { makeEnvelope, writeEnvelope } from '@meshd/dare/envelope';
import { publicationBytesMax, publicationsPerAccountMax } from '@meshd/limits/hailing';
import { beforeEach, describe, expect, it } from 'vitest';
import { entry, opening, TestWriter } from '../testing/person.js';
import { faultsOf, openUploadKit, told, type UploadKit } from '../testing/upload-kit.js';

let kit: UploadKit;
let writer: TestWriter;
beforeEach(async () => {
  kit = await openUploadKit();
  writer = new TestWriter('mmm_Publication', kit.alice.accountUdf, kit.device.signature);
});

const identifier = () => earlIdentifier(encryptionKeyUdf(systemRandom(16)));
const description = (bytes = 300) =>
  writeEnvelope(makeEnvelope({ header: { enc: 'A256GCM', Salt: systemRandom(16) }, payload: systemRandom(bytes) }));
const publication = (id = identifier(), payload = description()) => entry({ UniqueID: id, Event: 'New' }, payload);

function upload(drafts: ReturnType<typeof entry>[]) {
  const isFirst = writer.trees.log.frameCount === 0;
  const sealed = writer.seal([...(isFirst ? [opening()] : []), ...drafts]);
  const taken = kit.shard.upload(kit.device, [{ container: 'mmm_Publication', envelopes: sealed.envelopes }]);
  return taken.then((result) => {
    if (!('faults' in result)) writer.trees = { tree: sealed.tree, log: sealed.log };
    return result;
  });
}

describe('a publication', () => {
  it('[R153] is taken under the identifier of an EARL, and its change is noted for the shard that serves it', async () => {
    const id = identifier();
    expect(told(await upload([publication(id)]))).toBe('accepted');
    const first = { First: 1, Previous: 1 };
    expect(told(await upload([entry({ UniqueID: id, Event: 'Update', ...first }, description())]))).toBe('accepted');
    const latest = { First: 1, Previous: 2 };
    expect(told(await upload([entry({ UniqueID: id, Event: 'Delete', ...latest })]))).toBe('accepted');
    expect(kit.shard.store.published).toEqual([id, id, id]);
  });

  it('is refused under anything else, before anything is written', async () => {
    const id = identifier();
    const others = ['contact-card', id.toLowerCase(), id.slice(0, 34), encryptionKeyUdf(systemRandom(32)), '../status'];
    for (const other of others) expect(told(await upload([publication(other)]))).toBe('400/13 Reject@1');
    expect(kit.shard.store.published).toEqual([]);
  });

  it('is refused where it is no DARE envelope in JSON: this is no place for pages', async () => {
    const bodies = ['<!doctype html>', '{"a":1}', '[1,2]', '[]', '["e30"'].map((text) => Buffer.from(text));
    for (const body of bodies) expect(told(await upload([publication(identifier(), body)]))).toBe('400/0 Reject@1');
  });

  it('is refused where it is too large to be served', async () => {
    const large = description(publicationBytesMax);
    expect(faultsOf(await upload([publication(identifier(), large)]))).toMatchObject([{ code: 'too-large' }]);
    expect(told(await upload([publication(identifier(), description(40_000))]))).toBe('accepted');
  });

  it('is refused as the seventeenth, in one request or in several, and taken once another was withdrawn', async () => {
    const ids = Array.from({ length: publicationsPerAccountMax }, identifier);
    const many = [...ids, identifier()].map((id) => publication(id));
    expect(faultsOf(await upload(many))).toMatchObject([{ code: 'quota' }]);
    expect(told(await upload(ids.map((id) => publication(id))))).toBe('accepted');
    expect(faultsOf(await upload([publication()]))).toMatchObject([{ code: 'quota' }]);
    // What replaces one that is there adds nothing, and neither does one that comes as another goes.
    const replaced = entry({ UniqueID: ids[0] as string, Event: 'Update', First: 1, Previous: 1 }, description());
    expect(told(await upload([replaced]))).toBe('accepted');
    const withdrawn = entry({ UniqueID: ids[1] as string, Event: 'Delete', First: 2, Previous: 2 });
    expect(told(await upload([withdrawn, publication()]))).toBe('accepted');
  });
});
