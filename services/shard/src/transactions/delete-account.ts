import { credDigest, requestAlgorithm, requestInput } from '@meshd/binding/credential';
import type { ReceivedRequest } from '@meshd/binding/request-open';
import { type PublicKeyEd448, verifyAsync } from '@meshd/crypto/ed448';
import { canonicalName } from '@meshd/crypto/udf';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import type { SignatureEntry } from '@meshd/dare/header';
import { canonicalAddress } from '@meshd/schema/address';
import { MeshError } from '@meshd/schema/status';
import { adminKeys } from '../account-keys.js';
import { authorise, type Principal } from '../authorise.js';
import type { ShardContext } from '../context.js';
import { type AccountEvent, accountRecord, incidentRecord, statusWords } from '../service-records.js';
import { verifySignedRequest } from '../signed-request.js';
import type { AccountState, AccountWrite } from '../storage/store.js';
import { answerOf, devicePrincipal, findAnswer } from '../stored-answer.js';

/** The account is gone. */
export interface DeleteAccountResult {
  readonly status: 201;
}

/**
 * DeleteAccount (semantics 6.3): removes the account, keeps its name from others for a while, leaves its stores to the
 * operator for recovery, and records who asked.
 *
 * With `MovedTo` the account leaves: its own devices are told of that address instead, for as long as the name would be kept
 * from others, and the stores stay as long. The Mesh that owns it can bring it back by CreateAccount.
 *
 * @param routedAs address by which the request came to this shard; the payload must name the same.
 * @param envelope the whole request; its signatures, the administrator's among them, are verified here (S24, S25).
 * @throws MeshError `not-authenticated` for an account that is not there (any more), `administrator-required` without an
 *   administrator's signature in the request, and those of an unauthenticated request.
 */
export async function deleteAccount(
  context: ShardContext,
  routedAs: string,
  envelope: EnvelopeOctets,
): Promise<DeleteAccountResult> {
  const { message, authentication, identity, received } = await verifySignedRequest(context, 'DeleteAccount', envelope);
  if (authentication.form !== 'profile') throw new MeshError('not-authenticated');
  const { key, connection, connectionDigest } = authentication;
  const address = accountOf(message.Account);
  if (address !== routedAs) throw new MeshError('malformed', 'Account is another account');
  const to = message.MovedTo === undefined ? undefined : canonicalAddress(message.MovedTo);
  if (to === address) throw new MeshError('malformed', 'MovedTo is the account itself');
  const principal: Principal = { account: address, key: key.raw, connection, connectionDigest, moves: true };
  const writing = { principal: devicePrincipal(address, key.raw), identity };
  return context.store.transactAccount(address, async (transactor) => {
    // A repetition of the very request that deleted the account finds its answer, though there is no account any more.
    const answered = await findAnswer<DeleteAccountResult>(transactor, writing);
    if (answered !== undefined) return answered;
    const { state } = await authorise(principal, transactor.state, { away: 'copy' });
    await requireAdministrator(received, adminKeys(state));
    const maker = { host: context.host(), nowMs: context.clock(), random: context.random };
    const result: DeleteAccountResult = { status: 201 };
    const change = to === undefined ? removal : leaving(state, to, maker.nowMs);
    const detail = `${change.verb} on request of the device ${key.udf}`;
    const incident = incidentRecord(maker, { kind: change.incident, account: address, detail });
    await transactor.commit({
      ...change.write,
      service: [await accountRecord(context.store, maker, address, change.entry), incident],
      seen: answerOf(writing, result),
    });
    return result;
  });
}

/** What becomes of the account, and what is recorded of that. */
interface Ending {
  readonly write: Pick<AccountWrite, 'remove' | 'replace'>;
  readonly entry: AccountEvent;
  readonly incident: string;
  readonly verb: string;
}

const removal: Ending = {
  write: { remove: true },
  entry: { event: 'Delete' },
  incident: 'account-deleted',
  verb: 'deleted',
};

function leaving(state: AccountState, to: string, nowMs: number): Ending {
  const { profileMesh, profileAccount } = state;
  return {
    write: { replace: { ...state, status: 'moved', away: { to, sinceMs: nowMs }, ticketsFromMs: nowMs } },
    entry: { event: 'Update', status: statusWords.moved, profileMesh, profileAccount },
    incident: 'account-moved',
    verb: 'left',
  };
}

function accountOf(text: string | undefined): string {
  if (text === undefined) throw new MeshError('malformed', 'Account is required');
  return canonicalAddress(text);
}

/**
 * Requires an entry of the request that one of these keys signed, without credentials of its own (encoding 6.4, S25).
 *
 * @throws MeshError `administrator-required` when there is none, `signature-invalid` when it does not hold.
 */
export async function requireAdministrator(
  received: Pick<ReceivedRequest, 'entries' | 'base' | 'payloadDigest'>,
  administrators: readonly PublicKeyEd448[],
): Promise<PublicKeyEd448> {
  for (const entry of received.entries.filter(isAdministrationEntry)) {
    const name = canonicalName(entry.kid ?? '');
    const key = administrators.find((each) => each.udf === name);
    if (key === undefined) continue;
    const input = requestInput(received.base.service, received.payloadDigest, credDigest({}));
    if (await verifyAsync(key, input, entry.signature ?? new Uint8Array(0))) return key;
    throw new MeshError('signature-invalid');
  }
  throw new MeshError('administrator-required');
}

function isAdministrationEntry({ alg, Profile, Connection, Account }: SignatureEntry): boolean {
  return alg === requestAlgorithm && Profile === undefined && Connection === undefined && Account === undefined;
}
