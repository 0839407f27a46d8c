/**
 * The story of a person, told with the program `mesh` alone: alice has an account at one provider and five devices one after
 * the other, bob is her friend at another, and the factory of her lamp has its account there too.
 */
import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { describe, expect, it, vi } from 'vitest';
import { type MeshRun, mesh } from '../client/mesh-program.js';
import { patience, type Stage, stepMs } from './stage.js';

/** What alice is called, by herself and by bob. */
export const alice = { address: 'alice@alpha.test', name: 'Alice Archer', subject: 'we met at the choir' };
const bobAddress = 'bob@beta.test';
const movedTo = 'alice@beta.test';
/** Between two looks, milliseconds: each is a process. */
const lookMs = 700;
/** The lamp and the laptop wait for each other, and the laptop looks every 2 s. */
const lampMs = 1500;

/** Registers the steps. */
export function tellByCommandLine(stage: () => Stage): void {
  /** A command on a device, as it ends. */
  const command = (device: string, args: readonly string[], input?: string): Promise<MeshRun> =>
    mesh([...args, '--json', '--home', stage().path(device)], input, {
      MESHD_DISCOVERY_OVERRIDES: stage().overrides,
    });
  /** A command that succeeds. @throws Error with what it said */
  // biome-ignore lint/suspicious/noExplicitAny: documents of many shapes
  const run = async (device: string, ...args: readonly string[]): Promise<any> => resultOf(await command(device, args));
  // biome-ignore lint/suspicious/noExplicitAny: as above
  const type = async (device: string, input: string, ...args: readonly string[]): Promise<any> =>
    resultOf(await command(device, args, input));
  const fails = async (device: string, ...args: readonly string[]): Promise<string> => {
    const { code, stderr, stdout } = await command(device, args);
    return code === 0 ? `no failure: ${stdout}` : stderr;
  };
  const trust = () => ['--ca', stage().caFile];
  const secret = (what: string, text: string) => stage().secret(what, text);
  const passwordOf = async (device: string, service: string) =>
    (await run(device, 'password', 'get', service)).Password;
  // biome-ignore lint/suspicious/noExplicitAny: documents of many shapes
  const until = <T>(look: () => Promise<any>, isSo: (found: any) => T | undefined, interval = lookMs): Promise<T> =>
    vi.waitFor(
      async () => {
        const found = isSo(await look());
        if (found === undefined) throw new Error('not yet');
        return found;
      },
      { ...patience, interval },
    );
  const nameOf = ({ description }: { description: string }) => description;
  let shares: string[];

  describe('alice, by the command line', () => {
    it(
      'makes an account on her laptop, gives shares of it to three people, and keeps a password',
      async () => {
        expect(await run('laptop', 'account', 'create', alice.address, ...trust())).toMatchObject({
          address: alice.address,
        });
        await run('laptop', 'contact', 'self', '--name', alice.name);
        shares = (await run('laptop', 'account', 'escrow', '--shares', '3', '--quorum', '2')).shares;
        for (const share of shares) stage().secretUdf('share of the master seed', share);
        const typed = secret('password of the shop', 'Löwe "7" & \\Gasse');
        await type(
          'laptop',
          `${typed}\n`,
          'password',
          'add',
          secret('a service', 'shop.of-secrets.example'),
          '--user',
          secret('a user name', 'alice.the.archer'),
        );
      },
      stepMs,
    );

    it(
      '[R313] connects her phone by a PIN',
      async () => {
        const { pin } = await run('laptop', 'device', 'pin');
        stage().secretUdf('PIN', pin);
        await run('phone', 'device', 'request', alice.address, '--pin', pin, '--name', 'phone', ...trust());
        await stage().rememberKeys('phone');
        const { pending } = await run('laptop', 'device', 'pending');
        expect(await run('laptop', 'device', 'accept', pending[0].id)).toMatchObject({ by: 'pin' });
        expect(await run('phone', 'device', 'complete')).toMatchObject({ stage: 'connected' });
        expect(await passwordOf('phone', 'shop.of-secrets.example')).toBe('Löwe "7" & \\Gasse');
      },
      stepMs,
    );

    it(
      'connects her tablet by a code that she types at both ends, and calls it what it is',
      async () => {
        await run('tablet', 'device', 'request', alice.address, '--name', 'tablet', ...trust());
        await stage().rememberKeys('tablet');
        const { id } = (await run('laptop', 'device', 'pending')).pending[0];
        await run('laptop', 'device', 'accept', id);
        const { code } = await run('tablet', 'device', 'complete');
        const { confirm } = await run('laptop', 'device', 'accept', id, '--code', secret('code of the tablet', code));
        secret('code of the laptop', confirm);
        await run('tablet', 'device', 'confirm', confirm);
        expect(await run('tablet', 'device', 'complete')).toMatchObject({ stage: 'connected' });
        expect(await run('laptop', 'device', 'rename', 'tablet', 'kitchen tablet')).toMatchObject({
          description: 'kitchen tablet',
        });
      },
      stepMs,
    );

    it(
      'connects a lamp by the code on it, which may know the networks and nothing else',
      async () => {
        await run('factory', 'account', 'create', 'factory@beta.test', ...trust());
        const made = await run('factory', 'device', 'preconfigure', stage().path('lamp'), '--name', 'desk lamp 0815');
        stage().secretUdf('key of the code on the lamp', made.earl.slice(made.earl.lastIndexOf('/') + 1));
        await stage().rememberKeys('lamp');
        const network = ['network', 'add', secret('a network', 'attic-wifi'), '--protocol', 'wpa2', '--password'];
        await run('laptop', ...network, secret('password of the network', 'correct horse battery'));
        const invite = ['device', 'connect', made.earl, '--permissions', 'mmm_Network:read', ...trust()];
        // What was published is carried as messages are.
        const invited = vi.waitFor(() => run('laptop', ...invite), patience);
        const came = until(
          () => run('lamp', 'device', 'poll', ...trust()),
          (polled) => (polled.stage === 'connected' ? polled : undefined),
          lampMs,
        );
        expect(await invited).toMatchObject({ description: 'desk lamp 0815', connected: true, shown: true });
        expect(await came).toMatchObject({ address: alice.address });
        expect((await run('lamp', 'network', 'get', 'attic-wifi')).Password).toBe('correct horse battery');
        expect(await fails('lamp', 'password', 'list')).toMatch(/not given the right to read mmm_Credential/);
        expect((await run('laptop', 'device', 'list')).devices.map(nameOf)).toEqual(
          expect.arrayContaining(['phone', 'kitchen tablet', 'desk lamp 0815']),
        );
      },
      stepMs,
    );

    it(
      'keeps passwords, bookmarks, appointments and networks in step on all of them, also what was changed on the train',
      async () => {
        const path = secret('path of a bookmark', 'Gifts/for the birthday');
        const title = ['--title', secret('title of a bookmark', 'The golden ring')];
        const bookmark = ['bookmark', 'add', path, secret('a bookmark', 'https://gifts.example/ring'), ...title];
        expect(await run('phone', ...bookmark, '--offline')).toMatchObject({ waiting: true });
        const when = ['--start', '2027-03-01T09:00Z', '--location', secret('a place', 'Harley Street 221')];
        await run('tablet', 'task', 'add', secret('a task', 'See Doctor Quincy'), ...when);
        const bank = secret('password of the bank', 'tr0ub4dor&3');
        await run('tablet', 'password', 'add', 'bank.example', '--password', bank);
        await run('phone', 'account', 'sync');
        const kinds = ['password', 'bookmark', 'task', 'network'];
        const seenBy = async (device: string) => {
          const seen = [];
          for (const kind of kinds) seen.push((await run(device, kind, 'list')).entries);
          return seen;
        };
        const [laptop, tablet] = await Promise.all([seenBy('laptop'), seenBy('tablet')]);
        expect(tablet).toEqual(laptop);
        expect(laptop.map(({ length }) => length)).toEqual([2, 1, 1, 1]);
        expect(await run('phone', 'task', 'get', 'See Doctor')).toMatchObject({ Location: 'Harley Street 221' });
        expect(await passwordOf('phone', 'bank.example')).toBe(bank);
      },
      stepMs,
    );

    it(
      '[R161] asks a friend at another provider to be known, compares codes with him, and has him on all devices',
      async () => {
        await run('bob', 'account', 'create', bobAddress, ...trust());
        await run('bob', 'contact', 'self', '--name', 'Bob Baker');
        await run('laptop', 'contact', 'request', bobAddress, '--subject', alice.subject);
        const [asked] = (await until(
          () => run('bob', 'contact', 'pending'),
          ({ requests }) => (requests.length === 0 ? undefined : requests),
        )) as { id: string }[];
        const accepted = await run(
          'bob',
          'contact',
          'accept',
          asked?.id ?? '',
          '--name',
          secret('what bob calls her', 'Ally Soprano'),
        );
        const filed = await until(
          () => run('laptop', 'contact', 'list'),
          ({ contacts }) => contacts.find(({ account }: { account: string | null }) => account !== null),
        );
        expect(filed).toMatchObject({ address: bobAddress });
        await run('laptop', 'contact', 'verify', bobAddress, accepted.code);
        await run('laptop', 'contact', 'add', bobAddress, '--name', secret('what she calls bob', 'Bobby Tenor'));
        expect((await run('phone', 'contact', 'list')).contacts).toMatchObject([
          { name: 'Bobby Tenor', verified: true },
        ]);
      },
      stepMs,
    );

    it(
      'writes to him, and sends him a large file',
      async () => {
        const text = secret('a message', 'the key lies under the third stone');
        const sent = await type(
          'phone',
          JSON.stringify({ Text: text }),
          'message',
          'send',
          bobAddress,
          '--type',
          'Note',
          '--file',
          '-',
        );
        const id = sent.messages[0].id;
        await until(
          () => run('bob', 'message', 'list'),
          ({ messages }) => messages.find((message: { id: string }) => message.id === id),
        );
        expect((await run('bob', 'message', 'show', id)).body).toMatchObject({ Text: text });
        const path = stage().path('score.txt');
        await writeFile(path, secret('a large file', 'second alto, from bar 17 on: pianissimo. ').repeat(4000));
        const large = (await run('tablet', 'message', 'send', bobAddress, '--large', path)).messages[0].id;
        await until(
          () => run('bob', 'message', 'list'),
          ({ messages }) => messages.find((message: { id: string }) => message.id === large),
        );
        const out = stage().path('fetched.txt');
        await run('bob', 'message', 'fetch', large, '--out', out, ...trust());
        expect(await readFile(out)).toEqual(await readFile(path));
      },
      stepMs,
    );

    it(
      'is asked by him to confirm a payment, and confirms it on her phone',
      async () => {
        const text = secret('what is confirmed', 'Pay 250 crowns for the choir trip?');
        const { id } = (await run('bob', 'confirm', 'request', alice.address, text)).messages[0];
        await until(
          () => run('phone', 'confirm', 'pending'),
          ({ requests }) => requests.find((request: { id: string }) => request.id === id),
        );
        expect(await run('phone', 'confirm', 'accept', id)).toMatchObject({ text, accept: true });
        await until(
          () => run('bob', 'confirm', 'status', id),
          ({ state }) => (state === 'accepted' ? true : undefined),
        );
      },
      stepMs,
    );

    it(
      '[S48] [S62] loses her phone and shuts it out: it is refused at once, and reads nothing that is written afterwards',
      async () => {
        await stage().rememberKeys('phone');
        await run('laptop', 'device', 'revoke', 'phone');
        expect(await fails('phone', 'account', 'sync')).toMatch(/revoked/i);
        const after = secret('password made afterwards', 'nobody-finds-this-9');
        await run('laptop', 'password', 'add', 'mail.example', '--password', after);
        expect(await passwordOf('tablet', 'mail.example')).toBe(after);
        // Even with every octet that the service has, which the thief may have got from there.
        await cp(stage().path('tablet/containers'), stage().path('phone/containers'), { recursive: true });
        await rm(stage().path('phone/opened'), { recursive: true, force: true });
        const { entries: stolen } = await run('phone', 'password', 'list', '--offline');
        expect(stolen.map(({ Service }: { Service: string }) => Service)).toEqual([
          'bank.example',
          'shop.of-secrets.example',
        ]);
        expect(await fails('phone', 'password', 'get', 'mail.example', '--offline')).toMatch(/there is no password/);
      },
      stepMs,
    );

    it(
      '[S25] loses the laptop too, and has her account back on a new one from two of the shares',
      async () => {
        await stage().rememberKeys('laptop');
        await rm(stage().path('laptop'), { recursive: true });
        const [first = '', , third = ''] = shares;
        const where = ['--account', alice.address, '--name', 'new laptop', ...trust()];
        const { otherDevices } = await run('new', 'account', 'recover', third, first, ...where);
        expect(otherDevices).toHaveLength(3);
        await run('new', 'device', 'revoke', await nameOfFirst());
        expect(await passwordOf('new', 'shop.of-secrets.example')).toBe('Löwe "7" & \\Gasse');
        expect(await passwordOf('new', 'mail.example')).toBe('nobody-finds-this-9');
        await run(
          'new',
          'password',
          'add',
          'mail.example',
          '--password',
          secret('the last password', 'changed-again-2027'),
        );
        expect(await passwordOf('tablet', 'mail.example')).toBe('changed-again-2027');
        expect((await run('new', 'contact', 'list')).contacts).toMatchObject([{ name: 'Bobby Tenor', verified: true }]);
      },
      stepMs,
    );

    it(
      '[R027] moves to her friend’s provider: her devices follow, her friend writes to her there',
      async () => {
        const { to, told } = await run('new', 'account', 'move', movedTo, ...trust());
        expect([to, told]).toEqual([movedTo, [bobAddress]]);
        expect(await passwordOf('tablet', 'mail.example')).toBe('changed-again-2027');
        expect((await run('lamp', 'network', 'get', 'attic-wifi')).Password).toBe('correct horse battery');
        expect(await fails('phone', 'account', 'sync')).not.toMatch(/no failure/);
        await until(
          () => run('bob', 'contact', 'list'),
          ({ contacts }) => contacts.find(({ address }: { address: string }) => address === movedTo),
        );
        const text = secret('a message to where she moved', 'welcome to the neighbourhood');
        const body = JSON.stringify({ Text: text });
        const sent = await type('bob', body, 'message', 'send', movedTo, '--type', 'Note', '--file', '-');
        const { id } = sent.messages[0];
        await until(
          () => run('tablet', 'message', 'list'),
          ({ messages }) => messages.find((message: { id: string }) => message.id === id),
        );
        expect((await run('tablet', 'message', 'show', id)).body).toMatchObject({ Text: text });
        for (const device of ['new', 'tablet', 'lamp']) await stage().rememberKeys(device);
      },
      stepMs,
    );
  });

  /** The laptop said of itself what the machine is called. */
  async function nameOfFirst(): Promise<string> {
    const { devices } = await run('new', 'device', 'list');
    const known = ['phone', 'kitchen tablet', 'desk lamp 0815', 'new laptop'];
    return devices.find((each: { description: string; device: string }) => !known.includes(each.description)).device;
  }
}

// biome-ignore lint/suspicious/noExplicitAny: documents of many shapes
function resultOf({ code, stdout, stderr }: MeshRun): any {
  if (code !== 0) throw new Error(stderr || stdout);
  return JSON.parse(stdout);
}
