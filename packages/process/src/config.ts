/**
 * Settings: from the environment to a typed, checked value, once, at start.
 *
 * A schema is a zod object whose members are named as the code wants them (`rpcListen`); the name in the environment
 * follows from that (`MESHD_RPC_LISTEN`). So there is one list of settings, and a test can compare it with what the
 * deployment files set. The only place of the project, besides the bootstrap scripts, that reads `process.env`.
 */
import type { z } from 'zod';

const prefix = 'MESHD_';

/** The settings are wrong; the message names every wrong one and quotes none of their values. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  /** One line for each setting that is wrong. */
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`configuration: ${problems.join('; ')}`);
    this.problems = problems;
  }
}

/** The name in the environment of a member of a configuration: `rpcListen` is `MESHD_RPC_LISTEN`. */
export function settingName(member: string): string {
  return prefix + member.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}

/** Names in the environment of all settings of a schema, in its order. */
export function settingNames(schema: z.ZodObject): string[] {
  return Object.keys(schema.shape).map(settingName);
}

/**
 * Reads and checks the settings of a process.
 *
 * A name that begins with `MESHD_` and is not in the schema is an error: a misspelt setting must not be a silent
 * default. An empty value counts as absent, because that is how compose files and manifests spell "not set".
 *
 * @param env where to read; the process's own environment when absent
 * @throws ConfigError with every problem at once
 */
export function readConfig<S extends z.ZodObject>(
  schema: S,
  env: Readonly<Record<string, string | undefined>> = process.env,
): z.output<S> {
  const members = new Map(Object.keys(schema.shape).map((member) => [settingName(member), member]));
  const problems: string[] = [];
  const raw: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith(prefix) || value === undefined) continue;
    const member = members.get(name);
    if (member === undefined) problems.push(`${name} is not a setting of this process`);
    else if (value !== '') raw[member] = value;
  }
  const result = schema.safeParse(raw);
  if (!result.success) problems.push(...result.error.issues.map((issue) => describeIssue(issue, raw)));
  if (problems.length > 0) throw new ConfigError(problems);
  return result.data as z.output<S>;
}

function describeIssue(issue: z.core.$ZodIssue, raw: Readonly<Record<string, string>>): string {
  const member = String(issue.path[0] ?? '');
  const name = member === '' ? 'settings' : settingName(member);
  return member !== '' && !(member in raw) ? `${name} is missing` : `${name}: ${issue.message}`;
}

/**
 * The settings in force, fit for a log line: secrets replaced, passwords cut out of addresses.
 */
export function describeConfig(
  schema: z.ZodObject,
  config: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(schema.shape).map(([member, kind]) => {
      const value = config[member];
      return [member, value !== undefined && isSecret(kind as z.ZodType) ? redact(value) : value];
    }),
  );
}

/** Looks through the wrappers that `.optional()` and `.default()` put around a kind. */
function isSecret(kind: z.ZodType): boolean {
  if (kind.meta()?.secret === true) return true;
  const inner = (kind.def as { innerType?: z.ZodType }).innerType;
  return inner !== undefined && isSecret(inner);
}

function redact(value: unknown): string {
  if (typeof value !== 'string' || !URL.canParse(value)) return '[redacted]';
  const url = new URL(value);
  // User name, password and query may all be credentials; what is left says which server and database.
  return `${url.protocol}//${url.host}${url.pathname}`;
}
