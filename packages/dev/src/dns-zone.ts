/** What our DNS server knows, and what it answers; pure. */
import { type Answer, AUTHORITATIVE_ANSWER, type DecodedPacket, decode, encode, TRUNCATED_RESPONSE } from 'dns-packet';

/** One record, as {@link Answer} has it. */
export interface ZoneRecord {
  readonly name: string;
  readonly type: 'A' | 'AAAA' | 'CNAME' | 'SRV' | 'TXT';
  /** Seconds. */
  readonly ttl?: number;
  readonly data: unknown;
}

/**
 * How a server can be at fault about a name: no answer at all, an answer that says so (SERVFAIL), octets that are none, an
 * answer under another id or to another question (as who guesses would send it, before the right one), and one that
 * does not fit into UDP.
 */
export type ZoneFault = 'silent' | 'servfail' | 'garbage' | 'forged' | 'truncated';

/** Everything the server knows. */
export interface Zone {
  readonly records: readonly ZoneRecord[];
  /** By name. */
  readonly faults?: Readonly<Record<string, ZoneFault>>;
  /** How long there is nothing where there is nothing, seconds; not said when absent. */
  readonly negativeTtl?: number;
}

const defaultTtl = 60;
/** Aliases followed for one answer: they may lead in a circle. */
const aliasesMax = 4;
const rcode = { servfail: 2, nxdomain: 3 } as const;
const sameName = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();

/** Name and type that are asked for, as one text; undefined for what is no question. */
export function questionOf(query: Uint8Array): string | undefined {
  const [question] = read(query)?.questions ?? [];
  return question === undefined ? undefined : `${question.type} ${question.name.toLowerCase()}`;
}

/**
 * The datagrams (or, over TCP, the messages) that answer a query, in order.
 *
 * @param transport what the query came over
 */
export function answersTo(query: Uint8Array, zone: Zone, transport: 'udp' | 'tcp'): Uint8Array[] {
  const packet = read(query);
  const [question] = packet?.questions ?? [];
  if (packet === undefined || question === undefined) return [];
  const fault = zone.faults?.[question.name.toLowerCase()];
  const { id = 0, questions = [question] } = packet;
  const reply = (flags: number, answers: Answer[] = [], authorities: Answer[] = []) =>
    encode({ type: 'response', id, flags: AUTHORITATIVE_ANSWER | flags, questions, answers, authorities });
  if (fault === 'silent') return [];
  if (fault === 'servfail') return [reply(rcode.servfail)];
  if (fault === 'garbage') return [Buffer.from('no packet of the DNS')];
  if (fault === 'truncated' && transport === 'udp') return [reply(TRUNCATED_RESPONSE)];
  const found = recordsOf(zone, question.name, question.type);
  const isKnown = zone.records.some(({ name }) => sameName(name, question.name));
  const honest = reply(isKnown ? 0 : rcode.nxdomain, found, found.length === 0 ? authorityOf(zone) : []);
  return fault === 'forged' ? [...forgeries(packet), honest] : [honest];
}

/** With the aliases that lead to them, as a server that resolves for others gives them. */
function recordsOf(zone: Zone, name: string, type: string, aliasesLeft = aliasesMax): Answer[] {
  const own = zone.records.filter((record) => sameName(record.name, name));
  const answers = (records: readonly ZoneRecord[]) =>
    records.map((record) => ({ ttl: defaultTtl, ...record, name }) as unknown as Answer);
  const found = own.filter((record) => record.type === type);
  const alias = own.find((record) => record.type === 'CNAME');
  if (found.length > 0 || alias === undefined || aliasesLeft === 0) return answers(found);
  return [...answers([alias]), ...recordsOf(zone, String(alias.data), type, aliasesLeft - 1)];
}

function authorityOf({ negativeTtl }: Zone): Answer[] {
  if (negativeTtl === undefined) return [];
  const data = { mname: 'ns.test', rname: 'root.test', serial: 1, refresh: 60, retry: 60, expire: 60 };
  return [{ name: 'test', type: 'SOA', ttl: negativeTtl, data: { ...data, minimum: negativeTtl } }];
}

function forgeries({ id = 0, questions = [] }: DecodedPacket): Uint8Array[] {
  const [{ name = '', type = 'A' } = {}] = questions;
  const lie = (owner: string) => [{ name: owner, type: 'A' as const, ttl: defaultTtl, data: '192.88.99.1' }];
  const other = `x${name}`;
  return [
    encode({ type: 'response', id: (id + 1) % 0x10000, questions, answers: lie(name) }),
    encode({ type: 'response', id, questions: [{ name: other, type }], answers: lie(other) }),
    encode({ type: 'query', id, questions, answers: lie(name) }),
  ];
}

function read(octets: Uint8Array): DecodedPacket | undefined {
  try {
    return decode(Buffer.from(octets));
  } catch {
    return undefined;
  }
}
