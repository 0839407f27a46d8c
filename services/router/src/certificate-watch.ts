/** The TLS certificate of the listener: read at start, and again when its files were renewed. */
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { fileLookMs } from '@meshd/limits/limits';

/** A certificate chain and its key, PEM. */
export interface Certificate {
  readonly certificate: Buffer;
  readonly key: Buffer;
}

/** Where they lie. */
export interface CertificatePaths {
  readonly tlsCertFile: string;
  readonly tlsKeyFile: string;
}

/** Reads both files. */
export async function readCertificate(paths: CertificatePaths): Promise<Certificate> {
  const [certificate, key] = await Promise.all([readFile(paths.tlsCertFile), readFile(paths.tlsKeyFile)]);
  return { certificate, key };
}

/** What {@link watchCertificate} needs. */
export interface CertificateWatchOptions {
  readonly paths: CertificatePaths;
  /** The one in force. */
  readonly current: Certificate;
  readonly onChange: (certificate: Certificate) => void;
  /** The files cannot be used; the certificate before stays in force. */
  readonly onError: (error: unknown) => void;
  readonly everyMs?: number;
}

/**
 * Follows the files.
 *
 * @returns ends it
 */
export function watchCertificate(options: CertificateWatchOptions): () => void {
  let { current } = options;
  const look = async () => {
    try {
      const found = await readCertificate(options.paths);
      if (found.certificate.equals(current.certificate) && found.key.equals(current.key)) return;
      // The two files are replaced one after the other: a pair that does not fit is looked at again later.
      createSecureContext({ cert: found.certificate, key: found.key });
      current = found;
      options.onChange(found);
    } catch (error) {
      options.onError(error);
    }
  };
  const timer = setInterval(() => void look(), options.everyMs ?? fileLookMs).unref();
  return () => clearInterval(timer);
}
