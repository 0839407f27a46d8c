/**
 * How the engine is to collect memory in a service.
 *
 * What passes through a service lies in buffers outside the heap, several octets for each one within it, and the engine's own
 * bounds are made for the other kind of program. A buffer that is done with goes when the heap's young part is collected, which
 * by itself happens after 16 MB of small objects: by then hundreds of megabytes of buffers may wait for it. And buffers count
 * as growth of the heap, so that the whole of it was looked through every few megabytes, several times a second.
 *
 * So the young part is small, and the whole is looked through when it has doubled. That gave a third more messages of 64 KB,
 * and a router or a shard that streams to slow readers held half as much.
 *
 * What outlives a collection of the young part is what requests in work hold: half a megabyte. The engine wakes threads to share
 * that out among, and waits for them, every few milliseconds; alone it is done sooner (measured: a tenth of a router's work under
 * small requests, and as many more of them).
 */
import { setFlagsFromString } from 'node:v8';

/** For the command line of node: how the young part is collected is decided before any program runs. */
export const collectorArguments: readonly string[] = ['--max-semi-space-size=8', '--no-parallel-scavenge'];

/** What can be decided later; called once, before a service starts. */
export function tuneCollector(): void {
  setFlagsFromString('--heap-growing-percent=100');
}
