import { type EnvelopeOctets, readEnvelope, writeEnvelope } from '@meshd/dare/envelope';
import { ClientError } from './errors.js';
import type { Session } from './session.js';
import { contradictions, requireFresh, type SignedHeads, verifyHeads } from './signed-heads.js';

const file = 'heads.dare';

/** File of a home in which the service's newest signed heads are kept. */
export const keptHeadsFile = file;

function sameStatement(a: EnvelopeOctets, b: EnvelopeOctets): boolean {
  return Buffer.compare(a.payload ?? new Uint8Array(0), b.payload ?? new Uint8Array(0)) === 0;
}

/**
 * The service's newest signed heads, kept with the host's credentials: the half of a proof against the service that this
 * device can have at any time (S45).
 */
export class KeptHeads {
  readonly #session: Session;
  #latest: SignedHeads | undefined;
  #isLoaded = false;
  #shown: SignedHeads | undefined;

  constructor(session: Session) {
    this.#session = session;
  }

  /** Reads the kept heads again when they are needed: another process may write them. */
  forget(): void {
    this.#latest = undefined;
    this.#isLoaded = false;
  }

  /** What was judged last, also where it was refused. */
  get shown(): SignedHeads | undefined {
    return this.#shown;
  }

  /** What was kept last, verified again from its octets. */
  async latest(): Promise<SignedHeads | undefined> {
    if (this.#isLoaded) return this.#latest;
    const octets = await this.#session.home.read(file);
    this.#latest = octets === undefined ? undefined : await this.#reverify(octets);
    this.#isLoaded = true;
    return this.#latest;
  }

  /**
   * Heads of a service whose pin the user has forgotten since, or in a damaged file, say nothing any more. What was
   * verified of the containers stands in their own heads.
   */
  async #reverify(octets: Uint8Array): Promise<SignedHeads | undefined> {
    try {
      return await this.#verify(readEnvelope(octets));
    } catch (error) {
      if (error instanceof ClientError && error.code !== 'heads') throw error;
      return undefined;
    }
  }

  /**
   * Judges the heads of an answer: fresh, of this account, and no contradiction to what the service signed before.
   *
   * Fewer frames at a later time are left for the caller to judge, who may be able to put them back (S47).
   *
   * @param octets `EnvelopedHeads` of a verified response
   * @returns undefined from a service that signs no heads
   * @throws ClientError `heads`, `downgrade`, `fork`, `rollback`
   */
  async judge(octets: EnvelopeOctets | undefined): Promise<SignedHeads | undefined> {
    const before = await this.latest();
    if (octets === undefined) {
      if (!(await this.#session.offers('heads-1'))) return undefined;
      throw new ClientError('downgrade', 'the service signs heads, and left them out of its answer: do not go on');
    }
    const isKnown = before !== undefined && sameStatement(before.octets, octets);
    const shown = isKnown ? before : await this.#verify(octets);
    this.#shown = shown;
    requireFresh(shown, this.#session.environment.nowMs());
    if (before === undefined || isKnown) {
      if (!isKnown) await this.#keep(shown);
      return shown;
    }
    const found = contradictions(before, shown);
    const fork = found.find(({ kind }) => kind === 'fork');
    if (fork !== undefined) {
      const { container, earlier: verified, later } = fork;
      throw new ClientError(
        'fork',
        `the service has signed two histories of ${container}: stop using it and keep this home as evidence`,
        { contradiction: { container, verified, shown: later, isProof: true } },
      );
    }
    refuseOld(before, shown);
    // The longer statement is the better evidence until what is missing is back.
    if (found.length === 0) await this.#keep(shown);
    return shown;
  }

  async #verify(octets: EnvelopeOctets): Promise<SignedHeads> {
    const { accountUdf } = this.#session.identity;
    const service = await this.#session.serviceProfile();
    return verifyHeads(octets, service, { accountUdf, domain: this.#session.domain });
  }

  async #keep(heads: SignedHeads): Promise<void> {
    await this.#session.home.write(writeEnvelope(heads.octets), file);
    this.#latest = heads;
    this.#isLoaded = true;
  }
}

/** Heads from before those that were seen already: no contradiction, but not the present state either. */
function refuseOld(before: SignedHeads, shown: SignedHeads): void {
  if (shown.timeMs >= before.timeMs) return;
  for (const [container, verified] of before.heads) {
    const head = shown.heads.get(container);
    if (head !== undefined && head.size >= verified.size) continue;
    throw new ClientError(
      'rollback',
      `the service answers with old heads, from ${new Date(shown.timeMs).toISOString()}: it hides newer entries of ${container}`,
      { contradiction: { container, verified, shown: head ?? { size: 0 } } },
    );
  }
}
