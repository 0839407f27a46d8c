import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { ConnectionLimits } from './connection-limits.js';

const connection = (remoteAddress: string) => Object.assign(new EventEmitter(), { remoteAddress });

describe('[R175] connections', () => {
  it('of one source are bounded, whichever address of its network it uses; those that close make room', () => {
    const limits = new ConnectionLimits({ barredMs: () => 0 }, { perSource: 2 });
    const first = connection('2001:db8:1:2::1');
    expect(limits.admit(first)).toBeUndefined();
    expect(limits.admit(connection('2001:db8:1:2::9'))).toBeUndefined();
    expect(limits.admit(connection('2001:db8:1:2::77'))).toBe('source');
    expect(limits.admit(connection('2001:db8:1:3::1'))).toBeUndefined();
    first.emit('close');
    expect(limits.admit(connection('2001:db8:1:2::77'))).toBeUndefined();
  });

  it('of a source that is refused for a time are none', () => {
    const limits = new ConnectionLimits({ barredMs: (source) => (source === '192.0.2.1' ? 1000 : 0) });
    expect(limits.admit(connection('192.0.2.1'))).toBe('barred');
    expect(limits.admit(connection('192.0.2.2'))).toBeUndefined();
  });

  it('of this very machine are not counted', () => {
    const limits = new ConnectionLimits({ barredMs: () => 1000 }, { perSource: 0 });
    expect(limits.admit(connection('127.0.0.1'))).toBeUndefined();
  });
});
