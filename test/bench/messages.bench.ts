/** Messages from provider to provider, end to end and durable at both ends, beside two Postfix instances that do the same. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { waitFor } from '@meshd/dev/wait';
import type { Figure } from './harness.ts';
import { benchBackends, checkpoint, say, undoAtEnd } from './provider/bench-provider.ts';
import { type NoPostfix, type PostfixRelay, startPostfix } from './provider/postfix.ts';
import { Looks, twoProviders } from './provider/two-providers.ts';

/** Pairs of people: each sender writes to one recipient, all recipients are of one domain. */
const pairCount = 16;
const names = (prefix: string, suffix = '') => Array.from({ length: pairCount }, (_, at) => `${prefix}-${at}${suffix}`);
const senders = names('writer');
const recipients = names('reader', '@beta.test');
/** Messages of one Post of a device: it hands over what it has. */
const messagesPerPost = 4;
const lookMs = 20;
const deliveryMsMax = 300_000;

let postfix: Promise<PostfixRelay | NoPostfix> | undefined;

function relay(): Promise<PostfixRelay | NoPostfix> {
  postfix ??= (async () => {
    const folder = join((await benchBackends()).folder, 'postfix');
    await mkdir(folder);
    const started = await startPostfix(folder);
    if ('stop' in started) undoAtEnd(() => started.stop());
    return started;
  })();
  return postfix;
}

/** Sends so many messages of a size by all pairs; returns messages a second until the last one is filed. */
async function deliver(each: number, messageBytes: number | 'full', to = recipients): Promise<() => Promise<number>> {
  const { alpha, beta, people } = await twoProviders();
  await people.call('open', { senders, recipients: to });
  const looks = await Looks.open(beta);
  const queue = await Looks.open(alpha);
  const sum = async (): Promise<number> => [...(await looks.inbound(to)).values()].reduce((all, one) => all + one, 0);
  return async () => {
    await people.call('prepare', { senders, recipients: to, each, messageBytes, messagesPerPost });
    await checkpoint();
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
    return (each * to.length) / seconds;
  };
}

/** One size beside Postfix. */
function besidePostfix(name: string, each: number, messageBytes: number | 'full', target: number): Figure {
  return {
    ...{ name, unit: 'messagesPerSecond', target, direction: 'at least' },
    limitIs: 'two Postfix instances with TLS 1.3 between them, from smtp-source into a Maildir',
    async prepare() {
      const mail = await relay();
      if ('skipped' in mail) return mail;
      const ours = await deliver(each, messageBytes);
      const count = each * pairCount;
      const bytes = messageBytes === 'full' ? 65_536 : messageBytes;
      const limit = async (): Promise<number> => count / (await mail.relay({ count, bytes }));
      return {
        async round(flip) {
          if (!flip) return { value: await ours(), limit: await limit() };
          const first = await limit();
          return { value: await ours(), limit: first };
        },
      };
    },
  };
}

export const post4kPostfix = besidePostfix('post-4k-postfix', 125, 4096, 2.5);
export const post64kPostfix = besidePostfix('post-64k-postfix', 32, 'full', 1.5);
