/**
 * Certificates for one machine: an authority that the people (and tests) of this machine are told to trust for the
 * router, and a second one, trusted by our own processes alone, for what they say to each other.
 *
 * Two, because whoever holds a certificate of the internal authority may speak as a shard: a certificate for the outside
 * must never open that door.
 */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';

/** Roles inside a provider; each process shows the certificate of its role. */
export const roles = ['router', 'shard', 'outbound'] as const;

/** One of {@link roles}. */
export type Role = (typeof roles)[number];

/** Paths of a certificate (with what issued it left out) and of its key. */
export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** Everything that {@link ensureCertificates} made or found. */
export interface ProviderCertificates {
  /** What a client must trust to reach the router. */
  readonly caFile: string;
  readonly server: CertificateFiles;
  /** What the processes trust among themselves. */
  readonly internalCaFile: string;
  readonly internal: Readonly<Record<Role, CertificateFiles>>;
}

type CryptoKey = webcrypto.CryptoKey;
type CryptoKeyPair = webcrypto.CryptoKeyPair;

const dayMs = 24 * 3600 * 1000;
const authorityDays = 3650;
const certificateDays = 365;
/** A certificate with less than this left is made anew at the next start. */
const renewDays = 30;

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
x509.cryptoProvider.set(webcrypto);

/** The name in a role's certificate, which its peers check. */
export function internalName(role: Role): string {
  return `${role}.meshd.internal`;
}

/**
 * Makes what is missing, about to expire, or for other domains; keeps the rest, so that whoever trusts the authority
 * goes on trusting it after a restart.
 *
 * @param folder gets two folders: `public` and `internal`
 * @param nowMs the time, milliseconds since 1970
 */
export async function ensureCertificates(
  folder: string,
  domains: readonly string[],
  nowMs: number,
): Promise<ProviderCertificates> {
  const outside = await ensureAuthority(join(folder, 'public'), 'meshd local authority', nowMs);
  const inside = await ensureAuthority(join(folder, 'internal'), 'meshd internal authority', nowMs);
  const names = [...domains, 'localhost', '127.0.0.1', '::1'];
  const internal = {} as Record<Role, CertificateFiles>;
  for (const role of roles) internal[role] = await ensureCertificate(inside, role, [internalName(role)], nowMs);
  return {
    caFile: outside.certFile,
    server: await ensureCertificate(outside, 'router', names, nowMs),
    internalCaFile: inside.certFile,
    internal,
  };
}

/**
 * A certificate of a server under an authority of a folder; both are made where they are missing. For peers of a provider,
 * which are to be trusted by the authority that the provider is told of.
 *
 * @param folder of the authority, with its certificate as `ca.pem`
 * @param name of the files
 * @param names domains and addresses that the certificate is for
 */
export async function ensureServerCertificate(
  folder: string,
  name: string,
  names: readonly string[],
  nowMs: number,
): Promise<CertificateFiles & { readonly caFile: string }> {
  const authority = await ensureAuthority(folder, 'meshd local authority', nowMs);
  return { ...(await ensureCertificate(authority, name, names, nowMs)), caFile: authority.certFile };
}

interface Authority extends CertificateFiles {
  readonly folder: string;
  readonly certificate: x509.X509Certificate;
  readonly key: CryptoKey;
}

async function ensureAuthority(folder: string, name: string, nowMs: number): Promise<Authority> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const files = { certFile: join(folder, 'ca.pem'), keyFile: join(folder, 'ca-key.pem') };
  const found = await readCertificate(files.certFile, nowMs);
  if (found !== undefined) return { folder, ...files, certificate: found, key: await readKey(files.keyFile) };
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    keys,
    ...validity(nowMs, authorityDays),
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  await writePair(files, certificate, keys.privateKey);
  return { folder, ...files, certificate, key: keys.privateKey };
}

async function ensureCertificate(
  authority: Authority,
  name: string,
  names: readonly string[],
  nowMs: number,
): Promise<CertificateFiles> {
  const files = {
    certFile: join(authority.folder, `${name}.pem`),
    keyFile: join(authority.folder, `${name}-key.pem`),
  };
  const found = await readCertificate(files.certFile, nowMs);
  if (found !== undefined && (await isUsable(found, names, authority))) return files;
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.create({
    subject: `CN=${name}`,
    issuer: authority.certificate.subject,
    publicKey: keys.publicKey,
    signingKey: authority.key,
    ...validity(nowMs, certificateDays),
    signingAlgorithm: algorithm,
    extensions: await leafExtensions(authority, keys.publicKey, names),
  });
  await writePair(files, certificate, keys.privateKey);
  return files;
}

async function leafExtensions(authority: Authority, key: CryptoKey, names: readonly string[]) {
  return [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    // our processes are servers to one another and clients of one another
    new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
    new x509.SubjectAlternativeNameExtension(names.map(alternativeName)),
    await x509.AuthorityKeyIdentifierExtension.create(authority.certificate.publicKey),
    await x509.SubjectKeyIdentifierExtension.create(key),
  ];
}

function alternativeName(value: string): x509.JsonGeneralName {
  return { type: /^[\d.]+$|:/.test(value) ? 'ip' : 'dns', value };
}

/** Whether it names exactly what is wanted and was issued by this authority (whose key may have been made anew). */
async function isUsable(
  certificate: x509.X509Certificate,
  names: readonly string[],
  authority: Authority,
): Promise<boolean> {
  const extension = certificate.getExtension(x509.SubjectAlternativeNameExtension);
  const present = extension?.names.items.map((item) => item.value) ?? [];
  const same = present.length === names.length && names.every((name) => present.includes(name));
  return same && (await certificate.verify({ publicKey: authority.certificate.publicKey, signatureOnly: true }));
}

function validity(nowMs: number, days: number): { notBefore: Date; notAfter: Date } {
  // An hour back: clocks of two machines are never quite the same.
  return { notBefore: new Date(nowMs - 3600 * 1000), notAfter: new Date(nowMs + days * dayMs) };
}

function newKeys(): Promise<CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
}

async function readCertificate(file: string, nowMs: number): Promise<x509.X509Certificate | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const certificate = new x509.X509Certificate(text);
  return certificate.notAfter.getTime() > nowMs + renewDays * dayMs ? certificate : undefined;
}

async function readKey(file: string): Promise<CryptoKey> {
  const der = x509.PemConverter.decodeFirst(await readFile(file, 'utf8'));
  return webcrypto.subtle.importKey('pkcs8', der, algorithm, true, ['sign']);
}

async function writePair(files: CertificateFiles, certificate: x509.X509Certificate, key: CryptoKey): Promise<void> {
  const der = await webcrypto.subtle.exportKey('pkcs8', key);
  await writeFile(files.keyFile, `${x509.PemConverter.encode(der, 'PRIVATE KEY')}\n`, { mode: 0o600 });
  await writeFile(files.certFile, `${certificate.toString('pem')}\n`);
}
