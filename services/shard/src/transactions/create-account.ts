import { constantTimeEqual, sha512 } from '@meshd/crypto/digest';
import type { PublicKeyEd448 } from '@meshd/crypto/ed448';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { AddressError, canonicalAddress, type ParsedAddress, parseAddress } from '@meshd/schema/address';
import { accountSpools } from '@meshd/schema/container-name';
import {
  onlineKeysOf,
  type ProfileOf,
  type VerifiedAccount,
  type VerifiedProfile,
  verifyAccountAssertion,
  verifyProfile,
} from '@meshd/schema/profile-check';
import { MeshError } from '@meshd/schema/status';
import { hasKey, sameKey } from '../account-keys.js';
import { judgeName } from '../account-policy.js';
import type { ShardContext } from '../context.js';
import { openOwn } from '../service-frames.js';
import { accountRecord, type RecordMaker, statusWords } from '../service-records.js';
import { verifySignedRequest } from '../signed-request.js';
import type { AccountAway } from '../storage/account-status.js';
import { type AccountFields, type AccountState, type AccountTransactor, keyText } from '../storage/store.js';
import { answerOf, findAnswer, meshPrincipal, type WritingRequest } from '../stored-answer.js';
import { defaultQuota } from '../upload/quota.js';
import { arrive } from './arrive.js';

/** What the account is now. */
export interface CreateAccountResult {
  /** 201: made, or nothing was to be done. 202: the stored profiles were replaced. */
  readonly status: 201 | 202;
}

/** The enclosed profiles, verified, with their relation to each other and to the address. */
interface Binding {
  readonly address: ParsedAddress;
  readonly mesh: VerifiedProfile<ProfileOf<'ProfileMesh'>>;
  readonly account: VerifiedAccount;
  /** Key that signed the request. */
  readonly signer: PublicKeyEd448;
}

/**
 * CreateAccount (semantics 6.2): binds a Mesh to an address of this service, or replaces the profiles of an account of the
 * same Mesh. Where the first of `ServiceIDs` is another address the account stands by here: it takes what a device copies, and
 * nothing else, until a newer profile names this address first.
 *
 * @param routedAs address by which the request came to this shard; the payload must name the same.
 * @param envelope the whole request; its signatures are verified here (S24).
 * @throws MeshError: `account-name`, `registration-closed`, `domain-not-served`, `object-signature`, `name-taken`,
 *   `profile-older`, `copy-incomplete`, and those of an unauthenticated request.
 */
export async function createAccount(
  context: ShardContext,
  routedAs: string,
  envelope: EnvelopeOctets,
): Promise<CreateAccountResult> {
  const { message, authentication, identity } = await verifySignedRequest(context, 'CreateAccount', envelope);
  if (authentication.form !== 'mesh') throw new MeshError('not-authenticated');
  const address = addressOf(context, message.ServiceID);
  if (address.address !== routedAs) throw new MeshError('malformed', 'ServiceID is another account');
  if (message.SignedProfileMesh === undefined || message.SignedAssertionAccount === undefined) {
    throw new MeshError('malformed', 'SignedProfileMesh and SignedAssertionAccount are required');
  }
  const { SignedProfileMesh: meshOctets, SignedAssertionAccount: accountOctets } = message;
  const writing = { principal: meshPrincipal(authentication.meshUdf), identity };
  return context.store.transactAccount(address.address, async (transactor) => {
    const answered = await findAnswer<CreateAccountResult>(transactor, writing);
    if (answered !== undefined) return answered;
    const mesh = await verifyProfile(meshOctets, 'ProfileMesh');
    judgeOwner(context, address, transactor, mesh);
    const account = await verifyAccountAssertion(accountOctets, mesh, address.address);
    const binding = { address, mesh, account, signer: authentication.key };
    const { state } = transactor;
    if (state === undefined) return makeAccount(context, transactor, binding, writing);
    return rebindAccount(context, transactor, state, binding, writing);
  });
}

