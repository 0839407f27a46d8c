/**
 * The services of a provider, each a process of its own, as in production. `npm start` runs a provider this way; tests
 * do where they stop, kill and restart single processes.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { shutdownMsMax } from '@meshd/limits/limits';
import { collectorArguments } from '@meshd/process/collector';
import { plainEnvironment } from './config.js';
import { type ProgramEnd, type RunningProgram, startProgram } from './program.js';
import { serviceMain } from './service-main.js';
import {
  outboundSettings,
  type ProviderPlan,
  routerSettings,
  type Settings,
  shardSettings,
} from './service-settings.js';
import { waitFor } from './wait.js';

/** One process of a provider. */
interface Service {
  readonly name: string;
  readonly main: string;
  readonly settings: Settings;
  readonly adminPort: number;
}

const readyMsMax = 60_000;
/** A little more than a process allows itself, so that its own forced exit comes first and says why. */
const stopMsMax = shutdownMsMax + 2000;

/** What may be other than usual. */
export interface ProcessOptions {
  /** For every process. */
  readonly nodeArguments?: readonly string[];
  /** Settings of single processes besides those of the plan, by the process's name. */
  readonly settings?: Readonly<Record<string, Settings>>;
}

/** The processes of one provider. */
export class ProviderProcesses {
  readonly plan: ProviderPlan;
  readonly #logs: string;
  readonly #nodeArguments: readonly string[];
  readonly #services: readonly Service[];
  readonly #running = new Map<string, RunningProgram>();
  readonly #wanted = new Set<string>();
  /** Called when a process ends that was not asked to. */
  onUnexpectedEnd: (name: string, end: ProgramEnd, tail: string) => void = () => {};

  /** @param options what tests change */
  constructor(plan: ProviderPlan, logFolder: string, options: ProcessOptions = {}) {
    this.plan = plan;
    this.#logs = logFolder;
    this.#nodeArguments = options.nodeArguments ?? [];
    const services = [
      ...plan.shards.map((shard) => ({
        name: shard.name,
        main: serviceMain('shard'),
        settings: shardSettings(plan, shard),
        adminPort: shard.adminPort,
      })),
      {
        name: 'outbound',
        main: serviceMain('outbound'),
        settings: outboundSettings(plan),
        adminPort: plan.outboundAdminPort,
      },
      { name: 'router', main: serviceMain('router'), settings: routerSettings(plan), adminPort: plan.routerAdminPort },
    ];
    this.#services = services.map((service) => {
      return { ...service, settings: { ...service.settings, ...options.settings?.[service.name] } };
    });
  }

  /** Names of all processes, in the order in which they start; the router is last. */
  get names(): string[] {
    return this.#services.map(({ name }) => name);
  }

  /** The programs that run now. */
  get programs(): RunningProgram[] {
    return [...this.#running.values()];
  }

  /** Where a client reaches the router. */
  get url(): string {
    return `https://127.0.0.1:${this.plan.port}`;
  }

  /** Where each process tells health, readiness and figures. */
  get adminUrls(): { name: string; url: string }[] {
    return this.#services.map(({ name, adminPort }) => ({ name, url: `http://127.0.0.1:${adminPort}` }));
  }

  /** Starts all of them and waits until each is ready. On failure those that run are stopped. @throws Error */
  async start(): Promise<void> {
    await mkdir(this.#logs, { recursive: true });
    try {
      await Promise.all(this.#services.map((service) => this.#start(service)));
      await Promise.all(this.names.map((name) => this.untilReady(name)));
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Starts one again that has ended, and waits until it is ready. @throws Error */
  async startOne(name: string): Promise<void> {
    await this.#start(this.#service(name));
    await this.untilReady(name);
  }

  /** Asks one to stop and waits for its end. */
  async stopOne(name: string): Promise<ProgramEnd | undefined> {
    this.#wanted.delete(name);
    return this.#running.get(name)?.stop(stopMsMax);
  }

  /** Kills one as a power cut would. */
  async killOne(name: string): Promise<void> {
    this.#wanted.delete(name);
    const program = this.#running.get(name);
    program?.signal('SIGKILL');
    await program?.ended;
  }

  /** Stops one in good order and starts it again. */
  async restart(name: string): Promise<void> {
    await this.stopOne(name);
    await this.startOne(name);
  }

  /** Waits until a process says that it is ready. @throws Error when it ends or takes too long */
  async untilReady(name: string): Promise<void> {
    const { adminPort } = this.#service(name);
    const program = this.#running.get(name);
    await waitFor(() => askReady(adminPort), {
      what: name,
      deadlineMs: readyMsMax,
      hopeless: () => (program?.end === undefined ? undefined : `ended:\n${program.tail()}`),
    });
  }

  /** Stops all: first the router, so that no request is taken that cannot be finished, then what it talks to. */
  async stop(): Promise<void> {
    await this.stopOne('router');
    await Promise.all(this.names.map((name) => this.stopOne(name)));
  }

  #service(name: string): Service {
    const service = this.#services.find((candidate) => candidate.name === name);
    if (service === undefined) throw new Error(`no process is named ${name}`);
    return service;
  }

  async #start(service: Service): Promise<void> {
    const program = await startProgram({
      name: service.name,
      command: process.execPath,
      args: [...collectorArguments, ...this.#nodeArguments, service.main],
      env: { ...plainEnvironment(), ...service.settings },
      logFile: join(this.#logs, `${service.name}.log`),
    });
    this.#running.set(service.name, program);
    this.#wanted.add(service.name);
    void program.ended.then((end) => this.#ended(service.name, program, end));
  }

  #ended(name: string, program: RunningProgram, end: ProgramEnd): void {
    if (this.#running.get(name) === program) this.#running.delete(name);
    if (this.#wanted.delete(name)) this.onUnexpectedEnd(name, end, program.tail());
  }
}

async function askReady(adminPort: number): Promise<true | undefined> {
  const response = await fetch(`http://127.0.0.1:${adminPort}/readyz`);
  if (response.ok) return true;
  throw new Error(await response.text());
}
