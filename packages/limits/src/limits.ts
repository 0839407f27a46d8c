/**
 * The numbers, in one place. A name ends in its unit: `Bytes`, `Ms`, `Count`, `Bits`, followed by `Max` or `Min`.
 * Sources are named as the draft's section, a measurement, or judgement.
 */

const kibibyte = 1024;
const mebibyte = 1024 * kibibyte;
const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

// --- Reading a request (semantics 2.2, 8.4, 10) ---

/** Any HTTP body while it is read; the transaction is unknown until it is decoded. Fits an 8 MiB upload in JSON, twice base64. */
export const httpBodyBytesMax = 16 * mebibyte;
/** Request line and headers together; a Mesh request needs a few hundred octets. */
export const httpHeaderBytesMax = 16 * kibibyte;
/** From connection or previous response to the last header octet: slow senders hold a socket, not a worker. */
export const httpHeadersMsMax = 2 * second;
/** How often late headers are looked for; Node's own 30 s would make 2 s mean 32. */
export const httpLateCheckMs = 500;
/** A body under this size must arrive within `httpBodyWindowMs`; a larger one must bring as much in every window. */
export const httpBodyWindowBytesMin = 64 * kibibyte;
/** The window of the body rate rule. */
export const httpBodyWindowMs = 5 * second;
/** A body must be complete by then, whatever its size. */
export const httpBodyMsMax = 60 * second;
/** Our own work after the last octet of the request (draft 9.1.2.1: over 5 s is overload or attack). */
export const transactionMsMax = 5 * second;
/** Idle keep-alive connections are closed after this; longer than a client's usual poll interval. */
export const httpKeepAliveMsMax = 65 * second;
/** Bodies being read at one router together; beyond it requests are told to come back. */
export const bodyBytesInFlightMax = 256 * mebibyte;
/** The same for one source address: one hostile source takes at most an eighth. */
export const bodyBytesInFlightPerSourceMax = 32 * mebibyte;
/** An answer of which the peer takes nothing for this long is broken off: it holds memory here and at a shard. */
export const responseStallMsMax = 30 * second;
/** From TCP connection to the end of the TLS handshake. */
export const tlsHandshakeMsMax = 5 * second;
/** After a refusal of a body that is still coming: time for the answer to be read before the connection is closed. */
export const refusedBodyLingerMs = 2 * second;
/** Requests in work at one router at a time; bounded so that memory is. */
export const requestsInFlightMax = 2048;
/** Open connections at one router. */
export const connectionsMax = 8192;

// --- Decoding (encoding 4, 5, 6.4) ---

/** Nesting of JSON and JSON-B; Mesh objects need about ten. */
export const jsonDepthMax = 64;
/** A decoded message other than Upload and Post. */
export const messageDecodedBytesMax = 256 * kibibyte;
/** Signature entries in one envelope of a request. */
export const signatureEntriesMax = 4;
/** Ed448 verifications one request may cause at the router. */
export const requestVerificationsMax = 8;
/** A member `Profile`, `Connection` or `Account` of a signature entry. */
export const credentialBytesMax = 8 * kibibyte;
/** Header or trailer of an envelope as JSON text: a header holds metadata, some recipients and little else. */
export const envelopePartBytesMax = 64 * kibibyte;
/** Recipients of one encrypted envelope that a reader will look at. */
export const recipientsMax = 64;
/** Text of a UDF that is read: an O value of the longest key, every S and every Z value are far below. */
export const udfCharactersMax = 1024;
/** `UniqueID` of an entry, an index key of the database; Mesh identifiers have 28 to 64 characters, plain keys some more. */
export const uniqueIdCharactersMax = 1024;
/** `UniqueID` and `MessageType` of a message: they are kept for each of its recipients, and told in marks. */
export const messageNameCharactersMax = 256;
/**
 * Members and elements of one JSON or JSON-B text, all levels together. A value of two octets becomes an object of a hundred,
 * so the body bound alone would let 16 MiB grow to gigabytes; 1,000 messages with their credentials need about 60,000.
 */
export const jsonItemsMax = 200_000;

// --- Uploads, downloads, accounts (semantics 10) ---

