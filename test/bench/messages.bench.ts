/** Messages from provider to provider, end to end and durable at both ends, beside two Postfix instances that do the same. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Figure } from './harness.ts';
import { benchBackends, say, undoAtEnd } from './provider/bench-provider.ts';
import { type Delivered, deliver, pairCount } from './provider/deliver-messages.ts';
import { type NoPostfix, type PostfixRelay, startPostfix } from './provider/postfix.ts';

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

/** One size beside Postfix. */
function besidePostfix(name: string, each: number, messageBytes: number | 'full', target: number): Figure {
  return {
    ...{ name, unit: 'messagesPerSecond', target, direction: 'at least' },
    limitIs: 'two Postfix instances with TLS 1.3 between them, from smtp-source into a Maildir',
    async prepare() {
      const mail = await relay();
      if ('skipped' in mail) return mail;
      const send = await deliver({ each, messageBytes });
      let last: Delivered | undefined;
      const ours = async (): Promise<number> => {
        last = await send();
        say(JSON.stringify(last.processorUs));
        return last.perSecond;
      };
      const count = each * pairCount;
      const bytes = messageBytes === 'full' ? 65_536 : messageBytes;
      const limit = async (): Promise<number> => count / (await mail.relay({ count, bytes }));
      return {
        async round(flip) {
          if (!flip) return { value: await ours(), limit: await limit() };
          const first = await limit();
          return { value: await ours(), limit: first };
        },
        details: () => ({ processorUsPerMessage: last?.processorUs }),
      };
    },
  };
}

export const post4kPostfix = besidePostfix('post-4k-postfix', 250, 4096, 2.5);
export const post64kPostfix = besidePostfix('post-64k-postfix', 128, 'full', 1.5);
