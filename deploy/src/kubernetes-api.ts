/** The one request that we make of the Kubernetes API: replacing members of a Secret. */
import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';

/** Where a pod finds the token and the authority of its service account. */
const accountFolder = '/var/run/secrets/kubernetes.io/serviceaccount';
const requestMsMax = 15_000;
const answerBytesMax = 4096;

/** What {@link patchSecret} needs to know of the cluster. */
export interface ClusterAccess {
  /** `https://kubernetes.default.svc` in a pod. */
  readonly apiUrl: string;
  /** Authority of the API server, PEM. */
  readonly ca: Uint8Array;
  readonly token: string;
}

/** Access of the pod's own service account. @throws Error when the account is not mounted */
export async function podAccess(folder = accountFolder): Promise<ClusterAccess> {
  const [ca, token] = await Promise.all([readFile(join(folder, 'ca.crt')), readFile(join(folder, 'token'), 'utf8')]);
  return { apiUrl: 'https://kubernetes.default.svc', ca, token: token.trim() };
}

/**
 * Sets members of a Secret, removes those that are null, and leaves its others; the Secret must exist, since the account may create none.
 *
 * @throws Error with the API's status and the beginning of its answer
 */
export async function patchSecret(
  access: ClusterAccess,
  namespace: string,
  name: string,
  members: Readonly<Record<string, Uint8Array | null>>,
): Promise<void> {
  const data = Object.fromEntries(
    Object.entries(members).map(([member, octets]) => [
      member,
      octets === null ? null : Buffer.from(octets).toString('base64'),
    ]),
  );
  const url = new URL(`/api/v1/namespaces/${namespace}/secrets/${name}`, access.apiUrl);
  const { status, text } = await send(url, access, JSON.stringify({ data }));
  // A refusal's text names the Secret and the account, never a value.
  if (status !== 200) throw new Error(`Secret ${name}: the Kubernetes API answered ${status}: ${text}`);
}

function send(url: URL, access: ClusterAccess, body: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      url,
      {
        method: 'PATCH',
        ca: Buffer.from(access.ca),
        signal: AbortSignal.timeout(requestMsMax),
        headers: {
          authorization: `Bearer ${access.token}`,
          'content-type': 'application/merge-patch+json',
          'content-length': Buffer.byteLength(body),
        },
      },
      (incoming) => {
        let text = '';
        incoming.setEncoding('utf8');
        incoming.on('data', (part: string) => {
          text = (text + part).slice(0, answerBytesMax);
        });
        incoming.on('end', () => resolve({ status: incoming.statusCode ?? 0, text: text.slice(0, 300) }));
        incoming.on('error', reject);
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}
