/**
 * Carries messages to other services: one Post under one deadline that includes discovery, and a typed outcome. It opens
 * connections and verifies answers; when to try again is for others.
 */
import { BindingError } from '@meshd/binding/errors';
import { statusRegistry } from '@meshd/schema/status';
import { arrangePosts } from './arrange.js';
import type { Batch, Carrier, CarryFailure, CarryOutcome, LeasedRow, RowResult } from './carrier.js';
import { failureOf, judgeResponse, type Verdict } from './outcome.js';
import type { Peers } from './peers.js';
import { ReceiptError, verifyReceipt } from './receipt.js';

/** The reason with which messages for a service without `auth-1` come back (S75). */
const unproved = statusRegistry['peer-unproved'].extended ?? 0;

/** What {@link postCarrier} needs. */
export interface PostCarrierOptions {
  readonly peers: Peers;
  /** Told of every receipt that came or did not; an error says why it counts as none. */
  readonly onReceipt: (domain: string, receipt: 'valid' | 'absent' | ReceiptError) => void;
}

/** A carrier to other services. */
export function postCarrier({ peers, onReceipt }: PostCarrierOptions): Carrier {
  /** A receipt that proves nothing is none; the message was accepted all the same. */
  const receiptOf = async (domain: string, row: LeasedRow, verdict: Verdict): Promise<RowResult> => {
    if (verdict.kind === 'refused') return { ...verdict, reason: 'rejected' };
    if (verdict.kind === 'unsaid') return { kind: 'failed', reason: 'the answer says nothing of it' };
    const { receipt } = verdict;
    if (receipt === undefined) {
      onReceipt(domain, 'absent');
      return { kind: 'delivered', receipt: undefined };
    }
    try {
      await verifyReceipt(receipt, row, peers.judgeHost(domain));
      onReceipt(domain, 'valid');
      return { kind: 'delivered', receipt };
    } catch (error) {
      if (!(error instanceof ReceiptError)) throw error;
      onReceipt(domain, error);
      return { kind: 'delivered', receipt: undefined };
    }
  };

  const carry = async (domain: string, batch: Batch, deadlineMs: number): Promise<CarryOutcome> => {
    const message = {
      Accounts: [...new Set(batch.map(({ recipient }) => recipient))],
      Message: batch.map((row) => row.message),
    };
    const response = await peers.connection(domain).post(message, { deadlineMs });
    if (response.status === statusRegistry['too-large'].status) peers.forgetConstraints(domain);
    const judged = judgeResponse(response, batch);
    if (judged.kind !== 'entries') return judged;
    const results = [...judged.verdicts].map(
      async ([row, verdict]) => [row, await receiptOf(domain, row, verdict)] as const,
    );
    return { kind: 'answered', results: new Map(await Promise.all(results)) };
  };

  return {
    plan: async (domain, rows, batchBytesMax, deadlineMs) => {
      try {
        return arrangePosts(rows, await peers.constraints(domain, deadlineMs), batchBytesMax);
      } catch (error) {
        const isMute = error instanceof BindingError && error.code === 'feature-missing';
        if (isMute && !(await peers.isPinned(domain))) {
          return { kind: 'refused', statusExtended: unproved, reason: 'the service cannot prove its answers' };
        }
        return failureOf(error);
      }
    },
    carry: (domain, batch, deadlineMs) =>
      carry(domain, batch, deadlineMs).catch((error): CarryFailure => failureOf(error)),
  };
}
