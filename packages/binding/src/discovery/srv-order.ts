import type { Random } from '@meshd/crypto/random';

/** One SRV record: where a service may be. */
export interface SrvRecord {
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  /** Name of a host; empty for the `.` that says that there is no such service. */
  readonly target: string;
}

/**
 * The order in which places are to be tried (RFC 2782): lower priorities first, and within one priority drawn by weight.
 *
 * Whoever leaves out some of the result gets the order that drawing among the others would have given, so unfit hosts
 * need not be known before (semantics 2.1 step 1).
 */
export function orderBySrv<R extends Pick<SrvRecord, 'priority' | 'weight'>>(
  records: readonly R[],
  random: Random,
): R[] {
  const priorities = [...new Set(records.map(({ priority }) => priority))].sort((a, b) => a - b);
  return priorities.flatMap((priority) =>
    drawByWeight(
      records.filter((record) => record.priority === priority),
      random,
    ),
  );
}

function drawByWeight<R extends Pick<SrvRecord, 'weight'>>(records: readonly R[], random: Random): R[] {
  // Those of weight 0 stand first, where a draw of exactly 0 finds them: seldom, and not never.
  const left = [...records].sort((a, b) => Math.sign(a.weight) - Math.sign(b.weight));
  const drawn: R[] = [];
  while (left.length > 0) {
    const total = left.reduce((sum, { weight }) => sum + weight, 0);
    const draw = Math.floor(fraction(random) * (total + 1));
    let sum = 0;
    const at = left.findIndex(({ weight }) => {
      sum += weight;
      return sum >= draw;
    });
    drawn.push(...left.splice(at, 1));
  }
  return drawn;
}

/** Evenly from 0 up to, and never, 1. */
function fraction(random: Random): number {
  return Buffer.from(random(4)).readUInt32BE() / 2 ** 32;
}
