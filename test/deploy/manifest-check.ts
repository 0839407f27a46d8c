/**
 * Checks a manifest against the Kubernetes models, unknown keys included. The models' validators pass over keys that
 * they do not know; but a validator reads every key that it does know, so that watching it tells which ones it never asked for.
 */
import type { Manifest } from './kustomize.js';

const groups: Record<string, string> = {
  v1: 'IoK8sApiCoreV1',
  'apps/v1': 'IoK8sApiAppsV1',
  'batch/v1': 'IoK8sApiBatchV1',
  'policy/v1': 'IoK8sApiPolicyV1',
  'networking.k8s.io/v1': 'IoK8sApiNetworkingV1',
  'rbac.authorization.k8s.io/v1': 'IoK8sApiRbacV1',
};

interface Validate {
  (data: unknown): boolean;
  errors?: { instancePath: string; message?: string; keyword: string; params: unknown }[] | null;
}

class Watch {
  readonly #proxies = new Map<object, object>();
  readonly #seen = new Map<object, { path: string; keys: Set<string>; all: boolean }>();

  wrap<T>(value: T, path: string): T {
    if (typeof value !== 'object' || value === null) return value;
    const known = this.#proxies.get(value);
    if (known) return known as T;
    const record = { path, keys: new Set<string>(), all: Array.isArray(value) };
    const proxy = new Proxy(value, {
      get: (target, key) => {
        const inner = Reflect.get(target, key);
        if (typeof key !== 'string' || typeof inner === 'function') return inner;
        record.keys.add(key);
        return this.wrap(inner, `${path}/${key}`);
      },
      // Whoever lists the keys takes them all: a map of labels, of resources.
      ownKeys: (target) => {
        record.all = true;
        return Reflect.ownKeys(target);
      },
    });
    this.#proxies.set(value, proxy);
    this.#seen.set(value, record);
    return proxy as T;
  }

  unread(): string[] {
    return [...this.#seen].flatMap(([value, { path, keys, all }]) =>
      all
        ? []
        : Object.keys(value)
            .filter((key) => !keys.has(key))
            .map((key) => `${path}/${key}`),
    );
  }
}

/** What is wrong with a manifest; empty when nothing is. */
export async function problemsOf(manifest: Manifest): Promise<string[]> {
  const group = groups[manifest.apiVersion];
  if (group === undefined) return [`no models are known for ${manifest.apiVersion}`];
  const { validate } = (await import(`kubernetes-models/_schemas/${group}${manifest.kind}`)) as { validate: Validate };
  const watch = new Watch();
  const valid = validate(watch.wrap(manifest, ''));
  const errors = (validate.errors ?? []).map((error) => `${error.instancePath}: ${error.message ?? error.keyword}`);
  if (!valid) return errors.length > 0 ? errors : ['invalid'];
  return watch.unread().map((path) => `${path}: unknown key`);
}
