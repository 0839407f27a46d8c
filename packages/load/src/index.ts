/**
 * Programs that stand at the other end of a provider: who sends to it, and who takes what it sends.
 *
 * - `sink/`: `mesh-sink`, another service that takes messages, rightly or in one of many awkward ways.
 * - `source/`: `mesh-source`, an account that sends messages at a rate, and tells what became of them.
 *
 * Nothing here is part of a provider in production.
 */
export {};
