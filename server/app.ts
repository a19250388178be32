/** The gateway as a Fastify app: wires the endpoints, does not listen. */
import type { Socket } from 'node:net';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import { pino } from 'pino';
import { RoutingError } from '../datasets/index.ts';
import { accessRoutes } from './api/access.ts';
import { type Admin, adminRoutes } from './api/admin.ts';
import { alarmsRoutes } from './api/alarms.ts';
import { parseJsonBodies } from './api/body.ts';
import { callersOnly } from './api/callers-only.ts';
import { countTokensRoute } from './api/count-tokens.ts';
import { dashboardRoute } from './api/dashboard.ts';
import { decisionsRoute } from './api/decisions.ts';
import { errorReply, handleError } from './api/errors.ts';
import { feedbackRoute } from './api/feedback.ts';
import { healthRoutes } from './api/health.ts';
import { importKeysRoute } from './api/import-keys.ts';
import { learningRoutes } from './api/learning.ts';
import { limitsRoutes } from './api/limits.ts';
import { logOwnerRoutes } from './api/log-owner.ts';
import { loopbackOnly } from './api/loopback.ts';
import { metricsRoute } from './api/metrics.ts';
import { modelsRoute } from './api/models.ts';
import { openApiRoute } from './api/openapi.ts';
import { passThroughRoutes } from './api/passthrough.ts';
import { policiesRoutes } from './api/policies.ts';
import { routeRoute } from './api/route.ts';
import { signInRoutes } from './api/sign-in.ts';
import { surfaceRoutes } from './api/surfaces.ts';
import { usageRoutes } from './api/usage.ts';
import { usageLiveRoutes } from './api/usage-live.ts';
import type { Environment } from './config/index.ts';
import { newDecisionId } from './db/decision-id.ts';
import { Gateway, type GatewayParts } from './gateway.ts';
import type { Learning } from './learning/jobs/learning.ts';
import { logLines } from './telemetry/log-lines.ts';
import { verification } from './verify/index.ts';

export type { Admin } from './api/admin.ts';
export { Gateway, type GatewayParts, type RouterHolder } from './gateway.ts';
export { usableModels } from './models.ts';

export interface AppOptions extends GatewayParts {
  /** Default: that of the process. */
  readonly env?: Environment | undefined;
  /** Operations for the command line; without them there is no `/admin`. */
  readonly admin?: Admin | undefined;
  /** Retraining as jobs; without a database that holds them there is no `/v1/learning`. */
  readonly learning?: Learning | undefined;
}

export interface GatewayApp {
  readonly app: FastifyInstance;
  readonly gateway: Gateway;
}

/** @throws `INVALID_CONFIG` when the baseline is not in the catalog */
export function buildApp(options: AppOptions): GatewayApp {
  const { config } = options;
  const gateway = new Gateway(options);
  gateway.afterwards.push(...verification(gateway));
  const { headersMs, requestMs } = config.timeouts;
  const app = Fastify({
    // Clients that send byte by byte to hold a connection are cut off.
    requestTimeout: requestMs,
    http: {
      headersTimeout: headersMs,
      connectionsCheckingInterval: Math.max(MIN_CHECK_MS, Math.min(MAX_CHECK_MS, headersMs / 4)),
    },
    loggerInstance: pino({ level: config.logLevel }, logStream()) as FastifyBaseLogger,
    bodyLimit: Math.floor(config.bodyLimitMb * 1024 * 1024),
    logController: new LogController({ disableRequestLogging: true }),
    // Answered by the hook below, in the shape that clients know.
    return503OnClosing: false,
    routerOptions: { maxParamLength: 500 },
    // Also the decision's id: the log, the headers and the database name a request alike.
    genReqId: () => newDecisionId(),
    frameworkErrors: (error, request, reply) => void handleError(error, request, reply),
    clientErrorHandler: refuseBrokenHttp,
  });
  parseJsonBodies(app);
  app.setErrorHandler(handleError);
  app.setNotFoundHandler(async ({ method, url }) => {
    throw new RoutingError(
      'NOT_FOUND',
      `no endpoint ${method} ${url.split('?')[0]}; POST /v1/chat/completions is the main one`,
    );
  });
  app.addHook('onRequest', async (_, reply) => {
    if (gateway.draining) reply.header('connection', 'close');
    if (!gateway.closing) return;
    throw new RoutingError('SHUTTING_DOWN', 'this gateway is shutting down; try again');
  });
  // No id and no name holds one, and databases take none.
  app.addHook('onRequest', async ({ url }) => {
    if (url.includes('%00')) throw new RoutingError('INVALID_REQUEST', 'the URL holds a NUL character (%00)');
  });
  // Asked each time: keys come and go with the configuration.
  if (!config.allowPublic || config.auth === 'none') loopbackOnly(app, () => !gateway.areAsked);
  callersOnly(app, gateway);
  openApiRoute(app);
  // No URL query, no header and no body: those may carry keys and prompts.
  app.addHook('onResponse', async (request, reply) => {
    // Of a stream, which is written past the framework; or of an answer.
    const model = reply.raw.getHeader('x-pointsman-model') ?? reply.getHeader('x-pointsman-model');
    const { method } = request;
    const path = request.url.split('?', 1)[0]!.slice(0, PATH_CHARS);
    request.log.info(
      { method, path, status: reply.statusCode, model, ms: reply.elapsedTime, ...request.told },
      'answered',
    );
  });
  surfaceRoutes(app, gateway);
  countTokensRoute(app, gateway);
  passThroughRoutes(app, gateway);
  modelsRoute(app, gateway);
  routeRoute(app, gateway);
  feedbackRoute(app, gateway);
  logOwnerRoutes(app, gateway);
  alarmsRoutes(app, gateway);
  decisionsRoute(app, gateway);
  usageRoutes(app, gateway);
  usageLiveRoutes(app, gateway);
  dashboardRoute(app);
  healthRoutes(app, gateway);
  metricsRoute(app, gateway);
  accessRoutes(app, gateway);
  limitsRoutes(app, gateway);
  gateway.governance.limits.log = app.log;
  policiesRoutes(app, gateway);
  signInRoutes(app, gateway, options);
  importKeysRoute(app, gateway);
  if (options.learning !== undefined) learningRoutes(app, options.learning);
  if (options.admin !== undefined) adminRoutes(app, options.admin);
  return { app, gateway };
}

/** Longest path that the log quotes. */
const PATH_CHARS = 500;

/** How often the server looks for connections that take too long, at most and at least. */
const MIN_CHECK_MS = 50;
const MAX_CHECK_MS = 5_000;

/** Lines gather for a moment: a call into the kernel for each would cost more than writing it. All are out when the process ends. */
const logStream = () => logLines(pino.destination({ dest: 1, sync: false, minLength: 4096, periodicFlush: 250 }));

const WHY_REFUSED: Readonly<Record<string, readonly [string, string]>> = {
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', 'the request headers are too large'],
  ERR_HTTP_REQUEST_TIMEOUT: [
    '408 Request Timeout',
    'the request took too long to arrive (timeouts.headersMs, timeouts.requestMs)',
  ],
};

/** What is not HTTP gets an answer too, if its socket still takes one. */
function refuseBrokenHttp(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, message] = WHY_REFUSED[error.code ?? ''] ?? ['400 Bad Request', 'this is not an HTTP request'];
  const { body } = errorReply(new RoutingError('INVALID_REQUEST', message));
  const text = JSON.stringify(body);
  socket.end(
    `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n\r\n${text}`,
  );
}
