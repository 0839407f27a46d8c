/** A container that is downloaded in pages while its entries change: what the pages must bring is told from what was written. */
import { openEnvelope } from '@meshd/dare/envelope';
import type { ContentMeta } from '@meshd/dare/header';
import type { ConstraintsSelect, ContainerUpdate } from '@meshd/schema/common';
import { entry, opening } from '@meshd/shard/testing/person';
import { expect } from 'vitest';
import { type DeviceOnline, WritingDevice } from './writing-device.js';

/** What is asked of one container, and what its entries are. */
export interface Query {
  /** Entries before the first page. */
  readonly frames: number;
  /** What happens to which key, over and over. */
  readonly changes: readonly { readonly key: number; readonly deletes: boolean }[];
  readonly from: number;
  readonly to: number | undefined;
  readonly filter: readonly string[];
}

/** The next event of a key that fits on what was written (semantics 5). */
function eventOn(written: readonly ContentMeta[], UniqueID: string, deletes: boolean): ContentMeta {
  const Previous = written.findLastIndex((meta) => meta.UniqueID === UniqueID);
  const last = written[Previous];
  if (last === undefined || last.Event === 'Delete') return { UniqueID, Event: 'New' };
  const First = written.findLastIndex((meta) => meta.UniqueID === UniqueID && meta.Event === 'New');
  return { UniqueID, Event: deletes ? 'Delete' : 'Update', First, Previous };
}

/** Whether a filter leaves the body of a frame out (semantics 6.5), where this is all that was written. */
function isLeftOut(filter: readonly string[], written: readonly ContentMeta[], frameIndex: number): boolean {
  const { UniqueID, Event } = written[frameIndex] ?? {};
  // Neither has a body that could be left out.
  if (frameIndex === 0 || Event === 'Delete') return false;
  if (filter.includes('Older')) return true;
  const later = written.slice(frameIndex + 1).filter((meta) => meta.UniqueID === UniqueID);
  const isDeleted = later.some((meta) => meta.Event === 'Delete');
  return (filter.includes('Superseded') && later.length > 0) || (filter.includes('Deleted') && isDeleted);
}

/** The container, its one writer, and a query of somebody else. */
export class PagedContainer {
  readonly container: string;
  readonly #query: Query;
  readonly #writer: WritingDevice;
  readonly #zero = opening();
  readonly #written: ContentMeta[] = [this.#zero.contentMeta];
  /** Index and identifier of each frame that came. */
  readonly #got: [index: number | undefined, id: string | undefined][] = [];
  /** Frames that there were for the first answer. */
  #frameCount: number | undefined;
  /** How the query goes on. */
  select: ConstraintsSelect | undefined;

  constructor(container: string, query: Query, writer: DeviceOnline) {
    const { from, to, filter } = query;
    this.container = container;
    this.#query = query;
    this.#writer = new WritingDevice(writer, container, [writer]);
    this.select = {
      ...{ Container: container, IndexMin: from, Filter: [...filter] },
      ...(to === undefined ? {} : { IndexMax: to }),
      // Everything was stored before.
      ...(filter.includes('Older') ? { NotBefore: new Date('2100-01-01T00:00:00Z') } : {}),
    };
  }

  get frameCount(): number {
    return this.#written.length;
  }

  async append(count: number): Promise<void> {
    if (count === 0) return;
    const { changes } = this.#query;
    const added = Array.from({ length: count }, () => {
      const { key = 0, deletes = false } = changes[this.#written.length % changes.length] ?? {};
      const event = eventOn(this.#written, `${this.container} ${key}`, deletes);
      this.#written.push(event);
      return entry(event);
    });
    await this.#writer.write(added, this.#zero);
  }

  /**
   * @param before frames that there were when the page was asked for: of what came meanwhile the filter may know or not
   */
  take(update: ContainerUpdate, before: number): void {
    const envelopes = (update.Envelopes ?? []).map(openEnvelope);
    this.#frameCount ??= update.Index ?? 0;
    expect([before, this.frameCount]).toContain(update.Index);
    for (const { header, contentMetaData, payload } of envelopes) {
      const index = header.ContainerInfo?.Index ?? -1;
      this.#got.push([index, contentMetaData?.UniqueID]);
      const { filter } = this.#query;
      const couldBe = [this.#written.slice(0, before), this.#written].map((all) => isLeftOut(filter, all, index));
      expect(couldBe, `frame ${index} has no body`).toContain(payload === null);
    }
    this.select = update.PageKey === undefined ? undefined : { PageKey: update.PageKey };
  }

  /** All that lies within the bounds came, in order, and nothing else. */
  requireWhole(): void {
    expect(this.select).toBeUndefined();
    const { from, to = Number.POSITIVE_INFINITY } = this.#query;
    const selected = [...this.#written.entries()].filter(
      ([index]) => index >= from && index <= to && index < (this.#frameCount ?? 0),
    );
    expect(this.#got).toEqual(selected.map(([index, { UniqueID }]) => [index, UniqueID]));
  }
}
