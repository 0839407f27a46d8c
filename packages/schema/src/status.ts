/**
 * The one registry of statuses and errors (semantics 3, S84): what goes on the wire, whether trying again can help, and
 * what the user is told. `docs/errors.md` lists it; a test compares both.
 */
export interface StatusEntry {
  /** `Status` of the response payload. */
  readonly status: number;
  /** `StatusExtended`, where there is one. */
  readonly extended?: number;
  /** HTTP code: the status, but for 3xx, which HTTP stacks would follow and drop the body. */
  readonly http: number;
  /** Whether the same request, unchanged, may succeed later. */
  readonly retryable: boolean;
  /** `StatusDescription`: for logs and people, tells nothing that the peer must not know. */
  readonly description: string;
  /** What the user can do. */
  readonly advice: string;
  /** Spoken by client software alone, never on the wire. */
  readonly clientOnly?: true;
}

type Options = Partial<Pick<StatusEntry, 'extended' | 'retryable' | 'clientOnly'>>;

function entry(status: number, description: string, advice: string, options: Options = {}): StatusEntry {
  const http = status >= 300 && status < 400 ? 200 : status;
  return { status, http, retryable: false, description, advice, ...options };
}

const later = { retryable: true } as const;

const registry = {
  // --- success ---
  success: entry(201, 'Operation completed successfully', 'Nothing to do.'),
  updated: entry(202, 'Stored objects were updated', 'Nothing to do.'),

  // --- incomplete ---
  'bodies-awaited': entry(300, 'Redacted entries accepted, bodies awaited', 'Send the complete entries.'),
  'account-on-hold': entry(300, 'Account on hold', 'Follow Reason and URL of the response.', { extended: 6 }),
  'connection-pending': entry(300, 'Connection pending', 'Accept the device on an administration device.', {
    extended: 17,
    retryable: true,
  }),
  'moved-permanently': entry(303, 'Moved', 'The client follows once; if it does not, update the service address.'),
  'moved-temporarily': entry(307, 'Temporarily elsewhere', 'The client follows once; nothing to do.', later),
  'account-moved': entry(303, 'Account has moved', 'Use the new address of the account.', { extended: 25 }),

  // --- request at fault ---
  malformed: entry(400, 'Malformed request', 'Update the client; the request was not understood.'),
  'unknown-transaction': entry(400, 'Unknown transaction', 'Update the client; the service knows no such transaction.'),
  'object-signature': entry(400, 'Signature of an enclosed object invalid', 'Make the profile or entry anew.', {
    extended: 10,
  }),
  'payload-digest': entry(400, 'Payload digest does not match', 'Send the entry again from its source.', {
    extended: 11,
  }),
  'event-rule': entry(400, 'Event or identifier rule violated', 'Update the client; the entry is not well formed.', {
    extended: 13,
  }),
  manifest: entry(400, 'Manifest missing or wrong', 'Update the client; the batch is not signed as it must be.', {
    extended: 23,
  }),

  // --- not authenticated ---
  'not-authenticated': entry(401, 'Not authenticated', 'Check account and device; connect the device again.'),
  'device-revoked': entry(401, 'Device revoked', 'Connect the device again, or use another one.', { extended: 4 }),
  ticket: entry(401, 'Ticket expired or unreadable', 'The client signs the request instead; nothing to do.', {
    extended: 8,
    retryable: true,
  }),
  'signature-invalid': entry(401, 'Signature invalid', 'Check that the device belongs to the account.', {
    extended: 10,
  }),
  'service-unknown': entry(401, 'Service not served here', 'Check the address of the service.', { extended: 10 }),
  'request-id-reused': entry(401, 'ID used for another request', 'Send the request again under a new ID.', {
    extended: 20,
  }),
  'clock-skew': entry(401, 'Clock skew', 'Set the clock of the device.', { extended: 21 }),

  // --- not permitted ---
  'not-authorised': entry(403, 'Not authorised', 'Ask the owner of the account for the permission.', { extended: 2 }),
  'administrator-required': entry(403, 'Administrator required', 'Use an administration device.', { extended: 3 }),
  policy: entry(403, 'Refused by policy', 'Ask the service provider.', { extended: 5 }),
  'account-pending': entry(403, 'Account pending', 'Complete what the service provider asked for.', {
    extended: 6,
    retryable: true,
  }),
  'account-blocked': entry(403, 'Account blocked', 'Ask the service provider.', { extended: 7 }),
  'account-name': entry(403, 'Account name refused', 'Choose another name; Reason says what is wrong.', {
    extended: 9,
  }),
  'registration-closed': entry(403, 'Registration is closed', 'Ask the service provider for an invitation.', {
    extended: 9,
  }),
  'connection-rejected': entry(403, 'Connection rejected', 'Start the connection again.', { extended: 18 }),
  quota: entry(403, 'Quota exceeded', 'Delete data, or ask the service provider for more room.', { extended: 19 }),

  // --- in marks alone: why the own service sent a message to nobody ---
  'peer-unproved': entry(
    403,
    'The service of the recipient cannot prove its answers',
    'Ask the recipient for an account at another service.',
    { extended: 26 },
  ),
  'peer-too-small': entry(
    413,
    'Larger than the service of the recipient takes',
    'Send less, or the file by reference: mesh message send --large.',
    { extended: 27 },
  ),

  // --- not found ---
  'not-found': entry(404, 'Nothing here', 'Check the address.'),
  'domain-not-served': entry(404, 'Domain not served here', 'Check the domain of the account.'),
  'account-unknown': entry(404, 'No such account', 'Check the address of the account.'),
  'container-unknown': entry(404, 'No such container', 'Check the name; list the containers with a status request.'),
  'connection-unknown': entry(404, 'No such connection request', 'Start the connection again.'),

  // --- transport ---
  method: entry(405, 'Method not allowed', 'Update the client; requests are sent by POST.'),
  timeout: entry(408, 'Request not received in time', 'Check the network and try again.', later),

  // --- conflicts ---
  'name-taken': entry(409, 'Account name taken', 'Choose another name.', { extended: 1 }),
  'digest-mismatch': entry(409, 'Container digest does not match', 'Synchronise and try again.', { extended: 11 }),
  'index-mismatch': entry(409, 'Index does not match', 'Synchronise and try again.', { extended: 12 }),
  'profile-older': entry(409, 'A newer profile is stored', 'Synchronise; the profile was changed elsewhere.', {
    extended: 12,
  }),
  'copy-incomplete': entry(409, 'Copy of the account is not complete', 'Copy what is missing, then switch again.'),
  'event-conflict': entry(409, 'Entry was changed by somebody else', 'Synchronise, merge and try again.', {
    extended: 13,
  }),
  'revocation-cut': entry(409, 'Behind a revocation cut', 'The device that wrote this was revoked.', { extended: 24 }),

  // --- bounds and transport ---
  'page-key': entry(410, 'Page key no longer valid', 'Start the download over.'),
  'too-large': entry(413, 'Over the limit', 'Send less at a time; the limits are in the answer to Hello.'),
  'media-type': entry(415, 'Encoding not offered', 'Update the client; JSON is always accepted.'),
  'wrong-host': entry(421, 'Wrong host', 'Check the address of the service.'),
  'rate-limited': entry(429, 'Rate limited', 'Wait, then try again.', later),

  // --- service at fault ---
  internal: entry(500, 'Internal error', 'Try again; if it stays, tell the service provider.', later),
  'not-implemented': entry(501, 'Not implemented', 'The service does not do this.'),
  overloaded: entry(503, 'Overloaded', 'Wait, then try again.', later),
  'shutting-down': entry(503, 'Shutting down', 'Try again at once.', later),
  'data-held': entry(503, 'Data held for a move', 'Wait, then try again.', later),
  'service-unverified': entry(503, 'Sending service not verified yet', 'Nothing to do; the service tries again.', {
    extended: 22,
    retryable: true,
  }),
  'shard-timeout': entry(504, 'Storage did not answer in time', 'Wait, then try again.', later),

  // --- never on the wire ---
  'pin-invalid': entry(403, 'PIN invalid', 'Check the PIN, or compare the code instead.', {
    extended: 14,
    clientOnly: true,
  }),
  'pin-used': entry(403, 'PIN used before', 'Somebody else may have used the PIN: check the devices of the account.', {
    extended: 15,
    clientOnly: true,
  }),
  'pin-expired': entry(403, 'PIN expired', 'Make a new PIN.', { extended: 16, clientOnly: true }),
} satisfies Record<string, StatusEntry>;

