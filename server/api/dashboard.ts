/** `GET /dashboard`: the page and its files. They hold nothing of anybody's; what they show they ask `/v1/…` for, as whoever has signed in. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { RoutingError } from '../../datasets/index.ts';
import { type Asset, type Page, readPage } from '../dashboard/assets.ts';

const PREFIX = '/dashboard';

/** What names of models, teams and tags hold can be no more than text: nothing inline runs, and nothing is asked of other hosts. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const HEADERS = {
  'content-security-policy': POLICY,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
};

const FOR_EVER = 'public, max-age=31536000, immutable';

export function dashboardRoute(app: FastifyInstance): void {
  // Read by whoever looks first: a gateway that nobody looks at starts without.
  let page: Page | undefined;
  const loaded = () => {
    page ??= readPage(PREFIX);
    return page;
  };

  const front = async (request: FastifyRequest, reply: FastifyReply) => {
    const { html, etag } = loaded();
    reply.headers({ ...HEADERS, etag, 'cache-control': 'no-cache', vary: 'accept-encoding' });
    if (request.headers['if-none-match'] === etag) return reply.code(304).send();
    return send(request, reply, html);
  };
  app.get(PREFIX, front);
  app.get(`${PREFIX}/`, front);

  // The whole path is looked up in a list: there is no folder to climb out of.
  app.get(`${PREFIX}/*`, async (request, reply) => {
    const asset = loaded().assets.get(request.url.split('?')[0]!);
    if (asset === undefined) {
      throw new RoutingError(
        'NOT_FOUND',
        'no such file of the dashboard; it may be of another version: load the page anew',
      );
    }
    reply.headers({ ...HEADERS, 'cache-control': FOR_EVER, vary: 'accept-encoding' });
    return send(request, reply, asset);
  });
}

function send(request: FastifyRequest, reply: FastifyReply, { type, content, gzipped }: Asset): FastifyReply {
  reply.type(type);
  if (!/\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''))) return reply.send(content);
  return reply.header('content-encoding', 'gzip').send(gzipped);
}
