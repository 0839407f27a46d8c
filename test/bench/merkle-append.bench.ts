/**
 * A million appends to both trees of a container, in memory, root asked for once a batch of 100. The limit is the cost of
 * the first thousand: what an append costs must not grow with what is there.
 */
import { randomBytes } from 'node:crypto';
import { appendLeaf, emptyLog, encodeEdge, root } from '@meshd/dare/log-tree';
import { appendDare, emptyDareTree, encodeTree } from '@meshd/dare/merkle';
import { type Figure, secondsOf } from './harness.ts';

const appendCount = 1_000_000;
const sampleCount = 1000;
const batchCount = 100;
const inputCount = 4096;

export const merkleAppend: Figure = {
  name: 'merkle-append',
  unit: 'nsPerAppend',
  target: 1.5,
  direction: 'at most',
  limitIs: 'mean of the first 1,000 appends',
  prepare() {
    const digests = Array.from({ length: inputCount }, () => randomBytes(64));
    const leaves = Array.from({ length: inputCount }, () => randomBytes(32));
    let stateBytes = 0;
    let totalSeconds = 0;
    let rounds = 0;
    return {
      round() {
        let tree = emptyDareTree;
        let log = emptyLog;
        const append = (from: number, to: number): void => {
          for (let at = from; at < to; at += 1) {
            tree = appendDare(tree, digests[at % inputCount] as Uint8Array).state;
            log = appendLeaf(log, leaves[at % inputCount] as Uint8Array);
            if ((at + 1) % batchCount === 0) root(log);
          }
        };
        const first = secondsOf(() => append(0, sampleCount));
        const middle = secondsOf(() => append(sampleCount, appendCount - sampleCount));
        const last = secondsOf(() => append(appendCount - sampleCount, appendCount));
        stateBytes = encodeTree(tree).length + encodeEdge(log).length;
        totalSeconds += first + middle + last;
        rounds += 1;
        const ns = 1e9 / sampleCount;
        return { value: last * ns, limit: first * ns };
      },
      details: () => ({
        appends: appendCount,
        stateBytes,
        meanNsPerAppend: Math.round((totalSeconds / rounds / appendCount) * 1e9),
      }),
    };
  },
};
