import * as discovery from './discovery.js';
import * as hailing from './hailing.js';
import * as large from './large.js';
import * as limits from './limits.js';
import * as outbound from './outbound.js';
import * as peers from './peers.js';

/** SRV and TXT of the service, both addresses and TXT of its host. */
const dnsAnswersOfDestination = 5;

/**
 * Relations between the numbers that must hold for the whole to work; a process checks them when it starts.
 *
 * @returns one sentence for each relation that does not hold; empty when all do.
 */
export function brokenRelations(): string[] {
  const relations: [holds: boolean, sentence: string][] = [
    [limits.connectMsMax < limits.transactionMsMax, 'connectMsMax must be below transactionMsMax'],
    [limits.transactionMsMax < limits.shutdownMsMax, 'transactionMsMax must be below shutdownMsMax'],
    [limits.leaseRenewMs * 3 <= limits.leaseMs, 'a lease must survive two lost renewals'],
    [limits.uploadPayloadBytesMax * (16 / 9) < limits.httpBodyBytesMax, 'a full upload in JSON must fit an HTTP body'],
    [limits.downloadPayloadBytesMax * (16 / 9) < limits.responseBytesMax, 'a full download must fit a response'],
    [limits.requestSeenMs >= 2 * limits.clockSkewMsMax, 'stored responses must outlive the clock skew both ways'],
    [limits.messageBytesMax <= limits.uploadPayloadBytesMax, 'a message must fit an upload'],
    [limits.outboxLeaseMs > limits.outboxLeaseLeftMsMin, 'a lease of messages must outlive their transaction'],
    [limits.messageMsMax < limits.messageCreatedPastMsMax, 'a message must not become too old while it waits'],
    [
      limits.messageCreatedPastMsMax + limits.messageCreatedFutureMsMax < limits.messageSeenMs,
      'messages must be remembered for as long as they may be repeated',
    ],
    [peers.peerConnectionIdleMs < limits.httpKeepAliveMsMax, 'a kept connection must end before the peer closes it'],
    [peers.peerLeaseMs > limits.outboundTransactionMsMax, 'the lease of a call must outlive it'],
    [
      2 * discovery.discoveryConnectMsMax < limits.outboundTransactionMsMax,
      'a silent place must leave time to connect to the next',
    ],
    [
      discovery.dnsAnswersMax >= dnsAnswersOfDestination * outbound.peersConnectedMax,
      'a round of all destinations must not push out what the DNS said of the first',
    ],
    [2 * discovery.dnsQueryMsMax < limits.outboundTransactionMsMax, 'two steps of discovery must fit a transaction'],
    [discovery.dnsRepeatMs * 2 <= discovery.dnsQueryMsMax, 'a second name server must have its turn'],
    [large.largePlainBytes < large.largeSliceBytesMax, 'a slice must fit a row with what seals it'],
    [large.largeSliceBytesMax * (4 / 3) < large.largeRequestBytesMax, 'a slice in JSON must fit its request'],
    [limits.messageMsMax < large.largeKeptMsDefault, 'a file must outlive the message that tells of it'],
    [
      hailing.publicationLeaseMs < hailing.publicationWithdrawnMs,
      'a withdrawal must be remembered for as long as an older state may be on its way',
    ],
    [
      hailing.publicationsLeasedMax * hailing.publicationBytesMax < limits.rpcMessageBytesMax,
      'publications that are handed over must fit one rpc message',
    ],
    [hailing.publicationBytesMax <= limits.uploadPayloadBytesMax, 'a publication must fit an upload'],
    [limits.connectionHostMsMin < limits.connectionHostMsMax, 'connectionHostMsMin must be below connectionHostMsMax'],
  ];
  return relations.filter(([holds]) => !holds).map(([, sentence]) => sentence);
}
