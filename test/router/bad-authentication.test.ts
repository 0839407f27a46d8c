/** Requests whose sender does not prove who he is, or is not the one who may ask. */
import { join } from 'node:path';
import { loadHostIdentity } from '@meshd/binding/host-files';
import { makeRequestId } from '@meshd/binding/request-id';
import type { RequestSigner } from '@meshd/binding/request-sign';
import { systemRandom } from '@meshd/crypto/random';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { signEnvelope } from '@meshd/dare/sign';
import { encodeTagged } from '@meshd/encoding/codec';
import { ProfileDevice } from '@meshd/schema/profiles';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  account,
  connectedDevice,
  keyMember,
  newKey,
  post,
  request,
  startRefusingRouter,
  verified,
} from './device-kit.js';
import type { RunningRouter } from './router-kit.js';

const device = connectedDevice();
let running: RunningRouter;
beforeAll(async () => {
  running = await startRefusingRouter();
});
afterAll(() => running?.stop());

describe('authentication', () => {
  it('[R075] [R080] refuses what is not signed, with a signature of ours', async () => {
    for (const transaction of ['CreateAccount', 'DeleteAccount', 'Status', 'Download', 'Upload', 'Post'] as const) {
      expect(await verified(running, transaction, {}, [])).toMatchObject({ status: 401, httpStatus: 401 });
    }
    const answer = await running.send({ body: '{"Status":{}}' });
    expect(answer.headers['www-authenticate']).toBe('Mesh');
  });

  it('[S01] refuses the wrong key of the right device', async () => {
    const answer = await verified(running, 'Status', { Account: account }, [
      { ...device.signer, key: device.signature },
    ]);
    expect(answer).toMatchObject({ status: 401, statusExtended: 10 });
  });

  it('[R085] takes a device without connection for nobody: 401 for all that people may ask', async () => {
    const offline = newKey();
    const body = { KeyOfflineSignature: keyMember(offline), KeyAuthentication: keyMember(device.authentication) };
    const profile = signEnvelope({ payload: encodeTagged(ProfileDevice, body, 'json'), keys: [offline] });
    const unconnected: RequestSigner = { key: device.authentication, profile };
    expect(await verified(running, 'Hello', {}, [unconnected])).toMatchObject({ status: 201 });
    for (const transaction of ['DeleteAccount', 'Status', 'Download', 'Upload'] as const) {
      const answer = await verified(running, transaction, { Account: account }, [unconnected]);
      expect([transaction, answer.status, answer.statusExtended]).toEqual([transaction, 401, undefined]);
    }
  });

  it('takes Hello of a host, and nothing else of what people may ask: 403/5', async () => {
    const { signingKey: key, profileHost, connectionHost } = await loadHostIdentity(join(running.directory, 'router'));
    const host: RequestSigner = { key, profile: profileHost, connection: connectionHost };
    expect(await verified(running, 'Hello', {}, [host])).toMatchObject({ status: 201 });
    for (const transaction of ['DeleteAccount', 'Status', 'Download', 'Upload'] as const) {
      const answer = await verified(running, transaction, { Account: account }, [host]);
      expect([transaction, answer.status, answer.statusExtended]).toEqual([transaction, 403, 5]);
    }
  });

  it('[S20] refuses a foreign Service with 401/10 and one that is not Host with 421', async () => {
    const foreign = await request('Status', { Account: account }, [device.signer], { service: 'c.example' });
    expect(await post(running, foreign.body)).toMatchObject({ status: 401, extended: 10, isSigned: true });
    const other = await request('Status', { Account: account }, [device.signer], { service: 'b.example' });
    expect(await post(running, other.body)).toMatchObject({ status: 421, isSigned: true });
  });

  it('[S27] refuses a stale request with 401/21', async () => {
    const stale = await request('Status', { Account: account }, [device.signer], { nowMs: Date.now() - 301_000 });
    expect(await post(running, stale.body)).toMatchObject({ status: 401, extended: 21, isSigned: true });
  });

  it('[S27] serves a repeated read anew and refuses another one under its ID with 401/20', async () => {
    const id = makeRequestId(Date.now(), systemRandom);
    const first = await request('Status', { Account: account }, [device.signer], { id });
    expect((await post(running, first.body)).status).toBe(201);
    expect((await post(running, first.body)).status).toBe(201);
    const other = await request('Status', { Account: account, DeviceUDF: 'x' }, [device.signer], { id });
    expect(await post(running, other.body)).toMatchObject({ status: 401, extended: 20 });
  });

  it('[R198] wants Account, and compares it in canonical form', async () => {
    expect(await verified(running, 'Status', { Account: 'Alice@EXAMPLE.com.' }, [device.signer])).toMatchObject({
      status: 201,
    });
    expect(await verified(running, 'Status', {}, [device.signer])).toMatchObject({ status: 400 });
    for (const bad of ['alice', 'a/../b@example.com', 'a\u0000b@example.com', 'аlice@example.com', '@service', '']) {
      expect(await verified(running, 'Status', { Account: bad }, [device.signer])).toMatchObject({ status: 400 });
    }
  });

  it('[R199] verifies DeviceProfile where it is present', async () => {
    const offline = newKey();
    const body = { KeyOfflineSignature: keyMember(offline), KeyAuthentication: keyMember(device.authentication) };
    const payload = encodeTagged(ProfileDevice, body, 'json');
    const own = signEnvelope({ payload, keys: [offline] });
    const foreign = signEnvelope({ payload, keys: [newKey()] });
    const message = (DeviceProfile: EnvelopeOctets) => ({ Account: account, DeviceProfile });
    expect(await verified(running, 'Status', message(own), [device.signer])).toMatchObject({ status: 201 });
    expect(await verified(running, 'Status', message(foreign), [device.signer])).toMatchObject({
      status: 400,
      statusExtended: 10,
    });
  });
});
