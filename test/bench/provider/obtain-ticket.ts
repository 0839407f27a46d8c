/** A ticket for a device, for requests that are made before they are sent. */
import { MeshConnection } from '@meshd/binding/mesh-connection';
import { memoryPinStore } from '@meshd/binding/pins';
import { type HeldTicket, memoryTicketStore, type TicketStore } from '@meshd/binding/ticket-hold';
import type { Session } from '@meshd/client/session';

/** Where the service is. */
export interface TicketService {
  readonly url: string;
  readonly domain: string;
  /** Certificate of the authority to trust, PEM. */
  readonly ca: string;
}

/** Asks the service for a ticket for the session's device. @throws Error where it gives none */
export async function obtainTicket(session: Session, { url, domain, ca }: TicketService): Promise<HeldTicket> {
  let held: HeldTicket | undefined;
  const keeping: TicketStore = {
    ...memoryTicketStore(),
    put: (_name, ticket) => {
      held = ticket;
    },
  };
  // No words: figures that want members of extensions name them.
  const link = new MeshConnection({ domain, url, ca, pins: memoryPinStore(), tickets: keeping, features: [] });
  await link.call('Status', { Account: session.state.address }, [session.deviceSigner]);
  await link.close();
  if (held === undefined) throw new Error('the service gave no ticket');
  return held;
}
