import { createHash } from 'node:crypto';
import type { HeldTicket, TicketStore } from '@meshd/binding/ticket-hold';
import type { Home } from './home.js';
import { octetsToText, textToOctets } from './octet-text.js';

const folder = 'tickets';

interface StoredTicket {
  version: 1;
  name: string;
  id: string;
  ticket: string;
  clientToServer: string;
  serverToClient: string;
  expiresMs: number;
  signedAtMs: number;
  features: string[];
  host: { key: string; udf: string; notAfterMs: number };
}

// Names hold addresses and spaces; a digest is safe as the name of a file.
const fileOf = (name: string) =>
  [folder, `${createHash('sha256').update(name).digest('hex').slice(0, 32)}.json`] as const;

function toTicket(stored: StoredTicket): HeldTicket {
  const { id, expiresMs, signedAtMs, features, host } = stored;
  return {
    ...{ id, expiresMs, signedAtMs, features },
    ticket: textToOctets(stored.ticket),
    clientToServer: textToOctets(stored.clientToServer),
    serverToClient: textToOctets(stored.serverToClient),
    host: { ...host, key: textToOctets(host.key) },
  };
}

/**
 * Tickets in the home, readable by the owner alone: the next run of a command needs no signature either. A ticket that
 * cannot be read is no loss; the next request is signed and brings another.
 */
export function homeTickets(home: Home): TicketStore {
  return {
    async get(name) {
      const stored = await home.readJson<StoredTicket>(...fileOf(name)).catch(() => undefined);
      return stored?.version === 1 && stored.name === name ? toTicket(stored) : undefined;
    },
    async put(name, held) {
      const { id, expiresMs, signedAtMs, features, host } = held;
      const stored: StoredTicket = {
        ...{ version: 1, name, id, expiresMs, signedAtMs, features: [...features] },
        ticket: octetsToText(held.ticket),
        clientToServer: octetsToText(held.clientToServer),
        serverToClient: octetsToText(held.serverToClient),
        host: { ...host, key: octetsToText(host.key) },
      };
      await home.writeJson(stored, ...fileOf(name));
    },
    async delete(name) {
      await home.remove(...fileOf(name));
    },
  };
}
