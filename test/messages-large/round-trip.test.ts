/** Files of any size from one provider's user to another's: what arrives, and what does not. */
import { access, appendFile, readdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { withDevice } from '@meshd/client/device';
import { ClientError } from '@meshd/client/errors';
import { Home } from '@meshd/client/home';
import { largeLocator, makeLargeKey } from '@meshd/client/large-locator';
import { LargeSource } from '@meshd/client/large-source';
import { announcedBy, safeName } from '@meshd/client/operations/fetch-large';
import { largeFiles, withdrawLarge } from '@meshd/client/operations/large-files';
import { connectionFor } from '@meshd/client/session';
import { sliceLayout } from '@meshd/dare/sealed-file';
import { largePlainBytes } from '@meshd/limits/large';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasContent, LargeKit } from './kit.js';

const bytesMax = 20_000_000;
let kit: LargeKit;
beforeAll(async () => {
  kit = await LargeKit.start({ MESHD_LARGE_BYTES_MAX: String(bytesMax) });
});
afterAll(() => kit?.stop());

const refused = (code: string, message: RegExp) =>
  expect.objectContaining({ name: 'ClientError', code, message: expect.stringMatching(message) });
const isThere = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );
const partsOf = async (path: string) =>
  (await readdir(join(kit.folder, 'out'))).filter((name) => name.startsWith(`${basename(path)}.`));

async function sent(bytes: number) {
  const { path, content } = await kit.file(bytes);
  const sending = await kit.send(path);
  return { content, sending, id: await kit.arrived(sending), place: kit.place() };
}

describe('[R018] [R158] a file', () => {
  for (const bytes of [0, 1, 1024, largePlainBytes, largePlainBytes + 1, 3 * largePlainBytes + 1000]) {
    it(`of ${bytes} octets goes from one provider's user to another's by a message with locator and digest`, async () => {
      const { content, sending, id, place } = await sent(bytes);
      expect(await kit.fetch(id, place)).toMatchObject({ path: place, bytes, resumedBytes: 0 });
      expect(await hasContent(place, content)).toBe(true);
      expect(await partsOf(place)).toEqual([]);
      expect(sending.stored).toMatchObject({ bytes });
    });
  }

  it('to several people is stored once, and each is told', async () => {
    const { path } = await kit.file(1000);
    const before = (await kit.onShards('SELECT 1 FROM large_file')).length;
    const { messages } = await kit.send(path, { recipients: [kit.bob.address, kit.bob.address] });
    expect(messages.length).toBe(2);
    expect((await kit.onShards('SELECT 1 FROM large_file')).length).toBe(before + 1);
  });

  it('is no secret of the message alone: the service holds neither a word of it nor its key nor its name', async () => {
    const word = 'a word that nobody else should read ';
    const { path } = await kit.file(0, Buffer.from(word.repeat(30_000)));
    const { stored } = await kit.send(path);
    const found = async (text: string) => {
      const query = `SELECT 1 FROM large_slice WHERE position($1::bytea IN octets) > 0
        UNION ALL SELECT 1 FROM frame WHERE position($1::bytea IN payload) > 0 OR position($1::bytea IN header) > 0
        UNION ALL SELECT 1 FROM large_file WHERE position($1::bytea IN convert_to(identifier, 'UTF8')) > 0`;
      return (await kit.onShards(query, [Buffer.from(text)])).length;
    };
    expect(await found(word)).toBe(0);
    expect(await found(stored.locator.key)).toBe(0);
    expect(await found(stored.name)).toBe(0);
    expect(await found(stored.locator.identifier)).toBe(1);
    await withDevice(kit.alice.home, kit.environment, (device) => withdrawLarge(device, stored.locator.identifier));
  });

  it('is not overwritten by another, and a message that tells of none is no place to fetch from', async () => {
    const { id, place, content } = await sent(100);
    await writeFile(place, 'mine');
    await expect(kit.fetch(id, place)).rejects.toEqual(refused('usage', /exists already/));
    expect(await hasContent(place, Buffer.from('mine'))).toBe(true);
    const other = kit.place();
    await kit.fetch(id, other);
    expect(await hasContent(other, content)).toBe(true);
    await expect(kit.fetch('NONE', kit.place())).rejects.toEqual(refused('usage', /no message/));
  });

  it('that changes while it is sent is told of to nobody', async () => {
    const { path } = await kit.file(3 * largePlainBytes);
    let touched = false;
    const environment = {
      ...kit.environment,
      progress: (_label: string, done: number) => {
        if (done !== 2 || touched) return;
        touched = true;
        writeFile(path, 'another content').catch(() => undefined);
      },
    };
    const { sendLarge } = await import('@meshd/client/operations/send-large');
    const sending = sendLarge(kit.alice.home, environment, { recipients: [kit.bob.address], path });
    await expect(sending).rejects.toEqual(refused('usage', /changed while it was sent/));
    const again = await kit.send(path);
    const place = kit.place();
    await kit.fetch(await kit.arrived(again), place);
    expect(await hasContent(place, Buffer.from('another content'))).toBe(true);
  });

  it('for somebody whose key is not known is not even stored', async () => {
    const { path } = await kit.file(10);
    const sending = kit.send(path, { recipients: ['stranger@beta.test'] });
    await expect(sending).rejects.toEqual(refused('entry', /not known/));
  });
});

