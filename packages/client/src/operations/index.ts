/** What a person asks of a device, one module each: a function that takes a `Session` (or a home before there is one). */
export {};
