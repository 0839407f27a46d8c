/** Kinds of values that settings take; building blocks for a service's configuration schema. */
import { logLevels } from '@meshd/telemetry/logger';
import { z } from 'zod';

/** Where a listener binds, or where a peer listens. */
export interface HostPort {
  /** Name or address, without brackets around IPv6. */
  readonly host: string;
  /** 0 lets the system choose, where the setting is about listening. */
  readonly port: number;
}

/**
 * Reads `host:port`, `[v6]:port` or `:port` (every interface).
 *
 * @returns undefined when the text has no such form
 */
export function parseHostPort(text: string): HostPort | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^\s:[\]]*)):(\d{1,5})$/.exec(text.trim());
  if (match === null) return undefined;
  const port = Number(match[3]);
  if (port > 65535) return undefined;
  return { host: match[1] ?? (match[2] === '' ? '0.0.0.0' : (match[2] as string)), port };
}

/** The text form of an address, as {@link parseHostPort} reads it. */
export function formatHostPort(address: HostPort): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

const splitList = (text: string): string[] =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');

/** An address `host:port`. */
export const hostPort = z.string().transform((text, context): HostPort => {
  const address = parseHostPort(text);
  if (address !== undefined) return address;
  context.addIssue({ code: 'custom', message: 'must be host:port' });
  return z.NEVER;
});

/** One or more addresses, separated by commas. */
export const hostPortList = z.string().transform((text, context): HostPort[] => {
  const items = splitList(text);
  const addresses = items.map(parseHostPort).filter((address) => address !== undefined);
  if (items.length > 0 && addresses.length === items.length) return addresses;
  context.addIssue({ code: 'custom', message: 'must be one or more host:port, separated by commas' });
  return z.NEVER;
});

/** One or more words, separated by commas. */
export const nameList = z.string().transform((text, context): string[] => {
  const items = splitList(text);
  if (items.length > 0 && new Set(items).size === items.length) return items;
  context.addIssue({ code: 'custom', message: 'must be one or more different names, separated by commas' });
  return z.NEVER;
});

/** Path of a file or folder; whether it can be read is found out by who reads it. */
export const path = z.string().min(1, 'must be a path');

/** How much the log says. */
export const logLevel = z.enum(logLevels).default('info');

/** Whether strangers may create accounts. Closed unless said otherwise: an open door is found by floods of bots. */
export const registration = z.enum(['closed', 'open']).default('closed');

const secretFlag = { secret: true } as const;

/** A text whose value is never shown (see `describeConfig`). */
export const secret = z.string().min(1).meta(secretFlag);

/** Address of a database or of Redis; it may hold a password, so only its harmless parts are shown. */
export const secretUrl = z.url('must be a URL').meta(secretFlag);

/** Settings that every service has. Spread its `shape` into the service's own schema. */
export const commonSettings = {
  /** Where health, readiness and figures are served; never reachable from outside. */
  adminListen: hostPort,
  logLevel,
  /** Folder with this host's key, profile and connection; read again when it changes. */
  hostDir: path,
  rpcCertFile: path,
  rpcKeyFile: path,
  rpcCaFile: path,
};
