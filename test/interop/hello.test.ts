/** Hello: bare, in an envelope, by its class name; what it tells, and that the chain from host to service holds. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newAddress } from './kit/account.js';
import { isSignedBy } from './kit/dare.js';
import { codesOf, Peer } from './kit/peer.js';
import { newDevice, newPerson } from './kit/people.js';
import { type Running, startProvider } from './kit/provider.js';
import { makeRequest } from './kit/request.js';
import { peek, selfSigned } from './kit/response.js';
import { post } from './kit/wire.js';

let running: Running;
let peer: Peer;
beforeAll(async () => {
  running = await startProvider();
  peer = running.peer;
});
afterAll(() => running?.stop());

describe('Hello in an envelope', () => {
  it('[R079] [R082] [R232] [S22] [S23] needs no credentials; the answer is signed for it', async () => {
    const answer = await peer.call('Hello', {}, []);
    expect(codesOf(answer)).toEqual({ status: 201, extended: undefined, http: 201, tag: 'MeshHelloResponse' });
    expect(answer.http.headers['content-type']).toBe('application/json');
  });

  it('[R239] [R240] [S26] brings profiles of service and host, and the connection between them', () => {
    expect(peer.hostKey()).toHaveLength(57);
    const { raw, udf } = selfSigned(peer.hello.EnvelopedProfileService, 'ProfileService');
    expect(isSignedBy(peer.hello.EnvelopedConnectionHost ?? [], raw, udf)).toBe(true);
  });

  it('[R233] [R234] [R304] says version 3.0 and what encodings it takes', () => {
    const { Version, Alternates } = peer.hello;
    expect(Version).toMatchObject({ Major: 3, Minor: 0 });
    expect(Version?.Encodings?.flatMap(({ ID }) => ID ?? [])).toContain('application/json');
    expect(Alternates).toBeUndefined();
  });

  it('[R012] [S23] names the features that it has, and no others', () => {
    expect([...(peer.hello.Version?.Features ?? [])].sort()).toEqual([
      'auth-1',
      'connect-2',
      'delivery-1',
      'entry',
      'filter',
      'gcm-1',
      'heads-1',
      'host-1',
      'large-1',
      'manifest-1',
      'move',
      'offer',
      'page',
      'publish',
      'receipt-1',
      'ticket',
      'wait',
    ]);
  });

  it('[R221] [R226] [R235] [R236] [R237] [R238] states its constraints and its policy of names', () => {
    const { ConstraintsUpdate, ConstraintsPost, PolicyAccount } = peer.hello;
    expect(ConstraintsUpdate).toMatchObject({ MaxEntries: 1000, BytesMax: 8 * 1024 * 1024 });
    expect(ConstraintsPost).toMatchObject({ MaxEntries: 16, BytesMax: 65_536 });
    expect(PolicyAccount).toMatchObject({ Minimum: 1, Maximum: 64 });
    const invalid = PolicyAccount?.InvalidCharacters ?? '';
    const printable = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i));
    const refused = printable.filter((character) => !/[A-Za-z0-9._+-]/.test(character));
    expect([...invalid].filter((character) => /[a-z0-9._+-]/.test(character))).toEqual([]);
    expect(refused.filter((character) => !invalid.includes(character))).toEqual([]);
  });

  it('[R043] answers for each served domain with a chain for that domain', async () => {
    const other = await Peer.meet(running.provider, 'b.example');
    expect(other.service.udf).toBe(peer.service.udf);
    expect(other.hostKey()).toHaveLength(57);
  });

  it('[R080] may be signed by a device', async () => {
    const device = newDevice(newPerson(newAddress()));
    const signer = { key: device.baseAuthentication, profile: device.profile };
    expect((await peer.call('Hello', {}, [signer])).status).toBe(201);
  });

  it('[R312] is taken by its class name', async () => {
    expect((await peer.call('HelloRequest', {}, [])).tag).toBe('MeshHelloResponse');
  });

  it('[S22] is signed for one request: the answer to another one does not verify', async () => {
    const [one, two] = [makeRequest({ tag: 'Hello' }), makeRequest({ tag: 'Hello' })];
    const answer = await post(running.provider, one.body);
    expect(() => peer.verify(answer, two)).toThrow(/not signed for this request/);
    expect(peer.verify(answer, one).status).toBe(201);
  });

  it('[R197] ignores members that it does not know', async () => {
    expect((await peer.call('Hello', { Unheard: { of: [1, null] } }, [])).status).toBe(201);
  });
});

describe('bare Hello', () => {
  it('[R062] [R063] [R108] [S23] the draft’s own example is answered bare', async () => {
    const answer = await post(running.provider, '{"Hello": {}}');
    const { tag, message, entry } = peek(answer.body);
    expect(answer.status).toBe(201);
    expect(answer.body.startsWith('{')).toBe(true);
    expect(entry).toBeUndefined();
    expect(tag).toBe('MeshHelloResponse');
    expect(message.Status).toBe(201);
    expect(selfSigned(message.EnvelopedProfileService, 'ProfileService').udf).toBe(peer.service.udf);
  });

  it('[S23] carries no extension member', async () => {
    const { message } = peek((await post(running.provider, '{"Hello": {}}')).body);
    expect(message.Version).not.toHaveProperty('Features');
    expect(message).not.toHaveProperty('EnvelopedConnectionHost');
  });

  it('[R041] [R189] is answered on the path with a slash too', async () => {
    const answer = await post(running.provider, '{"Hello": {}}', { path: '/.well-known/mmm/' });
    expect(peek(answer.body).message.Status).toBe(201);
  });

  it('[R197] an ID is echoed', async () => {
    const { message } = peek((await post(running.provider, '{"Hello": {"ID": "AAECAw"}}')).body);
    expect(message).toMatchObject({ Status: 201, ID: 'AAECAw' });
  });
});
