/** The people of the demo: each types commands in a terminal of her own, with a home of her own. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { plainEnvironment } from './config.js';
import { answered, typed } from './demo-voice.js';
import { waitFor } from './wait.js';

const binaries = fileURLToPath(new URL('../../cli/bin', import.meta.url));
const program = { mesh: join(binaries, 'mesh.mjs'), 'mesh-admin': join(binaries, 'mesh-admin.mjs') } as const;

/** Longest wait for something that takes seconds on a machine that is not busy. */
const arriveMsMax = 180_000;

/** A command did not do what the demo needs. */
export class DemoError extends Error {
  override readonly name = 'DemoError';
}

interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Somebody in front of a terminal. */
export class DemoPerson {
  readonly name: string;
  readonly address: string;
  readonly #folder: string;
  readonly #environment: Readonly<Record<string, string>>;
  readonly #signal: AbortSignal;

  /** @param dns name server that the person's commands ask, `address:port` */
  constructor(name: string, domain: string, folder: string, dns: string, signal: AbortSignal) {
    this.name = name;
    this.address = `${name}@${domain}`;
    this.#folder = folder;
    this.#environment = { ...plainEnvironment(), MESHD_DISCOVERY_SERVERS: dns };
    this.#signal = signal;
  }

  /** Types a `mesh` command and shows what it says. @throws DemoError where it fails */
  async types(...args: string[]): Promise<void> {
    await this.#shown('mesh', args);
  }

  /** The same with standard input. @throws DemoError */
  async pipes(input: string, ...args: string[]): Promise<void> {
    await this.#shown('mesh', args, input);
  }

  /** Types a `mesh-admin` command. @throws DemoError */
  async operates(...args: string[]): Promise<void> {
    await this.#shown('mesh-admin', args);
  }

  /** Runs a command unseen and gives its JSON document. @throws DemoError */
  // biome-ignore lint/suspicious/noExplicitAny: documents of many shapes
  async asks(...args: string[]): Promise<any> {
    const { code, stdout, stderr } = await this.#run('mesh', [...args, '--json']);
    if (code !== 0) throw new DemoError(`mesh ${args.join(' ')}: ${stderr.trim()}`);
    return JSON.parse(stdout);
  }

  /** Identifier of the newest message in the outbound box. */
  async newestSent(): Promise<string> {
    const { messages, unsent } = await this.asks('message', 'list', '--box', 'outbound');
    const newest = [...messages, ...unsent].at(-1);
    if (newest === undefined) throw new DemoError(`${this.address} has sent nothing`);
    return newest.id;
  }

  /** Waits until the person's inbound box has a message. @throws DemoError where it does not come */
  async receives(id: string): Promise<void> {
    await this.#until(`message ${id} at ${this.address}`, async () => {
      const { messages } = await this.asks('message', 'list');
      return messages.some((message: { id: string }) => message.id === id) || undefined;
    });
  }

  /** Waits until a delivery of a message is as it should be. @throws DemoError */
  async sees(id: string, isRight: (delivery: { result: string; attempts?: number }) => boolean): Promise<void> {
    await this.#until(`the fate of message ${id}`, async () => {
      const { deliveries } = await this.asks('message', 'status', id);
      return deliveries?.every(isRight) || undefined;
    });
  }

  async #until(what: string, look: () => Promise<true | undefined>): Promise<void> {
    const options = { what, deadlineMs: arriveMsMax, pauseMs: 1000 };
    await waitFor(look, { ...options, hopeless: () => (this.#signal.aborted ? 'it was stopped' : undefined) });
  }

  async #shown(tool: keyof typeof program, args: readonly string[], input?: string): Promise<void> {
    const line = [tool, ...args].map(quoted).join(' ');
    typed(this.name, input === undefined ? line : `echo ${quoted(input)} | ${line}`);
    const { code, stdout, stderr } = await this.#run(tool, args, input);
    answered(`${stdout}${stderr}`);
    if (code !== 0) throw new DemoError(`${line}: exit code ${code}`);
  }

  #run(tool: keyof typeof program, args: readonly string[], input?: string): Promise<Run> {
    const home = tool === 'mesh' ? ['--home', join(this.#folder, this.name)] : [];
    const child = spawn(process.execPath, [program[tool], ...args, ...home], {
      ...{ cwd: this.#folder, env: { ...this.#environment }, signal: this.#signal },
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    child.stdin.end(input);
    return new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) => resolve({ code: code ?? 1, stdout, stderr }));
    });
  }
}

function quoted(word: string): string {
  return /^[\w@./:=,-]+$/.test(word) ? word : `'${word}'`;
}
