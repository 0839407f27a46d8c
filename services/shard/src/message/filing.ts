import { nonceUdf } from '@meshd/crypto/udf';
import { isEncrypted } from '@meshd/dare/decrypt';
import { decodeTagged } from '@meshd/encoding/codec';
import { offerMs } from '@meshd/limits/hailing';
import { inboundSpool, outboundSpool } from '@meshd/schema/container-name';
import { messageRegistry } from '@meshd/schema/messages-mesh';
import type { ErrorCode } from '@meshd/schema/status';
import { isHailing, offeredDevice, offersLeft, offerType } from '../connect/offers.js';
import type { ShardContext } from '../context.js';
import { incidentRecord } from '../service-records.js';
import type { OfferRow, WaitingOffers } from '../storage/hailing-store.js';
import type { ContactRule, MessageSeen } from '../storage/message-rows.js';
import type {
  AccountReader,
  AccountState,
  AccountWrite,
  CatalogKey,
  ContainerState,
  FrameWrite,
  ServiceAppend,
} from '../storage/store.js';
import { appendOf } from '../upload/append-of.js';
import { placeMessage } from '../upload/self-entry.js';
import { type ContainerView, viewOf } from '../upload/view.js';
import { type Decision, decide, type OfferState, type Refusal } from './access-control.js';
import { messageIdentity } from './identity.js';
import type { MessageIncident } from './incident-tally.js';
import { offerName } from './offers.js';
import type { VerifiedMessage } from './verify-message.js';

/** What the store knows of one message at one address. */
interface Looked {
  /** Names it by signer and core (S73). */
  readonly identity: Uint8Array;
  readonly seen: MessageSeen | undefined;
  readonly rules: readonly ContactRule[];
  readonly answersOurs: boolean;
  /** Of an offer of connection. */
  readonly offer: LookedOffer | undefined;
}

interface LookedOffer {
  /** Undefined where none can be read. */
  readonly deviceUdf: string | undefined;
  /** Its body is to come (S82). */
  readonly isRedacted: boolean;
  readonly waiting: WaitingOffers;
}

/** What the store knows of all of them. */
export interface LookedUp {
  readonly messages: ReadonlyMap<VerifiedMessage, Looked>;
  /** Names that the inbound spool holds. */
  readonly known: ReadonlyMap<string, CatalogKey>;
}

/** Stands for the spools of a name that nobody has: no row has its number. */
const nowhere = { id: 0, name: inboundSpool } as ContainerState;

/** Looks up what the judging of messages needs; the same for a name that nobody has (S80). */
export async function lookUp(reader: AccountReader, messages: readonly VerifiedMessage[]): Promise<LookedUp> {
  const { state } = reader;
  const people = new Map<string, Promise<readonly ContactRule[]>>();
  const rulesOf = (accountUdf: string, address: string) => {
    const person = `${accountUdf} ${address}`;
    const rules = people.get(person) ?? reader.contactRules({ accountUdf, address });
    people.set(person, rules);
    return rules;
  };
  const names = messages.map(({ uniqueId }) => uniqueId);
  const known = reader.catalogKeys(state?.containers.get(inboundSpool) ?? nowhere, names);
  const looked = messages.map(async (message): Promise<[VerifiedMessage, Looked]> => {
    const identity = messageIdentity(message);
    const [seen, rules, answersOurs, offer] = await Promise.all([
      reader.findMessageSeen(identity),
      rulesOf(message.accountKey.udf, message.sender),
      answersOne(reader, message),
      offerOf(reader, message),
    ]);
    return [message, { identity, seen, rules, answersOurs, offer }];
  });
  return { messages: new Map(await Promise.all(looked)), known: await known };
}

/** Whether the message, where it can be read, refers to one that the recipient sent. */
async function answersOne(reader: AccountReader, message: VerifiedMessage): Promise<boolean> {
  const names = referencesOf(message);
  const sent = await reader.catalogKeys(reader.state?.containers.get(outboundSpool) ?? nowhere, names);
  return sent.size > 0;
}

/** What waits for the device that an offer is for; the same look where the account is none, or takes no offers (S80). */
async function offerOf(
  reader: AccountReader,
  { messageType, envelope, isOffer: isRedacted }: VerifiedMessage,
): Promise<LookedOffer | undefined> {
  if (messageType !== offerType) return undefined;
  const deviceUdf = offeredDevice(envelope);
  return { deviceUdf, isRedacted, waiting: await reader.waitingOffers(deviceUdf ?? '') };
}

