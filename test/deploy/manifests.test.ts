import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { localSecrets, type SecretManifest } from '@meshd/deploy/local-secrets';
import { bodyBytesInFlightMax, shutdownMsMax } from '@meshd/limits/limits';
import { readConfig } from '@meshd/process/config';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { containersOf, type Manifest, podLabelsOf, podSpecOf, render, renderWithKubectl } from './kustomize.js';
import { problemsOf } from './manifest-check.js';
import { namesOf, programOf, schemas } from './settings.js';

const folderOf = (name: string): string => fileURLToPath(new URL(`../../k8s/${name}`, import.meta.url));
const folders = ['base', 'overlays/local'] as const;
const services = ['router', 'shard', 'outbound'];

// biome-ignore lint/suspicious/noExplicitAny: containers of manifests
type Container = any;

const rendered = Object.fromEntries(
  await Promise.all(folders.map(async (name) => [name, await render(folderOf(name))] as const)),
) as Record<(typeof folders)[number], Manifest[]>;

let dataDir: string;
let secrets: SecretManifest[];
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'meshd-secrets-'));
  secrets = await localSecrets(dataDir, ['mesh.localhost'], 'meshd', Date.now());
});
afterAll(() => rm(dataDir, { recursive: true, force: true }));

const titleOf = ({ kind, metadata }: Manifest): string => `${kind} ${metadata.name}`;
const find = (manifests: Manifest[], kind: string, name: string): Manifest => {
  const found = manifests.find((manifest) => manifest.kind === kind && manifest.metadata.name === name);
  if (found === undefined) throw new Error(`no ${kind} ${name}`);
  return found;
};

/** All containers of our own images, with the program that they start. */
function programsIn(manifests: Manifest[]): { manifest: Manifest; container: Container; program: string }[] {
  return manifests.flatMap((manifest) =>
    containersOf(manifest)
      .filter(({ image }) => image.startsWith('meshd-'))
      .map((container) => ({ manifest, container, program: programOf(container.image, container.command) })),
  );
}

/** The environment as the kubelet would make it; values of Secrets are stood in for. */
function environmentOf(manifests: Manifest[], container: Container): Record<string, string> {
  const env: Record<string, string> = {};
  for (const { name, value, valueFrom } of container.env ?? []) {
    if (valueFrom?.configMapKeyRef) {
      const { name: map, key } = valueFrom.configMapKeyRef;
      env[name] = find(manifests, 'ConfigMap', map).data[key];
      if (env[name] === undefined) throw new Error(`ConfigMap ${map} has no ${key}`);
    } else if (valueFrom?.secretKeyRef) env[name] = 'secret';
    else if (valueFrom?.fieldRef) env[name] = name === 'SHARD_INDEX' ? '0' : 'meshd-shard-0';
    else env[name] = String(value).replace(/\$\(([A-Z_]+)\)/g, (_, other) => env[other] ?? `missing ${other}`);
  }
  return env;
}

