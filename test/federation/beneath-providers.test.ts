/**
 * What people do across two providers, and what fails beneath those, one file for each way of failing. They share one pair of
 * providers, whose processes and servers take a while to start: a scene leaves them as it found them.
 */
import './people.scenes.js';
import './redis-flushed.scenes.js';
import './redis-restarted.scenes.js';
import './postgres-restarted.scenes.js';
import './shard-killed.scenes.js';
import './duplicate-delivery.scenes.js';
import './outbound-killed.scenes.js';
import './outbound-stopped.scenes.js';
import './wake-ups.scenes.js';
import './message-expires.scenes.js';
// Last: the second worker stays.
import './two-workers.scenes.js';
