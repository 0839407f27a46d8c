/** Many at once: one name for one Mesh, one place for one batch, and answers that are of one moment. */
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Account, createAccount, creationOf, item, newAddress } from './kit/account.js';
import { open } from './kit/dare.js';
import { b64 } from './kit/octets.js';
import type { Peer } from './kit/peer.js';
import { newPerson } from './kit/people.js';
import { type Running, startProvider } from './kit/provider.js';
import { makeRequest } from './kit/request.js';
import { apexOf, payloadDigestOf } from './kit/trees.js';

let running: Running;
let peer: Peer;
beforeAll(async () => {
  running = await startProvider();
  peer = running.peer;
});
afterAll(() => running?.stop());

describe('creation', () => {
  it('[R291] of one name by eight Meshes at once: one has it', async () => {
    const address = newAddress();
    const people = Array.from({ length: 8 }, () => newPerson(address));
    const answers = await Promise.all(people.map((person) => createAccount(peer, person)));
    expect(answers.map(({ status, extended }) => `${status}/${extended ?? ''}`).sort()).toEqual([
      '201/',
      ...Array.from({ length: 7 }, () => '409/1'),
    ]);
    const owner = people[answers.findIndex(({ status }) => status === 201)];
    expect((await new Account(peer, owner as (typeof people)[number]).status()).status).toBe(201);
  });

  it('[R192] by one Mesh eight times at once: 201 each time, and one account', async () => {
    const person = newPerson(newAddress());
    const answers = await Promise.all(Array.from({ length: 8 }, () => createAccount(peer, person)));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 201));
    expect((await new Account(peer, person).status()).message.ContainerStatus).toHaveLength(3);
  });

  it('[S27] one request eight times at once: one payload', async () => {
    const person = newPerson(newAddress());
    const sent = makeRequest({
      tag: 'CreateAccount',
      message: creationOf(person),
      signers: [{ key: person.meshOffline }],
    });
    const answers = await Promise.all(Array.from({ length: 8 }, () => peer.send(sent)));
    expect(new Set(answers.map(({ payload }) => b64(payload))).size).toBe(1);
  });
});

describe('reading while others write', () => {
  it('[R229] [R262] Index, Digest and Envelopes of an answer are of one moment', async () => {
    const account = await Account.open(peer);
    const name = 'app_Busy';
    await account.append(name, [item('first', 'x')]);
    let writing = true;
    const write = async (): Promise<void> => {
      for (let i = 0; i < 40; i += 1)
        expect((await account.append(name, [item(`a${i}`, 'x'), item(`b${i}`, 'y')])).status).toBe(201);
      writing = false;
    };
    const seen = new Set<number>();
    const read = async (): Promise<void> => {
      while (writing) {
        const { message } = await account.download([{ Container: name }], { ConstraintsPost: { MaxEntries: 1000 } });
        const [update] = message.Updates ?? [];
        const digests = (update?.Envelopes ?? []).map((wire) => payloadDigestOf(open(wire)));
        expect(update).toMatchObject({ Index: digests.length, Digest: b64(apexOf(digests)) });
        seen.add(digests.length);
      }
    };
    await Promise.all([write(), read(), read()]);
    expect(seen.size).toBeGreaterThan(2);
  }, 60_000);

  it('[R135] a batch is seen whole or not at all', async () => {
    const account = await Account.open(peer);
    const name = 'app_Whole';
    await account.append(name, [item('first', 'x')]);
    const write = async (): Promise<void> => {
      for (let i = 0; i < 5; i += 1) {
        const entries = Array.from({ length: 10 }, (_, n) => item(`k${i}-${n}`, 'x'));
        expect((await account.append(name, entries)).status).toBe(201);
      }
    };
    const sizes: number[] = [];
    const read = async (): Promise<void> => {
      for (let i = 0; i < 40; i += 1) {
        sizes.push((await account.status({ Catalogs: [name] })).message.ContainerStatus?.[0]?.Index ?? 0);
      }
    };
    await Promise.all([write(), read()]);
    for (const size of sizes) expect((size - 2) % 10).toBe(0);
  }, 60_000);
});

describe('peers that leave', () => {
  it('in the middle of a request, or before its answer: nobody else notices', async () => {
    const { port, ca } = running.provider;
    const { body } = makeRequest({ tag: 'Hello' });
    const head = `POST /.well-known/mmm HTTP/1.1\r\nHost: example.com\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
    const leave = (octets: string): Promise<void> =>
      new Promise((resolve) => {
        const socket = connect({ host: '127.0.0.1', port, ca, servername: 'example.com' }, () => {
          socket.write(octets, () => {
            socket.destroy();
            resolve();
          });
        });
        socket.on('error', () => resolve());
      });
    const whole = head + body;
    await Promise.all(
      Array.from({ length: 40 }, (_, i) => leave(whole.slice(0, Math.ceil((whole.length * (i + 1)) / 40)))),
    );
    expect((await peer.call('Hello', {}, [])).status).toBe(201);
    expect((await fetch(`${running.provider.adminUrls.router}/readyz`)).status).toBe(200);
  });
});
