/** The program `mesh`, as a person runs it. */
import { execFile, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** What node is given to run it. */
export const meshLauncher = fileURLToPath(new URL('../../packages/cli/bin/mesh.mjs', import.meta.url));

/** How a run of it ended. */
export interface MeshRun {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a command to its end.
 *
 * @param variables besides those of this process
 */
export function mesh(
  args: readonly string[],
  input?: string,
  variables: Readonly<Record<string, string>> = {},
): Promise<MeshRun> {
  return new Promise((resolve) => {
    const options = { env: { ...process.env, ...variables } };
    const child = execFile(process.execPath, [meshLauncher, ...args], options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr });
    });
    child.stdin?.end(input);
  });
}

/**
 * Runs a command that must succeed, and gives its JSON document.
 *
 * @param home folder of the device
 * @throws Error with what it said
 */
// biome-ignore lint/suspicious/noExplicitAny: documents of many shapes
export async function meshJson(home: string, ...args: readonly string[]): Promise<any> {
  const { code, stdout, stderr } = await mesh([...args, '--json', '--home', home]);
  if (code !== 0 || stderr !== '') throw new Error(`mesh ${args.join(' ')} ended with ${code}: ${stderr}`);
  return JSON.parse(stdout);
}

/** A command that goes on until it is told to end. */
export interface RunningMesh {
  /** What it has printed so far, and what it has said besides. */
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Exit code and signal. */
  readonly ended: Promise<readonly [code: number | null, signal: string | null]>;
  /** As Ctrl-C does. */
  readonly interrupt: () => void;
}

/** Starts a command and does not wait for its end. */
export function startMesh(args: readonly string[]): RunningMesh {
  const child = spawn(process.execPath, [meshLauncher, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      said[name] += text;
    });
  }
  return {
    stdout: () => said.stdout,
    stderr: () => said.stderr,
    ended: new Promise((resolve) => child.once('close', (code, signal) => resolve([code, signal]))),
    interrupt: () => void child.kill('SIGINT'),
  };
}
