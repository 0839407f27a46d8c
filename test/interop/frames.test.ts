/** Frames in all forms that an envelope may have: the service's core, leaf and root must be this suite's (S40, S44). */
import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Account, item, uploadCodes } from './kit/account.js';
import { type BatchChoices, Container, type Entry } from './kit/container.js';
import { open, type Wire } from './kit/dare.js';
import { newKey, nonceUdf } from './kit/keys.js';
import { b64, sha512, unb64, utf8, zeros } from './kit/octets.js';
import { type Running, startProvider } from './kit/provider.js';
import { leafOf } from './kit/trees.js';

let running: Running;
let account: Account;
beforeAll(async () => {
  running = await startProvider();
  account = await Account.open(running.peer);
});
afterAll(() => running?.stop());

let names = 0;

/** Uploads one odd batch and a plain one behind it: the second's Root holds only if both sides have the same leaves. */
async function agree(entries: readonly Entry[], choices: BatchChoices = {}): Promise<Container> {
  names += 1;
  const container = account.container(`app_Form${names}`);
  const key = account.device.signature;
  const first = container.opening(key);
  const frames = [first, ...container.batch(entries, key, choices, [first])];
  expect(uploadCodes(await account.upload([account.update(container, frames)]))).toMatchObject({ status: 201 });
  container.frames.push(...frames);
  expect(uploadCodes(await account.append(container.name, [item('plain', '1')]))).toMatchObject({ status: 201 });
  const { message } = await account.download([{ Container: container.name }]);
  const leaves = (message.Updates?.[0]?.Envelopes ?? []).map((wire, index) => b64(leafOf(index, open(wire))));
  expect(leaves).toEqual(container.leaves.map(b64));
  return container;
}

const recipient = () => ({
  kid: newKey().udf,
  epk: { PublicKeyECDH: { crv: 'Ed448', Public: b64(newKey().raw) } },
  wmk: b64(randomBytes(40)),
});
const merge = (change: (header: object, trailer: object) => Wire): BatchChoices => ({
  change: ([header, payload, trailer]) => {
    const [newHeader, newTrailer] = change(header as object, trailer as object);
    return [newHeader, payload, newTrailer];
  },
});

describe('encryption in the core', () => {
  it('[S40] salt, and one recipient or several', async () => {
    const header = { enc: 'A256GCM', Salt: b64(randomBytes(16)) };
    await agree([
      item('a', randomBytes(64), {}),
      { ...item('b', randomBytes(64)), header: { ...header, recipients: [recipient()] } },
    ]);
    await agree([
      { ...item('b', randomBytes(64)), header: { ...header, recipients: [recipient(), recipient(), recipient()] } },
    ]);
  });

  it('[S40] no recipients, but a cipher; and a cipher named none', async () => {
    await agree([{ ...item('a', randomBytes(64)), header: { enc: 'A256CBC', Salt: b64(randomBytes(32)) } }]);
    await agree([{ ...item('a', randomBytes(64)), header: { enc: 'none' } }]);
  });

  it('[S40] a salt that was erased: Malt in its place gives the same core', async () => {
    const salt = randomBytes(16);
    const Malt = b64(createHash('sha512').update(salt).digest());
    const container = await agree([{ ...item('a', 'x'), header: { enc: 'A256GCM', Malt } }]);
    const erased = container.frames[1] as Wire;
    const salted: Wire = [{ ...(erased[0] as object), Malt: undefined, Salt: b64(salt) }, ...erased.slice(1)];
    expect(b64(leafOf(1, open(salted)))).toBe(b64(leafOf(1, open(erased))));
  });
});

describe('proofs in the leaf', () => {
  it('[S44] an S512 signature before the manifest counts', async () => {
    const key = account.device.signature;
    await agree(
      [item('a', 'x')],
      merge((header, trailer) => {
        const digest = unb64((trailer as { PayloadDigest: string }).PayloadDigest);
        return [header, { ...trailer, signatures: [{ alg: 'S512', kid: key.udf, signature: b64(key.sign(digest)) }] }];
      }),
    );
  });

  it('[S44] signatures on frames that the manifest covers count', async () => {
    const key = account.device.signature;
    const signed = (frame: Wire, index: number): Wire => {
      if (index !== 1) return frame;
      const digest = sha512(open(frame).payload as Uint8Array);
      const signatures = [
        { alg: 'S512', kid: key.udf, signature: b64(key.sign(digest)) },
        { alg: 'S512', kid: newKey().udf },
        { alg: 'X999', kid: 'not a UDF', signature: b64(randomBytes(114)), witness: b64(randomBytes(32)) },
      ];
      return [frame[0], frame[1], { ...(frame[2] as object), signatures }];
    };
    await agree([item('a', 'x'), item('b', 'y')], { change: signed });
  });
});

