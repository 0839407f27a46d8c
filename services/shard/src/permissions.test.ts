import { expect, test } from 'vitest';
import { mayRead, maySend, mayWrite } from './permissions.js';

const stores = ['mmm_Device', 'mmm_Inbound', 'mmm_Outbound', 'mmm_Archive', 'mmm_Contact', 'app_Notes'];
const readable = (...permissions: { name: string; role?: string }[]) =>
  stores.filter((name) => mayRead(permissions, name));
const writable = (...permissions: { name: string; role?: string }[]) =>
  stores.filter((name) => mayWrite(permissions, name));

test('an empty list opens every store', () => {
  expect([readable(), writable()]).toEqual([stores, stores]);
});

test('a store by its name, by role; whoever writes also reads', () => {
  expect(readable({ name: 'mmm_Contact', role: 'read' })).toEqual(['mmm_Device', 'mmm_Contact']);
  expect(writable({ name: 'mmm_Contact', role: 'read' })).toEqual([]);
  expect(readable({ name: 'app_Notes', role: 'write' })).toEqual(['mmm_Device', 'app_Notes']);
  expect(writable({ name: 'app_Notes', role: 'write' })).toEqual(['app_Notes']);
  expect(writable({ name: 'app_Notes' })).toEqual(['app_Notes']);
});

test('a role that nobody knows, and names of what every object has, open nothing', () => {
  expect(readable({ name: 'mmm_Contact', role: 'admin' })).toEqual(['mmm_Device']);
  expect(writable({ name: 'mmm_Contact', role: 'constructor' }, { name: 'toString' })).toEqual([]);
});

test('permissions by another name: spools for messaging, requests for those who answer them', () => {
  expect(readable({ name: 'Messaging' })).toEqual(['mmm_Device', 'mmm_Inbound', 'mmm_Outbound', 'mmm_Archive']);
  expect(readable({ name: 'Confirmation' })).toEqual(['mmm_Device', 'mmm_Inbound']);
  expect(readable({ name: 'Administration' })).toEqual(['mmm_Device', 'mmm_Inbound']);
});

test('[R161] what confirms something is sent by devices with that right, all else by those that write what was sent', () => {
  const sends = (...permissions: { name: string; role?: string }[]) =>
    ['Note', 'RequestConfirmation', 'ResponseConfirmation'].filter((type) => maySend(permissions, type));
  expect(sends()).toEqual(['Note', 'RequestConfirmation', 'ResponseConfirmation']);
  expect(sends({ name: 'Messaging' })).toEqual(['Note', 'RequestConfirmation']);
  expect(sends({ name: 'Confirmation' })).toEqual(['ResponseConfirmation']);
  expect(sends({ name: 'Confirmation', role: 'read' })).toEqual([]);
  expect(sends({ name: 'Messaging', role: 'read' })).toEqual([]);
});
