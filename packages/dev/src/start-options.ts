/** What may follow `npm start --`. */
import { parseArgs } from 'node:util';
import { canonicalDomain } from '@meshd/schema/address';

/** The choices of a person who starts a provider. */
export interface StartOptions {
  readonly domains: readonly string[];
  readonly port: number;
  readonly data: string;
  /** Domains whose people may write to anybody here: a policy for development. */
  readonly openTo: readonly string[];
}

/** The command line was wrong; the message says how. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export const usage = `Usage: npm start -- [--domain NAME]… [--port NUMBER] [--data FOLDER] [--open-to NAME]…

  --domain  domain whose accounts the provider keeps (default mesh.localhost); may be given several times
  --port    port on the loopback interface (default 8443)
  --data    folder in which everything is kept (default .data in the repository)
  --open-to domain whose people may write to anybody here, known or not; may be given several times (default none)

Environment: MESHD_POSTGRES_URL and MESHD_REDIS_URL, addresses of servers to use instead of own ones.`;

/** Reads the command line. @throws UsageError */
export function readStartOptions(args: readonly string[], defaultData: string): StartOptions | 'help' {
  const { values } = parse(args);
  if (values.help === true) return 'help';
  const port = Number(values.port ?? '8443');
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw new UsageError(`--port: ${values.port} is not a port`);
  return {
    domains: (values.domain ?? ['mesh.localhost']).map((text) => readDomain('--domain', text)),
    ...{ port, data: values.data ?? defaultData },
    openTo: (values['open-to'] ?? []).map((text) => readDomain('--open-to', text)),
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        domain: { type: 'string', multiple: true },
        port: { type: 'string' },
        data: { type: 'string' },
        'open-to': { type: 'string', multiple: true },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function readDomain(option: string, text: string): string {
  try {
    return canonicalDomain(text);
  } catch (error) {
    throw new UsageError(`${option}: ${(error as Error).message}`);
  }
}
