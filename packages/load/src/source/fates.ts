/** How messages ended, by the marks in their sender's outbound spool. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Device } from '@meshd/client/device';
import { type DeliveryResult, listMessages } from '@meshd/client/operations/messages';
import { sourceLookMs } from '@meshd/limits/load';

/**
 * Looks again and again until all of them have ended or the time is over.
 *
 * @param ids `UniqueID` of each
 * @param waitMs how long at most
 * @returns what became of each; `queued`: not ended yet
 * @throws ClientError
 */
export async function fatesOf(
  device: Device,
  ids: readonly string[],
  waitMs: number,
): Promise<ReadonlyMap<string, DeliveryResult>> {
  const wanted = new Set(ids);
  const endMs = performance.now() + waitMs;
  for (;;) {
    const { messages } = await listMessages(device, 'outbound');
    const fates = new Map(
      messages
        .filter(({ id }) => wanted.has(id))
        .map(({ id, deliveries }) => [id, deliveries[0]?.result ?? 'queued'] as const),
    );
    const isOver = ids.every((id) => (fates.get(id) ?? 'queued') !== 'queued');
    if (isOver || performance.now() >= endMs) return fates;
    await sleep(sourceLookMs);
  }
}
