/** What is played in the demo, step by step. */
import { writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { DemoPerson } from './demo-people.js';
import type { Stage } from './demo-stage.js';
import { display, explain, heading } from './demo-voice.js';

/** A message that was sent, and whether it has arrived. */
interface Sent {
  readonly id: string;
  readonly from: DemoPerson;
  readonly to: DemoPerson;
  readonly what: string;
}

/** How it ended. */
export interface Played {
  readonly sentCount: number;
  readonly arrivedCount: number;
}

const isDelivered = ({ result }: { readonly result: string }) => result === 'delivered';

class Play {
  readonly #stage: Stage;
  readonly #alice: DemoPerson;
  readonly #bob: DemoPerson;
  readonly #operator: DemoPerson;
  readonly #sent: Sent[] = [];
  #arrivedCount = 0;

  constructor(stage: Stage, signal: AbortSignal) {
    const { alpha, beta, people, dns } = stage;
    this.#stage = stage;
    this.#alice = new DemoPerson('alice', alpha.domain, people, dns.address, signal);
    this.#bob = new DemoPerson('bob', beta.domain, people, dns.address, signal);
    this.#operator = new DemoPerson('operator', alpha.domain, people, dns.address, signal);
  }

  async run(): Promise<Played> {
    this.#theStage();
    await this.#accounts();
    await this.#cards();
    await this.#there();
    await this.#back();
    await this.#outage();
    await this.#summary();
    return { sentCount: this.#sent.length, arrivedCount: this.#arrivedCount };
  }

  #theStage(): void {
    const { alpha, beta, dns, records } = this.#stage;
    heading('Two providers, and a DNS server');
    explain(
      `${alpha.domain} and ${beta.domain} run now, each with its own router, two shards, outbound worker, Postgres and Redis. ` +
        `They share nothing and have never heard of each other. What they can know, the DNS server at ${dns.address} tells:`,
    );
    display(records.map(recordText).join('\n'));
    explain(
      'Alice has an account at the one, Bob at the other. Each types in a terminal of her or his own; keys and replicas of ' +
        'Alice are in a folder of hers, those of Bob in one of his, and nowhere else.',
    );
  }

  async #accounts(): Promise<void> {
    heading('Accounts');
    explain(
      'The device makes all keys and profiles itself. It finds the service by its domain, verifies the signatures of its ' +
        'host and remembers (pins) the key of the service: from now on no other service can pass for it.',
    );
    const { caName } = this.#stage;
    await this.#alice.types('account', 'create', this.#alice.address, '--ca', caName);
    await this.#bob.types('account', 'create', this.#bob.address, '--ca', caName);
  }

  async #cards(): Promise<void> {
    const [alice, bob] = [this.#alice, this.#bob];
    heading('Cards');
    explain(
      'Messages of strangers are refused, whatever they say. So Alice and Bob exchange cards (on paper, by another channel: ' +
        'here, as files), and say that they take messages of each other. A card holds the keys of an account; ' +
        'what is sent to Bob will be encrypted to his, and Alice will believe nobody else who says that he is Bob.',
    );
    await alice.types('contact', 'card', '--file', 'alice.card');
    await bob.types('contact', 'card', '--file', 'bob.card');
    await alice.types('contact', 'allow', bob.address, '--card', 'bob.card');
    await bob.types('contact', 'allow', alice.address, '--card', 'alice.card');
  }

  async #there(): Promise<void> {
    const [alice, bob] = [this.#alice, this.#bob];
    const { alpha, beta, dns, people } = this.#stage;
    heading('A message from Alice to Bob');
    await writeFile(join(people, 'note.txt'), 'Lunch on Thursday, at the old mill?\n');
    await alice.types('message', 'send', bob.address, '--type', 'Note', '--file', 'note.txt');
    const id = await this.#note(alice, bob, 'note.txt');
    explain(
      `"Sent" means that ${alpha.domain} has taken responsibility: one database transaction has put the message into Alice's ` +
        `outbound spool and a row into the outbox of her shard. The outbound worker leases the row, asks the DNS where ` +
        `${beta.domain} is, connects by TLS 1.3, and posts the message under the credentials of its host.`,
    );
    explain(
      `${beta.domain} has never heard of ${alpha.domain}: it says "come back", asks ${alpha.domain} who it is, and pins it. ` +
        'At the second attempt it verifies the host, the signature of her device, and that Bob takes messages of her; ' +
        'it commits, and signs a receipt.',
    );
    await this.#untilArrived(id);
    const asked = await dns.asked(`SRV _mmm._tcp.${beta.domain}`);
    display(`the DNS server was asked for the place of ${beta.domain}: ${asked} times so far`);
    await alice.types('message', 'status', id);
    await bob.types('message', 'list');
    await bob.types('message', 'show', id);
    explain('Neither provider could read it: his own device has decrypted it, after verifying who wrote it.');
  }

  async #back(): Promise<void> {
    const [alice, bob] = [this.#alice, this.#bob];
    heading('Bob answers');
    await bob.pipes('{"Text": "Gladly. Half past twelve."}', ...['message', 'send', alice.address], ...note);
    const id = await this.#note(bob, alice, 'the answer');
    await this.#untilArrived(id);
    await alice.types('message', 'list');
    await alice.types('message', 'show', id);
  }

  async #outage(): Promise<void> {
    const [alice, bob, operator] = [this.#alice, this.#bob, this.#operator];
    const { alpha, beta, people } = this.#stage;
    const data = relative(people, alpha.data);
    heading(`${beta.domain} is down for a while`);
    explain(`The router of ${beta.domain} is stopped. Alice does not know that, and writes.`);
    await beta.local.processes.stopOne('router');
    await alice.pipes('{"Text": "I will bring the maps."}', ...['message', 'send', bob.address], ...note);
    const id = await this.#note(alice, bob, 'the message during the outage');
    explain(
      'It is committed at her provider, so nothing is lost. The attempts fail; the destination rests, twice as long after ' +
        'each failure, and the message waits, for 48 hours if it must.',
    );
    await alice.sees(id, ({ result, attempts = 0 }) => result === 'queued' && attempts > 0);
    await alice.types('message', 'status', id);
    explain(`The operator of ${alpha.domain} sees what waits, and for whom:`);
    await operator.operates('queue', 'shape', '--data', data);
    await operator.operates('destination', 'show', beta.domain, '--data', data);
    explain(`${beta.domain} is started again. The operator need not do anything, but can have it tried at once:`);
    await beta.local.processes.startOne('router');
    await operator.operates('queue', 'retry', beta.domain, '--data', data);
    await this.#untilArrived(id);
    await alice.types('message', 'status', id);
    await bob.types('message', 'list');
  }

  async #summary(): Promise<void> {
    heading('What has arrived');
    const lines: string[] = [];
    for (const { id, from, to, what } of this.#sent) {
      const { messages } = await to.asks('message', 'list');
      const { deliveries } = await from.asks('message', 'status', id);
      const count = messages.filter((message: { id: string }) => message.id === id).length;
      const isRight = count === 1 && deliveries.every(isDelivered);
      if (isRight) this.#arrivedCount += 1;
      lines.push(`${isRight ? 'arrived once' : `arrived ${count} times`}  ${from.address} -> ${to.address}  ${what}`);
    }
    display(lines.join('\n'));
    explain(
      `${this.#arrivedCount} of ${this.#sent.length} messages arrived, each exactly once, with a signed receipt.`,
    );
  }

  async #note(from: DemoPerson, to: DemoPerson, what: string): Promise<string> {
    const id = await from.newestSent();
    this.#sent.push({ id, from, to, what });
    return id;
  }

  async #untilArrived(id: string): Promise<void> {
    const sent = this.#sent.find((each) => each.id === id);
    await sent?.to.receives(id);
    await sent?.from.sees(id, isDelivered);
  }
}

const note = ['--type', 'Note', '--file', '-'];

function recordText({ name, type, data }: Stage['records'][number]): string {
  const { port, target } = data as { port?: number; target?: string };
  const said = type === 'SRV' ? `0 0 ${port} ${target}` : type === 'TXT' ? JSON.stringify((data as string[])[0]) : data;
  return `${name.padEnd(22)} ${type.padEnd(4)} ${said}`;
}

/** Plays it. @throws DemoError where a command fails or a message does not arrive in time */
export function play(stage: Stage, signal: AbortSignal): Promise<Played> {
  return new Play(stage, signal).run();
}