/** One message, measured as its envelope in JSON-B (draft 7, 9: 64 KB). */
export const messageBytesMax = 65_536;
/** Messages in one Post. */
export const postMessagesMax = 16;
/** Entries in one Upload. */
export const uploadEntriesMax = 1000;
/** Payload octets of one Upload, all entries together; so also the largest frame. */
export const uploadPayloadBytesMax = 8 * mebibyte;
/** Updates in one Upload: each costs the verification of a manifest or two, and an account has no more containers. */
export const uploadManifestsMax = 256;
/** Device entries in one Upload: each costs three verifications and up to six key imports of about 2 ms (S10). */
export const uploadDevicesMax = 32;
/** Entries in a Download answer that the client asked to be large. */
export const downloadEntriesMax = 1000;
/** Payload octets of such an answer: 100 full messages and some room. */
export const downloadPayloadBytesMax = 8 * mebibyte;
/** Entries in an answer when the client named no limit (draft 10.8.2: not disproportionately large unasked). */
export const downloadEntriesDefault = 100;
/** Payload octets when the client named no limit. */
export const downloadPayloadBytesDefault = mebibyte;
/**
 * Octets of one rpc part of a download, where it holds more than one frame. A stream takes 16 parts before it says that
 * it is full, at either end, so this times 32 is what waits for a slow reader.
 */
export const downloadPartBytesMax = 128 * kibibyte;
/** Selections in one Download. */
export const downloadSelectionsMax = 256;
/** A download takes at most this long in all: the largest answer over a line of 100 kbit/s. */
export const downloadMsMax = 15 * minute;
/** Shortest local part of an account name. */
export const accountNameBytesMin = 1;
/** Longest local part of an account name (RFC 5321 local part). */
export const accountNameBytesMax = 64;
/** Longest domain (RFC 1035). */
export const domainBytesMax = 253;
/** Name of a container: the grammar bounds its second part alone (schema 7); this is for keys of the database. */
export const containerNameBytesMax = 128;
/** Containers of one account. */
export const containersPerAccountMax = 256;
/** Frames of one account. */
export const framesPerAccountMax = 1_000_000;
/** Octets stored for one account: headers, payloads, trailers. */
export const bytesPerAccountMax = 1024 * mebibyte;
/** What an administrator calls a device: a line of a list. */
export const deviceNameCharactersMax = 64;
/** Online signature keys of one profile: one for each administration device. */
export const onlineKeysMax = 64;
/** Stores of a deleted account stay this long for recovery by the operator. */
export const deletedStoresMs = 7 * day;
/** A deleted name cannot be taken by somebody else for this long. */
export const deletedNameMs = 90 * day;

// --- Authentication (encoding 6.6, S20–S27) ---

/** Octets of a request `ID`: 8 of time, 16 random. */
export const requestIdBytes = 24;
/** Longest `ID` that an answer echoes: those of other implementations may have another form, but no answer is a mirror. */
export const echoedIdBytesMax = 64;
/** Clock difference between a request and us. */
export const clockSkewMsMax = 300 * second;
/** Stored responses of writing requests, and remembered `ID`s of reading ones: twice the skew. */
export const requestSeenMs = 600 * second;
/** `ID`s of reading requests that a router remembers for one principal: one principal cannot fill another's. */
export const requestSeenPerPrincipalMax = 1024;
/** Principals a router remembers `ID`s of. */
export const requestSeenPrincipalsMax = 16_384;
/** `ID`s remembered at one router in all: 13 MB, up to twice as much with the room that is kept for more. */
export const requestSeenTotalMax = 262_144;
/** Seconds' worth of signed refusals that a source may save up: a test run or a confused client comes in bursts. */
export const signedRefusalsBurstSeconds = 5;
/** Source addresses whose budgets a router remembers. */
export const sourcesMax = 65_536;
/** Signed refusals for one source address in a second; beyond it errors are unsigned (S22). */
export const signedRefusalsPerSecondMax = 20;
/** Imported Ed448 keys kept by raw octets: a check costs half a millisecond, a kept key about 4 KB, and anybody can make keys (S10). */
export const importedKeysMax = 16_384;
/** Services whose signatures were checked and need not be again: a client knows a handful, a worker some thousands, 8 KB each. */
export const servicesVerifiedMax = 2048;
/** Hosts of one service likewise. */
export const hostsVerifiedMax = 64;
/** A ticket or page key lives this long (S33). */
export const ticketMsMax = hour;
/** So long after a signature tickets may be renewed without another one (S33): a copied ticket key does not live for ever. */
export const ticketChainMsMax = 24 * hour;
/** A sealing key seals for this long (S31). */
export const sealKeyMs = 24 * hour;
/** A client renews a ticket that ends sooner than this: clocks differ, and the answer should still find it good. */
export const ticketRenewMs = 5 * minute;
/** Opened tickets a router keeps, about 3 KB each: opening one costs a dozen digests. */
export const openedTicketsMax = 8192;
/** Octets of a ticket that a router looks at; ours have about 600. */
export const ticketBytesMax = 2 * kibibyte;
/** A ConnectionHost lives at most this long (S26). */
export const connectionHostMsMax = 7 * day;
/** A process is not ready when its ConnectionHost ends sooner than this. */
export const connectionHostMsMin = hour;
/** A client uses what Hello said for this long. */
export const helloCacheMs = 24 * hour;
/** A client believes an unsigned request to wait for at most this long (S22). */
export const unsignedPauseMsMax = 60 * second;
/** Hello and CreateAccount from one source address in a minute. */
export const helloPerMinutePerSourceMax = 600;
/** CreateAccount from one source address in an hour, where registration is open to the world. */
export const createAccountPerHourPerSourceMax = 10;
/** Connect for each source network (S84): each tells whether there is such an account. */
export const connectPerHourPerSourceMax = 10;
/** A response that a client will read; a full download in JSON, twice base64, with headers. */
export const responseBytesMax = 32 * mebibyte;

