/** Backends of a test run in containers; `testcontainers` removes them even when the run is killed. */
import { randomBytes } from 'node:crypto';
import { GenericContainer, Wait } from 'testcontainers';
import type { Backend } from './backends.js';
import { images } from './docker.js';

/** A Postgres container. @throws Error of the engine */
export async function postgresContainer(): Promise<Backend> {
  const password = randomBytes(16).toString('hex');
  const container = await new GenericContainer(images.postgres)
    .withEnvironment({ POSTGRES_PASSWORD: password })
    .withCommand(['postgres', '-c', 'max_connections=200'])
    .withExposedPorts(5432)
    // the image starts the server twice: once to make the cluster, then for good
    .withWaitStrategy(Wait.forLogMessage(/ready to accept connections/, 2))
    .start();
  const address = `${container.getHost()}:${container.getMappedPort(5432)}`;
  return {
    url: `postgresql://postgres:${password}@${address}/postgres`,
    source: 'Docker through testcontainers',
    stop: async () => void (await container.stop()),
  };
}

/** A Redis container. @throws Error of the engine */
export async function redisContainer(): Promise<Backend> {
  const container = await new GenericContainer(images.redis)
    .withExposedPorts(6379)
    .withWaitStrategy(Wait.forLogMessage(/Ready to accept connections/))
    .start();
  return {
    url: `redis://${container.getHost()}:${container.getMappedPort(6379)}`,
    source: 'Docker through testcontainers',
    stop: async () => void (await container.stop()),
  };
}
