/**
 * Mutual TLS between the services of one provider (S91). Each role has a certificate of the provider's own authority
 * whose DNS name says the role; both ends look at the other's name before anything is said.
 */
import { createSecureContext, type PeerCertificate } from 'node:tls';
import { ChannelCredentials, type ChannelOptions, ServerCredentials } from '@grpc/grpc-js';
import {
  connectMsMax,
  rpcKeepAliveMs,
  rpcKeepAliveMsMax,
  rpcMessageBytesMax,
  rpcReconnectMsMax,
  rpcWindowBytes,
} from '@meshd/limits/limits';
import { RpcError } from './errors.js';

/** The processes of a provider, and who operates it. */
export type Role = 'router' | 'shard' | 'outbound' | 'operator';

/** The DNS name in the certificate of a role. */
export function roleName(role: Role): string {
  return `${role}.meshd.internal`;
}

/** PEM texts: our certificate and key, and the authority that the peer's certificate must come from. */
export interface Identity {
  readonly certificate: Buffer;
  readonly key: Buffer;
  readonly authority: Buffer;
}

/** Credentials and options of a channel to a process of `peer`'s role. */
export interface ChannelSetting {
  readonly credentials: ChannelCredentials;
  readonly options: ChannelOptions;
}

const bothEnds: ChannelOptions = {
  'grpc.max_receive_message_length': rpcMessageBytesMax,
  'grpc.max_send_message_length': rpcMessageBytesMax,
  'grpc.keepalive_time_ms': rpcKeepAliveMs,
  'grpc.keepalive_timeout_ms': rpcKeepAliveMsMax,
  'grpc-node.flow_control_window': rpcWindowBytes,
};

/** What a client needs to reach a process of another role, whatever address it has. */
export function channelSetting(identity: Identity, peer: Role): ChannelSetting {
  const context = createSecureContext({
    ca: identity.authority,
    cert: identity.certificate,
    key: identity.key,
    minVersion: 'TLSv1.3',
  });
  return {
    credentials: ChannelCredentials.createFromSecureContext(context),
    options: {
      ...bothEnds,
      // the name in the certificate is the peer's role, not the address under which we found it
      'grpc.ssl_target_name_override': roleName(peer),
      'grpc.default_authority': roleName(peer),
      'grpc.keepalive_permit_without_calls': 1,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.min_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': rpcReconnectMsMax,
      // a connection of its own for each channel, so that closing one ends it
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_retries': 0,
    },
  };
}

/** Longest wait for a connection. */
export const channelReadyMsMax: number = connectMsMax;

/** Credentials of a listener that lets in who has a certificate of the authority; {@link expectRole} then asks which. */
export function listenerCredentials(identity: Identity): ServerCredentials {
  const pair = { cert_chain: identity.certificate, private_key: identity.key };
  return ServerCredentials.createSsl(identity.authority, [pair], true);
}

/** Options of a listener. */
export const listenerOptions: ChannelOptions = bothEnds;

/** DNS names of a certificate. */
function dnsNames(certificate: PeerCertificate | undefined): string[] {
  const names = (certificate?.subjectaltname ?? '').split(', ');
  return names.filter((name) => name.startsWith('DNS:')).map((name) => name.slice('DNS:'.length));
}

/** A call as far as its peer is concerned. */
export interface PeerCall {
  getAuthContext(): { sslPeerCertificate?: PeerCertificate };
}

/**
 * The role of who calls.
 *
 * @throws RpcError `refused` unless it is one of `roles`
 */
export function expectRole(call: PeerCall, roles: readonly Role[]): Role {
  const names = dnsNames(call.getAuthContext().sslPeerCertificate);
  const role = roles.find((candidate) => names.includes(roleName(candidate)));
  if (role === undefined) throw new RpcError('refused', `the caller is ${names.join(', ') || 'nobody'}`);
  return role;
}