describe.each(folders)('k8s/%s', (folder) => {
  const manifests = rendered[folder];

  test.each(manifests.map((manifest) => [titleOf(manifest), manifest] as const))('%s is valid', async (_, manifest) => {
    expect(await problemsOf(manifest)).toEqual([]);
  });

  test('kubectl renders the same', async (context) => {
    const theirs = await renderWithKubectl(folderOf(folder));
    if (theirs === undefined) return context.skip('no kubectl on this machine');
    // The hash in the names of generated ConfigMaps is kubectl's alone.
    const plain = (list: Manifest[]): unknown[] =>
      JSON.parse(JSON.stringify(list).replace(/"(meshd|meshd-postgres-databases)-[a-z0-9]{10}"/g, '"$1"')).sort(
        (a: Manifest, b: Manifest) => titleOf(a).localeCompare(titleOf(b)),
      );
    expect(plain(manifests)).toEqual(plain(theirs));
  });

  test('no Secret stands in the manifests', () => {
    expect(manifests.filter(({ kind }) => kind === 'Secret')).toEqual([]);
    expect(JSON.stringify(manifests)).not.toMatch(/:\/\/[a-z]+:[^$@"]+@/);
  });

  test('every Secret and member that is referred to is one that is documented and made', () => {
    for (const manifest of manifests) {
      const names = (podSpecOf(manifest)?.volumes ?? []).flatMap(
        (volume: Container) => volume.secret?.secretName ?? [],
      );
      const refs = containersOf(manifest).flatMap(({ env }) =>
        (env ?? []).flatMap((entry: Container) => entry.valueFrom?.secretKeyRef ?? []),
      );
      for (const name of [...names, ...refs.map((ref: Container) => ref.name)]) {
        expect(secrets.map((secret) => secret.metadata.name)).toContain(name);
      }
      for (const { name, key } of refs) {
        expect(secrets.find((secret) => secret.metadata.name === name)?.data).toHaveProperty(key);
      }
    }
  });

  test('every volume that is mounted is there, and every volume is mounted', () => {
    for (const manifest of manifests.filter(podSpecOf)) {
      const claims = (manifest.spec.volumeClaimTemplates ?? []).map((claim: Container) => claim.metadata.name);
      const volumes = [...(podSpecOf(manifest).volumes ?? []).map((volume: Container) => volume.name), ...claims];
      const mounts = containersOf(manifest).flatMap(({ volumeMounts }) =>
        (volumeMounts ?? []).map((m: Container) => m.name),
      );
      expect(new Set(mounts)).toEqual(new Set(volumes));
    }
  });

  test('every selector finds pods', () => {
    const pods = manifests.map(podLabelsOf).filter((labels) => labels !== undefined);
    const matches = (wanted: Record<string, string>): boolean =>
      pods.some((labels) => Object.entries(wanted).every(([key, value]) => labels[key] === value));
    for (const manifest of manifests) {
      const { selector, podSelector } = manifest.spec ?? {};
      const wanted = podSelector?.matchLabels ?? selector?.matchLabels ?? selector;
      if (wanted) expect([titleOf(manifest), matches(wanted)]).toEqual([titleOf(manifest), true]);
      for (const { from } of manifest.spec?.ingress ?? []) {
        for (const { podSelector: source } of from ?? []) {
          for (const { values } of source?.matchExpressions ?? []) {
            for (const value of values) expect(matches({ 'app.kubernetes.io/name': value })).toBe(true);
          }
        }
      }
    }
  });

  test('every pod runs with as little as it needs', () => {
    for (const manifest of manifests.filter(podSpecOf)) {
      const spec = podSpecOf(manifest);
      expect(spec.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
      const mayAskApi = manifest.metadata.name === 'meshd-renew-hosts';
      expect([titleOf(manifest), spec.automountServiceAccountToken]).toEqual([titleOf(manifest), mayAskApi]);
      for (const container of containersOf(manifest)) {
        expect(container.securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        });
        expect(container.resources.requests).toMatchObject({ cpu: expect.any(String), memory: expect.any(String) });
        expect(container.resources.limits).toMatchObject({ memory: expect.any(String) });
        expect(container.image).toMatch(/:[0-9][\w.-]*$/);
      }
    }
  });

  test('services are asked how they are, and stopping leaves them the time that they need', () => {
    for (const { manifest, container, program } of programsIn(manifests)) {
      if (!services.includes(program)) continue;
      const ports = container.ports.map((port: Container) => port.name);
      for (const [probe, path] of [
        ['startupProbe', '/healthz'],
        ['livenessProbe', '/healthz'],
        ['readinessProbe', '/readyz'],
      ] as const) {
        expect(container[probe].httpGet.path).toBe(path);
        expect(ports).toContain(container[probe].httpGet.port);
      }
      const preStopSeconds = container.lifecycle?.preStop?.sleep?.seconds ?? 0;
      const graceMs = podSpecOf(manifest).terminationGracePeriodSeconds * 1000;
      expect(graceMs).toBeGreaterThan(shutdownMsMax + preStopSeconds * 1000);
    }
  });

  test('the ports that are named are the ports that are listened on', () => {
    for (const { container, program } of programsIn(manifests)) {
      if (!services.includes(program)) continue;
      const env = environmentOf(manifests, container);
      const listened = ['MESHD_LISTEN', 'MESHD_RPC_LISTEN', 'MESHD_ADMIN_LISTEN'].flatMap((name) => env[name] ?? []);
      const named = container.ports.map((port: Container) => `0.0.0.0:${port.containerPort}`);
      expect(new Set(named)).toEqual(new Set(listened));
    }
  });

  test('every setting in the manifests is one of the program’s, and every setting of the program is in them', () => {
    const programs = programsIn(manifests);
    expect(new Set(programs.map(({ program }) => program))).toEqual(new Set([...services, 'migrate', 'renew-hosts']));
    for (const { container, program } of programs) {
      const names = container.env
        .map((entry: Container) => entry.name)
        .filter((name: string) => name.startsWith('MESHD_'));
      expect([program, [...names].sort()]).toEqual([program, namesOf(program).sort()]);
    }
  });

  test('the values are ones that the programs accept', () => {
    for (const { container, program } of programsIn(manifests)) {
      const env = environmentOf(manifests, container);
      expect(JSON.stringify(env)).not.toContain('missing');
      const schema = schemas[program];
      if (schema) expect(() => readConfig(schema, env)).not.toThrow();
    }
  });

  test('files that settings point to are mounted', () => {
    for (const { container } of programsIn(manifests)) {
      const mounts = container.volumeMounts.map((mount: Container) => mount.mountPath);
      for (const { name, value } of container.env) {
        if (!/_(FILE|DIR)$/.test(name) || !name.startsWith('MESHD_')) continue;
        const covered = mounts.some(
          (mount: string) => value === mount || value.startsWith(`${mount}/`) || mount.startsWith(`${value}/`),
        );
        expect([name, covered]).toEqual([name, true]);
      }
    }
  });

  test('all places agree on the number of shards', () => {
    const { data } = find(manifests, 'ConfigMap', 'meshd');
    const { replicas, serviceName } = find(manifests, 'StatefulSet', 'meshd-shard').spec;
    const names = Array.from({ length: replicas }, (_, index) => `meshd-shard-${index}`);
    expect(data.shardNames.split(',')).toEqual(names);
    expect(data.shards.split(',')).toEqual(names.map((name) => `${name}.${serviceName}:7443`));
    const job = find(manifests, 'Job', 'meshd-migrate').spec;
    expect([job.completionMode, job.completions]).toEqual(['Indexed', replicas]);
  });

  test('the service’s key is mounted by the renewal of hosts alone, whose account may change four Secrets', () => {
    const users = manifests.filter((manifest) =>
      JSON.stringify(podSpecOf(manifest) ?? {}).includes('meshd-service-key'),
    );
    expect(users.map(titleOf)).toEqual(['CronJob meshd-renew-hosts']);
    const { rules } = find(manifests, 'Role', 'meshd-renew-hosts');
    expect(rules).toEqual([
      {
        apiGroups: [''],
        resources: ['secrets'],
        resourceNames: ['meshd-host-router', 'meshd-host-shard', 'meshd-host-outbound', 'meshd-ticket-keys'],
        verbs: ['patch'],
      },
    ]);
  });

  test('the router has more memory than the bodies that it may hold', () => {
    const [container] = containersOf(find(manifests, 'Deployment', 'meshd-router'));
    const gibibytes = /^(\d+)Gi$/.exec(container.resources.limits.memory)?.[1];
    expect(Number(gibibytes) * 2 ** 30).toBeGreaterThan(2 * bodyBytesInFlightMax);
  });
});

describe('the checks themselves', () => {
  const pod = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'a', image: 'a:1' }] } };
  const deployment = (change: object): Manifest => ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'a' },
    spec: { selector: { matchLabels: { a: 'b' } }, template: pod, ...change },
  });

  test('a sound manifest passes, wrong types and unknown keys do not', async () => {
    expect(await problemsOf(deployment({}))).toEqual([]);
    expect(await problemsOf(deployment({ replicas: 'two' }))).not.toEqual([]);
    expect(await problemsOf(deployment({ replica: 2 }))).toEqual(['/spec/replica: unknown key']);
    const container = { ...pod.spec.containers[0], ports: [{ containerPort: 1, protocoll: 'TCP' }] };
    const deep = deployment({ template: { ...pod, spec: { containers: [container] } } });
    expect(await problemsOf(deep)).toEqual(['/spec/template/spec/containers/0/ports/0/protocoll: unknown key']);
  });
});

describe('Postgres of the local overlay', () => {
  test('makes the databases that the services ask for, as the compose file does', () => {
    const manifests = rendered['overlays/local'];
    const sql = find(manifests, 'ConfigMap', 'meshd-postgres-databases').data['databases.sql'] as string;
    const made = [...sql.matchAll(/CREATE DATABASE "([^"]+)"/g)].map((match) => match[1]);
    const names = find(manifests, 'ConfigMap', 'meshd').data.shardNames.split(',');
    expect(made).toEqual(['meshd-directory', ...names]);
    expect(sql).toBe(readFileSync(new URL('../../deploy/postgres/databases.sql', import.meta.url), 'utf8'));
  });
});
