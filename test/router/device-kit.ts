/** A router, a connected device that its shard believes, and what it is told: for requests that are refused. */
import { type RequestSigner, signRequest } from '@meshd/binding/request-sign';
import { generateSeed, type SigningKey, signingKeyFromSeed } from '@meshd/crypto/ed448';
import { systemRandom } from '@meshd/crypto/random';
import { signEnvelope } from '@meshd/dare/sign';
import { encodeTagged } from '@meshd/encoding/codec';
import { ConnectionAccount } from '@meshd/schema/connections';
import type { RequestOf, Transaction } from '@meshd/schema/protocol';
import { domain, type RunningRouter, startTestRouter } from './router-kit.js';

/** Whose device it is. */
export const account = 'alice@example.com';

/** What a request in JSON text is wrapped in, unsigned. */
export const enveloped = (text: string) => `[{"dig":"S512"},"${Buffer.from(text).toString('base64url')}",{}]`;
export const newKey = () => signingKeyFromSeed(generateSeed());
export const keyMember = (key: SigningKey) => ({
  UDF: key.publicKey.udf,
  PublicParameters: { tag: 'PublicKeyECDH', value: { crv: 'Ed448', Public: key.publicKey.raw } } as const,
});

/** What a test changes of a request that is otherwise as it should be. */
export interface Changes {
  readonly service?: string;
  readonly nowMs?: number;
  readonly id?: Uint8Array;
}

/** A signed request. */
export function request<T extends Transaction>(
  transaction: T,
  message: RequestOf<T>,
  signers: RequestSigner[],
  changes: Changes = {},
) {
  const base = { transaction, message, signers, service: domain, nowMs: Date.now(), random: systemRandom };
  return signRequest({ ...base, ...changes });
}

/** Makes a device and the connection that names its keys. */
export function connectedDevice() {
  const [accountKey, signature, authentication] = [newKey(), newKey(), newKey()];
  const body = { KeySignature: keyMember(signature), KeyAuthentication: keyMember(authentication) };
  const connection = signEnvelope({ payload: encodeTagged(ConnectionAccount, body, 'json'), keys: [accountKey] });
  const signer: RequestSigner = { key: authentication, connection };
  return { signature, authentication, connection, signer };
}

/** Starts a router that signs any number of refusals. */
export const startRefusingRouter = () => startTestRouter({ sourceLimits: { signedRefusalsPerSecond: 1000 } });

/** Sends a request through the client's half, which accepts an answer only if its signature holds. */
export async function verified<T extends Transaction>(
  running: RunningRouter,
  transaction: T,
  message: RequestOf<T>,
  signers: RequestSigner[],
) {
  const { status, statusExtended, tag, httpStatus } = await running.connect().call(transaction, message, signers);
  return { status, statusExtended, tag, httpStatus };
}

/** Posts a body and says which kind of answer came. */
export async function post(running: RunningRouter, body: Uint8Array | string, headers: Record<string, string> = {}) {
  const answer = await running.send({ body, headers });
  const isSigned = answer.body.startsWith('[');
  const text = isSigned ? Buffer.from(JSON.parse(answer.body)[1], 'base64url').toString('utf8') : answer.body;
  const [tag, message] = Object.entries(JSON.parse(text))[0] as [string, { Status: number; StatusExtended?: number }];
  return {
    http: answer.status,
    isSigned,
    tag,
    status: message.Status,
    extended: message.StatusExtended,
    headers: answer.headers,
  };
}
