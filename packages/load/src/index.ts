/**
 * Programs that stand at the other end of a provider: who sends to it, and who takes what it sends.
 *
 * - `sink/`: `mesh-sink`, another service that takes messages, rightly or in one of many awkward ways.
 * - `source/`: `mesh-source`, an account that sends messages at a rate, and tells what became of them.
 * - `link/`: a slow line in front of a service.
 * - `draft-targets/`: `mesh-load draft-targets`, the numbers that the draft names, over such a line.
 *
 * Nothing here is part of a provider in production.
 */
export {};