/** At least one, so that every message costs the same look. */
function referencesOf({ envelope }: VerifiedMessage): string[] {
  const { payload } = envelope;
  if (payload === null || isEncrypted(envelope)) return [''];
  try {
    const { value } = decodeTagged(messageRegistry, payload, { form: 'json' });
    const references = 'References' in value ? (value.References ?? []) : [];
    return [references[0]?.MessageID ?? ''];
  } catch {
    return [''];
  }
}

/** Refusals that an operator should hear of; the others are what access control is for. */
const incidentOf: Partial<Record<Refusal, MessageIncident>> = {
  'identity-changed': 'identity-changed',
  rate: 'contact-rate',
};

type Accepted = Extract<Decision, { result: 'accept' | 'drop' }>;

/** When a message was taken, or why not. */
export type FilingOutcome = Pick<MessageSeen, 'receiptId' | 'seenAtMs'> | Refused;

/** `why`: the rule of access control, where it was one. */
interface Refused {
  readonly refused: ErrorCode;
  readonly why?: Refusal;
}

/** Messages for one address as they add up: each is judged as if those before it were filed. */
export class Filing {
  readonly #context: ShardContext;
  readonly #senderDomain: string;
  readonly #reader: AccountReader;
  readonly #looked: LookedUp;
  readonly #nowMs: number;
  readonly #spool: ContainerState | undefined;
  readonly #frames: FrameWrite[] = [];
  readonly #service: ServiceAppend[] = [];
  readonly #taken = new Map<string, MessageSeen>();
  readonly #names = new Set<string>();
  readonly #offers: OfferRow[] = [];
  #view: ContainerView | undefined;
  #bytes = 0;
  #requests = 0;

  constructor(
    context: ShardContext,
    { senderDomain }: { readonly senderDomain: string },
    reader: AccountReader,
    looked: LookedUp,
  ) {
    this.#context = context;
    this.#senderDomain = senderDomain;
    this.#reader = reader;
    this.#looked = looked;
    this.#nowMs = context.clock();
    // What stands by here, or has left, takes nothing: to strangers it is a name that nobody has (S80).
    this.#spool = reader.state?.away === null ? reader.state.containers.get(inboundSpool) : undefined;
    this.#view = this.#spool && viewOf(this.#spool);
  }

