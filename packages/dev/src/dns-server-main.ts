/** The process of `dns-server.ts`: a DNS server on the loopback interface, over UDP and TCP, told its zone by its parent. */
import { createSocket } from 'node:dgram';
import { createServer, type Socket } from 'node:net';
import { answersTo, questionOf, type Zone } from './dns-zone.js';

/** From the parent: a zone, or the wish to know how often what was asked. */
export type DnsOrder = { readonly zone: Zone } | { readonly counts: true };
/** To the parent: first the port, then an answer to each order. */
export type DnsReport =
  | { readonly port: number }
  | { readonly done: true }
  | { readonly counts: Readonly<Record<string, number>> };

const loopback = '127.0.0.1';
const lengthBytes = 2;
let zone: Zone = { records: [] };
const counts: Record<string, number> = {};

function answer(query: Uint8Array, transport: 'udp' | 'tcp'): Uint8Array[] {
  const asked = questionOf(query);
  if (asked !== undefined) counts[asked] = (counts[asked] ?? 0) + 1;
  return answersTo(query, zone, transport);
}

async function serveTcp(socket: Socket): Promise<void> {
  let octets = Buffer.alloc(0);
  for await (const part of socket as AsyncIterable<Buffer>) {
    octets = Buffer.concat([octets, part]);
    while (octets.length >= lengthBytes && octets.length >= lengthBytes + octets.readUInt16BE()) {
      const end = lengthBytes + octets.readUInt16BE();
      for (const reply of answer(octets.subarray(lengthBytes, end), 'tcp')) {
        const length = Buffer.alloc(lengthBytes);
        length.writeUInt16BE(reply.length);
        socket.write(Buffer.concat([length, reply]));
      }
      octets = octets.subarray(end);
    }
  }
}

/** To the parent that forked us; without one there is nobody to serve. */
function report(what: DnsReport): void {
  process.send?.(what);
}

const sockets = new Set<Socket>();
const tcp = createServer((socket) => {
  sockets.add(socket);
  socket.once('close', () => sockets.delete(socket));
  serveTcp(socket).catch(() => socket.destroy());
});
const udp = createSocket('udp4');
udp.on('message', (query, { port, address }) => {
  for (const reply of answer(query, 'udp')) udp.send(reply, port, address);
});
process.on('message', (order: DnsOrder) => {
  if ('zone' in order) {
    zone = order.zone;
    report({ done: true });
  } else {
    report({ counts });
  }
});
process.on('disconnect', () => {
  udp.close();
  tcp.close();
  for (const socket of sockets) socket.destroy();
});
// The port that TCP gets is asked of UDP too, so that one address names both.
tcp.listen(Number(process.argv[2] ?? 0), loopback, () => {
  const { port } = tcp.address() as { port: number };
  udp.bind(port, loopback, () => report({ port }));
});
