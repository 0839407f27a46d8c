/** A run of messages from alpha's people to beta's: from the first that is posted to the last that is filed, and committed. */
import { waitFor } from '@meshd/dev/wait';
import { checkpoint, say } from './bench-provider.ts';
import { countProcessorTime } from './processor-time.ts';
import { Looks, twoProviders } from './two-providers.ts';

/** Pairs of people: each sender writes to one recipient, all recipients are of one domain. */
export const pairCount = 16;
export const names = (prefix: string, suffix = '') =>
  Array.from({ length: pairCount }, (_, at) => `${prefix}-${at}${suffix}`);
export const senders = names('writer');
export const recipients = names('reader', '@beta.test');
/** Messages of one Post of a device: it hands over what it has. */
const messagesPerPost = 4;
const lookMs = 20;
export const deliveryMsMax = 300_000;

/** One run. */
export interface Delivered {
  readonly perSecond: number;
  /** Processor time of each message at each process, microseconds. */
  readonly processorUs: Readonly<Record<string, number>>;
}

/** Sends so many messages of a size by all pairs, and waits until the last one is filed. */
export async function deliver(
  each: number,
  messageBytes: number | 'full',
  to = recipients,
): Promise<() => Promise<Delivered>> {
  const { alpha, beta, people } = await twoProviders();
  await people.call('open', { senders, recipients: to });
  const looks = await Looks.open(beta);
  const queue = await Looks.open(alpha);
  const sum = async (): Promise<number> => [...(await looks.inbound(to)).values()].reduce((all, one) => all + one, 0);
  return async () => {
    await people.call('prepare', { senders, recipients: to, each, messageBytes, messagesPerPost });
    await checkpoint();
    const processorMs = await countProcessorTime([alpha, beta]);
    const before = await sum();
    const wanted = before + each * to.length;
    const start = performance.now();
    const posted = people.call('post', alpha.target);
    await posted;
    const takenMs = performance.now() - start;
    await waitFor(async () => ((await sum()) >= wanted ? true : undefined), {
      ...{ what: 'the last message in its spool', deadlineMs: deliveryMsMax, pauseMs: lookMs },
    });
    const seconds = (performance.now() - start) / 1000;
    say(
      `${each * to.length} messages: taken after ${Math.round(takenMs)} ms, filed after ${Math.round(seconds * 1000)} ms`,
    );
    // What is left is settling, of which the next round must not be made to pay.
    await waitFor(async () => ((await queue.waiting('beta.test')) === 0 ? true : undefined), {
      ...{ what: 'an empty outbox', deadlineMs: deliveryMsMax, pauseMs: lookMs },
    });
    const count = each * to.length;
    const used = Object.entries(await processorMs()).map(([name, ms]) => [name, Math.round((1000 * ms) / count)]);
    return { perSecond: count / seconds, processorUs: Object.fromEntries(used) };
  };
}
