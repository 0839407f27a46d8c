/** For the tests of this folder: an authority and certificates of the roles. */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import type { Identity } from './credentials.js';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const validity = () => ({ notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 3_600_000) });

const newKeys = () => webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);

/** Issues certificates. */
export interface TestAuthority {
  issue(dnsName: string): Promise<Identity>;
}

/** Makes an authority. */
export async function makeAuthority(): Promise<TestAuthority> {
  x509.cryptoProvider.set(webcrypto as never);
  const keys = await newKeys();
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    ...{ serialNumber: '01', name: 'CN=Test authority', keys, signingAlgorithm: algorithm, ...validity() },
    extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
  } as never);
  return {
    issue: async (dnsName) => {
      const own = await newKeys();
      const certificate = await x509.X509CertificateGenerator.create({
        ...{ serialNumber: '02', subject: `CN=${dnsName}`, issuer: authority.subject, signingAlgorithm: algorithm },
        ...{ publicKey: own.publicKey, signingKey: keys.privateKey, ...validity() },
        extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: dnsName }])],
      } as never);
      const der = new Uint8Array(await webcrypto.subtle.exportKey('pkcs8', own.privateKey));
      return {
        certificate: Buffer.from(certificate.toString('pem')),
        key: Buffer.from(x509.PemConverter.encode(der, 'PRIVATE KEY')),
        authority: Buffer.from(authority.toString('pem')),
      };
    },
  };
}
