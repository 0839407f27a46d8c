/** Right requests with something broken in them, signed as if nothing were: the decoders behind the signature hold. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Account, creationOf, deviceEntry, item, newAddress } from './kit/account.js';
import { Container } from './kit/container.js';
import { b64 } from './kit/octets.js';
import { newDevice, newPerson } from './kit/people.js';
import { type Running, startProvider } from './kit/provider.js';
import { makeRequest, newId } from './kit/request.js';
import { peek } from './kit/response.js';
import { post } from './kit/wire.js';

let running: Running;
let account: Account;
beforeAll(async () => {
  running = await startProvider();
  account = await Account.open(running.peer);
});
afterAll(() => running?.stop());

/** The same numbers in every run, so that what fails once fails again. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const bits = [
  '{',
  '}',
  '[',
  ']',
  '"',
  ',',
  ':',
  '\\',
  '\\u0000',
  '\\ud800',
  '0',
  '-',
  '1e9',
  'null',
  'true',
  ' ',
  '\n',
  '""',
  '[]',
  '{}',
  'é',
  '\u0000',
  'A'.repeat(300),
];

/** One to three changes: something cut out, doubled, put in, or one of the text's own words in place of another. */
function mutate(text: string, below: (limit: number) => number): string {
  let changed = text;
  for (let left = 1 + below(3); left > 0; left -= 1) {
    const at = below(changed.length);
    const length = 1 + below(12);
    const words = changed.match(/"\w+"|\d+/g) ?? [''];
    const word = words[below(words.length)] as string;
    const put = [bits[below(bits.length)] as string, '', changed.slice(at, at + length).repeat(2), word][
      below(4)
    ] as string;
    changed = changed.slice(0, at) + put + changed.slice(at + (below(2) === 0 ? 0 : length));
  }
  return changed;
}

/** Bodies of every transaction, with the members of an ID that is fresh each time. */
function samples(): Record<string, () => object> {
  const container = new Container('app_Mutant', account.subject);
  const key = account.device.signature;
  const first = container.opening(key);
  const frames = [first, ...container.batch([item('a', '1'), item('b', '2')], key, {}, [first])];
  const devices = account.container('mmm_Device');
  const second = devices.batch([deviceEntry(account.person, newDevice(account.person))], account.person.meshOnline);
  const Account_ = { Account: account.person.address };
  return {
    Hello: () => ({}),
    Status: () => ({
      ...Account_,
      Catalogs: ['mmm_Device'],
      Spools: ['mmm_Inbound'],
      DeviceUDF: account.device.offline.udf,
    }),
    Download: () => ({
      ...Account_,
      Select: [{ Container: 'mmm_Device', IndexMin: 0, IndexMax: 5, NotBefore: '2026-01-01T00:00:00Z' }],
      ConstraintsPost: { MaxEntries: 3, Header: true },
    }),
    Upload: () => ({
      ...Account_,
      Features: ['entry'],
      Updates: [account.update(container, frames), account.update(devices, second)],
    }),
    CreateAccount: () => creationOf(newPerson(newAddress())),
    DeleteAccount: () => ({ Account: 'nobody@example.com' }),
  };
}

describe('broken requests', () => {
  for (const tag of ['Hello', 'Status', 'Download', 'Upload', 'CreateAccount', 'DeleteAccount']) {
    it(`[R104] ${tag}: an answer, and never 500`, async () => {
      const below = numbers(tag.length * 7919);
      const make = samples()[tag] as () => object;
      for (let round = 0; round < 120; round += 1) {
        const id = newId();
        const whole = JSON.stringify({ [tag]: { Service: 'example.com', ID: b64(id), ...make() } });
        const payloadText = mutate(whole, below);
        const { body } = makeRequest({ tag, id, payloadText, signers: tag === 'Hello' ? [] : [account.signer] });
        const answer = await post(running.provider, body);
        const { message } = peek(answer.body);
        expect({ payloadText, status: message.Status, http: answer.status }).toEqual({
          payloadText,
          status: expect.toSatisfy((status: number) => status < 500 || status === 501),
          http: message.Status,
        });
      }
    }, 60_000);
  }

  it('[R104] envelopes broken in their own text, too', async () => {
    const below = numbers(42);
    for (let round = 0; round < 300; round += 1) {
      const { body } = makeRequest({
        tag: 'Status',
        message: { Account: account.person.address },
        signers: [account.signer],
      });
      const answer = await post(running.provider, mutate(body, below));
      expect(answer.status === 501 || answer.status < 500).toBe(true);
      expect(peek(answer.body).message.Status).toBe(answer.status);
    }
  }, 60_000);

  it('and the account is as it was', async () => {
    const { message, status } = await account.status();
    expect(status).toBe(201);
    const names = message.ContainerStatus?.map(({ Container: name }) => name) ?? [];
    for (const name of ['mmm_Archive', 'mmm_Device', 'mmm_Inbound', 'mmm_Outbound']) expect(names).toContain(name);
  });
});