  /** Judges a message, and files it if it is to be. */
  take(message: VerifiedMessage): FilingOutcome {
    const looked = this.#looked.messages.get(message) as Looked;
    const name = Buffer.from(looked.identity).toString('latin1');
    const before = looked.seen ?? this.#taken.get(name);
    const judged = this.#judge(message, looked);
    if (before !== undefined) return before;
    if ('why' in judged && judged.why === 'identity-changed') this.#noteChange(message);
    if ('refused' in judged) return judged;
    if (message.isOffer) {
      const offer = offerName(this.#reader.address, message.core);
      this.#context.sendingDomains.accept(this.#senderDomain, offer, this.#nowMs);
      return { receiptId: '', seenAtMs: this.#nowMs };
    }
    const { identity } = looked;
    const taken = { identity, seenAtMs: this.#nowMs, receiptId: nonceUdf(this.#context.random) };
    this.#taken.set(name, taken);
    this.#names.add(message.uniqueId);
    if (judged.countsAsRequest) this.#requests += 1;
    this.#noteOffer(looked, judged);
    this.#file(message, judged);
    return taken;
  }

  /** Everything that was taken; undefined: nothing. */
  write(): AccountWrite | undefined {
    if (this.#taken.size === 0) return undefined;
    const filed =
      this.#spool === undefined || this.#view === undefined || this.#frames.length === 0
        ? {}
        : { containers: [appendOf(this.#spool, this.#frames, this.#view)] };
    return { ...filed, service: this.#service, messagesSeen: [...this.#taken.values()], offers: this.#offers };
  }

  /** The write is there to stay: what it used up counts. */
  committed(): void {
    const { sendingDomains } = this.#context;
    for (let left = this.#requests; left > 0; left -= 1) sendingDomains.countRequest(this.#senderDomain, this.#nowMs);
  }

  #judge(message: VerifiedMessage, { rules, answersOurs, offer }: Looked): Accepted | Refused {
    const { state, address } = this.#reader;
    const { sendingDomains, site } = this.#context;
    const isOffered = sendingDomains.wasAccepted(this.#senderDomain, offerName(address, message.core), this.#nowMs);
    const requestsLeft = sendingDomains.requestsLeft(this.#senderDomain, this.#nowMs) - this.#requests;
    const decision = decide(
      {
        ...{ senderDomain: this.#senderDomain, messageType: message.messageType, rules, answersOurs },
        accountUdf: message.accountKey.udf,
        exists: state !== undefined,
        fits: state === undefined || state.away !== null || this.#fits(state, message),
        nameTaken: this.#isNameTaken(message),
        contactRequestsLeft: isOffered ? 1 : requestsLeft,
        offer: offer && this.#offerState(offer),
      },
      site,
    );
    if (decision.result === 'accept') {
      const isKnown = !decision.countsAsRequest && (rules.length > 0 || answersOurs);
      return isKnown && state !== undefined && state.away !== null ? { refused: 'account-moved' } : decision;
    }
    const incident = incidentOf[decision.why];
    if (incident !== undefined) {
      const detail = `${message.messageType} from ${message.sender}`;
      const noted = { kind: incident, by: this.#senderDomain, account: address, detail };
      this.#context.incidents.note(noted, this.#nowMs);
    }
    return decision.result === 'drop' ? decision : { refused: decision.code, why: decision.why };
  }

  /** Where not even the message would fit there is no room for telling of it either. */
  #noteChange(message: VerifiedMessage): void {
    const { state, address: account } = this.#reader;
    if (state === undefined || this.#spool === undefined || !this.#fits(state, message)) return;
    const { sender, uniqueId: messageId } = message;
    this.#context.identityNotices.note({ account, sender, messageId }, this.#nowMs);
  }

  /** How an offer of connection would be taken; undefined where the account takes none. */
  #offerState({ deviceUdf, isRedacted, waiting }: LookedOffer): OfferState | undefined {
    const { state } = this.#reader;
    if (state === undefined || !isHailing(state)) return undefined;
    if (deviceUdf === undefined && !isRedacted) return 'unreadable';
    const device = this.#offers.filter((row) => row.deviceUdf === deviceUdf).length;
    return offersLeft(waiting, { device, account: this.#offers.length }) > 0 ? 'fits' : 'full';
  }

  /** The device will find it; called before the frame is placed. */
  #noteOffer({ offer }: Looked, { result }: Accepted): void {
    if (offer?.deviceUdf === undefined || result !== 'accept' || this.#view === undefined) return;
    if (this.#offerState(offer) === undefined) return;
    const expiresAtMs = this.#nowMs + offerMs;
    this.#offers.push({ deviceUdf: offer.deviceUdf, frameIndex: this.#view.frameCount, expiresAtMs });
  }

  /** Another message of that name is in the spool, which holds each once. */
  #isNameTaken({ uniqueId }: VerifiedMessage): boolean {
    return this.#looked.known.has(uniqueId) || this.#names.has(uniqueId);
  }

  #fits({ quota, bytesUsed, frameCount, containers }: AccountState, message: VerifiedMessage): boolean {
    if (containers.get(inboundSpool)?.damaged !== false) return false;
    const bytes = bytesUsed + this.#bytes + bytesOf(message);
    return bytes <= quota.bytesMax && frameCount + this.#frames.length < quota.framesMax;
  }

  /** The frame in the recipient's spool; for a name that nobody has, and for what is dropped, one among the incidents. */
  #file(message: VerifiedMessage, decision: Accepted): void {
    if (decision.result === 'drop' || this.#view === undefined) {
      const { random } = this.#context;
      const kind = decision.result === 'drop' ? 'message-dropped' : 'recipient-unknown';
      const why = decision.result === 'drop' ? `: ${decision.why}` : '';
      const detail = `${message.messageType} from ${message.sender}${why}`;
      const incident = { kind, account: message.recipients.join(' '), detail };
      this.#service.push(incidentRecord({ host: this.#context.host(), nowMs: this.#nowMs, random }, incident));
      return;
    }
    const placed = placeMessage(message, this.#view);
    this.#frames.push(placed.write);
    this.#view = placed.view;
    this.#bytes += bytesOf(message);
  }
}

const bytesOf = ({ octets }: VerifiedMessage): number =>
  octets.header.length + (octets.payload?.length ?? 0) + (octets.trailer?.length ?? 0);
