/** Builds the router from its settings and takes it apart again. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { HostIdentity } from '@meshd/binding/host-files';
import { watchHostIdentity } from '@meshd/binding/host-watch';
import { refuseForwarded } from '@meshd/binding/http-server';
import { watchTicketKeys } from '@meshd/binding/ticket-keys';
import { connectionHostMsMin, shutdownDrainMs } from '@meshd/limits/limits';
import { abuseBarMs, abuseRefusalsPerMinuteMax } from '@meshd/limits/requesters';
import { startAdminListener } from '@meshd/process/admin';
import { type Clock, systemClock } from '@meshd/process/clock';
import type { RunningService } from '@meshd/process/run';
import { formatHostPort, type HostPort } from '@meshd/process/setting';
import { canonicalDomain } from '@meshd/schema/address';
import { type Logger, silentLogger } from '@meshd/telemetry/logger';
import { createMetrics, type Metrics } from '@meshd/telemetry/metrics';
import { readCertificate, watchCertificate } from './certificate-watch.js';
import type { RouterConfig } from './config.js';
import { type ConnectionLimitOptions, ConnectionLimits } from './connection-limits.js';
import { Exchanges } from './exchange.js';
import { IncidentReports, type RefusedIncident } from './incident-reports.js';
import { type Listener, type ListenerOptions, startListener } from './listener.js';
import { defineRouterMetrics } from './metrics.js';
import { OctetBudget, type OctetBudgetOptions } from './octet-budget.js';
import { Peers } from './peers.js';
import { type PublicationLimitOptions, Publications } from './publications.js';
import { type RequesterKind, type RequesterLimitOptions, RequesterLimits } from './requester-limits.js';
import { SeenRequests } from './seen-requests.js';
import { type OpenShardLink, openRpcLinks, readRpcIdentity } from './shard-link.js';
import { ShardRouter } from './shard-router.js';
import { sourceOf } from './source.js';
import { type SourceLimitOptions, SourceLimits } from './source-limits.js';
import { TicketDesk } from './ticket-desk.js';
import { transactionHandlers } from './transactions/registry.js';

/** What a test or `main.ts` puts in place of the defaults. */
export interface RouterOverrides {
  readonly logger?: Logger;
  readonly metrics?: Metrics;
  readonly clock?: Clock;
  /** Shards that are no other processes. */
  readonly openLink?: OpenShardLink;
  readonly sourceLimits?: SourceLimitOptions;
  readonly publicationLimits?: PublicationLimitOptions;
  readonly requesterLimits?: RequesterLimitOptions;
  readonly connectionLimits?: ConnectionLimitOptions;
  readonly octetBudget?: OctetBudgetOptions;
  /** Requests that may be in work at a time. */
  readonly inFlightMax?: number;
  /** Between failing readiness and closing the listener; tests have no load balancer that must notice. */
  readonly drainMs?: number;
  /**
   * Opens a second socket, on the loopback interface, where messages without envelope are taken (S28). There is no setting
   * for it: only who starts a router by this function has it.
   */
  readonly allowBare?: boolean;
}

/** The process, running. */
export interface Router extends RunningService {
  /** Where Mesh requests are taken, the port chosen by the system filled in. */
  readonly address: HostPort;
  /** Where messages without envelope are taken, if that was allowed. */
  readonly bareAddress?: HostPort | undefined;
  /** Health, readiness and figures. */
  readonly adminUrl: string;
}

/**
 * Starts it.
 *
 * @throws BindingError `host-files` without a usable host identity; errors of files and sockets
 */
