/**
 * What has to happen around the services where they run in containers, each a program that does it and ends:
 *
 * - `prepare.ts` makes certificates, keys and hosts for a provider on one machine (docker-compose.yml), and renews the
 *   hosts' connections when it is asked to stay;
 * - `renew-hosts.ts` renews them in Kubernetes, the only program there that sees the service's key;
 * - `local-secrets.ts` prints, on an operator's machine, the Secrets that the local overlay refers to.
 *
 * Migrations are run by `mesh-admin database migrate`, which is in the same image.
 *
 * `config.ts` has the settings of all of them; `Dockerfile`, beside this folder, the images.
 */
export {};
