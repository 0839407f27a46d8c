/** Settings of the outbound process. */
import { commonSettings, hostPortList, secretUrl } from '@meshd/process/setting';
import { z } from 'zod';

/** The schema; members are named in the environment as `settingName` says. */
export const outboundConfigSchema = z.object({
  ...commonSettings,
  /** Shards from which it will lease messages. */
  shards: hostPortList,
  /** Wake-ups; nothing is lost with it. */
  redisUrl: secretUrl,
});

/** Settings, read and checked. */
export type OutboundConfig = z.output<typeof outboundConfigSchema>;