describe('envelopes', () => {
  it('[S05] members of the trailer may stand in the header', async () => {
    await agree(
      [item('a', 'x'), item('b', 'y')],
      merge((header, trailer) => [{ ...header, ...trailer }, {}]),
    );
  });

  it('[S05] PayloadDigest in the header is judged as well: 400/11', async () => {
    names += 1;
    const container = account.container(`app_Form${names}`);
    const key = account.device.signature;
    const first = container.opening(key);
    const change = merge((header) => [{ ...header, PayloadDigest: b64(sha512(utf8('other'))) }, {}]);
    const frames = [first, ...container.batch([item('a', 'x')], key, change, [first])];
    expect(await account.upload([account.update(container, frames)])).toMatchObject({ status: 400, extended: 11 });
  });

  it('a trailer that is missing, in a legacy container', async () => {
    names += 1;
    const container = account.container(`app_Form${names}`);
    const key = account.device.signature;
    const choices: BatchChoices = { bare: true, change: ([header, payload]) => [header, payload] };
    const first = container.opening(key, 'application/mmm-catalog', choices);
    const frames = [first, ...container.batch([item('a', 'x')], key, choices, [first])];
    expect((await account.upload([account.update(container, frames)])).status).toBe(201);
    container.frames.push(...frames);
    const { message } = await account.status({ Catalogs: [container.name] });
    expect(message.ContainerStatus).toEqual([{ Container: container.name, Index: 2, Digest: b64(container.apex) }]);
  });

  it('[S40] metadata counts as octets: order, spaces and escapes in it are kept', async () => {
    const text = '{ "Event" : "New" ,\n "UniqueID":"k\\u0061" , "Unheard":[ 1, {"x":null} ], "cty":"application/mmm" }';
    const container = await agree(
      [item('a', 'x')],
      merge((header, trailer) => [{ ...header, ContentMetaData: b64(utf8(text)) }, trailer]),
    );
    const again = await account.append(container.name, [item('ka', 'y')]);
    expect(uploadCodes(again)).toMatchObject({ status: 409, extended: 13 });
  });

  it('[R096] keys of any letters are kept, and told apart', async () => {
    const keys = ['é', 'e\u0301', 'ключ', '🔑', 'a b', 'A', 'a', '"\\', 'x'.repeat(1000), nonceUdf()];
    await agree(keys.map((key) => item(key, 'x')));
  });

  it('empty payloads, with New and Update', async () => {
    await agree([item('a', ''), item('a', '', { Event: 'Update', First: 1, Previous: 1 })]);
  });

  it('dig S256, in what the service does not have to verify, harms nobody', async () => {
    names += 1;
    const container = account.container(`app_Form${names}`);
    const key = account.device.signature;
    const first = container.opening(key);
    const change = merge((header) => [{ ...header, dig: 'S256' }, {}]);
    const frames = [first, ...container.batch([item('a', 'x')], key, change, [first])];
    const { status } = await account.upload([account.update(container, frames)]);
    expect([201, 400]).toContain(status);
  });
});

describe('writers at the same time', () => {
  it('[R273] of ten batches for one place one is taken, nine are conflicts; and the apex is the taken one’s', async () => {
    names += 1;
    const name = `app_Race${names}`;
    await account.append(name, [item('first', 'x')]);
    const container = account.container(name);
    const batches = Array.from({ length: 10 }, (_, i) =>
      container.batch([item(`k${i}`, `${i}`)], account.device.signature),
    );
    const answers = await Promise.all(batches.map((frames) => account.upload([account.update(container, frames)])));
    const taken = answers.findIndex(({ status }) => status === 201);
    expect(answers.map(({ status, extended }) => `${status}/${extended ?? ''}`).sort()).toEqual([
      '201/',
      ...Array.from({ length: 9 }, () => '409/12'),
    ]);
    const after = new Container(name, account.subject, [...container.frames, ...(batches[taken] as Wire[])]);
    const { message } = await account.status({ Catalogs: [name] });
    expect(message.ContainerStatus).toEqual([{ Container: name, Index: 3, Digest: b64(after.apex) }]);
  });

  it('batches for many containers at once are all taken', async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        account.append(`app_Wide${i}`, [item('a', zeros(i)), item('b', zeros(2000))]),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 201));
  });
});
