import type { VerifiedHello } from '@meshd/binding/mesh-connection';
import type { ClientEnvironment } from '../environment.js';
import { Home } from '../home.js';
import { forgetPin } from '../service-pin.js';
import { asClientError, connectionFor } from '../session.js';

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

/**
 * Asks a service who it is, verifies the answer, and pins it in the home or compares it with the pin there (S23, S26).
 * @throws ClientError `pin`, `downgrade`, `unavailable`
 */
export async function helloService(
  folder: string,
  environment: ClientEnvironment,
  options: HelloOptions,
): Promise<VerifiedHello> {
  const home = new Home(folder);
  return home.exclusively(async () => {
    if (options.forgetPin) await forgetPin(home, options.domain);
    const { domain, url, ca } = options;
    const connection = connectionFor(home, environment, { domain, url, ca });
    try {
      return await connection.hello();
    } catch (error) {
      throw asClientError(error);
    } finally {
      await connection.close();
    }
  });
}
