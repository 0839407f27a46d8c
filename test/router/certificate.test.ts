import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureCertificates } from '@meshd/dev/certificates';
import { readCertificate, watchCertificate } from '@meshd/router/certificate-watch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'meshd-certificate-'));
});
afterAll(() => rm(folder, { recursive: true }));

describe('the certificate of the listener', () => {
  it('is followed, but never to a pair that does not fit', async () => {
    const [first, second] = await Promise.all(
      ['a', 'b'].map((name) => ensureCertificates(join(folder, name), ['example.com'], Date.now())),
    );
    const paths = { tlsCertFile: join(folder, 'cert.pem'), tlsKeyFile: join(folder, 'key.pem') };
    const put = async (name: 'certFile' | 'keyFile', from: typeof first, to: string) =>
      copyFile((from as NonNullable<typeof first>).server[name], to);
    await put('certFile', first, paths.tlsCertFile);
    await put('keyFile', first, paths.tlsKeyFile);
    const seen: Buffer[] = [];
    const errors: unknown[] = [];
    const stop = watchCertificate({
      paths,
      current: await readCertificate(paths),
      onChange: ({ certificate }) => seen.push(certificate),
      onError: (error) => errors.push(error),
      everyMs: 10,
    });
    await put('certFile', second, paths.tlsCertFile);
    await expect.poll(() => errors.length).toBeGreaterThan(0);
    expect(seen).toHaveLength(0);
    await put('keyFile', second, paths.tlsKeyFile);
    await expect.poll(() => seen.length).toBe(1);
    await writeFile(paths.tlsKeyFile, 'x');
    await expect.poll(() => errors.length).toBeGreaterThan(2);
    expect(seen).toHaveLength(1);
    stop();
  });
});