// --- Containers in files (encoding 3.1) ---

/** One frame of a container file. */
export const containerFrameBytesMax = 16 * mebibyte;

// --- Shard (design 3, 4) ---

/** Statements gathered into one database transaction by the coalescer. */
export const coalescedAppendsMax = 256;
/** Frames written by one multi-row statement. */
export const insertRowsMax = 256;
/** Writes waiting at one shard; beyond it: overloaded, come back. */
export const shardWritesWaitingMax = 8192;
/** A shard's lease is renewed this often … */
export const leaseRenewMs = 2 * second;
/** … and another process may take it when it was not renewed for this long. */
export const leaseMs = 10 * second;
/** Who waits for a lease looks this often: half a renewal, and a standby costs the database nothing. */
export const leaseTakePollMs = 250;
/** Slots of addresses that a process keeps, about 100 octets each: the same few thousand accounts ask all day. */
export const addressSlotsMax = 16_384;
/** Account states (container heads, devices) a shard keeps in memory. */
export const accountStatesMax = 20_000;
/** Octets gathered into one database transaction; one write may be larger by itself. Bounds what a commit waits for. */
export const coalescedBytesMax = 8 * mebibyte;
/** Octets of one multi-row statement, so that its message stays small beside the pages it fills. */
export const insertBytesMax = 4 * mebibyte;
/** Octets of the writes that wait at one shard; beyond it: overloaded. Sixteen of the largest uploads. */
export const shardWriteBytesWaitingMax = 128 * mebibyte;
/** Writers of one account that wait for each other; its devices cannot fill the shard's queue. */
export const accountWritesWaitingMax = 256;
/** Connections over which a shard writes: while one waits for its commit the other fills. */
export const shardWriteConnectionsMax = 2;
/** Connections over which a shard reads. */
export const shardReadConnectionsMax = 6;
/** Keys looked up by one statement. */
export const lookupKeysMax = 256;
/** Octets of frames read at once for an answer; two such chunks exist for each download, and each some three times. */
export const frameChunkBytesMax = 512 * kibibyte;
/** Frames read at once. */
export const frameChunkCountMax = 128;
/** A database statement of the shard ends by then; own work has `transactionMsMax` altogether. */
export const statementMsMax = 10 * second;
/** Names without an account that a shard remembers, so that asking for them is as quick as for others. */
export const unknownNamesMax = 20_000;
/** Between two looks for what has expired. */
export const sweepMs = minute;
/** Rows deleted by one statement of the sweeper; writers wait no longer than that. */
export const sweepRowsMax = 2000;
/** Deleted accounts that the sweeper looks up at once; each then takes many statements. */
export const sweepAccountsMax = 16;
/** Deletions whose bodies are asked for at once; what is behind them is asked for when these are done. */
export const erasuresAtOnceMax = 100;
/** Frames whose bodies one transaction removes: each is looked up in the turn of its account, which waits that long. */
export const erasedAtOnceMax = 64;
/** Between two looks at the version of the slot map, should a notification get lost. */
export const directoryPollMs = 5 * second;
/** Requests that a shard works on for all routers together. */
export const shardRequestsInFlightMax = 16_384;