export async function startRouter(config: RouterConfig, overrides: RouterOverrides = {}): Promise<Router> {
  const { logger = silentLogger(), metrics = createMetrics(), clock = systemClock } = overrides;
  const stops: (() => void | Promise<void>)[] = [];
  const stopAll = once(async () => {
    for (const stop of stops.reverse()) await stop();
  });
  try {
    return await build();
  } catch (error) {
    await stopAll();
    throw error;
  }

  async function build(): Promise<Router> {
    const domains = new Set(config.domains.map((domain) => canonicalDomain(domain)));
    const host = await watchHostIdentity(config.hostDir, {
      onChange: ({ notAfterMs }) => logger.info({ notAfterMs }, 'host connection renewed'),
      onError: (error) => logger.error({ err: error }, 'host files cannot be used'),
    });
    stops.push(() => host.stop());
    const ticketKeys = await watchTicketKeys(config.ticketKeyDir, {
      onChange: ({ keys }) => logger.info({ keys: keys.length }, 'ticket keys changed'),
      onError: (error) => logger.error({ err: error }, 'ticket keys cannot be used'),
    });
    stops.push(() => ticketKeys.stop());
    const tickets = new TicketDesk({ ring: () => ticketKeys.current(), host: () => host.current(), clock });
    const open = overrides.openLink ?? openRpcLinks(await readRpcIdentity(config), logger);
    const shards = new ShardRouter({ open, seeds: config.shards.map(formatHostPort), clock, logger });
    shards.start();
    stops.push(() => shards.stop());
    const budget = new OctetBudget(overrides.octetBudget);
    const seen = new SeenRequests();
    const figures = defineRouterMetrics(metrics, {
      requestsInFlight: () => exchanges.count,
      bodyBytes: () => budget.bytes,
      requestsSeen: () => seen.count,
      mapVersion: () => shards.mapVersion,
    });
    const incidents = new IncidentReports({ shards, clock, logger });
    const requesters = new RequesterLimits(clock, {
      onLimited: (kind, action) => figures.limited.inc({ kind, action }),
      onBarred: (kind, name) => incidents.note(barredIncident(kind, name)),
      ...overrides.requesterLimits,
    });
    const exchanges: Exchanges = new Exchanges({
      domains,
      host: () => host.current(),
      handlers: transactionHandlers,
      shards,
      tickets,
      budget,
      limits: new SourceLimits(overrides.sourceLimits),
      requesters,
      incidents,
      inFlightMax: overrides.inFlightMax,
      peers: new Peers({ shards, clock }),
      seen,
      metrics: figures,
      logger,
      clock,
    });
    const publications = new Publications({
      ...{ domains, shards, metrics: figures, clock, limits: overrides.publicationLimits },
    });
    const certificate = await readCertificate(config);
    const connections = new ConnectionLimits(requesters, overrides.connectionLimits);
    const listening = {
      ...{ ...certificate, metrics: figures },
      publish: (request: IncomingMessage, identifier: string, http: ServerResponse) =>
        publications.serve(request, identifier, http),
      admitConnection: (connection: Socket) => connections.admit(connection),
      onLate: (address: string | undefined) => requesters.refused(sourceOf(address), 'timeout'),
    };
    const listener = await startListener({
      ...listening,
      listen: config.listen,
      serve: (request, http) => exchanges.serve(request, http),
    });
    const unwatch = watchCertificate({
      paths: config,
      current: certificate,
      onChange: (renewed) => listener.setCertificate(renewed.certificate, renewed.key),
      onError: (error) => logger.error({ err: error }, 'certificate files cannot be used'),
    });
    stops.push(unwatch);
    const bare = overrides.allowBare === true ? await startBareListener(listening, exchanges) : undefined;
    stops.push(() => bare?.drain());
    const readiness = { draining: false };
    stops.push(async () => {
      await beginStop(readiness, overrides.drainMs ?? shutdownDrainMs);
      exchanges.stopWaiting();
      await listener.drain();
    });
    const admin = await startAdminListener({
      listen: config.adminListen,
      ready: () => [
        ...(readiness.draining ? ['stopping'] : []),
        ...identityProblems(host.current(), domains, clock()),
        ...tickets.problems(),
        ...shards.problems(),
      ],
      metrics: metrics.registry,
    });
    stops.unshift(() => admin.stop());
    return { address: listener.address, bareAddress: bare?.address, adminUrl: admin.url, stop: stopAll };
  }
}

/** The socket of tests: nobody but this machine reaches it, and nobody for whom something on this machine speaks (S28). */
function startBareListener(
  options: Omit<ListenerOptions, 'listen' | 'serve' | 'admit'>,
  exchanges: Exchanges,
): Promise<Listener> {
  return startListener({
    ...options,
    listen: { host: '127.0.0.1', port: 0 },
    admit: refuseForwarded,
    serve: (request, http) => exchanges.serve(request, http, { allowBare: true }),
  });
}

/** Who was refused too often (draft 9.1.2.1). */
function barredIncident(kind: RequesterKind, name: string): RefusedIncident {
  const detail = `refused more than ${abuseRefusalsPerMinuteMax} times in a minute; refused altogether for ${abuseBarMs / 1000} s`;
  return { kind: 'requester-barred', by: `${kind} ${name}`, account: kind === 'account' ? name : '', detail };
}

/** Fails readiness first, so that a load balancer sends nothing more to a listener that is about to close. */
async function beginStop(readiness: { draining: boolean }, drainMs: number): Promise<void> {
  readiness.draining = true;
  await new Promise((resolve) => setTimeout(resolve, drainMs));
}

function identityProblems(identity: HostIdentity, domains: ReadonlySet<string>, nowMs: number): string[] {
  const unnamed = [...domains].filter((domain) => !identity.domains.includes(domain));
  return [
    ...(identity.notAfterMs - nowMs < connectionHostMsMin ? ['the host connection ends within the hour'] : []),
    ...unnamed.map((domain) => `the host connection does not name ${domain}`),
  ];
}

/** A second stop waits for the first. */
function once(stop: () => Promise<void>): () => Promise<void> {
  let stopping: Promise<void> | undefined;
  return () => {
    stopping ??= stop();
    return stopping;
  };
}
