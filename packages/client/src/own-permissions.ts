import { decodeTagged } from '@meshd/encoding/codec';
import { connectionRegistry, type Permission } from '@meshd/schema/connections';
import type { Device } from './device.js';
import { mayRead } from './entitlement.js';
import { ClientError } from './errors.js';
import type { Session } from './session.js';

/** What this device may do, by its own connection; empty: every store (semantics 4.1). */
export function ownPermissions({ identity: { connectionAccount } }: Pick<Session, 'identity'>): readonly Permission[] {
  const { tag, value } = decodeTagged(connectionRegistry, connectionAccount.payload ?? new Uint8Array(0), {
    form: 'json',
  });
  return tag === 'ConnectionAccount' ? (value.Permissions ?? []) : [];
}

/** Says so where this device may not read a container, which is then not shown to it. @throws ClientError `usage` */
export function requireReading({ session }: Device, container: string): void {
  if (mayRead(ownPermissions(session), container)) return;
  throw new ClientError('usage', `this device was not given the right to read ${container}; use another one`);
}
