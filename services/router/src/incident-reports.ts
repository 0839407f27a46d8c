/**
 * What the router refuses and an operator should be able to look up (R030): shards keep the spool of incidents, so one of them
 * is told, at once and then once in a while with the number of those between. Nobody waits for it, and what does not arrive
 * is in the log and the figures all the same.
 */
import { transactionMsMax } from '@meshd/limits/limits';
import { incidentReportMs, incidentReportsMax, incidentSubjectsMax, incidentTextMax } from '@meshd/limits/requesters';
import type { Clock } from '@meshd/process/clock';
import { Tally } from '@meshd/process/tally';
import type { Logger } from '@meshd/telemetry/logger';
import type { ShardRouter } from './shard-router.js';

/** Something that was refused. */
export interface RefusedIncident {
  /** `host-refused`: another service asked for what it may not, or in another one's name. `requester-barred`: for abuse. */
  readonly kind: 'host-refused' | 'requester-barred';
  /** Who asked: `source 203.0.113.7`, `service alpha.test`, `account bob@example.com`. */
  readonly by: string;
  /** Of ours, where it is about one. */
  readonly account?: string;
  readonly detail: string;
}

/** What {@link IncidentReports} needs. */
export interface IncidentReportsOptions {
  readonly shards: Pick<ShardRouter, 'transact'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Tells shards. */
export class IncidentReports {
  readonly #options: IncidentReportsOptions;
  readonly #tally = new Tally({ everyMs: incidentReportMs, subjectsMax: incidentSubjectsMax });
  #onTheirWay = 0;

  constructor(options: IncidentReportsOptions) {
    this.#options = options;
  }

  /** Notes an incident. */
  note({ kind, by, account = '', detail }: RefusedIncident): void {
    const { clock, logger } = this.#options;
    if (this.#onTheirWay >= incidentReportsMax) return;
    const times = this.#tally.count(`${kind} ${by}`, clock());
    if (times === undefined) return;
    this.#onTheirWay += 1;
    this.#tell({ kind, by, account, detail: detail.slice(0, incidentTextMax), times })
      .catch((error) => logger.debug({ err: error, kind, by }, 'an incident was not recorded'))
      .finally(() => {
        this.#onTheirWay -= 1;
      });
  }

  /** Always the same shard of one requester, which counts for all routers. */
  async #tell(value: { kind: string; by: string; account: string; detail: string; times: number }): Promise<void> {
    const { shards, clock } = this.#options;
    const place = value.account === '' ? value.by : value.account;
    const call = { account: place, identity: undefined, deadlineMs: clock() + transactionMsMax };
    const { outcome } = await shards.transact(call, { $case: 'noteIncident', value });
    if (outcome.error !== '') throw new Error(`the shard says ${outcome.error}`);
  }
}
