import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type HostIdentity, hostFileNames, issueHost } from './host-files.js';
import { type HostWatch, watchHostIdentity } from './host-watch.js';
import { domain, makeHost, nowMs } from './test-fixtures.js';

const undo: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

const day = 24 * 3600 * 1000;

async function watched(): Promise<{ watch: HostWatch; directory: string; changes: HostIdentity[]; errors: unknown[] }> {
  const { directory, remove } = await makeHost();
  const [changes, errors]: [HostIdentity[], unknown[]] = [[], []];
  const watch = await watchHostIdentity(join(directory, 'router'), {
    onChange: (identity) => changes.push(identity),
    onError: (error) => errors.push(error),
    pollMs: 50,
  });
  undo.push(remove, () => watch.stop());
  return { watch, directory, changes, errors };
}

describe('[S26] a host that runs', () => {
  it('takes a renewed connection, and keeps its key', async () => {
    const { watch, directory, changes } = await watched();
    const before = watch.current();
    await issueHost(directory, 'router', { domains: [domain], nowMs: nowMs + day });
    await expect.poll(() => watch.current().notAfterMs).toBe(before.notAfterMs + day);
    expect(watch.current().signingKey.publicKey.equals(before.signingKey.publicKey)).toBe(true);
    expect(changes).toHaveLength(1);
  });

  it('keeps what it has when the files cannot be used, and says so', async () => {
    const { watch, directory, errors } = await watched();
    const before = watch.current();
    await rm(join(directory, 'router', hostFileNames.connectionHost));
    await expect.poll(() => errors.length).toBeGreaterThan(0);
    expect(watch.current()).toBe(before);
  });
});
