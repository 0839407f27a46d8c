/** `mesh-admin queue`, `mesh-admin destination`: messages that wait for other services, and what is known of these. */
import { destinationsListedMax, waitingShown, waitingShownMax } from '@meshd/limits/outbox';
import type { Destination } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import type { OperatedShards } from '@meshd/rpc/operator';
import type { Command } from 'commander';
import { commandGroup } from '../command-group.js';
import { type CommandIo, UsageError } from '../command-io.js';
import { ageHeads, type DestinationView, type ShardDestination, viewsOf } from '../destination-view.js';
import { domainArgument, integerArgument } from '../device-environment.js';
import { currentMs } from '../environment.js';
import { failureText } from '../failure-text.js';
import { type OperatorFlags, operatorOptions, withOperatedShards } from '../operator-shards.js';
import { textTable } from '../table.js';
import { waitingJson, waitingMessages, waitingText } from '../waiting-messages.js';
import { durationText, isoTime, timeText } from '../when.js';

type Told = { readonly shard: string; readonly destination: Destination };

/** What every shard knows of one destination. */
async function askOne(shards: OperatedShards, domain: string): Promise<DestinationView> {
  const value = { domain, afterDomain: '', destinationsMax: 1 };
  const told = shards.names.map(async (shard) => {
    const { destinations } = await shards.ask(shard, { $case: 'listDestinations', value }, 'listDestinations');
    return destinations.map((destination): Told => ({ shard, destination }));
  });
  const [view] = viewsOf((await Promise.all(told)).flat());
  if (view === undefined) throw new Error(`no shard knows of ${domain}`);
  return view;
}

async function askShard(shards: OperatedShards, shard: string): Promise<Told[]> {
  const told: Told[] = [];
  for (let afterDomain = ''; ; ) {
    const value = { domain: '', afterDomain, destinationsMax: destinationsListedMax };
    const page = await shards.ask(shard, { $case: 'listDestinations', value }, 'listDestinations');
    told.push(...page.destinations.map((destination) => ({ shard, destination })));
    const last = page.destinations.at(-1);
    if (!page.more || last === undefined) return told;
    afterDomain = last.domain;
  }
}

async function askAll(shards: OperatedShards): Promise<DestinationView[]> {
  return viewsOf((await Promise.all(shards.names.map((shard) => askShard(shards, shard)))).flat());
}

function shardJson({ shard, state, failures, lastFailure, ...said }: ShardDestination) {
  const { lastSuccessMs, nextAttemptMs, rows, leased, oldestQueuedMs, rowsByAge } = said;
  return {
    ...{ shard, state, failures, lastFailure: lastFailure || null, rows, leased, rowsByAge },
    ...{ lastSuccess: isoTime(lastSuccessMs || undefined), nextAttempt: isoTime(nextAttemptMs || undefined) },
    oldest: isoTime(oldestQueuedMs || undefined),
  };
}

function viewJson({ domain, state, rows, leased, oldestQueuedMs, rowsByAge, shards }: DestinationView) {
  return {
    ...{ destination: domain, state, rows, leased, oldest: isoTime(oldestQueuedMs), rowsByAge },
    shards: shards.map(shardJson),
  };
}

const messages = (count: number) => `${count} ${count === 1 ? 'message' : 'messages'}`;
const ageOf = (queuedMs: number | undefined, nowMs: number) =>
  queuedMs === undefined ? '-' : durationText(nowMs - queuedMs);

const countsOf = ({ rows, leased, rowsByAge }: Pick<DestinationView, 'rows' | 'leased' | 'rowsByAge'>) => [
  ...[rows, leased],
  ...rowsByAge,
];

/** Counts are compared down a column: right-aligned, and a dot where there is nothing. */
function countTable(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const shown = rows.map((row) => row.map((cell) => (cell === 0 ? '·' : String(cell))));
  const isCount = (column: number) => rows.every((row) => typeof row[column] === 'number');
  const widths = head.map((name, column) => Math.max(name.length, ...shown.map((row) => (row[column] ?? '').length)));
  const aligned = (row: readonly string[]) =>
    row.map((cell, column) => (isCount(column) ? cell.padStart(widths[column] ?? 0) : cell));
  return textTable(aligned(head), shown.map(aligned));
}

