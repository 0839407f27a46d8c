import type { VerifiedHello } from '@meshd/binding/mesh-connection';
import { importPublicKey } from '@meshd/crypto/ed448';
import type { DareEnvelope } from '@meshd/dare/envelope';
import { decodeTagged } from '@meshd/encoding/codec';
import { profileRegistry } from '@meshd/schema/profiles';
import type { ClientEnvironment } from '../environment.js';
import { Home } from '../home.js';
import { asClientError } from '../repeat.js';
import { forgetConstraints } from '../service-constraints.js';
import { forgetPin } from '../service-pin.js';
import { connectionFor } from '../session.js';

/** Whom to greet. */
export interface HelloOptions {
  /** Canonical domain. */
  readonly domain: string;
  /** `https` address; `https://<domain>` when absent. */
  readonly url?: string | undefined;
  /** Certificates (PEM) to trust instead of the usual ones. */
  readonly ca?: string | undefined;
  /** Forget who the service was, and pin who it is now. */
  readonly forgetPin?: boolean | undefined;
}

/** A verified Hello with the names of those who gave it. */
export interface Greeting extends VerifiedHello {
  /** UDF of the ProfileService. */
  readonly serviceUdf: string;
  /** UDF of the ProfileHost. */
  readonly hostUdf: string;
}

/** The name of a profile that was verified. */
function profileUdf(profile: DareEnvelope): string {
  const { value } = decodeTagged(profileRegistry, profile.payload ?? new Uint8Array(0), { form: 'json' });
  return value.KeyOfflineSignature?.UDF ?? '';
}

/**
 * Asks a service who it is, verifies the answer, and pins it in the home or compares it with the pin there (S23, S26).
 * @throws ClientError `pin`, `downgrade`, `unavailable`
 */
export async function helloService(
  folder: string,
  environment: ClientEnvironment,
  options: HelloOptions,
): Promise<Greeting> {
  const home = new Home(folder);
  return home.exclusively(async () => {
    if (options.forgetPin) await forgetPin(home, options.domain);
    const { domain, url, ca } = options;
    const connection = connectionFor(home, environment, { domain, url, ca });
    try {
      const hello = await connection.hello();
      await forgetConstraints(home, domain);
      const serviceUdf = importPublicKey(hello.pin.serviceKey).udf;
      return { ...hello, serviceUdf, hostUdf: profileUdf(hello.profileHost) };
    } catch (error) {
      throw asClientError(error);
    } finally {
      await connection.close();
    }
  });
}
