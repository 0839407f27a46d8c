/** Messages as people send, list and follow them, against a whole provider whose line breaks now and then. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeEnvelope } from '@meshd/dare/envelope';
import { startTestProvider, type TestProvider } from '@meshd/dev/test-provider';
import { ProfileAccount } from '@meshd/schema/profiles';
import { publicMember, signedObject, testKey } from '@meshd/shard/testing/person';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CuttingProxy } from '../cuts/cutting-proxy.js';
import { mesh, meshJson, meshLauncher } from './mesh-program.js';

let provider: TestProvider;
let line: CuttingProxy;
let folder: string;
let alice: string;
let bob: string;

/** Runs a command and gives exit code and JSON document. */
// biome-ignore lint/suspicious/noExplicitAny: documents of many shapes
async function run(home: string, ...args: string[]): Promise<{ code: number; stderr: string; document: any }> {
  const { code, stdout, stderr } = await mesh([...args, '--json', '--home', home]);
  return { code, stderr, document: stdout === '' ? undefined : JSON.parse(stdout) };
}

const address = (name: string) => `${name}@${provider.domain}`;

/** A person whose connection is the line that breaks. */
async function person(name: string): Promise<string> {
  const home = join(folder, name);
  await meshJson(home, 'account', 'create', address(name), '--url', line.url, '--ca', provider.caFile);
  return home;
}

const waitingMs = { timeout: 60_000, interval: 200 };
const inboundIds = async (home: string): Promise<string[]> =>
  (await meshJson(home, 'message', 'list')).messages.map(({ id }: { id: string }) => id);
const unbroken = () => line.reset(() => undefined);
/** Sends a message whose request gets through while the end of its answer, and all that is asked for later, is lost. */
async function sendUnanswered() {
  line.reset(() => undefined);
  await meshJson(alice, 'message', 'send', address('bob'), '--type', 'Note');
  // The answer to a Post is what comes down last, and much longer than this.
  const lostFrom = line.passed.down - 200;
  line.reset((connection) => ({ direction: 'down', octets: connection === 0 ? lostFrom : 0 }));
  const { document } = await run(alice, 'message', 'send', address('bob'), '--type', 'Note');
  expect(document.messages[0].state).toBe('waiting');
  unbroken();
  return document.messages[0].id as string;
}
/** Nothing gets through at all. */
const dead = () => line.reset(() => ({ direction: 'up', octets: 0 }));

