/**
 * One question to name servers: UDP, repeated at the next server where an answer is late, TCP where it does not fit.
 *
 * An answer over UDP is believed when it comes from the server's address to our (random) port, with our random id and
 * our question; anything else is passed over, because anybody may send it.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect as connectTcp, isIPv6 } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { Random } from '@meshd/crypto/random';
import { dnsQueryMsMax, dnsRepeatMs, dnsUdpBytesMax } from '@meshd/limits/discovery';
import { type DecodedPacket, decode, encode, streamEncode } from 'dns-packet';

/** A name server; `host` is an address. */
export interface NameServer {
  readonly host: string;
  readonly port: number;
}

/** Kinds of records that discovery asks for. */
export type RecordType = 'A' | 'AAAA' | 'SRV' | 'TXT';

/** What is asked. */
export interface DnsQuestion {
  readonly type: RecordType;
  readonly name: string;
}

/** No server gave an answer that says something about the name. */
export class DnsFailure extends Error {
  override readonly name = 'DnsFailure';
}

/** DNS over TCP has 16 bits for the length. */
const tcpLengthBytes = 2;

/** Says that the answer goes on; the rest comes over TCP. */
const isTruncated = (packet: DecodedPacket): boolean => packet.flag_tc;

/** What {@link askServers} needs besides the question. */
export interface AskOptions {
  /** In the order in which they are asked; the first is asked again after the last. */
  readonly servers: readonly NameServer[];
  readonly random: Random;
}

/**
 * Asks, within `dnsQueryMsMax`.
 *
 * @returns an answer with RCODE 0 or 3: there is something, or there is no such name
 * @throws DnsFailure when no server gave one
 */
export async function askServers(question: DnsQuestion, options: AskOptions): Promise<DecodedPacket> {
  const { servers, random } = options;
  const done = new AbortController();
  const signal = AbortSignal.any([done.signal, AbortSignal.timeout(dnsQueryMsMax)]);
  const attempts = Array.from({ length: Math.ceil(dnsQueryMsMax / dnsRepeatMs) }, async (_, index) => {
    const server = servers[index % servers.length];
    if (server === undefined) throw new DnsFailure('no name server is known');
    if (index > 0) await pause(index * dnsRepeatMs, undefined, { signal });
    return askServer(question, server, random, signal);
  });
  try {
    return await Promise.any(attempts);
  } catch (error) {
    const reasons = (error as AggregateError).errors as Error[];
    const told = reasons.find((reason) => reason instanceof DnsFailure)?.message ?? 'no name server answered in time';
    throw new DnsFailure(`${question.type} ${question.name}: ${told}`, { cause: reasons[0] });
  } finally {
    done.abort();
  }
}

async function askServer(
  question: DnsQuestion,
  server: NameServer,
  random: Random,
  signal: AbortSignal,
): Promise<DecodedPacket> {
  const id = Buffer.from(random(2)).readUInt16BE();
  const opt = { type: 'OPT' as const, name: '.', udpPayloadSize: dnsUdpBytesMax, flags: 0, options: [] };
  const query = { type: 'query' as const, id, flags: 0x100, questions: [{ ...question }], additionals: [opt] };
  // biome-ignore lint/suspicious/noExplicitAny: the types want members of OPT that the encoder fills in
  const packet = query as any;
  const short = await overUdp(encode(packet), server, (octets) => answerTo(question, id, octets), signal);
  const answer = isTruncated(short) ? await overTcp(streamEncode(packet), server, signal) : short;
  const whole = answer instanceof Uint8Array ? answerTo(question, id, answer) : answer;
  if (whole === undefined) throw new DnsFailure(`${server.host} answered over TCP with something else`);
  const { rcode } = whole as DecodedPacket & { rcode: string };
  if (rcode !== 'NOERROR' && rcode !== 'NXDOMAIN') throw new DnsFailure(`${server.host} answered ${rcode}`);
  return whole;
}

/** The answer to our question, or undefined for anything else. */
function answerTo(question: DnsQuestion, id: number, octets: Uint8Array): DecodedPacket | undefined {
  try {
    const packet = decode(Buffer.from(octets));
    const [asked, second] = packet.questions ?? [];
    const isOurs = packet.type === 'response' && packet.id === id && second === undefined;
    const isAsked = asked?.type === question.type && asked.name.toLowerCase() === question.name.toLowerCase();
    return isOurs && isAsked ? packet : undefined;
  } catch {
    return undefined;
  }
}

async function overUdp(
  query: Uint8Array,
  server: NameServer,
  judge: (octets: Uint8Array) => DecodedPacket | undefined,
  signal: AbortSignal,
): Promise<DecodedPacket> {
  // The signal closes the socket, and with it everything that waits for it.
  const socket = createSocket({ type: isIPv6(server.host) ? 'udp6' : 'udp4', signal });
  try {
    return await new Promise<DecodedPacket>((resolve, reject) => {
      socket.on('error', (error) => reject(new DnsFailure(`${server.host}: ${error.message}`, { cause: error })));
      socket.on('close', () => reject(new DnsFailure('no name server answered in time')));
      socket.on('message', (octets) => {
        const answer = judge(octets);
        if (answer !== undefined) resolve(answer);
      });
      // Connected, so that the system drops what comes from elsewhere and reports a closed port.
      socket.once('connect', () => socket.send(query));
      socket.connect(server.port, server.host);
    });
  } finally {
    if (!signal.aborted) socket.close();
  }
}

async function overTcp(query: Uint8Array, server: NameServer, signal: AbortSignal): Promise<Uint8Array> {
  const socket = connectTcp({ host: server.host, port: server.port, signal });
  try {
    await once(socket, 'connect', { signal });
    socket.write(query);
    let octets = Buffer.alloc(0);
    for await (const part of socket as AsyncIterable<Buffer>) {
      octets = Buffer.concat([octets, part]);
      const end = octets.length < tcpLengthBytes ? Number.POSITIVE_INFINITY : tcpLengthBytes + octets.readUInt16BE();
      if (octets.length >= end) return octets.subarray(tcpLengthBytes, end);
    }
    throw new DnsFailure(`${server.host} closed the connection`);
  } catch (error) {
    throw error instanceof DnsFailure ? error : new DnsFailure(`${server.host}: ${(error as Error).message}`);
  } finally {
    socket.destroy();
  }
}
