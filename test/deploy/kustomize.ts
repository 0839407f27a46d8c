/**
 * As much of kustomize as our own manifests use, for machines without kubectl: resources, labels, images, namespace,
 * generated ConfigMaps (without the hash in their names) and JSON patches. Anything else is an error, so that nothing
 * is left out unnoticed.
 */
import { execFile } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { parse, parseAllDocuments } from 'yaml';

/** A manifest of any kind. */
// biome-ignore lint/suspicious/noExplicitAny: manifests of all kinds; `manifest-check.ts` judges them
export type Manifest = Record<string, any> & {
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Record<string, string> };
};

const knownKeys = [
  'apiVersion',
  'kind',
  'resources',
  'labels',
  'images',
  'namespace',
  'configMapGenerator',
  'patches',
] as const;

interface Generator {
  name: string;
  behavior?: 'merge';
  literals?: string[];
  files?: string[];
}

/** Renders a folder with a kustomization. */
export async function render(folder: string): Promise<Manifest[]> {
  const kustomization = parse(await readFile(join(folder, 'kustomization.yaml'), 'utf8'));
  for (const key of Object.keys(kustomization)) {
    if (!(knownKeys as readonly string[]).includes(key)) throw new Error(`${folder}: kustomization has ${key}`);
  }
  const manifests: Manifest[] = [];
  for (const resource of kustomization.resources ?? []) manifests.push(...(await load(join(folder, resource))));
  for (const generator of kustomization.configMapGenerator ?? []) await generate(folder, generator, manifests);
  for (const { target, patch } of kustomization.patches ?? []) applyPatch(manifests, target, parse(patch));
  for (const rule of kustomization.labels ?? []) for (const manifest of manifests) addLabels(manifest, rule);
  for (const image of kustomization.images ?? []) {
    for (const manifest of manifests) for (const container of containersOf(manifest)) retag(container, image);
  }
  if (kustomization.namespace) for (const manifest of manifests) place(manifest, kustomization.namespace);
  return manifests;
}

async function load(path: string): Promise<Manifest[]> {
  if ((await stat(path)).isDirectory()) return render(path);
  return parseAllDocuments(await readFile(path, 'utf8')).map((document) => {
    if (document.errors[0]) throw document.errors[0];
    return document.toJS() as Manifest;
  });
}

async function generate(folder: string, generator: Generator, manifests: Manifest[]): Promise<void> {
  const { name, behavior, literals = [], files = [], ...rest } = generator;
  if (Object.keys(rest).length > 0) throw new Error(`${folder}: configMapGenerator has ${Object.keys(rest)}`);
  const data: Record<string, string> = {};
  for (const literal of literals) {
    const at = literal.indexOf('=');
    data[literal.slice(0, at)] = literal.slice(at + 1);
  }
  for (const file of files) data[basename(file)] = await readFile(join(folder, file), 'utf8');
  const present = manifests.find((manifest) => manifest.kind === 'ConfigMap' && manifest.metadata.name === name);
  if ((present !== undefined) !== (behavior === 'merge')) throw new Error(`${folder}: ConfigMap ${name}: ${behavior}`);
  if (present) Object.assign(present.data, data);
  else manifests.push({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data });
}

function applyPatch(
  manifests: Manifest[],
  target: { kind: string; name: string },
  operations: { op: string; path: string; value: unknown }[],
): void {
  const found = manifests.filter(({ kind, metadata }) => kind === target.kind && metadata.name === target.name);
  if (found.length !== 1) throw new Error(`patch of ${target.kind} ${target.name}: ${found.length} targets`);
  for (const { op, path, value } of operations) {
    const steps = path.split('/').slice(1);
    const last = steps.pop() as string;
    // biome-ignore lint/suspicious/noExplicitAny: a walk through a manifest
    const parent = steps.reduce((at: any, step) => at[step.replaceAll('~1', '/').replaceAll('~0', '~')], found[0]);
    if (op !== 'replace' || !(last in parent)) throw new Error(`patch ${op} ${path} of ${target.name} does not apply`);
    parent[last] = value;
  }
}

interface LabelRule {
  pairs: Record<string, string>;
  includeSelectors: boolean;
  includeTemplates: boolean;
}

function addLabels(manifest: Manifest, { pairs, includeSelectors, includeTemplates }: LabelRule): void {
  if (includeSelectors) throw new Error('labels in selectors are not rendered here');
  manifest.metadata.labels = { ...manifest.metadata.labels, ...pairs };
  if (!includeTemplates) return;
  const templates = [manifest.spec?.template, manifest.spec?.jobTemplate, manifest.spec?.jobTemplate?.spec?.template];
  for (const template of templates) {
    if (template) template.metadata = { ...template.metadata, labels: { ...template.metadata?.labels, ...pairs } };
  }
}

function retag(container: { image: string }, image: { name: string; newName?: string; newTag?: string }): void {
  if (container.image.split(':')[0] !== image.name) return;
  container.image = `${image.newName ?? image.name}:${image.newTag}`;
}

function place(manifest: Manifest, namespace: string): void {
  if (manifest.kind === 'Namespace') return;
  manifest.metadata.namespace = namespace;
  for (const subject of manifest.subjects ?? []) subject.namespace = namespace;
}

/** The pod template's spec of whatever makes pods. */
// biome-ignore lint/suspicious/noExplicitAny: see Manifest
export function podSpecOf(manifest: Manifest): any {
  const spec = manifest.kind === 'CronJob' ? manifest.spec.jobTemplate.spec : manifest.spec;
  return ['Deployment', 'StatefulSet', 'Job', 'CronJob'].includes(manifest.kind) ? spec.template.spec : undefined;
}

/** Labels of the pods that a manifest makes. */
export function podLabelsOf(manifest: Manifest): Record<string, string> | undefined {
  const spec = manifest.kind === 'CronJob' ? manifest.spec.jobTemplate.spec : manifest.spec;
  return podSpecOf(manifest) && spec.template.metadata.labels;
}

/** Containers of all pods of a manifest. */
// biome-ignore lint/suspicious/noExplicitAny: see Manifest
export function containersOf(manifest: Manifest): any[] {
  const spec = podSpecOf(manifest);
  return spec ? [...(spec.initContainers ?? []), ...spec.containers] : [];
}

/** The same folder rendered by kubectl; undefined where there is none. */
export async function renderWithKubectl(folder: string): Promise<Manifest[] | undefined> {
  try {
    const { stdout } = await promisify(execFile)('kubectl', ['kustomize', folder], { maxBuffer: 1 << 24 });
    return parseAllDocuments(stdout).map((document) => document.toJS() as Manifest);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