beforeAll(async () => {
  provider = await startTestProvider();
  line = await CuttingProxy.start(provider.port);
  folder = await mkdtemp(join(tmpdir(), 'meshd-messages-'));
  [alice, bob] = (await Promise.all(['alice', 'bob'].map(person))) as [string, string];
  for (const [owner, other, name] of [
    [alice, bob, 'bob'],
    [bob, alice, 'alice'],
  ] as const) {
    const card = join(folder, `${name}.card`);
    await meshJson(other, 'contact', 'card', '--file', card);
    await meshJson(owner, 'contact', 'allow', address(name), '--card', card);
  }
});
afterAll(async () => {
  await line?.stop();
  await provider?.stop();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(unbroken);

describe('mesh message', () => {
  it('sends a file to several people, says where each message is, and gives the file back', async () => {
    const carol = await person('carol');
    const file = join(folder, 'list.txt');
    await writeFile(file, 'milk\nbread\n');
    const card = join(folder, 'carol.card');
    await meshJson(carol, 'contact', 'card', '--file', card);
    await meshJson(alice, 'contact', 'allow', address('carol'), '--card', card);
    await meshJson(carol, 'contact', 'allow', address('alice'));
    const sent = await meshJson(
      alice,
      'message',
      'send',
      address('bob'),
      address('carol'),
      '--type',
      'Note',
      '--file',
      file,
    );
    expect(sent).toMatchObject({ earlier: 0, messages: [{ state: 'sent', encrypted: true }, { state: 'sent' }] });
    for (const [at, home] of [bob, carol].entries()) {
      const { id } = sent.messages[at];
      await expect.poll(() => inboundIds(home), waitingMs).toContain(id);
      const out = join(folder, `out-${at}`);
      const shown = await mesh(['message', 'show', id, '--out', out, '--home', home]);
      expect(shown.stdout).toContain(`Note from ${address('alice')} to `);
      expect(shown.stdout).toContain('list.txt, 11 octets\n\nmilk\nbread\n');
      expect(await readFile(out, 'utf8')).toBe('milk\nbread\n');
      expect(await mesh(['message', 'show', id, '--out', '-', '--home', home])).toMatchObject({
        stdout: 'milk\nbread\n',
      });
      await expect
        .poll(async () => (await meshJson(alice, 'message', 'status', id)).deliveries, waitingMs)
        .toMatchObject([{ result: 'delivered', receipt: true, received: expect.stringMatching(/^20/) }]);
    }
    const { stdout } = await mesh(['message', 'status', sent.messages[0].id, '--home', alice]);
    expect(stdout).toMatch(/^Note to bob@[^\n]*, encrypted\nbob@\S+: delivered\n {2}\S+ signed for it at 20/);
    const received = await mesh(['message', 'status', sent.messages[0].id, '--home', bob]);
    expect(received.stdout).toMatch(/\nreceived: frame \d+ of your inbound spool, new\n$/);
  });

  it('keeps what is written without a connection, says so, and sends it with the next synchronisation', async () => {
    dead();
    const { messages } = await meshJson(alice, 'message', 'send', address('bob'), '--type', 'Note', '--offline');
    const [{ id, state }] = messages;
    expect([state, line.connectionCount]).toEqual(['waiting', 0]);
    expect(await meshJson(alice, 'message', 'status', id)).toMatchObject({ state: 'waiting', lastAttempt: null });
    const { stdout } = await mesh(['message', 'status', id, '--home', alice]);
    expect(stdout).toContain(`${address('bob')}: waits here\n  not tried yet; mesh account sync sends it`);
    unbroken();
    const listed = await meshJson(alice, 'message', 'list', '--box', 'outbound');
    expect(listed.unsent).toMatchObject([{ id, state: 'waiting' }]);
    const synced = await meshJson(alice, 'account', 'sync');
    expect(synced.messages).toMatchObject({ posted: [{ id, state: 'sent' }], waiting: 0 });
    await expect.poll(() => inboundIds(bob), waitingMs).toContain(id);
  });

  it('keeps what cannot be sent, and sends it once with the next one', async () => {
    dead();
    const failed = await run(alice, 'message', 'send', address('bob'), '--type', 'Note');
    expect([failed.code, failed.document.messages[0].state]).toEqual([0, 'waiting']);
    expect(failed.document.waiting).toContain('check the address');
    const { id } = failed.document.messages[0];
    unbroken();
    expect(await meshJson(alice, 'message', 'send', address('bob'), '--type', 'Note')).toMatchObject({ earlier: 1 });
    await expect.poll(() => inboundIds(bob), waitingMs).toContain(id);
  });

  it('sends a message whose answer was lost again as it was: it arrives once', async () => {
    const id = await sendUnanswered();
    await expect.poll(() => inboundIds(bob), waitingMs).toContain(id);
    const before = (await inboundIds(bob)).length;
    await meshJson(alice, 'account', 'sync');
    await expect
      .poll(async () => (await meshJson(alice, 'message', 'status', id)).deliveries, waitingMs)
      .toMatchObject([{ result: 'delivered' }]);
    expect(await inboundIds(bob)).toHaveLength(before);
  });

  it('finds a message in its spool that was taken an hour ago without a word', async () => {
    const id = await sendUnanswered();
    await expect.poll(() => inboundIds(bob), waitingMs).toContain(id);
    const before = (await inboundIds(bob)).length;
    const outgoing = join(alice, 'outgoing');
    const [fate = ''] = (await readdir(outgoing)).filter((name) => name.endsWith('.fate.json'));
    const noted = JSON.parse(await readFile(join(outgoing, fate), 'utf8'));
    noted.byId[id].attempt.sentMs -= 3_600_000;
    await writeFile(join(outgoing, fate), JSON.stringify(noted));
    expect((await meshJson(alice, 'account', 'sync')).messages.posted).toMatchObject([{ id, state: 'sent' }]);
    expect(await inboundIds(bob)).toHaveLength(before);
    expect(await readdir(outgoing)).toEqual([]);
  });

  it('survives being killed: once the message is on disk it arrives once, whatever happens', async () => {
    const outgoing = join(alice, 'outgoing');
    for (const marker of [/^\d+\.json$/, /\.fate\.json$/]) {
      const before = (await inboundIds(bob)).length;
      const child = spawn(process.execPath, [
        ...[meshLauncher, 'message', 'send', address('bob'), '--type', 'Note', '--home', alice],
      ]);
      const ended = new Promise((resolve) => child.once('exit', resolve));
      const isThere = async () => (await readdir(outgoing).catch(() => [])).some((name) => marker.test(name));
      while (child.exitCode === null && !(await isThere())) await new Promise((resolve) => setImmediate(resolve));
      child.kill('SIGKILL');
      await ended;
      // The killed process left its lock, which is stale after a while.
      await expect.poll(async () => (await run(alice, 'account', 'sync')).code, { timeout: 60_000 }).toBe(0);
      await expect.poll(async () => (await inboundIds(bob)).length, waitingMs).toBe(before + 1);
      expect((await meshJson(alice, 'message', 'list', '--box', 'outbound')).unsent).toEqual([]);
    }
  }, 600_000);

  it('says why a message is refused, by the own service and by that of the recipient', async () => {
    const dave = await person('dave');
    const refused = await meshJson(dave, 'message', 'send', address('alice'), '--type', 'Note', '--clear');
    const { id } = refused.messages[0];
    await expect
      .poll(async () => (await mesh(['message', 'status', id, '--home', dave])).stdout, waitingMs)
      .toMatch(/: refused\n {2}\S/);
  });

  it('[S72] points out who writes under the address of somebody whom the user knows by another account', async () => {
    const name = `eve-${randomBytes(4).toString('hex')}`;
    const eve = await person(name);
    const { id } = (await meshJson(eve, 'message', 'send', address('bob'), '--type', 'RequestContact')).messages[0];
    await expect.poll(() => inboundIds(bob), waitingMs).toContain(id);
    const shown = async () => (await mesh(['message', 'show', id, '--home', bob])).stdout;
    expect(await shown()).toContain('\nno contact of yours\n');
    const card = join(folder, `${name}.card`);
    const key = testKey('the one whom bob has met');
    const profile = {
      ...{ Updated: new Date(), KeyOfflineSignature: publicMember(key), KeysOnlineSignature: [] },
      ...{ KeyEncryption: publicMember(testKey('her key to encrypt to')), ServiceIDs: [address(name)] },
    };
    await writeFile(card, writeEnvelope(signedObject(ProfileAccount, profile, key), 'json'));
    await meshJson(bob, 'contact', 'allow', address(name), '--card', card);
    const { stdout } = await mesh(['message', 'list', '--home', bob]);
    expect(stdout).toMatch(new RegExp(`${name}@\\S+ +\\S* *RequestContact .*new, ANOTHER ACCOUNT THAN BEFORE`));
    expect(stdout).toContain(`\nANOTHER ACCOUNT THAN BEFORE: not the one that you know as ${address(name)}`);
    expect(await shown()).toContain('\nANOTHER ACCOUNT THAN BEFORE: ');
    const listed = (await meshJson(bob, 'message', 'list')).messages;
    const standings = listed.map((each: { sender: string; standing: string }) => `${each.sender} ${each.standing}`);
    expect([...new Set(standings)].sort()).toEqual([`${address('alice')} known`, `${address(name)} changed`].sort());
  });

  it('says in one line what is wrong', async () => {
    const cases: [string[], number, string][] = [
      [['message', 'status', 'NAAA'], 1, 'there is no message NAAA'],
      [['message', 'show', 'NAAA'], 1, 'there is no message NAAA'],
      [['message', 'send', address('eve'), '--type', 'Note'], 1, 'the key of'],
      [['message', 'send', 'nobody', '--type', 'Note'], 2, 'write NAME@DOMAIN'],
      [['message', 'send', address('bob'), '--type', 'two words'], 2, '--type takes a name'],
      [['message', 'list', '--box', 'spam'], 2, '--box takes inbound or outbound'],
    ];
    for (const [args, code, text] of cases) {
      const result = await mesh([...args, '--home', alice]);
      expect([result.code, result.stdout], args.join(' ')).toEqual([code, '']);
      expect(result.stderr).toMatch(/^mesh: [^\n]*\n$/);
      expect(result.stderr).toContain(text);
    }
  });
});