// --- Calls between services ---

/** One message between services: the largest upload with its headers fits, alone. */
export const rpcMessageBytesMax = 16 * mebibyte;
/** Entries gathered into one message. */
export const rpcEntriesMax = 64;
/** Octets gathered into one message; one entry may be larger by itself. */
export const rpcGatherBytesMax = 256 * kibibyte;
/** HTTP/2 window of a stream: what is on its way while the receiver does not read. */
export const rpcWindowBytes = mebibyte;
/** Requests of one router that wait for answers of one shard, or to be sent to it. */
export const rpcRequestsWaitingMax = 4096;
/** Octets of such requests that are not sent yet; beyond it: overloaded. */
export const rpcBytesWaitingMax = 64 * mebibyte;
/**
 * A shard tells a stranger no sooner than this that he is one. What it looks up meanwhile, in memory or in the database,
 * takes a few milliseconds; without the wait its time would tell which accounts exist (semantics 4, S84).
 */
export const strangerRefusalMsMin = 25;
/** Octets of requests that a shard has taken and not answered; beyond it it stops reading. */
export const shardRequestBytesInFlightMax = 128 * mebibyte;
/** A silent peer is asked for a sign of life this often … */
export const rpcKeepAliveMs = 10 * second;
/** … and given up without one after this. */
export const rpcKeepAliveMsMax = 5 * second;
/** Between two attempts to connect, at most. */
export const rpcReconnectMsMax = 2 * second;
/** The same to Redis, which holds nothing that could not wait. */
export const redisReconnectMsMax = 5 * second;
/** Pauses between repetitions over a broken connection, doubling: the first, soon enough for a shard that was only restarted … */
export const rpcRetryMsMin = 50;
/** … and the longest, so that a shard that comes back is found within a tenth of `transactionMsMax`. */
export const rpcRetryMsMax = 500;
/** With less time left than this a router gives a request up: the peer should hear of it in time. */
export const rpcRetryLeftMsMin = second;
/** A request that reached the wrong shard waits so long for a newer map of slots before it is repeated. */
export const slotMapWaitMsMax = second;
/** How often a router asks each shard for a sign of life, and how long that may take: readiness waits for no request. */
export const shardProbeMs = 2 * second;
/** What a process without room, or one that stops or starts, tells to wait: others serve meanwhile. */
export const comeBackMs = second;
/** An answer to an operator: a change of every destination counts the rows of each. */
export const operatorAnswerMsMax = 30 * second;
/** A writer of messages that has grown beyond this is not kept: one large message must not hold its memory for good. */
export const rpcWriterBytesKeptMax = 4 * mebibyte;

// --- Processes ---

/** From SIGTERM to the forced exit: requests in work get `transactionMsMax` and some room. */
export const shutdownMsMax = 20 * second;
/** Between failing readiness and closing the listener, so that load balancers notice. */
export const shutdownDrainMs = second;
/** A router connects to a shard, or a client to a service, within this. */
export const connectMsMax = 4 * second;
/** Files that are renewed (certificates, keys, ConnectionHosts) are looked at this often where nothing reports a change. */
export const fileLookMs = minute;
/** Files are changed one after the other; a look sooner than this after a change would see a mixture. */
export const filesSettleMs = 200;
/** Path of the place that a service sends a client to; TXT records bound theirs alike (S74). */
export const redirectPathBytesMax = 255;

// --- Waiting Status, heads (S45, S83) ---

