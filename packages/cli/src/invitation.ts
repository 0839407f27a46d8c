/** A device that was invited by its code, until it has shown itself or is missed (S57): what is waited for, and what is said. */
import type { ClientEnvironment } from '@meshd/client/environment';
import type { InvitedDevice } from '@meshd/client/operations/invite-device';
import { firstStatusMsMax } from '@meshd/limits/hailing';
import { completePollMsMin } from '@meshd/limits/limits';

/** What whoever handles a code must know. */
export const codeWarning =
  'whoever has seen this code can take the device, or pose as it, until it is connected: keep it out of sight';

/** How far the device has come. */
export interface InvitationOutcome {
  /** It has asked, and was accepted. */
  readonly connected: boolean;
  /** Its first Status has come, signed by its new keys. */
  readonly shown: boolean;
}

/** What is done while waiting. */
export interface Following {
  /** Accepts the device if it has asked; whether it is connected. */
  accept(): Promise<boolean>;
  /** Whether the service has verified a request under its new keys. */
  hasShownItself(): Promise<boolean>;
  note(text: string): void;
}

type Clock = Pick<ClientEnvironment, 'nowMs' | 'pause'>;

/** Waits until the device has asked, then for its first Status: for ten minutes, behind which something is wrong (S57). */
export async function followInvitation(
  environment: Clock,
  { description, expiresMs }: Pick<InvitedDevice, 'description' | 'expiresMs'>,
  { accept, hasShownItself, note }: Following,
): Promise<InvitationOutcome> {
  const connected = await until(environment, expiresMs, accept);
  if (!connected) return { connected, shown: false };
  note(`${description} is connected; waiting for its first Status`);
  const shown = await until(environment, environment.nowMs() + firstStatusMsMax, hasShownItself);
  return { connected, shown };
}

/** Asks until it is so, or its time is over. */
async function until({ nowMs, pause }: Clock, untilMs: number, isSo: () => Promise<boolean>): Promise<boolean> {
  while (nowMs() < untilMs) {
    if (await isSo()) return true;
    await pause(completePollMsMin);
  }
  return false;
}

/** What the administrator is told in the end. */
export function invitationText(
  { description, deviceUdf }: Pick<InvitedDevice, 'description' | 'deviceUdf'>,
  { connected, shown }: InvitationOutcome,
): string {
  if (!connected) return `${description} has not come; invite it again when it is switched on`;
  if (shown) {
    return [
      `${description} is connected, and its first Status has come, signed by its own keys`,
      `if the device in front of you does not show it, somebody else has its code: mesh device revoke ${deviceUdf}`,
    ].join('\n');
  }
  return [
    `warning: ${description} is connected, and no Status of it has come for 10 minutes`,
    'somebody who has seen its code may have taken its place',
    `unless it is only switched off: mesh device revoke ${deviceUdf}`,
  ].join('\n');
}
