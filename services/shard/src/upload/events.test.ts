import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type EventContext, judgeEvents, type KeyChange } from './events.js';
import { isFault } from './fault.js';
import type { UploadedFrame } from './frame.js';
import type { KeyState } from './view.js';

const catalog: EventContext = { name: 'mmm_Credential', kind: 'catalog', legacy: false };

/** A frame as far as the event rules look at it. */
function frame(meta: UploadedFrame['meta'], indexRequest = 0): UploadedFrame {
  return { meta, indexRequest } as UploadedFrame;
}

const free = () => undefined;
const isRefused = (verdict: ReturnType<typeof judgeEvents>) => isFault(verdict[0]);

/** The draft's replay, written as simply as possible: what is legal follows from the whole history. */
class Model {
  readonly keys = new Map<string, KeyState>();

  apply({ uniqueId, event, frameIndex }: KeyChange): void {
    const before = this.keys.get(uniqueId);
    if (event === 'Delete') this.keys.delete(uniqueId);
    else this.keys.set(uniqueId, { current: frameIndex, first: before?.first ?? frameIndex });
  }
}

const step = fc.record({
  id: fc.constantFrom('a', 'b', 'c'),
  event: fc.constantFrom('New', 'Update', 'Delete'),
  /** Whether the writer has seen the newest frame. */
  informed: fc.boolean(),
});

describe('judgeEvents', () => {
  test('[R307] accepts exactly what follows from the replay, batch by batch or all at once', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const model = new Model();
        const accepted: UploadedFrame[] = [];
        let index = 1;
        for (const { id, event, informed } of steps) {
          const state = model.keys.get(id);
          const links = informed
            ? { First: state?.first ?? 1, Previous: state?.current ?? 1 }
            : { First: (state?.first ?? 1) + 1, Previous: state?.current ?? 1 };
          const made = frame({ UniqueID: id, Event: event, ...(event === 'New' ? {} : links) });
          const legal = event === 'New' ? state === undefined : state !== undefined && informed;
          const verdict = judgeEvents(catalog, [made], index, (key) => model.keys.get(key));
          expect(isRefused(verdict)).toBe(!legal);
          if (!legal) continue;
          model.apply((verdict as KeyChange[])[0] as KeyChange);
          accepted.push(made);
          index += 1;
        }
        const whole = judgeEvents(catalog, accepted, 1, free);
        expect(isRefused(whole)).toBe(false);
        const replayed = new Model();
        for (const change of whole as KeyChange[]) replayed.apply(change);
        expect(replayed.keys).toEqual(model.keys);
      }),
    );
  });

  test('[R307] a key that was deleted begins anew', () => {
    const frames = [
      frame({ UniqueID: 'a', Event: 'New' }),
      frame({ UniqueID: 'a', Event: 'Delete', First: 1, Previous: 1 }),
      frame({ UniqueID: 'a', Event: 'New' }),
      frame({ UniqueID: 'a', Event: 'Update', First: 3, Previous: 3 }),
    ];
    expect(judgeEvents(catalog, frames, 1, free)).toMatchObject([{ firstIndex: 1 }, {}, { firstIndex: 3 }, {}]);
  });

  test('identifiers that cannot be a key are refused', () => {
    for (const UniqueID of ['', 'a\0b', 'x'.repeat(2000)]) {
      expect(isRefused(judgeEvents(catalog, [frame({ UniqueID, Event: 'New' })], 1, free))).toBe(true);
    }
  });

  test('names that objects inherit are keys like others', () => {
    const frames = ['__proto__', 'constructor'].map((UniqueID) => frame({ UniqueID, Event: 'New' }));
    expect(isRefused(judgeEvents(catalog, frames, 1, (id) => new Map<string, KeyState>().get(id)))).toBe(false);
  });

  test('[S49] a legacy container takes Update without links, but none that are wrong', () => {
    const legacy = { ...catalog, legacy: true };
    const present = () => ({ current: 5, first: 2 });
    const judge = (meta: UploadedFrame['meta']) => judgeEvents(legacy, [frame(meta)], 6, present);
    expect(isRefused(judge({ UniqueID: 'a', Event: 'Update' }))).toBe(false);
    expect(isRefused(judge({ UniqueID: 'a', Event: 'Update', Previous: 4 }))).toBe(true);
  });
});
