/** `mesh` without `--url`: the domain says where its service is. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DnsServer, startDnsServer } from '@meshd/dev/dns-server';
import { startTestProvider, type TestProvider } from '@meshd/dev/test-provider';
import { discoveryMsMax } from '@meshd/limits/discovery';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mesh } from './mesh-program.js';

let provider: TestProvider;
let dns: DnsServer;
let folder: string;
let home: string;
let address: string;

beforeAll(async () => {
  provider = await startTestProvider();
  dns = await startDnsServer({ records: [] });
  folder = await mkdtemp(join(tmpdir(), 'meshd-discovery-'));
  home = join(folder, 'home');
  address = `alice@${provider.domain}`;
});
afterAll(async () => {
  await provider?.stop();
  await dns?.stop();
  await rm(folder, { recursive: true, force: true });
});

const service = () => `_mmm._tcp.${provider.domain}`;
const zone = (port: number) => ({
  records: [
    { name: service(), type: 'SRV' as const, data: { priority: 0, weight: 0, port, target: 'router.test' } },
    { name: 'router.test', type: 'A' as const, data: '127.0.0.1' },
  ],
});
const run = (...args: string[]) => mesh([...args, '--resolver', dns.address, '--home', home]);

describe('[R038] mesh without --url', () => {
  it('finds the service by its domain, then and whenever it is needed', async () => {
    await dns.setZone(zone(provider.port));
    const made = await run('account', 'create', address, '--ca', provider.caFile, '--json');
    expect([made.code, made.stderr]).toEqual([0, '']);
    expect(JSON.parse(made.stdout)).not.toHaveProperty('url');
    expect(JSON.parse(await readFile(join(home, 'account.json'), 'utf8'))).not.toHaveProperty('url');
    expect((await run('account', 'status')).code).toBe(0);
    expect(await dns.asked(`SRV ${service()}`)).toBeGreaterThanOrEqual(2);
  });

  it('[S74] takes no other certificate than the domain\u2019s, wherever it is sent', async () => {
    const elsewhere = { ...zone(provider.port).records[0], name: '_mmm._tcp.other.test' };
    await dns.setZone({ records: [...zone(provider.port).records, elsewhere as never] });
    const { code, stderr } = await run('hello', 'other.test', '--ca', provider.caFile);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^mesh: [^\n]*ERR_TLS_CERT_ALTNAME_INVALID[^\n]*\n$/);
  });

  it('says in one line what to do where there is no service, or nobody who knows', async () => {
    await dns.setZone({ records: [], faults: { '_mmm._tcp.silent.test': 'silent' } });
    const none = await run('hello', 'absent.test');
    expect([none.code, none.stderr]).toEqual([1, expect.stringMatching(/^mesh: absent\.test: [^\n]*--url[^\n]*\n$/)]);
    const began = performance.now();
    const silent = await run('hello', 'silent.test');
    expect([silent.code, silent.stderr]).toEqual([
      1,
      expect.stringMatching(/^mesh: silent\.test: [^\n]*name servers[^\n]*\n$/),
    ]);
    expect(performance.now() - began).toBeLessThan(discoveryMsMax + 2000);
    const wrong = await mesh(['hello', 'absent.test', '--resolver', 'dns.example', '--home', home]);
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringMatching(/ADDRESS:PORT/)]);
  });
});
