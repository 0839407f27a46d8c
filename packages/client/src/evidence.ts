import { type EnvelopeOctets, writeEnvelope } from '@meshd/dare/envelope';
import { ClientError, type HeadNumbers } from './errors.js';
import type { Home } from './home.js';
import { octetsToText } from './octet-text.js';

const folder = 'evidence';

/**
 * What a service was caught at:
 * - `fork`: other frames than were verified before, at the same place
 * - `rollback`: fewer frames than were verified before
 * - `healed`: fewer frames, which this device has put back (S47); nothing is wrong any more
 */
export type EvidenceKind = 'fork' | 'rollback' | 'healed';

interface StoredHead {
  readonly log?: string | undefined;
  readonly size: number;
  readonly root?: string | undefined;
}

/** One record. Binary values are base64url; the heads are envelopes in JSON. */
export interface Evidence {
  readonly version: 1;
  readonly kind: EvidenceKind;
  readonly container: string;
  readonly foundMs: number;
  /** What the user was told. */
  readonly message: string;
  /** Both statements are signed by the service: they convince anybody. */
  readonly isProof: boolean;
  readonly verified?: StoredHead | undefined;
  readonly shown?: StoredHead | undefined;
  /** Signed heads as kept from before, and as given now. */
  readonly headsBefore?: string | undefined;
  readonly headsNow?: string | undefined;
  /** When the user said that writing may go on. */
  readonly acknowledgedMs?: number | undefined;
}

/** A record with the name of its file. */
export interface FiledEvidence extends Evidence {
  readonly name: string;
}

/** What is to be recorded. */
export interface Finding {
  readonly kind: EvidenceKind;
  readonly container: string;
  readonly message: string;
  readonly isProof?: boolean | undefined;
  readonly verified?: HeadNumbers | undefined;
  readonly shown?: HeadNumbers | undefined;
  readonly headsBefore?: EnvelopeOctets | undefined;
  readonly headsNow?: EnvelopeOctets | undefined;
}

function storedHead(head: HeadNumbers | undefined): StoredHead | undefined {
  if (head === undefined) return undefined;
  const text = (octets: Uint8Array | undefined) => octets && octetsToText(octets);
  return { size: head.size, log: text(head.log), root: text(head.root) };
}

const envelopeText = (octets: EnvelopeOctets | undefined) => octets && octetsToText(writeEnvelope(octets));

/** All records of a home, oldest first. */
export async function loadEvidence(home: Home): Promise<FiledEvidence[]> {
  const names = (await home.list(folder)).filter((name) => name.endsWith('.json')).sort();
  const records: FiledEvidence[] = [];
  for (const name of names) {
    const record = await home.readJson<Evidence>(folder, name);
    if (record?.version === 1) records.push({ ...record, name });
  }
  return records;
}

const isOpen = ({ kind, acknowledgedMs }: Evidence) => kind !== 'healed' && acknowledgedMs === undefined;

/** Writes down what a service did, durably and once: the same again adds nothing. */
export async function recordEvidence(home: Home, finding: Finding, nowMs: number): Promise<void> {
  const { kind, container, message, isProof = false } = finding;
  const shown = storedHead(finding.shown);
  const known = await loadEvidence(home);
  const isKnown = known.some((record) => {
    const isSame =
      record.kind === kind && record.container === container && isOpen(record) && isProof === record.isProof;
    return isSame && record.shown?.size === shown?.size && record.shown?.root === shown?.root;
  });
  if (isKnown) return;
  const record: Evidence = {
    ...{ version: 1, kind, container, foundMs: nowMs, message, isProof },
    ...{ verified: storedHead(finding.verified), shown },
    ...{ headsBefore: envelopeText(finding.headsBefore), headsNow: envelopeText(finding.headsNow) },
  };
  // Names sort by time; the count keeps those of one millisecond apart.
  await home.writeJson(record, folder, `${nowMs}-${known.length}-${container}.json`);
}

const isRollbackOf = ({ kind, container }: Evidence, containers: readonly string[]) =>
  kind === 'rollback' && containers.includes(container);

/**
 * Writing stops once a service was caught, until the user has said otherwise (S45).
 *
 * @param healing containers whose missing frames are about to be put back (S47): that they were missed before, by a command
 *   that only looks, does not stop what mends it
 * @throws ClientError `evidence`
 */
export async function requireNoEvidence(home: Home, healing: readonly string[] = []): Promise<void> {
  const open = (await loadEvidence(home)).find((record) => isOpen(record) && !isRollbackOf(record, healing));
  if (open === undefined) return;
  throw new ClientError(
    'evidence',
    `nothing is written: the service was caught (${open.kind} of ${open.container}); see mesh container audit`,
  );
}

/** Lets writing go on. The records stay. @returns how many were acknowledged */
export async function acknowledgeEvidence(home: Home, nowMs: number): Promise<number> {
  return acknowledge(home, nowMs, isOpen);
}

/** What was missed of these containers is back. The records stay. */
export async function settleRollbacks(home: Home, containers: readonly string[], nowMs: number): Promise<void> {
  await acknowledge(home, nowMs, (record) => isOpen(record) && isRollbackOf(record, containers));
}

async function acknowledge(home: Home, nowMs: number, isMeant: (record: Evidence) => boolean): Promise<number> {
  const open = (await loadEvidence(home)).filter(isMeant);
  for (const { name, ...record } of open) await home.writeJson({ ...record, acknowledgedMs: nowMs }, folder, name);
  return open.length;
}