/** Name of an outcome, in programs and logs. */
export type StatusCode = keyof typeof registry;

/** Outcomes that a request can succeed with. */
export type SuccessCode = 'success' | 'updated' | 'bodies-awaited';

/** All others. */
export type ErrorCode = Exclude<StatusCode, SuccessCode>;

export const statusRegistry: Readonly<Record<StatusCode, StatusEntry>> = registry;

/** All codes, in the order of the registry. */
export const statusCodes = Object.keys(registry) as readonly StatusCode[];

/** What a refusal carries besides its code. */
export interface MeshErrorOptions {
  /** What led to it; for logs, never for the wire. */
  readonly cause?: unknown;
  /** When the peer may try again. */
  readonly retryAfterMs?: number;
  /** What is exhausted, for `overloaded`, `rate-limited` and `quota`: named in the answer, so that the peer can tell. */
  readonly resource?: string;
}

/** A refusal that a request ends with. Made from the registry; `detail` goes to the peer, `cause` does not. */
export class MeshError extends Error {
  override readonly name: string = 'MeshError';
  readonly code: ErrorCode;
  readonly status: number;
  readonly extended: number | undefined;
  readonly retryable: boolean;
  /** Safe for the wire: names members, limits and characters, never contents or inner workings. */
  readonly detail: string;
  readonly retryAfterMs: number | undefined;
  readonly resource: string | undefined;

