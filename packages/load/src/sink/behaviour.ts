/** How a sink can behave, and what it is told about it. */
import { type Transaction, transactions } from '@meshd/schema/protocol';
import { z } from 'zod';

/** A way to behave. */
interface Manner {
  /** For people, after "the sink". */
  readonly does: string;
  /** Whether it takes a message in spite of what it answers: whoever sends it again sends it twice. */
  readonly takes: boolean;
}

/** All of them, those at the connection first. */
export const behaviours = {
  well: { does: 'answers rightly', takes: true },
  mute: { does: 'accepts connections and never says anything, not even in TLS', takes: false },
  'wrong-certificate': { does: 'shows a certificate of another name', takes: false },
  hang: { does: 'takes the request and never answers', takes: false },
  lose: { does: 'does what it is asked, and closes the connection in the place of an answer', takes: true },
  drip: { does: 'answers rightly, an octet a second', takes: true },
  cut: { does: 'closes the connection in the middle of the right answer', takes: true },
  noise: { does: 'answers with octets that are no HTTP', takes: false },
  garbage: { does: 'answers with octets that are no Mesh response, under its media type', takes: false },
  oversized: { does: 'answers without end', takes: false },
  unsigned: { does: 'says the right thing without proof', takes: true },
  'other-request': { does: 'gives the right answer to another request', takes: true },
  'wrong-id': { does: 'proves its answer to this request, and names another one in it', takes: true },
  redirect: { does: 'sends elsewhere by HTTP', takes: false },
  'redirect-signed': { does: 'sends elsewhere in an answer that it proves', takes: false },
  busy: { does: 'says, with proof, that it has no time, and when to come again', takes: false },
  'busy-unsigned': { does: 'says so without proof, as something in front of a service would', takes: false },
  old: { does: 'offers no auth-1, as a service from before authentication, and takes nothing', takes: false },
  reject: { does: 'refuses every message, with proof', takes: false },
} as const satisfies Record<string, Manner>;

/** One of {@link behaviours}. */
export type Behaviour = keyof typeof behaviours;

/** Their names. */
export const behaviourNames = Object.keys(behaviours) as [Behaviour, ...Behaviour[]];

/** What a sink is told, as its control address takes it. Whatever is left out has the value that is named here. */
export const conductForm = z.strictObject({
  behaviour: z.enum(behaviourNames).default('well'),
  /** Requests that it is about; all when absent. What concerns connections is about all of them. */
  on: z.enum(transactions as readonly [Transaction, ...Transaction[]]).optional(),
  /** After so many such requests the sink is well again; never when absent. */
  times: z.number().int().positive().optional(),
  /** Of `busy`: when to come again, seconds; not said when absent. */
  retryAfterSeconds: z.number().int().min(0).max(86_400).optional(),
  /** Of `redirect`: where to. */
  redirectTo: z.url().optional(),
});

/** How a sink behaves, and for how long. */
export type Conduct = z.output<typeof conductForm>;

/** A sink as it should be. */
export const goodConduct: Conduct = { behaviour: 'well' };

/** Whether a request meets with a conduct. */
export function isMet({ behaviour, on }: Conduct, transaction: Transaction | undefined): boolean {
  return behaviour !== 'well' && (on === undefined || on === transaction);
}

/** The conduct after it was met once more. */
export function afterMeeting(conduct: Conduct): Conduct {
  if (conduct.times === undefined) return conduct;
  return conduct.times > 1 ? { ...conduct, times: conduct.times - 1 } : goodConduct;
}
