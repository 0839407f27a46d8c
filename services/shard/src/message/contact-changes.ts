import type { KeyValue } from '@meshd/dare/header';
import { contactPermissionBytesMax } from '@meshd/limits/limits';
import { canonicalAddress } from '@meshd/schema/address';
import { contactCatalog } from '@meshd/schema/container-name';
import type { ContactChange, ContactRule } from '../storage/store.js';
import type { UploadedFrame } from '../upload/frame.js';

/**
 * What the entries of a batch of the contacts' catalog let others do (semantics 8.3): the service reads their metadata, which
 * the user's device wrote for it, and nothing of their bodies. An entry that says nothing says nothing.
 */
export function contactChanges(container: string, frames: readonly UploadedFrame[]): ContactChange[] {
  if (container !== contactCatalog) return [];
  const changes = new Map<string, ContactChange>();
  for (const { meta } of frames) {
    const { UniqueID: uniqueId, Event: event, KeyValues: values = [] } = meta;
    if (uniqueId === undefined || event === undefined) continue;
    changes.set(uniqueId, { uniqueId, rule: event === 'Delete' ? undefined : ruleOf(values) });
  }
  return [...changes.values()];
}

function textOf(values: readonly KeyValue[], key: string): string | undefined {
  const value = values.find((each) => each.Key === key)?.Value;
  return value !== undefined && value.length <= contactPermissionBytesMax ? value : undefined;
}

function ruleOf(values: readonly KeyValue[]): ContactRule | undefined {
  const accountUdf = textOf(values, 'AccountUDF');
  const address = addressOf(values);
  const permissions = textOf(values, 'Permissions');
  if (permissions === undefined || (accountUdf === undefined && address === undefined)) return undefined;
  return { accountUdf, address, permissions };
}

function addressOf(values: readonly KeyValue[]): string | undefined {
  try {
    return canonicalAddress(textOf(values, 'Address') ?? '');
  } catch {
    return undefined;
  }
}
