/** The tables of the outbox in memory: what the SQL of the shard does, without the database. */
import { sha512 } from '@meshd/crypto/digest';
import { makeEnvelope } from '@meshd/dare/envelope';
import type { DestinationState } from '@meshd/shard/outbox/destination';
import type { LeasedRow, OutboxRow, OutboxTables } from '@meshd/shard/storage/outbox-store';

/** A row, and who has it. */
interface KeptRow {
  row: OutboxRow;
  readonly bytes: number;
  leaseOwner: string | undefined;
  leaseUntilMs: number;
}

/** What a message looks like does not matter here; how large it is, its row says. */
const payload = new Uint8Array(1);
const frame = makeEnvelope({ header: { dig: 'S512' }, payload });
const payloadDigest = sha512(payload);

/** Rows that wait, by number and by lane. Rows are inserted in the order of their numbers and expire in that order. */
export class SimulatedOutbox {
  readonly #rows = new Map<number, KeptRow>();
  readonly #lanes = new Map<string, Map<number, KeptRow>>();
  readonly #states = new Map<string, DestinationState>();

  get size(): number {
    return this.#rows.size;
  }

  insert(row: OutboxRow, bytes: number): void {
    const kept: KeptRow = { row, bytes, leaseOwner: undefined, leaseUntilMs: 0 };
    this.#rows.set(row.id, kept);
    const key = keyOf(row);
    const lane = this.#lanes.get(key) ?? new Map<number, KeptRow>();
    lane.set(row.id, kept);
    this.#lanes.set(key, lane);
  }

  end(ids: readonly number[]): void {
    for (const id of ids) {
      const kept = this.#rows.get(id);
      if (kept === undefined) continue;
      this.#rows.delete(id);
      const key = keyOf(kept.row);
      const lane = this.#lanes.get(key);
      lane?.delete(id);
      if (lane?.size === 0) this.#lanes.delete(key);
    }
  }

  /** Octets of a leased row's message. */
  bytesOf(id: number): number {
    return this.#rows.get(id)?.bytes ?? 0;
  }