describe('[R158] a service that is not to be trusted', () => {
  /** Changes what is stored, as only somebody in the database can. */
  async function tamper(statement: string): Promise<void> {
    await kit.onShards('ALTER TABLE large_slice DISABLE TRIGGER large_slice_never_changes');
    await kit.onShards(statement);
    await kit.onShards('ALTER TABLE large_slice ENABLE TRIGGER large_slice_never_changes');
  }
  const last = '(SELECT max(id) FROM large_file)';

  it('cannot change an octet of a slice: what is good before it stays, and nothing of it is written', async () => {
    const { id, place } = await sent(3 * largePlainBytes);
    await tamper(
      `UPDATE large_slice SET octets = set_byte(octets, 1000, 255 - get_byte(octets, 1000))
       WHERE file_id = ${last} AND start_at > ${largePlainBytes * 1.5}`,
    );
    await expect(kit.fetch(id, place)).rejects.toEqual(refused('entry', /slice 3 of 3 is not what the sender stored/));
    expect(await isThere(place)).toBe(false);
    expect(await partsOf(place)).toHaveLength(1);
  });

  it('cannot exchange slices', async () => {
    const { id, place } = await sent(3 * largePlainBytes);
    await tamper(
      `UPDATE large_slice AS a SET octets = b.octets FROM large_slice AS b
       WHERE a.file_id = ${last} AND b.file_id = a.file_id AND a.start_at = 0 AND b.start_at BETWEEN 1 AND ${largePlainBytes + 100}`,
    );
    await expect(kit.fetch(id, place)).rejects.toEqual(refused('entry', /slice 1 of 3/));
  });

  it('cannot shorten a file, nor put another in its place', async () => {
    const { id, place } = await sent(2 * largePlainBytes);
    await kit.onShards(
      `UPDATE large_file SET bytes_total = bytes_total / 2, bytes_stored = bytes_stored / 2 WHERE id = ${last}`,
    );
    await expect(kit.fetch(id, place)).rejects.toEqual(refused('entry', /another file/));
  });

  it('is not believed a part that was damaged on the way to the disk: it is fetched anew, and is then whole', async () => {
    const { id, place, content } = await sent(2 * largePlainBytes + 7);
    const name = `${place}.${await digestOf(id)}.part`;
    await writeFile(name, Buffer.alloc(largePlainBytes + 100, 'x'));
    expect(await kit.fetch(id, place)).toMatchObject({ resumedBytes: 0 });
    expect(await hasContent(place, content)).toBe(true);
    const other = kit.place();
    await appendFile(`${other}.${await digestOf(id)}.part`, content.subarray(0, largePlainBytes + 5));
    expect(await kit.fetch(id, other)).toMatchObject({ resumedBytes: largePlainBytes });
    expect(await hasContent(other, content)).toBe(true);
  });

  async function digestOf(id: string): Promise<string> {
    const { findMessage } = await import('@meshd/client/operations/messages');
    const found = await withDevice(kit.bob.home, kit.environment, (device) => findMessage(device, id, ['inbound']));
    return Buffer.from(announcedBy(found).digest).toString('hex').slice(0, 16);
  }
});