async function shape(io: CommandIo, flags: OperatorFlags): Promise<void> {
  const views = (await withOperatedShards(io, flags, askAll)).filter(({ rows }) => rows > 0);
  const total = views.reduce((sum, { rows }) => sum + rows, 0);
  io.print({ rows: total, ages: ageHeads, destinations: views.map(viewJson) }, () => {
    if (views.length === 0) return 'nothing waits';
    const nowMs = currentMs();
    const head = ['destination', 'state', 'waiting', 'on the way', ...ageHeads, 'oldest'];
    const rows = views.map((view) => {
      return [view.domain, view.state, ...countsOf(view), ageOf(view.oldestQueuedMs, nowMs)];
    });
    const sums = ageHeads.map((_, at) => views.reduce((sum, { rowsByAge }) => sum + (rowsByAge[at] ?? 0), 0));
    const leased = views.reduce((sum, view) => sum + view.leased, 0);
    const all = views.length === 1 ? [] : [['all', '', total, leased, ...sums, ageOf(views[0]?.oldestQueuedMs, nowMs)]];
    return countTable(head, [...rows, ...all]);
  });
}

interface ShowFlags extends OperatorFlags {
  readonly messages: string;
}

async function show(io: CommandIo, text: string, flags: ShowFlags): Promise<void> {
  const domain = domainArgument(text);
  const max = integerArgument('--messages', flags.messages) ?? 0;
  if (max > waitingShownMax) throw new UsageError(`--messages takes at most ${waitingShownMax}`);
  const { view, waiting } = await withOperatedShards(io, flags, async (shards) => {
    const view = await askOne(shards, domain);
    const isListed = view.rows > 0 && max > 0;
    const waiting = isListed ? await waitingMessages(shards, domain, max) : { messages: [], more: view.rows > 0 };
    return { view, waiting };
  });
  io.print({ ...viewJson(view), ...waitingJson(waiting) }, () => {
    const nowMs = currentMs();
    const oldest = view.oldestQueuedMs === undefined ? '' : `, the oldest for ${ageOf(view.oldestQueuedMs, nowMs)}`;
    const title = `${domain} (${view.state}): ${messages(view.rows)} waiting, ${view.leased} of them on the way${oldest}`;
    if (view.rows === 0) return `${domain} (${view.state}): nothing waits`;
    const head = ['shard', 'waiting', 'on the way', ...ageHeads, 'oldest'];
    const rows = view.shards.map((each) => {
      return [each.shard, ...countsOf(each), ageOf(each.oldestQueuedMs || undefined, nowMs)];
    });
    return [title, countTable(head, rows), waitingText(waiting, nowMs)].filter(Boolean).join('\n');
  });
}

async function showDestination(io: CommandIo, text: string, flags: OperatorFlags): Promise<void> {
  const domain = domainArgument(text);
  const view = await withOperatedShards(io, flags, (shards) => askOne(shards, domain));
  io.print(viewJson(view), () => {
    const nowMs = currentMs();
    const head = ['shard', 'state', 'failures', 'last failure', 'last success (UTC)', 'next attempt', 'waiting'];
    const rows = view.shards.map((each) => [
      ...[each.shard, each.state, each.failures === 0 ? '-' : `${each.failures} in a row`, lastFailureText(each)],
      ...[each.lastSuccessMs === 0 ? 'never' : timeText(each.lastSuccessMs), nextText(each, nowMs), each.rows],
    ]);
    return [`${domain}: ${view.state}`, textTable(head, rows)].join('\n');
  });
}

function lastFailureText({ lastFailure }: ShardDestination): string {
  return lastFailure === '' ? '-' : failureText(lastFailure);
}

function nextText({ state, rows, nextAttemptMs }: ShardDestination, nowMs: number): string {
  if (state === 'held') return 'when released';
  if (rows === 0) return '-';
  return nextAttemptMs <= nowMs ? 'now' : `in ${durationText(nextAttemptMs - nowMs)}`;
}

