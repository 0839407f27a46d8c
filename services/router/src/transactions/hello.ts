/** Hello: who the service is and what it can do (draft 5, semantics 6.1). */
import {
  accountNameBytesMax,
  accountNameBytesMin,
  messageBytesMax,
  postMessagesMax,
  uploadEntriesMax,
  uploadPayloadBytesMax,
} from '@meshd/limits/limits';
import { invalidLocalCharacters } from '@meshd/schema/address';
import type { Version } from '@meshd/schema/common';
import { advertisedFeatures, mediaTypeJson, protocolVersion } from '@meshd/schema/features';
import { whole } from '../reply.js';
import type { TransactionHandler } from '../transaction.js';
import { refuseMembers } from './shared.js';

const draftVersion: Version = { ...protocolVersion, Encodings: [{ ID: [mediaTypeJson] }] };

/**
 * Answers anybody. A bare Hello gets what the draft knows and no extension member: what is pinned must be signed
 * (S23, schema 13).
 */
export const hello: TransactionHandler<'Hello'> = async (message, { received, host }) => {
  refuseMembers({ Exchange: message.Exchange });
  const extensions = received.naked ? {} : { EnvelopedConnectionHost: host.connectionHost };
  return whole<'Hello'>('success', {
    Version: received.naked ? draftVersion : { ...draftVersion, Features: [...advertisedFeatures] },
    ConstraintsUpdate: { MaxEntries: uploadEntriesMax, BytesMax: uploadPayloadBytesMax },
    ConstraintsPost: { MaxEntries: postMessagesMax, BytesMax: messageBytesMax },
    PolicyAccount: {
      Minimum: accountNameBytesMin,
      Maximum: accountNameBytesMax,
      InvalidCharacters: invalidLocalCharacters,
    },
    EnvelopedProfileService: host.profileService,
    EnvelopedProfileHost: host.profileHost,
    ...extensions,
  });
};