function addressOf(context: ShardContext, serviceId: string | undefined): ParsedAddress {
  if (serviceId === undefined) throw new MeshError('malformed', 'ServiceID is required');
  const address = parsed(serviceId);
  if (!context.domains.has(address.domain)) throw new MeshError('domain-not-served');
  return address;
}

function parsed(serviceId: string): ParsedAddress {
  try {
    return parseAddress(serviceId);
  } catch (error) {
    if (error instanceof AddressError) throw new MeshError('account-name', error.detail, { cause: error });
    throw error;
  }
}

/**
 * Policy and uniqueness. Where registration is closed a stranger learns nothing of who has an account: taken and free
 * names are refused alike. Names of deleted accounts count as taken for a while, also for their former owner.
 */
function judgeOwner(
  context: ShardContext,
  address: ParsedAddress,
  { state, name }: AccountTransactor,
  mesh: VerifiedProfile<ProfileOf<'ProfileMesh'>>,
): void {
  if (state !== undefined && sameKey(state.meshOfflineKey, mesh.offlineKey.raw)) return;
  const refusal = judgeName(address.local, context.registration);
  if (refusal !== undefined) throw new MeshError(refusal.code, refusal.reason);
  const quarantined = name.quarantinedUntilMs !== null && name.quarantinedUntilMs > context.clock();
  if (state !== undefined || quarantined) throw new MeshError('name-taken');
}

/** The first of `ServiceIDs` is the authoritative address (R008); at every other one the account stands by. */
function awayOf({ address, account }: Binding, before: AccountState | undefined, nowMs: number): AccountAway | null {
  const [first] = account.profile.ServiceIDs ?? [];
  const to = first === undefined ? address.address : canonicalAddress(first);
  if (to === address.address) return null;
  const isSame = before?.away?.to === to && before.status !== 'moved';
  return isSame ? before.away : { to, sinceMs: nowMs };
}

/** Tickets given before are void: the keys that they rest on may be others now (S33). */
function fieldsOf(
  binding: Binding,
  quota: AccountFields['quota'],
  nowMs: number,
  before?: AccountState,
): AccountFields {
  const { mesh, account } = binding;
  const online = (keys: readonly PublicKeyEd448[]) => keys.map((key) => key.raw);
  return {
    status: 'connected',
    meshUdf: mesh.offlineKey.udf,
    accountUdf: account.offlineKey.udf,
    profileMesh: mesh.envelope.octets,
    profileAccount: account.envelope.octets,
    meshOfflineKey: mesh.offlineKey.raw,
    meshOnlineKeys: online(onlineKeysOf(mesh.profile)),
    accountOfflineKey: account.offlineKey.raw,
    accountOnlineKeys: online(onlineKeysOf(account.profile)),
    meshUpdatedMs: mesh.profile.Updated?.getTime() ?? 0,
    accountUpdatedMs: account.profile.Updated?.getTime() ?? 0,
    ticketsFromMs: nowMs,
    quota,
    away: awayOf(binding, before, nowMs),
  };
}

function recordMaker(context: ShardContext): RecordMaker {
  return { host: context.host(), nowMs: context.clock(), random: context.random };
}

async function makeAccount(
  context: ShardContext,
  transactor: AccountTransactor,
  binding: Binding,
  writing: WritingRequest,
): Promise<CreateAccountResult> {
  const maker = recordMaker(context);
  const { address } = binding.address;
  const { framesMax, bytesMax } = defaultQuota;
  const create = fieldsOf(binding, { framesMax, bytesMax }, maker.nowMs);
  const { profileMesh, profileAccount, accountUdf } = create;
  const entry = { event: 'New', status: 'Connected', profileMesh, profileAccount } as const;
  const result: CreateAccountResult = { status: 201 };
  await transactor.commit({
    create,
    // Where the account stands by, its stores come from where it is: a spool made here would be another one.
    containers: (create.away === null ? accountSpools : []).map((name) =>
      openOwn(name, 'spool', accountUdf, maker.nowMs, maker.random),
    ),
    service: [await accountRecord(context.store, maker, address, entry)],
    seen: answerOf(writing, result),
  });
  return result;
}