const actions = {
  hold: { help: 'send nothing to a destination until it is released', done: 'held' },
  release: { help: 'send to a destination again that was held', done: 'released' },
  retry: { help: 'try a destination now, whatever its rest', done: 'tried now' },
  drop: { help: 'end the messages for a destination; their senders are told', done: 'dropped, and their senders told' },
} as const;

type Action = keyof typeof actions;

interface ChangeFlags extends OperatorFlags {
  readonly all?: boolean;
  readonly yes?: boolean;
}

async function change(io: CommandIo, action: Action, text: string | undefined, flags: ChangeFlags): Promise<void> {
  if ((text === undefined) === (flags.all !== true)) throw new UsageError('name a destination, or give --all');
  const domain = text === undefined ? '' : domainArgument(text);
  const named = text === undefined ? 'all destinations' : domain;
  const rows = await withOperatedShards(io, flags, async (shards) => {
    if (action === 'drop' && flags.yes !== true) await confirm(io, shards, domain, named);
    const value = { domain, action, all: domain === '' };
    const changed = await Promise.all(
      shards.names.map((shard) => shards.ask(shard, { $case: 'changeDestination', value }, 'changeDestination')),
    );
    return changed.reduce((sum, each) => sum + each.rows, 0);
  });
  const { done } = actions[action];
  const said = action === 'drop' ? `${messages(rows)} ${done}` : `${done}; ${messages(rows)} waiting`;
  io.print({ destination: domain || null, action, rows }, `${named}: ${said}`);
}

async function confirm(io: CommandIo, shards: OperatedShards, domain: string, named: string): Promise<void> {
  const views = domain === '' ? await askAll(shards) : [await askOne(shards, domain)];
  const count = views.reduce((sum, { rows }) => sum + rows, 0);
  const answer = await io.ask(`drop ${messages(count)} for ${named}? their senders are told`, ['yes', 'no']);
  if (answer !== 'yes') throw new UsageError(`nothing was dropped (${messages(count)} for ${named}); --yes drops them`);
}

const shapeHelp = `
Each column counts messages that have waited that long. A message is given up after 48 hours.

Examples:
  mesh-admin queue shape --data .data
  mesh-admin queue shape --json | jq '.destinations[] | select(.state == "gone").destination'`;

const showHelp = `
Examples:
  mesh-admin queue show beta.test --data .data
  mesh-admin queue show beta.test --messages 1000 --json | jq '.messages[] | select(.attempts > 5).sender'`;

/** Adds both groups to the program. */
export function registerAdminQueueCommands(program: Command, io: CommandIo): void {
  const queue = commandGroup(program, 'queue', 'messages that wait for other services');
  operatorOptions(queue.command('shape').description('what waits, by destination and age; the oldest first'))
    .addHelpText('after', shapeHelp)
    .action((flags: OperatorFlags) => shape(io, flags));
  operatorOptions(queue.command('show').description('what waits for one destination: by shard and age, and one by one'))
    .argument('<destination>', 'domain')
    .option('--messages <n>', 'list so many messages, the oldest first', String(waitingShown))
    .addHelpText('after', showHelp)
    .action((domain: string, flags: ShowFlags) => show(io, domain, flags));
  for (const action of Object.keys(actions) as Action[]) {
    const command = operatorOptions(queue.command(action).description(actions[action].help))
      .argument('[destination]', 'domain')
      .option('--all', 'every destination that is known')
      .addHelpText('after', `\nExample:\n  mesh-admin queue ${action} beta.test --data .data`);
    if (action === 'drop') command.option('--yes', 'without asking first');
    command.action((domain: string | undefined, flags: ChangeFlags) => change(io, action, domain, flags));
  }
  const destination = commandGroup(program, 'destination', 'what is known of other services');
  operatorOptions(
    destination.command('show').description('state of one destination: failures, last success, next attempt'),
  )
    .argument('<destination>', 'domain')
    .addHelpText('after', '\nExample:\n  mesh-admin destination show beta.test --data .data')
    .action((domain: string, flags: OperatorFlags) => showDestination(io, domain, flags));
}
