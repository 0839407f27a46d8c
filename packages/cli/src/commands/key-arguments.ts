/** Reading keys from a command line. Commander turns these errors into wrong usage (exit code 2). */
import { type Curve, curveOfName } from '@meshd/crypto/curves';
import { decodeBase64Url } from '@meshd/encoding/base64url';
import { type Command, InvalidArgumentError } from 'commander';

/** A curve by its exact name. */
export function curveArgument(text: string): Curve {
  try {
    return curveOfName(text);
  } catch {
    throw new InvalidArgumentError('It is one of Ed448, Ed25519, X448, X25519.');
  }
}

/** A base64url value that happens to begin with a dash: as long as the shortest public key, so never an option. */
const dashedValue = /^-[A-Za-z0-9_-]{40,}={0,2}$/;

/**
 * Adds the argument `<public>`, a raw key in base64url.
 *
 * One key in 64 begins with `-` and would be taken for an option, `-h…` for a call for help. This command alone reads such a
 * value with the letter of plain base64 for the same six bits, `+`, which every reader of binary values accepts.
 */
export function withPublicArgument(command: Command): Command {
  const parseOptions = command.parseOptions.bind(command);
  command.parseOptions = (args) => parseOptions(args.map((arg) => (dashedValue.test(arg) ? `+${arg.slice(1)}` : arg)));
  return command.argument('<public>', 'raw public key in base64url', publicArgument);
}

/** The octets of a raw key in base64url; whether they are a key is another question. */
export function publicArgument(text: string): Uint8Array {
  try {
    return decodeBase64Url(text);
  } catch {
    throw new InvalidArgumentError('It is base64url.');
  }
}
