/** The project's own source files, as the tidiness tests look at them. */
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root. */
export const root = fileURLToPath(new URL('../../', import.meta.url));

/** A source file. */
export interface SourceFile {
  /** From the root, with slashes. */
  readonly path: string;
  readonly name: string;
  /** `packages/dare`, `services/router`, `test`, `scripts`. */
  readonly home: string;
  readonly isTest: boolean;
  readonly text: string;
  readonly lines: readonly string[];
  /** The text with comments blanked out, line numbers kept: a rule about code must not trip over a sentence. */
  readonly code: readonly string[];
}

const patterns = [
  'packages/*/src/**/*.ts',
  'services/*/src/**/*.ts',
  'deploy/src/**/*.ts',
  'test/**/*.ts',
  'scripts/**/*.mjs',
  '*.ts',
];

function read(path: string): SourceFile {
  const text = readFileSync(join(root, path), 'utf8');
  const parts = path.split('/');
  const inWorkspace = parts[0] === 'packages' || parts[0] === 'services';
  return {
    path,
    name: basename(path),
    home: inWorkspace ? `${parts[0]}/${parts[1]}` : (parts[0] as string),
    isTest: /\.test\.ts$|\/test-[\w-]+\.ts$/.test(path) || parts[0] === 'test',
    text,
    lines: text.split('\n'),
    code: withoutComments(text).split('\n'),
  };
}

/** Blanks out comments, leaving strings alone. */
function withoutComments(text: string): string {
  const token = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g;
  return text.replace(token, (found) =>
    found.startsWith('/*') || found.startsWith('//') ? found.replace(/[^\n]/g, ' ') : found,
  );
}

/** All of them but what is generated. */
export const sourceFiles: readonly SourceFile[] = globSync(patterns, { cwd: root })
  .filter((path) => !/node_modules|\/dist\/|\/generated\//.test(path))
  .sort()
  .map(read);

/** `path:line` of every line of code that a pattern matches. */
export function linesMatching(files: readonly SourceFile[], pattern: RegExp): string[] {
  return files.flatMap((file) =>
    file.code.flatMap((line, index) => (pattern.test(line) ? [`${file.path}:${index + 1}`] : [])),
  );
}

/** A workspace package as its `package.json` describes it. */
export interface WorkspacePackage {
  readonly home: string;
  readonly name: string;
  readonly dependencies: readonly string[];
  /** Folders that its `tsconfig.json` refers to, from the root. */
  readonly references: readonly string[];
}

/** All workspace packages but the tests'. */
export const workspacePackages: readonly WorkspacePackage[] = globSync(
  ['packages/*/package.json', 'services/*/package.json', 'deploy/package.json'],
  {
    cwd: root,
  },
)
  .sort()
  .map((path) => {
    const home = path.replace('/package.json', '');
    const manifest = JSON.parse(readFileSync(join(root, path), 'utf8'));
    const config = JSON.parse(readFileSync(join(root, home, 'tsconfig.json'), 'utf8'));
    const references = (config.references ?? []).map((reference: { path: string }) => join(home, reference.path));
    return { home, name: manifest.name, dependencies: Object.keys(manifest.dependencies ?? {}), references };
  });
