import { BindingError } from '@meshd/binding/errors';
import { requestAttemptsMax, requestPauseMsFirst } from '@meshd/limits/client';
import type { ClientEnvironment } from './environment.js';
import { ClientError, type ClientErrorCode } from './errors.js';

/*
 * What to do about answers that do not come, and about those that say "later": try again, a few times, with pauses that grow.
 */

/** Statuses that say "again later", in an authenticated answer. */
export const laterStatuses: ReadonlySet<number> = new Set([408, 429, 503, 504]);

/** Transport faults: nothing is known of the request's fate, and the same request may be sent again. */
const repeatable: ReadonlySet<string> = new Set(['transport', 'timeout', 'unsigned-error']);

/** Faults of TLS that stay whatever is tried: the certificate is not trusted, or not for the domain. */
const certificateFault = /CERT|UNABLE_TO_VERIFY|SELF_SIGNED/;

/** Whether trying again may help. */
function isPassing(error: unknown): error is BindingError {
  if (!(error instanceof BindingError) || !repeatable.has(error.code)) return false;
  return !certificateFault.test((error.cause as NodeJS.ErrnoException | undefined)?.code ?? '');
}

const clientCodeOf: Readonly<Record<string, ClientErrorCode>> = {
  'pin-mismatch': 'pin',
  'host-refused': 'pin',
  'feature-missing': 'downgrade',
};

const adviceOf: Readonly<Record<string, string>> = {
  'pin-mismatch':
    'if its operator has told you of a new service key, forget the old one: mesh hello ADDRESS --forget-pin',
  'feature-missing': 'somebody may be standing between: do not go on',
  'discovery-none': 'check the domain, or say where its service is (--url)',
  'discovery-refused': 'check the domain, or say where its service is (--url)',
  'discovery-failed': 'check the connection to the network and its name servers, or try again later',
  'discovery-unfit': 'update this program, or tell the operator of the service',
  transport: 'check the address (--url), the certificate (--ca) and that the service runs',
  timeout: 'try again later',
  'unsigned-error': 'try again later',
};

/** Whether an answer got lost on the way: asking for less at a time may help. */
export function isCut(error: unknown): boolean {
  return error instanceof ClientError && error.code === 'unavailable' && isPassing(error.cause);
}

/** A fault below as an error of this package. */
export function asClientError(error: unknown): unknown {
  if (!(error instanceof BindingError)) return error;
  const advice = adviceOf[error.code];
  const message = advice === undefined ? error.message : `${error.message}; ${advice}`;
  return new ClientError(clientCodeOf[error.code] ?? 'unavailable', message, { cause: error });
}

/** How long to go on. */
export interface RepeatOptions {
  /** How often a cut connection or a missing answer is met with the same request; some are better met by asking for less. */
  readonly faultsMax?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What an answer asks to wait before the next attempt; undefined where it stays. */
export function laterMsOf({ status, retryAfterMs }: { status: number; retryAfterMs?: number | undefined }) {
  return laterStatuses.has(status) ? (retryAfterMs ?? 0) : undefined;
}

/**
 * Does `work` until it gives an answer that is to stay.
 *
 * @param pauseMsOf what to wait for before the next attempt, or undefined where the answer stays
 * @throws ClientError `unavailable`, `pin`, `downgrade`
 */
export async function repeatUntilAnswered<A>(
  environment: Pick<ClientEnvironment, 'pause'>,
  work: () => Promise<A>,
  pauseMsOf: (answer: A) => number | undefined,
  { faultsMax = requestAttemptsMax - 1, signal }: RepeatOptions = {},
): Promise<A> {
  for (let attempt = 1; ; attempt += 1) {
    const doublingMs = requestPauseMsFirst * 2 ** (attempt - 1);
    let pauseMs: number;
    try {
      const answer = await work();
      const askedMs = pauseMsOf(answer);
      if (askedMs === undefined || attempt >= requestAttemptsMax) return answer;
      pauseMs = askedMs;
    } catch (error) {
      if (!isPassing(error) || attempt > faultsMax || signal?.aborted) throw asClientError(error);
      pauseMs = error.pauseMs ?? 0;
    }
    await environment.pause(Math.max(doublingMs, pauseMs));
  }
}
