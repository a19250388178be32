/** Who could reach the gateway at an address, and so whether callers are asked for a key there. */
import { RoutingError } from '../../datasets/index.ts';
import type { GatewayConfig } from './schema.ts';

type Asked = Pick<GatewayConfig, 'host' | 'allowPublic' | 'auth'>;

/**
 * When callers are asked for a key. `auto`: as soon as there is any; beyond this machine always, unless the operator says
 * (`allowPublic`) that something in front of the gateway keeps strangers out.
 */
export function askingOf({ auth, host, allowPublic }: Asked): 'always' | 'if-any' | 'never' {
  if (auth === 'none') return 'never';
  return auth === 'required' || (!allowPublic && !isLoopback(host)) ? 'always' : 'if-any';
}

/** What it means that the configuration has no keys, for people. */
export const withoutKeys = (config: Asked): string =>
  askingOf(config) === 'always'
    ? 'none here, but keys are asked for: where nobody has one, an admin’s is made at the start'
    : 'none here: unless the database has some (pointsman keys list), everybody who reaches it may call';

/** @throws `INVALID_CONFIG` when strangers could reach a gateway that is told to ask nobody for a key */
export function refusePublicHost({ auth, host }: Asked): void {
  if (auth === 'none' && !isLoopback(host)) {
    throw new RoutingError(
      'INVALID_CONFIG',
      `host ${host}: auth: none asks nobody for a key, which is for this machine only. ` +
        'Use 127.0.0.1 (is HOST set in your shell?), or auth: auto, which asks for keys beyond this machine',
    );
  }
}

/** A name or address that only this machine can reach. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase().replace(/^\[|\]$/g, '');
  return name === 'localhost' || name === '::1' || name.endsWith('.localhost') || /^127(\.\d{1,3}){3}$/.test(name);
}
