/**
 * A slow link in front of a service, for loads and measurements: octets each way at so many bits a second and no more.
 *
 * Where this machine lets us, the kernel does it: a network namespace behind a pair of virtual interfaces, each with a token
 * bucket (`tc tbf`), so that TCP meets what it meets on such a line, headers and acknowledgements included. Elsewhere a
 * process relays octets at that pace, headers not counted. Either way the ends are ports of the loopback interface.
 */
export {};