/**
 * The account exists and its Mesh asks again: the same profiles change nothing, newer ones replace the stored ones.
 */
async function rebindAccount(
  context: ShardContext,
  transactor: AccountTransactor,
  state: AccountState,
  binding: Binding,
  writing: WritingRequest,
): Promise<CreateAccountResult> {
  const meshChanged = isChanged(state.profileMesh.payload, binding.mesh.payloadDigest);
  const accountChanged = isChanged(state.profileAccount.payload, binding.account.payloadDigest);
  if (!meshChanged && !accountChanged && state.status !== 'moved') {
    const result: CreateAccountResult = { status: 201 };
    await transactor.commit({ seen: answerOf(writing, result) });
    return result;
  }
  judgeRebinding(state, binding, meshChanged, accountChanged);
  // An account on hold, or blocked, does not free itself by newer profiles; one that has left may come back.
  const { quota } = state;
  const status = state.status === 'moved' ? 'connected' : state.status;
  const replace = { ...fieldsOf(binding, quota, context.clock(), state), status };
  const arrival = state.away !== null && replace.away === null ? await arrive(context, transactor, replace) : {};
  // Who was shut out where the account was is out here as well, by the catalog that was copied.
  const revokedThere = (arrival.revokedKeys ?? []).map(keyText);
  requireVouchers(new Set([...state.revokedKeys, ...revokedThere]), binding);
  const { profileMesh, profileAccount } = replace;
  const entry = { event: 'Update', status: statusWords[status], profileMesh, profileAccount } as const;
  const result: CreateAccountResult = { status: 202 };
  await transactor.commit({
    replace,
    ...arrival,
    service: [await accountRecord(context.store, recordMaker(context), state.address, entry)],
    seen: answerOf(writing, result),
  });
  return result;
}

function isChanged(stored: Uint8Array | null, digest: Uint8Array): boolean {
  return stored === null || !constantTimeEqual(sha512(stored), digest);
}

/**
 * Re-binding is administration (S25): the request and the assertion are signed by keys of no revoked device, the profiles
 * that change are newer than the stored ones, and the account stays itself.
 *
 * @throws MeshError `name-taken`, `profile-older` or `administrator-required`.
 */
export function judgeRebinding(
  state: AccountState,
  binding: Pick<Binding, 'mesh' | 'account' | 'signer'>,
  meshChanged: boolean,
  accountChanged: boolean,
): void {
  const { mesh, account } = binding;
  // Another ProfileAccount would be another account: every manifest names the one that the name belongs to.
  if (!sameKey(account.offlineKey.raw, state.accountOfflineKey)) throw new MeshError('name-taken');
  const older = (updated: Date | undefined, storedMs: number) => (updated?.getTime() ?? 0) <= storedMs;
  if (meshChanged && older(mesh.profile.Updated, state.meshUpdatedMs)) throw new MeshError('profile-older');
  if (accountChanged && older(account.profile.Updated, state.accountUpdatedMs)) throw new MeshError('profile-older');
  requireVouchers(state.revokedKeys, binding);
}

/** @throws MeshError `administrator-required` where only keys of revoked devices vouch */
function requireVouchers(
  revokedKeys: ReadonlySet<string>,
  { mesh, account, signer }: Pick<Binding, 'mesh' | 'account' | 'signer'>,
): void {
  const isRevoked = (key: PublicKeyEd448) => revokedKeys.has(keyText(key.raw));
  const meshKeys = [mesh.offlineKey, ...onlineKeysOf(mesh.profile)].map((key) => key.raw);
  const vouchers = account.signers.filter((key) => hasKey(meshKeys, key.raw) && !isRevoked(key));
  if (isRevoked(signer) || vouchers.length === 0) throw new MeshError('administrator-required');
}
