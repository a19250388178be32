/** Who could reach the gateway at an address: refused where strangers could and nobody asks them for a key. */
import { RoutingError } from '../../datasets/index.ts';
import type { GatewayConfig } from './schema.ts';

/** @throws `INVALID_CONFIG` when strangers could reach a gateway that asks nobody for a key */
export function refusePublicHost(config: Pick<GatewayConfig, 'host' | 'allowPublic' | 'keys'>): void {
  if (!config.allowPublic && config.keys.length === 0 && !isLoopback(config.host)) {
    throw new RoutingError(
      'INVALID_CONFIG',
      `host ${config.host}: no client keys are set up, so the gateway listens on this machine only. ` +
        'Set up keys in pointsman.yaml, use 127.0.0.1 (is HOST set in your shell?), or set POINTSMAN_ALLOW_PUBLIC=1 ' +
        '(allowPublic: true) if something in front of it keeps strangers out.',
    );
  }
}

/** A name or address that only this machine can reach. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase().replace(/^\[|\]$/g, '');
  return name === 'localhost' || name === '::1' || name.endsWith('.localhost') || /^127(\.\d{1,3}){3}$/.test(name);
}
