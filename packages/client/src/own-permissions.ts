import { decodeTagged } from '@meshd/encoding/codec';
import { connectionRegistry, type Permission } from '@meshd/schema/connections';
import type { Session } from './session.js';

/** What this device may do, by its own connection; empty: every store (semantics 4.1). */
export function ownPermissions({ identity: { connectionAccount } }: Pick<Session, 'identity'>): readonly Permission[] {
  const { tag, value } = decodeTagged(connectionRegistry, connectionAccount.payload ?? new Uint8Array(0), {
    form: 'json',
  });
  return tag === 'ConnectionAccount' ? (value.Permissions ?? []) : [];
}
