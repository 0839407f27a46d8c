import { containerNameBytesMax } from '@meshd/limits/limits';

/* Names and kinds of containers (schema 7, semantics 5). */

/** A catalog is a set of objects by key, a spool a sequence of messages. */
export type ContainerKind = 'catalog' | 'spool';

/** Catalogs of the Mesh: every frame after the first has `UniqueID` and `Event`. */
export const meshCatalogs = [
  'mmm_Device',
  'mmm_Contact',
  'mmm_Credential',
  'mmm_Bookmark',
  'mmm_Calendar',
  'mmm_Network',
  'mmm_Application',
  'mmm_Member',
  'mmm_Publication',
] as const;

/** Spools of every account, made by the service with the account. */
export const accountSpools = ['mmm_Inbound', 'mmm_Outbound', 'mmm_Archive'] as const;

/** Containers of `@service`, which no account can have. */
export const serviceContainers = ['mmm_Account', 'mmm_Incident'] as const;

export const deviceCatalog = 'mmm_Device';
export const contactCatalog = 'mmm_Contact';
export const publicationCatalog = 'mmm_Publication';
export const inboundSpool = 'mmm_Inbound';
export const outboundSpool = 'mmm_Outbound';
export const archiveSpool = 'mmm_Archive';
export const accountCatalog = 'mmm_Account';
export const incidentSpool = 'mmm_Incident';

/** `cty` of frame 0. */
export const catalogContentType = 'application/mmm-catalog';
export const spoolContentType = 'application/mmm-spool';
/** `cty` of every other frame and of messages. */
export const itemContentType = 'application/mmm';

const nameForm = /^[A-Za-z][A-Za-z0-9]*_[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;
const meshPrefix = 'mmm_';

const spools: ReadonlySet<string> = new Set([...accountSpools, incidentSpool]);
const catalogs: ReadonlySet<string> = new Set(meshCatalogs);
const ownersMesh: ReadonlySet<string> = new Set([...meshCatalogs, ...accountSpools]);

/** Whether the text can name a container at all. Names are compared as they stand, case included (R308). */
export function isContainerName(text: string): boolean {
  return text.length <= containerNameBytesMax && nameForm.test(text);
}

/**
 * Whether an account may have a container of this name: any well-formed one, but of those with the Mesh's own prefix only
 * the ones that the schema names.
 */
export function isAccountContainer(name: string): boolean {
  return isContainerName(name) && (!name.startsWith(meshPrefix) || ownersMesh.has(name));
}

/** Whether the name is that of a catalog whose entries all have keys and events. */
export function isMeshCatalog(name: string): boolean {
  return catalogs.has(name);
}

/** Whether the name is that of a spool whatever its frame 0 says. */
export function isMeshSpool(name: string): boolean {
  return spools.has(name);
}

/** Kind of a container: fixed for the names of the Mesh, else as `cty` of frame 0 says, which is a catalog by default. */
export function containerKind(name: string, frame0ContentType: string | undefined): ContainerKind {
  if (isMeshSpool(name)) return 'spool';
  if (isMeshCatalog(name) || name === accountCatalog) return 'catalog';
  return frame0ContentType === spoolContentType ? 'spool' : 'catalog';
}
