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
  /** Octets of messages a second, between the first that were seen in a spool and the last. */
  readonly steadyBytesPerSecond: number;
  /** Processor time of each message at each process, microseconds. */
  readonly processorUs: Readonly<Record<string, number>>;
}

/** What is sent. */
export interface DeliveryPlan {
  /** Messages of each pair. */
  readonly each: number;
  readonly messageBytes: number | 'full';
  /** Recipients at beta; as many as there are senders. */
  readonly to?: readonly string[];
}

/** Makes the people of a run; the function sends, and waits until the last message is filed. */
export async function deliver({
  each,
  messageBytes,
  to = recipients,
}: DeliveryPlan): Promise<() => Promise<Delivered>> {
  const { alpha, beta, people } = await twoProviders();
  await people.call('open', { senders, recipients: to });
  const looks = await Looks.open(beta);
  const queue = await Looks.open(alpha);
  const domain = (to[0] as string).split('@')[1] as string;
  const filed = async (): Promise<number> => [...(await looks.inbound(to)).values()].reduce((all, one) => all + one, 0);
  return async () => {
    const plan = { senders, recipients: to.map((one) => [one]), each, messageBytes, messagesPerPost };
    const bytes = await people.call('prepare', plan);
    await checkpoint();
    const processorMs = await countProcessorTime([alpha, beta]);
    const before = await filed();
    const count = each * to.length;
    const start = performance.now();
    let first: { atMs: number; count: number } | undefined;
    const posted = people.call('post', alpha.target).then(() => performance.now());
    await waitFor(
      async () => {
        const now = (await filed()) - before;
        if (first === undefined && now > 0) first = { atMs: performance.now(), count: now };
        return now >= count ? true : undefined;
      },
      { what: 'the last message in its spool', deadlineMs: deliveryMsMax, pauseMs: lookMs },
    );
    const endMs = performance.now();
    const takenMs = Math.round((await posted) - start);
    say(`${count} messages: taken after ${takenMs} ms, filed after ${Math.round(endMs - start)} ms`);
    const used = Object.entries(await processorMs()).map(([name, ms]) => [name, Math.round((1000 * ms) / count)]);
    // What is left is settling, of which the next round must not be made to pay.
    await waitFor(async () => ((await queue.waiting(domain)) === 0 ? true : undefined), {
      ...{ what: 'an empty outbox', deadlineMs: deliveryMsMax, pauseMs: lookMs },
    });
    const { atMs, count: firstCount } = first ?? { atMs: start, count: 0 };
    return {
      perSecond: (count * 1000) / (endMs - start),
      steadyBytesPerSecond: ((count - firstCount) * bytes * 1000) / Math.max(endMs - atMs, 1),
      processorUs: Object.fromEntries(used),
    };
  };
}

/** What a figure of a process said, all its labels together, by the words that its name and labels hold. */
export async function counted(adminUrl: string, name: string, words: string): Promise<number> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text();
  return text
    .split('\n')
    .filter((line) => line.startsWith(name) && line.includes(words))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}