/** A waiting Status is answered by then, changed or not; below the idle times of proxies and our own keep-alive. */
export const statusWaitMsMax = 55 * second;
/** Waiting Statuses of one device: one, and the one that replaces it while the old connection is not known to be dead. */
export const statusWaitsPerDeviceMax = 2;
/** Of one account. */
export const statusWaitsPerAccountMax = 16;
/** Of one shard: each holds some kilobytes and no thread. */
export const statusWaitsMax = 65_536;
/** Waiting Statuses of one router at one shard; they do not count as requests that wait for an answer. */
export const rpcStatusWaitsMax = 32_768;
/** Signed heads are given again for this long while nothing changes; clients take them up to five minutes old. */
export const headsReuseMs = minute;

// --- Messages between services (semantics 6.7, 8, 10; S70–S84) ---

/** Messages times accounts of one Post. */
export const postDeliveriesMax = 1000;
/** A decoded Post. */
export const postDecodedBytesMax = 2 * mebibyte;
/** A message waits this long for its destination, whatever its queue; then its sender is told that it expired. */
export const messageMsMax = 48 * hour;
/** `Created` of a message's manifest lies at most this far back (S73): longer than a message waits. */
export const messageCreatedPastMsMax = 7 * day;
/** And at most this far ahead. */
export const messageCreatedFutureMsMax = 5 * minute;
/** The identity of a message is remembered for longer than it may be sent (S73). */
export const messageSeenMs = 8 * day;
/** Accreditations of senders' devices whose signatures held, kept by a process, about 8 KB each: people write more than once. */
export const accreditationsKnownMax = 2048;
/** An offered message may be sent within this (S82). */
export const messageOfferMs = 10 * minute;
/** Offers remembered for one sending domain (S82). */
export const messageOffersPerDomainMax = 1000;
/** Answers of one batch of a foreign service are released together and no sooner (S80): what was looked up does not show. */
export const foreignAnswerMsMin = 50;
/** Devices that may wait to be connected to one account (semantics 10): each costs an entry of its inbound spool. */
export const pendingConnectionsMax = 16;
/** How long they wait, and how long a device is told that it waited in vain (semantics 10). */
export const pendingConnectionMs = 24 * hour;
/** How soon a device may ask again what became of its request (semantics 7.3). */
export const completePollMsMin = 2 * second;
/** Polls of a device that waits double up to this (semantics 7.3). */
export const completePollMsMax = minute;
/** Requests for contact that strangers of one domain may send to one shard in a day (semantics 8.3, S80). */
export const contactRequestsPerDomainPerDayMax = 1000;
/** Sending domains that a shard counts such requests of. */
export const sendingDomainsMax = 16_384;
/** Messages of one account in an hour, for each recipient one; a person's, not a campaign's. */
export const postsPerAccountPerHourMax = 3600;
/** Messages of one sending domain in a second, over a minute: 20 a second fill a 10 Mb/s line (semantics 8.4). */
export const messagesPerDomainPerSecondMax = 2000;
/** Contacts with permissions of one account that a shard looks at. */
export const contactPermissionsMax = 10_000;
/** Text of one contact's permissions: message types with commas between them. */
export const contactPermissionBytesMax = 512;

/** Messages that a Status may ask about (feature `delivery-1`). */
export const deliveriesAskedMax = 100;

// --- Outbound (semantics 8.1, 8.4; design 6) ---

/** One transaction with another service, discovery included (draft 9.1.2.1). */
export const outboundTransactionMsMax = 5 * second;
/** Lanes of a destination: workers that may be busy with it at one shard. */
export const lanesPerDestination = 16;
/** A leased row is another worker's after this: longer than a transaction with its settling may take. */
export const outboxLeaseMs = 15 * second;
/** What is left of a lease where a Post is begun: it and the settling end within. */
export const outboxLeaseLeftMsMin = 2 * outboundTransactionMsMax;
/** How often workers look for lanes whose worker has died: after a lease its messages wait no longer than two looks. */
export const stalledLanesCheckMs = 5 * second;
/** Rows leased at once. */
export const outboxLeaseRowsMax = 64;
/** A failed destination rests this long, doubled with each failure … */
export const destinationRestMsMin = 5 * second;
/** … up to this … */
export const destinationRestMsMax = hour;
/** … give or take this share, so that not all workers come at once. */
export const destinationRestJitter = 0.25;
/** After failures for this long a destination is gone: one attempt each `destinationRestMsMax`. */
export const destinationGoneMs = 24 * hour;
/** A peer's wish to wait is followed up to this. */
export const destinationRetryAfterMsMax = hour;
