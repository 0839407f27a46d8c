import type { RequestSigner } from '@meshd/binding/request-sign';
import type { SliceLayout } from '@meshd/dare/sealed-file';
import { largePieceBytesMin, largeSliceBytesMax } from '@meshd/limits/large';
import type { ClientEnvironment, ServiceConnection } from './environment.js';
import { ClientError } from './errors.js';
import { type LargeLocator, readerOf } from './large-locator.js';
import { isCut, laterMsOf, repeatUntilAnswered } from './repeat.js';
import { requireSuccess } from './session.js';

/** Where a file is. */
export interface LargePlace {
  readonly connection: ServiceConnection;
  readonly environment: ClientEnvironment;
  readonly locator: LargeLocator;
  readonly layout: SliceLayout;
  /** Whose file it is. */
  readonly account: string;
}

/** Sealed slices of a file at its sender's service. After a cut less is asked for at a time, and more again when it comes. */
export class LargeSource {
  readonly #place: LargePlace;
  readonly #reader: RequestSigner;
  #pieceBytes = largeSliceBytesMax;

  constructor(place: LargePlace) {
    this.#place = place;
    this.#reader = readerOf(place.locator);
  }

  /** @throws ClientError `unavailable` for a service that keeps no large files */
  async requireFeature(): Promise<void> {
    const { connection, environment, locator } = this.#place;
    const offers = () => connection.offers('large-1');
    if (await repeatUntilAnswered(environment, offers, () => undefined)) return;
    throw new ClientError('unavailable', `the service of ${locator.domain} keeps no large files`);
  }

  /** One slice, as long as its place says; whether it is the one, its opening shows. @throws ClientError */
  async slice(slice: number): Promise<Uint8Array> {
    const { layout } = this.#place;
    const offset = layout.sealedOffsetOf(slice);
    const whole = new Uint8Array(layout.sealedBytesOf(slice));
    for (let done = 0; done < whole.length; ) {
      const piece = await this.#piece(offset + done, whole.length - done);
      whole.set(piece, done);
      done += piece.length;
    }
    return whole;
  }

  async #piece(offset: number, bytesMax: number): Promise<Uint8Array> {
    for (;;) {
      const asked = Math.min(bytesMax, this.#pieceBytes);
      const isSmallest = asked <= largePieceBytesMin;
      try {
        const piece = await this.#ask(offset, asked, isSmallest ? undefined : 1);
        this.#pieceBytes = Math.min(largeSliceBytesMax, this.#pieceBytes * 2);
        return piece;
      } catch (error) {
        if (isSmallest || !isCut(error)) throw error;
        this.#pieceBytes = Math.max(largePieceBytesMin, Math.floor(asked / 2));
      }
    }
  }

  async #ask(offset: number, bytesMax: number, faultsMax: number | undefined): Promise<Uint8Array> {
    const { connection, environment, locator, layout, account } = this.#place;
    const message = { Account: account, Identifier: locator.identifier, Offset: offset, BytesMax: bytesMax };
    // Signed each time: a ticket would be one more file that tells of this key.
    const call = () => connection.call('FetchLarge', message, [this.#reader], { useTicket: false });
    const response = await repeatUntilAnswered(environment, call, laterMsOf, { faultsMax });
    if (response.status === 404) {
      const { status, statusExtended } = response;
      const gone = `the file is not there: it has expired, was withdrawn, or is not complete; ask ${account} for it`;
      throw new ClientError('refused', gone, { refusal: { status, statusExtended } });
    }
    requireSuccess('the file', response);
    const { Data: data, Octets: bytes } = response.message;
    if (data === undefined || data.length === 0 || data.length > bytesMax || bytes !== layout.sealedBytes) {
      throw new ClientError('entry', `the service has another file than ${account} announced`);
    }
    return data;
  }
}
