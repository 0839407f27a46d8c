/** Every secret that a device keeps in its home: seeds, scalars, the master seed, tickets, codes and PINs. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scalarKeyFromSeed } from '@meshd/crypto/ed448';
import { keySecrets, type Secret, udfSecrets } from './secret-forms.js';

/** Members whose texts are secret octets in base64url; `scalar` is a number in hexadecimal. */
const keyMembers: ReadonlySet<string> = new Set([
  ...['seed', 'scalar', 'prefix', 'keyBlind', 'master', 'clientToServer', 'serverToClient'],
  ...['offline', 'encryption', 'authentication', 'client'],
]);
/** Octets of a seed of Curve448, from which its scalar follows, and of a scalar. */
const seedBytes = 57;
const scalarBytes = 56;

/** @param name of the device, for whoever reads what was found */
export async function secretsOfHome(home: string, name: string): Promise<Secret[]> {
  const files = ['keys.json', 'hailing.json', 'connecting.json'];
  const tickets = await readdir(join(home, 'tickets')).catch(() => []);
  const paths = [...files, ...tickets.map((file) => join('tickets', file))];
  const found = await Promise.all(
    paths.map(async (path) => {
      const text = await readFile(join(home, path), 'utf8').catch(() => '{}');
      return secretsIn(JSON.parse(text), `${name} ${path}`);
    }),
  );
  return found.flat();
}

function secretsIn(value: unknown, what: string, member = ''): Secret[] {
  if (typeof value === 'string') return secretOf(value, what, member);
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, each]) => secretsIn(each, `${what} ${name}`, name));
}

function secretOf(text: string, what: string, member: string): Secret[] {
  if (member === 'pin') return udfSecrets(what, text);
  if (member === 'earl') return udfSecrets(what, text.slice(text.lastIndexOf('/') + 1));
  if (!keyMembers.has(member)) return [];
  if (member === 'scalar') return scalarSecrets(what, BigInt(`0x${text}`));
  const octets = Buffer.from(text, 'base64url');
  if (octets.length !== seedBytes) return keySecrets(what, octets);
  return [...keySecrets(what, octets), ...scalarSecrets(`${what}, its scalar`, scalarKeyFromSeed(octets).scalar)];
}

function scalarSecrets(what: string, scalar: bigint): Secret[] {
  return keySecrets(what, Buffer.from(scalar.toString(16).padStart(2 * scalarBytes, '0'), 'hex'));
}
