/** The program `mesh`, as a person runs it. */
import { execFile } from 'node:child_process';
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
