/** A person with a device, who uses the client library and knows nothing of a provider but its base URL. */
import { withDevice } from '@meshd/client/device';
import { systemEnvironment } from '@meshd/client/environment';
import { allowContact } from '@meshd/client/operations/contacts';
import { type CreateOptions, createAccount } from '@meshd/client/operations/create-account';
import { type Box, listMessages } from '@meshd/client/operations/messages';
import { sendMessage } from '@meshd/client/operations/send-message';
import { openEnvelope } from '@meshd/dare/envelope';
import { writeJson } from '@meshd/encoding/json-writer';
import { inboundSpool, outboundSpool } from '@meshd/schema/container-name';

const system = systemEnvironment();
const type = 'Note';

/** Somebody with an account. */
export class Person {
  readonly address: string;
  /** Between two attempts at one request this is waited for too: a process that was killed needs its time to come back. */
  waitsFor: Promise<unknown> = Promise.resolve();
  readonly #home: string;
  readonly #environment = {
    ...system,
    pause: async (durationMs: number): Promise<void> => {
      await system.pause(durationMs);
      await this.waitsFor;
    },
  };

  private constructor(home: string, address: string) {
    this.#home = home;
    this.address = address;
  }

  /** Makes the account, and lets some people write everything. */
  static async join(home: string, account: CreateOptions, acquaintances: readonly string[]): Promise<Person> {
    await createAccount(home, system, account);
    await withDevice(home, system, async (device) => {
      for (const address of acquaintances) {
        if (address !== account.address) await allowContact(device, { address, permissions: ['*'] });
      }
    });
    return new Person(home, account.address);
  }

  /** Sends a message; when it returns the provider has taken it. @returns its identifier */
  async send(to: Pick<Person, 'address'>): Promise<string> {
    return (await this.sendMany(to, 1))[0] as string;
  }

  /** Sends several, one after the other. */
  sendMany(to: Pick<Person, 'address'>, count: number): Promise<string[]> {
    return withDevice(this.#home, this.#environment, async (device) => {
      const ids: string[] = [];
      for (let at = 0; at < count; at += 1) {
        const { messages, interrupted } = await sendMessage(device, {
          ...{ recipients: [to.address], type, mayBeClear: true },
          body: (members) => writeJson({ [type]: { Text: `number ${at}`, ...members } }),
        });
        if (interrupted !== undefined) throw interrupted;
        ids.push(messages[0]?.id as string);
      }
      return ids;
    });
  }

  /** Identifiers of the messages in the inbound spool, in its order; each was verified. */
  async inbound(): Promise<string[]> {
    const { messages, refused } = await withDevice(this.#home, this.#environment, (device) =>
      listMessages(device, 'inbound'),
    );
    if (refused.length > 0) throw new Error(`a frame that proves nothing: ${refused[0]?.reason}`);
    return messages.map(({ id }) => id);
  }

  /**
   * A message as a box has it: payload, metadata, encryption and signatures. What a container adds to a frame, and a service
   * strips when it forwards one, is left out.
   */
  octetsOf(box: Box, id: string): Promise<object> {
    return withDevice(this.#home, this.#environment, async (device) => {
      const { messages } = await listMessages(device, box);
      const frameIndex = messages.find((message) => message.id === id)?.frameIndex as number;
      const replica = await device.replica(box === 'inbound' ? inboundSpool : outboundSpool);
      const envelope = openEnvelope(await replica.envelope(frameIndex));
      const { payload, contentMetaDataOctets, signatures } = envelope;
      const { enc, Salt: salt, recipients } = envelope.header;
      return { payload, contentMetaDataOctets, enc, salt, recipients, signatures };
    });
  }

  /** What this device is told of messages that it sent to one recipient each. */
  async resultsOf(ids: readonly string[]): Promise<string[]> {
    const { messages } = await withDevice(this.#home, this.#environment, (device) => listMessages(device, 'outbound'));
    return ids.map((id) => {
      const found = messages.filter((message) => message.id === id);
      const [delivery, ...more] = found.flatMap(({ deliveries }) => deliveries);
      if (delivery === undefined || more.length > 0) return `${found.length} frames`;
      return delivery.receiptMs !== undefined ? `${delivery.result} with receipt` : delivery.result;
    });
  }
}