describe('[R018] who may fetch', () => {
  const sourceFor = async (key: string, identifier?: string) => {
    const { alpha } = kit.two;
    const locator = largeLocator(alpha.domain, key);
    const connection = connectionFor(new Home(kit.bob.home), kit.environment, {
      ...{ domain: alpha.domain, url: alpha.url, ca: alpha.ca },
    });
    const place = { connection, environment: kit.environment, layout: sliceLayout(100), account: kit.alice.address };
    const source = new LargeSource({ ...place, locator: { ...locator, identifier: identifier ?? locator.identifier } });
    return source.slice(0).finally(() => connection.close());
  };

  it('is who has the locator, and nobody who knows the identifier alone', async () => {
    const { sending } = await sent(100);
    const { key, identifier } = sending.stored.locator;
    expect((await sourceFor(key)).length).toBe(sliceLayout(100).sealedBytes);
    const gone = refused('refused', /not there/);
    await expect(sourceFor(makeLargeKey(kit.environment.random), identifier)).rejects.toEqual(gone);
    await expect(sourceFor(makeLargeKey(kit.environment.random))).rejects.toEqual(gone);
  });

  it('finds nothing after the file was withdrawn or has expired', async () => {
    const { id, sending, place } = await sent(100);
    const { identifier } = sending.stored.locator;
    await withDevice(kit.alice.home, kit.environment, (device) => withdrawLarge(device, identifier));
    await expect(kit.fetch(id, place)).rejects.toEqual(refused('refused', /expired, was withdrawn/));
    const late = await sent(100);
    await kit.onShards('UPDATE large_file SET expires_at_ms = 1 WHERE identifier = $1', [
      late.sending.stored.locator.identifier,
    ]);
    await expect(kit.fetch(late.id, late.place)).rejects.toEqual(refused('refused', /expired/));
  });

  it('goes nowhere but to the service of the sender', () => {
    const { key } = largeLocator('alpha.test', makeLargeKey(kit.environment.random));
    const message = (locator: unknown, more = {}) => ({
      ...{ id: 'N', type: 'LargeData', sender: kit.alice.address },
      body: { Locator: locator as string, Octets: 1, Digest: 'A'.repeat(86), Name: 'x', ...more },
    });
    expect(announcedBy(message(`udf://alpha.test/${key}`)).locator.key).toBe(key);
    for (const locator of ['', 'https://alpha.test/x', `udf://evil.test/${key}`, `udf://alpha.test/M${key.slice(1)}`]) {
      expect(() => announcedBy(message(locator)), locator).toThrow(ClientError);
    }
    expect(() => announcedBy(message(`udf://alpha.test/${key}`, { Octets: -1 }))).toThrow(ClientError);
    expect(() => announcedBy(message(`udf://alpha.test/${key}`, { Digest: 'AA' }))).toThrow(ClientError);
    expect(() => announcedBy(message(`udf://alpha.test/${key}`, { Octets: 'many' }))).toThrow(ClientError);
  });

  it('writes a name of the sender nowhere but in the current folder', () => {
    expect(
      ['../../etc/passwd', 'C:\\x\\y.txt', '.bashrc', '..', '', 'a\u0000b', 'x'.repeat(300)].map(safeName),
    ).toEqual([...['passwd', 'y.txt', 'bashrc', 'large-data', 'large-data', 'ab', 'large-data']]);
  });
});

describe('[R018] the room of an account', () => {
  const listed = () => withDevice(kit.alice.home, kit.environment, largeFiles);

  it('is told, and a file that does not fit is refused before its first octet', async () => {
    const { bytesMax: told, bytesUsed } = await listed();
    expect(told).toBe(bytesMax);
    const { path } = await kit.file(bytesMax - bytesUsed + 1);
    kit.proxy.reset(() => undefined);
    await expect(kit.send(path)).rejects.toEqual(refused('refused', /403\/19/));
    expect(kit.proxy.passed.up).toBeLessThan(100_000);
  });
});
