/** Whether time tells who lives at a provider (S80): another service's Posts to an account and to a name that nobody has. */
import { join } from 'node:path';
import { ServiceLocator } from '@meshd/binding/discovery/service-locator';
import { readDiscoverySettings } from '@meshd/binding/discovery/settings';
import { loadHostIdentity } from '@meshd/binding/host-files';
import { PeerConnection } from '@meshd/binding/peer-connection';
import { memoryPinStore } from '@meshd/binding/pins';
import { waitFor } from '@meshd/dev/wait';
import { outboundTransactionMsMax } from '@meshd/limits/limits';
import { statusRegistry } from '@meshd/schema/status';
import type { Figure } from './harness.ts';
import { undoAtEnd } from './provider/bench-provider.ts';
import { recipients, senders } from './provider/deliver-messages.ts';
import { twoProviders } from './provider/two-providers.ts';
import { rankTest } from './rank-test.ts';

/** Posts of each kind in a round. */
const each = 100;
/** p below this is taken for a difference (S80). */
const significance = 0.01;
/** Not one that strangers may send, so that no limit of the domain is used up: both are rejected. */
const type = 'BenchText';

/** Times of both, in turns by chance, judged by their ranks. */
export const rankKnownRecipient: Figure = {
  ...{ name: 'rank-known-recipient', unit: 'probability', target: 1, direction: 'at least' },
  limitIs: 'p = 0.01 of a rank test: below it the two kinds of recipients differ in time',
  async prepare() {
    const { alpha, beta, people } = await twoProviders();
    await people.call('open', { senders, recipients });
    const host = await loadHostIdentity(join(alpha.plan.serviceFolder, 'outbound'));
    const places = readDiscoverySettings({ overrides: `beta.test=127.0.0.1:${beta.port}` });
    const clock = (): number => Date.now();
    const link = new PeerConnection({
      ...{ domain: 'beta.test', locator: new ServiceLocator({ ...places, reach: 'any', clock }), clock },
      ...{ host: () => host, pins: memoryPinStore(), ca: beta.ca },
    });
    undoAtEnd(async () => link.stop());
    const [writer = ''] = senders;
    type Message = Awaited<ReturnType<typeof messagesTo>>[number];
    const send = (recipient: string, message: Message) =>
      link.post({ Accounts: [recipient], Message: [message] }, { deadlineMs: clock() + outboundTransactionMsMax });
    const post = async (recipient: string, message: Message) => {
      const start = performance.now();
      const { status, message: answer } = await send(recipient, message);
      const tookMs = performance.now() - start;
      if (answer.Entries?.[0]?.Result !== 'Reject') throw new Error(`a stranger's message was not rejected: ${status}`);
      return tookMs;
    };
    const messagesTo = (to: readonly string[]) => people.call('messagesTo', { sender: writer, type, to });
    // Beta asks for alpha's pin when it first hears of it; no other figure need have been measured before.
    const [someone = ''] = recipients;
    const knows = async () => {
      const [message] = await messagesTo([someone]);
      const { status } = await send(someone, message as Message);
      return status === statusRegistry['service-unverified'].status ? undefined : true;
    };
    await waitFor(knows, { what: 'beta to know alpha', deadlineMs: 30_000, pauseMs: 500 });
    let made = 0;
    return {
      async round() {
        // Accounts that did not allow this writer, and names of the same form.
        const known = Array.from({ length: each }, (_, at) => recipients[1 + (at % (recipients.length - 1))] as string);
        const invented = known.map(() => {
          made += 1;
          return `reader-${1000 + made}@beta.test`;
        });
        const order = crypto.getRandomValues(new Uint32Array(2 * each));
        const both = [...known, ...invented]
          .map((recipient, at) => ({ recipient, isKnown: at < each, place: order[at] as number }))
          .sort((a, b) => a.place - b.place);
        const messages = await messagesTo(both.map(({ recipient }) => recipient));
        const times = { known: [] as number[], invented: [] as number[] };
        for (const [at, { recipient, isKnown }] of both.entries()) {
          const tookMs = await post(recipient, messages[at] as (typeof messages)[number]);
          times[isKnown ? 'known' : 'invented'].push(tookMs);
        }
        return { value: rankTest(times.known, times.invented), limit: significance };
      },
    };
  },
};
