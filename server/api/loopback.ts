/**
 * Keeps web pages out of a gateway that asks nobody for a key. A page can reach 127.0.0.1 by a
 * name of its own that resolves there (DNS rebinding), or send requests from its own origin.
 */
import type { FastifyInstance } from 'fastify';
import { RoutingError } from '../../datasets/index.ts';
import { isLoopback } from '../config/index.ts';

/** @param asksNobody whether the gateway asks for no key now */
export function loopbackOnly(app: FastifyInstance, asksNobody: () => boolean): void {
  app.addHook('onRequest', async ({ headers }) => {
    if (!asksNobody()) return;
    const { host, origin } = headers;
    if (!isLoopback(hostnameOf(`http://${host ?? ''}`))) {
      throw new RoutingError(
        'FORBIDDEN_ORIGIN',
        'this gateway asks nobody for a key, so it answers to localhost only: call it as http://127.0.0.1, or set up keys',
      );
    }
    if (origin !== undefined && !isLoopback(hostnameOf(origin))) {
      throw new RoutingError('FORBIDDEN_ORIGIN', 'this gateway does not answer to web pages from other machines');
    }
  });
}

const hostnameOf = (url: string): string => (URL.canParse(url) ? new URL(url).hostname : '');
