/** Settings of the outbound process. */
import { DiscoverySettingError, readDiscoverySettings } from '@meshd/binding/discovery/settings';
import { commonSettings, hostPortList, path, secretUrl } from '@meshd/process/setting';
import { z } from 'zod';

/** A list that the settings of discovery are read from; the message of a wrong one shows its form. */
const discoveryText = (member: 'servers' | 'overrides' | 'allow') =>
  z
    .string()
    .optional()
    .superRefine((text, context) => {
      try {
        readDiscoverySettings({ [member]: text });
      } catch (error) {
        if (!(error instanceof DiscoverySettingError)) throw error;
        context.addIssue({ code: 'custom', message: error.message });
      }
    });

/** The schema; members are named in the environment as `settingName` says. */
export const outboundConfigSchema = z.object({
  ...commonSettings,
  /** Shards to ask for the slot map, and with it for all shards. */
  shards: hostPortList,
  /** Wake-ups; nothing is lost with it. */
  redisUrl: secretUrl,
  /** Name servers, `ADDRESS:PORT,…`; those of the system when absent. */
  discoveryServers: discoveryText('servers'),
  /** Places of domains that are not looked up, `DOMAIN=HOST:PORT[/PATH],…`: development, and peers without DNS. */
  discoveryOverrides: discoveryText('overrides'),
  /** Private ranges that the DNS may point to, `10.0.0.0/8,…`; none when absent. */
  discoveryAllow: discoveryText('allow'),
  /** Certificates (PEM) that other services are trusted by, instead of the usual ones. */
  peerCaFile: path.optional(),
});

/** Settings, read and checked. */
export type OutboundConfig = z.output<typeof outboundConfigSchema>;
