/** Runs other programs for the root commands. */
import { spawn } from 'node:child_process';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root, wherever the command was called. */
export const root = fileURLToPath(new URL('../../', import.meta.url));

/**
 * The environment of every program we run: the repository's own tools first, so that `node` is the pinned version and
 * not the one that happened to start this script.
 */
export function toolEnvironment() {
  // Some programs colour their output for continuous integration too; a log file is not a terminal.
  const { FORCE_COLOR, ...rest } = process.env;
  const colours =
    process.stdout.isTTY === true ? { ...(FORCE_COLOR === undefined ? {} : { FORCE_COLOR }) } : { NO_COLOR: '1' };
  return {
    ...colours,
    ...rest,
    PATH: `${join(root, 'node_modules/.bin')}${delimiter}${process.env.PATH ?? ''}`,
  };
}

/** The pinned Node itself: the one in `.bin` is a script around it, which would keep our signals to itself. */
export const pinnedNode = join(root, 'node_modules/node/bin/node');

/**
 * Runs a program to its end and keeps what it prints; for steps whose output matters only when they fail.
 *
 * @returns {Promise<{code: number, output: string}>} exit code (127 when it cannot be started) and both outputs
 */
export function runQuietly(command, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      env: toolEnvironment(),
      stdio: ['ignore', 'pipe', 'pipe'],
      ...options,
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
    child.on('error', (error) => resolve({ code: 127, output: error.message }));
    child.on('close', (code) => resolve({ code: code ?? 1, output }));
  });
}

/**
 * Runs a program that talks to the terminal itself, and hands it the signals that we get.
 *
 * @returns {Promise<number>} its exit code; 128 + the signal's number when a signal ended it
 */
export function runVisibly(command, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, env: toolEnvironment(), stdio: 'inherit', ...options });
    const forward = (signal) => child.kill(signal);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, forward);
    child.on('error', (error) => {
      process.stderr.write(`${command}: ${error.message}\n`);
      resolve(127);
    });
    child.on('close', (code, signal) => {
      for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.off(name, forward);
      resolve(code ?? { SIGHUP: 129, SIGINT: 130, SIGKILL: 137, SIGTERM: 143 }[signal] ?? 1);
    });
  });
}
