/**
 * Certificates, keys and hosts of a provider on one machine. Ends when all is made; with `MESHD_ADMIN_LISTEN` it stays
 * and renews the hosts' connections, which last seven days, once a day.
 */
import { startAdminListener } from '@meshd/process/admin';
import { systemClock } from '@meshd/process/clock';
import { type RunningService, runService } from '@meshd/process/run';
import type { HostPort } from '@meshd/process/setting';
import type { Logger } from '@meshd/telemetry/logger';
import { createMetrics } from '@meshd/telemetry/metrics';
import { prepareConfigSchema } from './config.js';
import { makeProviderFiles } from './provider-files.js';
import { runOnce } from './run-once.js';

const renewEveryMs = 24 * 3600 * 1000;
/** A renewal that failed is tried again this soon; the connections have days left. */
const retryMs = 600_000;

await runOnce('prepare', prepareConfigSchema, async (config, logger) => {
  const make = async (): Promise<void> => {
    const udf = await makeProviderFiles(config, config.domains, systemClock());
    logger.info({ service: udf, domains: config.domains }, 'certificates, keys and hosts are in place');
  };
  await make();
  const { adminListen } = config;
  if (adminListen !== undefined) await runService({ logger, start: () => stay(adminListen, make, logger) });
});

async function stay(listen: HostPort, make: () => Promise<void>, logger: Logger): Promise<RunningService> {
  let failure: string | undefined;
  let timer: NodeJS.Timeout | undefined;
  const renewIn = (delayMs: number): void => {
    timer = setTimeout(() => void renew(), delayMs);
  };
  const renew = async (): Promise<void> => {
    try {
      await make();
      failure = undefined;
      renewIn(renewEveryMs);
    } catch (error) {
      failure = `hosts could not be renewed: ${(error as Error).message}`;
      logger.error({ err: error }, 'renewal failed');
      renewIn(retryMs);
    }
  };
  const admin = await startAdminListener({
    listen,
    ready: () => (failure === undefined ? [] : [failure]),
    metrics: createMetrics({ processMetrics: true }).registry,
  });
  renewIn(renewEveryMs);
  return {
    stop: async () => {
      clearTimeout(timer);
      await admin.stop();
    },
  };
}
