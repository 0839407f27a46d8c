/**
 * A device of a Mesh account: what it knows, what it keeps, and how it speaks with the service.
 *
 * - `home.ts` the folder with the state: locked by one process at a time, every file replaced atomically.
 * - `device-keys.ts`, `identity.ts` the seeds, and the signed profiles and connections made from them.
 * - `renewal.ts` newer profiles and connections that a Status brings, judged before anything of them is used.
 * - `master.ts` the seed from which the keys follow that outlive devices; `account-keys.ts` the account's keys on their way to
 *   a device (S62); `device-entries.ts`, `cataloged-devices.ts` what the device catalog says, and who may write by it.
 * - `account-copy.ts` an account as a folder of files.
 * - `service-pin.ts`, `session.ts` who the service is (S22, S23, S26), and one authenticated transaction with it.
 * - `replica.ts` the local copy of one container with both trees; `reader.ts` the checks of S43 before anything is
 *   believed; `writer.ts` a batch of encrypted entries under one manifest (S41, S42, S60).
 * - `catalog/` what people keep: passwords, bookmarks, networks, tasks.
 * - `people/` cards of contacts, and what requests for contact and confirmation show.
 * - `connect/` what both ends of a device's connection compute (S50 to S57).
 * - `repeat.ts` what is done about answers that do not come; `large-locator.ts`, `large-source.ts` large files of others.
 * - `operations/` what a person asks for: hello, create, status, sync, upload, download, delete.
 *
 * The service is trusted with nothing that can be checked here. Clock and randomness come in through
 * `environment.ts`, so that all of it can be tested without a network.
 */
export {};
