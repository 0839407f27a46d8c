import { udfEquals } from '@meshd/crypto/udf';
import { pinLifeMsMax } from '@meshd/limits/client';
import { MessagePIN } from '@meshd/schema/messages-mesh';
import { loadOpened, saveOpened } from '../connect/opened-file.js';
import { isPinUdf, makePin, pinWitness, type StretchedPin, stretchPin } from '../connect/pin.js';
import { pinnedDigest } from '../connect/transcript.js';
import type { Device } from '../device.js';
import { ClientError } from '../errors.js';
import { freshMessageId } from '../self-message.js';
import { type AcceptOptions, accepted, connect, tellSelf, transcriptOf } from './administer-devices.js';
import { deviceRequests, type GivenPin, type PendingDevice } from './pending-devices.js';

/* PINs at the administrator's end (S54): given out, kept for all administration devices, and what proves one accepted. */

/** A PIN to hand to somebody. */
export interface MadePin {
  readonly pin: string;
  readonly expiresMs: number;
}

/**
 * Gives out a PIN (S54): drawn here, kept for the other administration devices, good for one device and for a day.
 *
 * @param lifeMs at most a day
 * @throws ClientError `usage`, `refused`
 */
export async function givePin(device: Device, lifeMs = pinLifeMsMax): Promise<MadePin> {
  if (lifeMs <= 0 || lifeMs > pinLifeMsMax) throw new ClientError('usage', 'a PIN holds for 24 hours at most');
  const { environment } = device.session;
  const pin = makePin(environment.random);
  const expiresMs = environment.nowMs() + lifeMs;
  await keepPin(device, { PIN: pin, Expires: new Date(expiresMs) });
  return { pin, expiresMs };
}

/**
 * Keeps a PIN where all administration devices find it, and nobody else.
 *
 * @param pin with the one device that it is good for, and what that may do then, where these are known (S56)
 * @throws ClientError `refused`
 */
export async function keepPin(
  device: Device,
  pin: Pick<MessagePIN, 'PIN' | 'Expires' | 'DeviceUDF' | 'Permissions'>,
): Promise<void> {
  const { environment, keys, identity } = device.session;
  const uniqueId = freshMessageId(environment);
  const body = { MessageID: uniqueId, Account: identity.accountUdf, ...pin };
  // To the administrators alone: every other device of the account could let devices in by it.
  const readers = [keys.key('meshEncryption').publicKey.raw];
  await tellSelf(device, [{ table: MessagePIN, body, uniqueId, readers }]);
}

/** What became of a request with a PIN. */
export type PinOutcome = 'accepted' | 'invalid' | 'used' | 'expired';

/** A request, and what its PIN came to. */
export interface PinJudged {
  readonly pending: PendingDevice;
  readonly outcome: PinOutcome;
}

/**
 * Accepts the requests that prove a PIN which was given out and not used yet, without asking (S54). Others fall back to the
 * code, and the user is told why.
 *
 * @param isMeant says of which devices; of all where absent
 * @throws ClientError `refused`
 */
export async function acceptByPins(
  device: Device,
  options: AcceptOptions = {},
  isMeant: (deviceUdf: string) => boolean = () => true,
): Promise<PinJudged[]> {
  const { pending, pins } = await deviceRequests(device);
  const stretched = stretchedOnce(device, pins);
  const judged: PinJudged[] = [];
  const taken = new Set<string>();
  for (const one of pending) {
    if (one.pinUdf === undefined || !isMeant(one.deviceUdf)) continue;
    if (one.stage === 'accepted' || one.stage === 'rejected') continue;
    const { given, outcome, witness } = await judgePin(device, one, stretched);
    const isTaken = given !== undefined && taken.has(given.id);
    if (outcome === 'accepted' && !isTaken && given !== undefined) {
      taken.add(given.id);
      const references = [accepted(one.id), accepted(given.id)];
      // What was said with the PIN counts, and nothing else then.
      const rights = given.permissions === undefined ? options : { permissions: given.permissions };
      await connect(device, one, { ...rights, references, pinWitness: witness });
      await noteUsed(device, [one.pinUdf, given.id]);
    }
    judged.push({ pending: one, outcome: isTaken ? 'used' : outcome });
  }
  return judged;
}

interface JudgedPin {
  readonly outcome: PinOutcome;
  readonly given?: GivenPin;
  readonly witness?: (connectionDeviceDigest: Uint8Array) => Uint8Array;
}

/** A PIN that may still be told of, and how to get it in the form that it is compared in: stretched once, and only if needed. */
interface StretchablePin {
  readonly given: GivenPin;
  readonly stretch: () => Promise<StretchedPin>;
}

/** Newest first. What is over for longer than a PIN holds is not told of any more: each takes a tenth of a second to compare. */
function stretchedOnce({ session }: Device, pins: readonly GivenPin[]): StretchablePin[] {
  const { environment, state } = session;
  const oldestMs = environment.nowMs() - pinLifeMsMax;
  const told = pins.filter(({ expiresMs }) => expiresMs > oldestMs).sort((a, b) => b.expiresMs - a.expiresMs);
  return told.map((given) => {
    let stretching: Promise<StretchedPin> | undefined;
    const stretch = () => {
      stretching ??= stretchPin(given.pin, state.address);
      return stretching;
    };
    return { given, stretch };
  });
}

async function judgePin(device: Device, pending: PendingDevice, pins: readonly StretchablePin[]): Promise<JudgedPin> {
  const { environment, home } = device.session;
  const { pinUdf = '' } = pending;
  // Old devices send the PIN itself, which proves nothing of what else they ask (S54).
  if (pending.request.commitment === undefined) return { outcome: 'invalid' };
  const { request, commit, mesh } = await transcriptOf(device, pending);
  const pinned = pinnedDigest(request, commit);
  const { usedPins } = await loadOpened(home);
  for (const { given, stretch } of pins) {
    if (given.deviceUdf !== undefined && !udfEquals(given.deviceUdf, pending.deviceUdf)) continue;
    const stretched = await stretch();
    if (!isPinUdf(pinUdf, stretched, pinned)) continue;
    if (given.isUsed || usedPins.has(pinUdf) || usedPins.has(given.id)) return { outcome: 'used', given };
    if (given.expiresMs <= environment.nowMs()) return { outcome: 'expired', given };
    const witness = (digest: Uint8Array) => pinWitness(stretched, pinned, mesh, digest);
    return { outcome: 'accepted', given, witness };
  }
  return { outcome: 'invalid' };
}

async function noteUsed({ session: { home } }: Device, used: readonly string[]): Promise<void> {
  const opened = await loadOpened(home);
  await saveOpened(home, { ...opened, usedPins: new Set([...opened.usedPins, ...used]) });
}