  readonly tables: OutboxTables = {
    lease: async ({ domain, lane, owner, nowMs, untilMs, rowsMax, bytesMax }) => {
      const rows = [...(this.#lanes.get(keyOf({ domain, lane }))?.values() ?? [])];
      const busy = rows.filter((each) => isLeased(each, nowMs));
      const leased: LeasedRow[] = [];
      if (busy.every(({ leaseOwner }) => leaseOwner === owner)) {
        const recipients = new Set(busy.map(({ row }) => row.recipient));
        const isFree = (each: KeptRow) => !isLeased(each, nowMs) && each.row.expiresAtMs > nowMs;
        let bytes = 0;
        for (const each of rows.filter((one) => isFree(one) && !recipients.has(one.row.recipient)).slice(0, rowsMax)) {
          bytes += each.bytes;
          if (leased.length > 0 && bytes > bytesMax) break;
          Object.assign(each, { leaseOwner: owner, leaseUntilMs: untilMs });
          leased.push({ ...each.row, frame, payloadDigest });
        }
      }
      return { rows: leased, rest: this.#rest({ domain, lane }, nowMs) };
    },
    giveBack: async (owner, rows) => {
      for (const { id, failure } of rows) {
        const kept = this.#rows.get(id);
        if (kept?.leaseOwner !== owner) continue;
        const attempts = kept.row.attempts + (failure === undefined ? 0 : 1);
        kept.row = { ...kept.row, attempts, lastFailure: failure ?? kept.row.lastFailure };
        Object.assign(kept, { leaseOwner: undefined, leaseUntilMs: 0 });
      }
    },
    laneRest: async (lane, nowMs) => this.#rest(lane, nowMs),
    rowsOf: async (ids) => ids.flatMap((id) => this.#rows.get(id)?.row ?? []),
    rows: async (choice, rowsMax) => {
      const nowMs = 'expiredMs' in choice ? choice.expiredMs : choice.nowMs;
      const found: OutboxRow[] = [];
      for (const each of this.#rows.values()) {
        if (found.length === rowsMax) break;
        if ('expiredMs' in choice && each.row.expiresAtMs > nowMs) break;
        if ('domain' in choice && each.row.domain !== choice.domain) continue;
        if (!isLeased(each, nowMs)) found.push(each.row);
      }
      return found;
    },
    waiting: async ({ domain, afterId, nowMs }, rowsMax) =>
      [...this.#rows.values()]
        .filter(({ row }) => row.domain === domain && row.id > afterId)
        .sort((a, b) => a.row.id - b.row.id)
        .slice(0, rowsMax)
        .map((each) => ({ ...each.row, leased: isLeased(each, nowMs) })),
    rowsOfFrames: async (containerId, frameIndexes) =>
      [...this.#rows.values()]
        .map(({ row }) => row)
        .filter((row) => row.containerId === containerId && frameIndexes.includes(row.frameIndex)),
    lanes: async (after, lanesMax) => {
      const found = [...this.#lanes.values()].flatMap((rows) => {
        const [first] = rows.values();
        return first === undefined ? [] : [{ domain: first.row.domain, lane: first.row.lane }];
      });
      return found
        .filter((each) => isBehind(each, after) && this.#states.get(each.domain)?.held !== true)
        .sort((a, b) => (isBehind(a, b) ? 1 : -1))
        .slice(0, lanesMax)
        .map((each) => ({ ...each, dueMs: this.#states.get(each.domain)?.nextAttemptMs ?? 0 }));
    },
    lanesOf: async (domain) =>
      [...this.#lanes.values()].flatMap((rows) => {
        const [first] = rows.values();
        return first?.row.domain === domain ? [first.row.lane] : [];
      }),
    destination: async (domain) => this.#states.get(domain),
    saveDestination: async (domain, state) => {
      this.#states.set(domain, state);
    },
    domains: async (after, domainsMax) => {
      const rows = [...this.#rows.values()].map(({ row }) => row.domain);
      const all = [...new Set([...rows, ...this.#states.keys()])].filter((domain) => domain > after);
      return all.sort().slice(0, domainsMax);
    },
    count: async (domain, nowMs, agesMs) => {
      const own = [...this.#rows.values()].filter(({ row }) => row.domain === domain);
      const oldestQueuedMs = Math.min(...own.map(({ row }) => row.queuedAtMs), Number.POSITIVE_INFINITY);
      return {
        ...{ domain, rows: own.length, leased: own.filter((each) => isLeased(each, nowMs)).length },
        ...{ oldestQueuedMs: Number.isFinite(oldestQueuedMs) ? oldestQueuedMs : 0, rowsByAge: agesMs.map(() => 0) },
      };
    },
    forgetDestinations: async (beforeMs) => {
      for (const [domain, state] of this.#states) {
        const heardMs = Math.max(state.lastFailureMs, state.lastSuccessMs);
        if (!state.held && heardMs < beforeMs) this.#states.delete(domain);
      }
    },
  };

  #rest(lane: { domain: string; lane: number }, nowMs: number) {
    const rows = [...(this.#lanes.get(keyOf(lane))?.values() ?? [])];
    const ends = rows.filter((each) => isLeased(each, nowMs)).map(({ leaseUntilMs }) => leaseUntilMs);
    return {
      free: rows.some((each) => !isLeased(each, nowMs) && each.row.expiresAtMs > nowMs),
      leasedUntilMs: ends.length === 0 ? null : Math.min(...ends),
    };
  }
}

const isLeased = ({ leaseOwner, leaseUntilMs }: KeptRow, nowMs: number): boolean =>
  leaseOwner !== undefined && leaseUntilMs > nowMs;
const keyOf = ({ domain, lane }: { domain: string; lane: number }): string => `${domain}/${lane}`;
const isBehind = (a: { domain: string; lane: number }, b: { domain: string; lane: number }): boolean =>
  a.domain === b.domain ? a.lane > b.lane : a.domain > b.domain;