  constructor(code: ErrorCode, detail = '', options: MeshErrorOptions = {}) {
    const { status, extended, retryable, description } = statusRegistry[code];
    const { cause, retryAfterMs, resource } = options;
    const said = [detail, resource].filter(Boolean).join(', ');
    super(said === '' ? description : `${description}: ${said}`, cause === undefined ? undefined : { cause });
    this.code = code;
    this.status = status;
    this.extended = extended;
    this.retryable = retryable;
    this.detail = detail;
    this.retryAfterMs = retryAfterMs;
    this.resource = resource;
  }

  /** `StatusDescription` of the response; for redirects that is the new place alone. */
  get description(): string {
    const { status } = statusRegistry[this.code];
    return status === 303 || status === 307 ? this.detail : this.message;
  }
}

/** Whether a payload status says success (2xx). */
export function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}

/** HTTP code under which a payload status travels (R201). */
export function httpOfStatus(status: number): number {
  return status >= 300 && status < 400 ? 200 : status;
}

/**
 * The registry's name for an answer received, for advice and for deciding about a retry: the entry with both codes, else
 * the first with the status, else what the class of the status means.
 */
export function codeOfAnswer(status: number, extended?: number): StatusCode {
  const known = statusCodes.filter(
    (code) => statusRegistry[code].status === status && !statusRegistry[code].clientOnly,
  );
  const exact = known.find((code) => statusRegistry[code].extended === (extended || undefined));
  if (exact ?? known[0]) return (exact ?? known[0]) as StatusCode;
  if (isSuccess(status)) return 'success';
  return status >= 500 ? 'internal' : 'malformed';
}
