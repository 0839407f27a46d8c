/** Words by which a peer says what it understands beyond the draft (schema 13). */
export const featureWords = [
  'auth-1',
  'host-1',
  'manifest-1',
  'gcm-1',
  'entry',
  'ticket',
  'page',
  'filter',
  'wait',
  'heads-1',
  'connect-2',
  'receipt-1',
  'invite',
  'move',
  'offer',
  'publish',
  'delivery-1',
  'large-1',
] as const;

export type Feature = (typeof featureWords)[number];

/** What this service does by now; the others are left out until it does them. */
export const advertisedFeatures: readonly Feature[] = [
  'auth-1',
  'host-1',
  'manifest-1',
  'gcm-1',
  'entry',
  'ticket',
  'page',
  'filter',
  'wait',
  'heads-1',
  'connect-2',
  'receipt-1',
  'offer',
  'publish',
  'delivery-1',
  'large-1',
  'move',
];

/** Whether a peer that sent these words understands a feature. Words that we do not know are no fault. */
export function understands(words: readonly string[] | undefined, feature: Feature): boolean {
  return words?.includes(feature) ?? false;
}

/** Version of the protocol (draft 5). */
export const protocolVersion = { Major: 3, Minor: 0 } as const;

/** Name of the service, in DNS and in the path (R300). */
export const serviceName = 'mmm';
export const wellKnownPath = `/.well-known/${serviceName}`;

/** Media types on the wire (encoding 4.3). */
export const mediaTypeJson = 'application/json';
export const mediaTypeJsonB = 'application/json-b';
