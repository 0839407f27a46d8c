/** After a change of the account's key: contacts get the card that names the new one (S62). */
import type { Device } from '@meshd/client/device';
import { ClientError } from '@meshd/client/errors';
import { tellContacts } from '@meshd/client/operations/contact-exchange';

/** Who was told. */
export interface Told {
  /** Contacts to whom the card went out, or waits to. */
  readonly count: number;
  /** Why not all were; the change of keys stands all the same. */
  readonly reason: string | undefined;
}

/** Tells all contacts whose keys are known. What goes wrong with that is in the result. */
export async function tellOfNewKey(device: Device): Promise<Told> {
  try {
    const { messages, interrupted } = await tellContacts(device);
    const refused = messages.find(({ state }) => state === 'refused');
    const count = messages.filter(({ state }) => state !== 'refused').length;
    return { count, reason: refused?.reason ?? interrupted?.message };
  } catch (error) {
    if (error instanceof ClientError) return { count: 0, reason: error.message };
    throw error;
  }
}

/** The same in words; nothing where there is nobody to tell. */
export function toldText({ count, reason }: Told): string[] {
  const told = count === 0 ? [] : [`contacts that are told of the new key: ${count}`];
  return reason === undefined ? told : [...told, `not all contacts are told (${reason}); later: mesh contact tell`];
}
