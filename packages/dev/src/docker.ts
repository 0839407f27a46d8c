/** Postgres and Redis in containers, where a Docker engine answers and nothing nearer is to be had. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { dockerEnvironment } from './config.js';
import { freePorts } from './ports.js';
import { type RunningProgram, startProgram } from './program.js';

const run = promisify(execFile);
const askMsMax = 5000;

/** Images by version, so that a run today and a run in a year start the same. */
export const images = { postgres: 'postgres:18.1-alpine', redis: 'redis:8.4-alpine' } as const;

/** Whether a Docker engine can be used from here. */
export async function dockerAnswers(): Promise<boolean> {
  try {
    await run('docker', ['info', '--format', '{{.ServerVersion}}'], { timeout: askMsMax, env: dockerEnvironment() });
    return true;
  } catch {
    return false;
  }
}

/** A container to run in the foreground. */
export interface ContainerOptions {
  readonly name: string;
  readonly image: string;
  /** The port inside, published on a free port of the loopback interface. */
  readonly port: number;
  readonly environment: Readonly<Record<string, string>>;
  /** `volume:path` inside, for data that lasts. */
  readonly volume?: string;
  /** What to run in it instead of its own command. */
  readonly command?: readonly string[];
  readonly logFile: string;
}

/**
 * Runs a container in the foreground: ending the program ends and removes the container. A named volume stays.
 *
 * @returns the program and the port outside
 */
export async function runContainer(options: ContainerOptions): Promise<{ program: RunningProgram; port: number }> {
  const port = (await freePorts(1))[0] as number;
  const program = await startProgram({
    name: options.name,
    command: 'docker',
    args: [
      ...['run', '--rm', '--name', `meshd-${options.name}-${randomBytes(4).toString('hex')}`],
      ...['-p', `127.0.0.1:${port}:${options.port}`],
      // names only: the values stay out of the list of processes
      ...Object.keys(options.environment).flatMap((name) => ['-e', name]),
      ...(options.volume === undefined ? [] : ['-v', options.volume]),
      options.image,
      ...(options.command ?? []),
    ],
    env: { ...dockerEnvironment(), ...options.environment },
    logFile: options.logFile,
  });
  return { program, port };
}
