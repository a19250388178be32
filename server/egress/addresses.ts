/** Which addresses of the network may be called for a request: public ones; private ones only where that is allowed. */
import ipaddr from 'ipaddr.js';

/**
 * - `public`   may be called
 * - `private`  this machine and the networks around it: only with `allowPrivate`
 * - `never`    link-local (cloud metadata), multicast, unspecified, reserved, documentation, and every form that
 *              carries an IPv4 address inside an IPv6 one: no host that is meant to be fetched from has such
 */
export type Reach = 'public' | 'private' | 'never';

const PRIVATE = new Set(['loopback', 'private', 'uniqueLocal', 'carrierGradeNat']);
/** All that is given out to anybody lies here; what is elsewhere has a meaning of its own. */
const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR('2000::/3');

export function reachOf(address: string): Reach {
  if (!ipaddr.isValid(address)) return 'never';
  const parsed = ipaddr.parse(address);
  // `fe80::1%eth0`: an address that means something on one wire only.
  if (parsed instanceof ipaddr.IPv6 && parsed.zoneId !== undefined) return 'never';
  const range = parsed.range();
  if (PRIVATE.has(range)) return 'private';
  if (range !== 'unicast') return 'never';
  return parsed instanceof ipaddr.IPv4 || parsed.match(GLOBAL_UNICAST) ? 'public' : 'never';
}
