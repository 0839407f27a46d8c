import { describe, expect, test } from 'vitest';
import {
  containerKind,
  isAccountContainer,
  isContainerName,
  isMeshCatalog,
  meshCatalogs,
  spoolContentType,
} from './container-name.js';

describe('names of containers [R308]', () => {
  test.each(['mmm_Device', 'acme_Notes', 'a_0', 'Acme2_a-b_c', `a_${'x'.repeat(63)}`])('%s is one', (name) => {
    expect(isContainerName(name)).toBe(true);
  });

  test.each([
    '',
    'mmm',
    'mmm_',
    '_Device',
    'mmm_-x',
    '1mm_Device',
    'mmm_De vice',
    'mmm_../../etc',
    '../mmm_Device',
    'mmm_Device/',
    'mmm_Device\u0000',
    'mmm_Device\n',
    'mmm_Dévice',
    'mmm_Devicе',
    `a_${'x'.repeat(64)}`,
    `${'a'.repeat(200)}_x`,
  ])('%j is none', (name) => {
    expect(isContainerName(name)).toBe(false);
    expect(isAccountContainer(name)).toBe(false);
  });

  test('accounts have the containers of the schema and any of their own', () => {
    for (const name of [...meshCatalogs, 'mmm_Inbound', 'acme_Notes', 'mmmm_Notes']) {
      expect(isAccountContainer(name)).toBe(true);
    }
    for (const name of ['mmm_Account', 'mmm_Incident', 'mmm_Invented', 'mmm_device']) {
      expect(isAccountContainer(name)).toBe(false);
    }
  });

  test('kind: fixed for the names of the Mesh, else as frame 0 says', () => {
    expect(containerKind('mmm_Inbound', 'application/mmm-catalog')).toBe('spool');
    expect(containerKind('mmm_Incident', undefined)).toBe('spool');
    expect(containerKind('mmm_Device', spoolContentType)).toBe('catalog');
    expect(containerKind('mmm_Account', spoolContentType)).toBe('catalog');
    expect(containerKind('acme_Mail', spoolContentType)).toBe('spool');
    expect(containerKind('acme_Notes', 'application/mmm-catalog')).toBe('catalog');
    expect(containerKind('acme_Notes', undefined)).toBe('catalog');
    expect(isMeshCatalog('acme_Notes')).toBe(false);
  });
});
