/** `mesh password|bookmark|network|task|application` without a connection: what is kept, shown, asked for, and refused. */
import { accountAt, FakeService } from '@meshd/client/fake-service.fixture';
import { beforeEach, describe, expect, it } from 'vitest';
import { registerCatalogCommands } from './catalog.js';
import { type Ran, runCommands } from './run-commands.fixture.js';

let home: string;
/** What a person at the terminal types when asked for a secret; nobody is there where undefined. */
let typed: string | undefined;
let piped: string;
let questions: string[];

beforeEach(async () => {
  home = await accountAt(new FakeService());
  [typed, piped, questions] = [undefined, '', []];
});

/** Runs a command without a connection. */
function mesh(...args: string[]): Promise<Ran> {
  const askSecret = async (question: string) => {
    questions.push(question);
    return typed;
  };
  const io = { askSecret, readFile: async () => Buffer.from(piped) };
  return runCommands({ register: [registerCatalogCommands], home, io }, [...args, '--offline']);
}

describe('mesh bookmark', () => {
  it('keeps, changes, finds by path and by title, lists in order, and deletes', async () => {
    const added = await mesh('bookmark', 'add', 'News/paper', 'https://paper.example', '--title', 'The paper');
    expect(added.result).toEqual({ key: 'News/paper', waiting: true });
    expect(added.text).toMatch(/waits for: mesh account sync/);
    await mesh('bookmark', 'add', 'Choir', 'https://choir.example');
    await mesh('bookmark', 'add', 'News/paper', 'https://paper.example/today', '--title', 'The paper');
    const { result, text } = await mesh('bookmark', 'list');
    expect(result.entries.map(({ key, Uri }: { key: string; Uri: string }) => [key, Uri])).toEqual([
      ['Choir', 'https://choir.example'],
      ['News/paper', 'https://paper.example/today'],
    ]);
    expect(text).toMatch(/^path +uri +title/);
    for (const name of ['News/paper', 'The paper', 'News', 'The']) {
      expect((await mesh('bookmark', 'get', name)).result.key).toBe('News/paper');
    }
    expect((await mesh('bookmark', 'search', 'TODAY')).result.entries).toHaveLength(1);
    await mesh('bookmark', 'delete', 'The paper');
    expect((await mesh('bookmark', 'list')).result.entries).toHaveLength(1);
  });

  it('says what a name means that means several, and what to do where there is none', async () => {
    for (const path of ['News/a', 'News/b', 'News/c', 'News/d'])
      await mesh('bookmark', 'add', path, 'https://a.example');
    const several = /^News means News\/a, News\/b, News\/c and 1 more; see mesh bookmark list$/;
    await expect(mesh('bookmark', 'delete', 'News')).rejects.toThrow(several);
    await expect(mesh('bookmark', 'get', 'Weather')).rejects.toThrow(/there is no bookmark Weather; see mesh bookmark/);
    await expect(mesh('bookmark', 'add', '', 'https://a.example')).rejects.toThrow(/needs a path, for example/);
    expect((await mesh('bookmark', 'list')).result.entries).toHaveLength(4);
  });

  it('takes whole URIs, of every scheme, and nothing else', async () => {
    for (const uri of ['mailto:choir@choir.example', 'urn:isbn:9780140449136', 'https://exämple.example/ü?a=b#c']) {
      await mesh('bookmark', 'add', 'Odd', uri);
      expect((await mesh('bookmark', 'get', 'Odd')).result.Uri).toBe(uri);
    }
    for (const text of [
      'paper.example',
      '//paper.example',
      '/today',
      'https:',
      'https://a b',
      ' ',
      '1a:b',
      'http://[::1',
    ]) {
      await expect(mesh('bookmark', 'add', 'Odd', text)).rejects.toThrow(
        /is not a whole URI; write it with its scheme/,
      );
    }
    expect((await mesh('bookmark', 'get', 'Odd')).result.Uri).toBe('https://exämple.example/ü?a=b#c');
    await mesh('bookmark', 'delete', 'Odd');
  });

  it('says where there is nothing yet', async () => {
    expect((await mesh('task', 'list')).text).toBe('no tasks; keep one with: mesh task add');
  });
});

describe('mesh network', () => {
  it('asks for the password at a terminal, and shows it only when that very network is asked for', async () => {
    typed = 'correct horse';
    await mesh('network', 'add', 'attic-wifi', '--protocol', 'wpa2');
    expect(questions).toEqual(['password of attic-wifi']);
    expect(JSON.stringify(await mesh('network', 'list'))).not.toContain('correct horse');
    expect((await mesh('network', 'search', 'correct')).result).toEqual({ entries: [] });
    const { result, text } = await mesh('network', 'get', 'attic-wifi');
    expect(result).toMatchObject({ key: 'wpa2:attic-wifi', Password: 'correct horse', waiting: true });
    expect(text).toMatch(/^password +correct horse$/m);
  });

  it('takes the password from a pipe, its first line, and does without none', async () => {
    piped = 'from a pipe\r\nand more';
    await mesh('network', 'add', 'attic-wifi');
    expect((await mesh('network', 'get', 'attic')).result.Password).toBe('from a pipe');
    piped = '\n';
    await expect(mesh('network', 'add', 'cellar')).rejects.toThrow(/give --password/);
    expect((await mesh('network', 'list')).result.entries).toHaveLength(1);
  });
});

describe('mesh task', () => {
  it('keeps appointments under keys of their own, shows times, and changes one by its key', async () => {
    const dentist = ['task', 'add', 'See the dentist', '--start', '2027-03-01T09:00Z', '--location', 'High Street'];
    const { key } = (await mesh(...dentist)).result;
    await mesh('task', 'add', 'See the dentist again');
    expect((await mesh('task', 'list')).text).toMatch(/^start \(UTC\) .*\n.*2027-03-01 09:00/);
    // Its own title, though another begins with it.
    expect((await mesh('task', 'get', 'See the dentist')).result).toMatchObject({
      ...{ key, Start: '2027-03-01T09:00:00.000Z', Location: 'High Street' },
    });
    await mesh('task', 'add', 'See the doctor', '--key', key);
    const titles = (await mesh('task', 'list')).result.entries.map(({ Title }: { Title: string }) => Title);
    expect(titles.sort()).toEqual(['See the dentist again', 'See the doctor']);
  });

  it('refuses what is no date, and keeps nothing then', async () => {
    await expect(mesh('task', 'add', 'Later', '--start', 'tomorrow')).rejects.toThrow(/Start is no date: write 2026/);
    expect((await mesh('task', 'list')).result.entries).toEqual([]);
  });
});

describe('mesh application', () => {
  it('keeps what kind of application a key is for, and refuses a kind that the draft does not know', async () => {
    await mesh('application', 'add', 'work-mail', '--kind', 'mail');
    await mesh('application', 'add', 'other');
    const { entries } = (await mesh('application', 'list')).result;
    expect(entries.map(({ Key, Kind }: { Key: string; Kind: string }) => [Key, Kind])).toEqual([
      ['other', ''],
      ['work-mail', 'mail'],
    ]);
    await expect(mesh('application', 'add', 'game', '--kind', 'chess')).rejects.toThrow(
      /known are group, mail, network/,
    );
  });
});
