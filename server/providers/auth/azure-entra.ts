/** Microsoft Entra for Azure OpenAI: an application's client secret for a token, by plain HTTPS. */
import { RoutingError } from '../../../datasets/index.ts';
import type { Transport, TransportReply } from '../transport.ts';
import type { Authorizer } from './authorizer.ts';
import { type Expiring, renewed } from './renewed.ts';

export interface AzureEntraOptions {
  readonly tenantId: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly transport: Transport;
  /** Of a national cloud. */
  readonly authority?: string | undefined;
  readonly scope?: string | undefined;
  readonly now?: (() => number) | undefined;
}

const AUTHORITY = 'https://login.microsoftonline.com';
const SCOPE = 'https://cognitiveservices.azure.com/.default';
const TOKEN_MS = 30_000;
const REPLY_BYTES = 1024 * 1024;

export function azureEntra(options: AzureEntraOptions): Authorizer {
  const { now = Date.now } = options;
  const token = renewed(() => fetchToken(options, now), { now });
  return async () => ({ authorization: `Bearer ${await token()}` });
}

async function fetchToken(options: AzureEntraOptions, now: () => number): Promise<Expiring<string>> {
  const { tenantId, clientId, clientSecret, transport, authority = AUTHORITY, scope = SCOPE } = options;
  const url = new URL(`${authority.replace(/\/+$/, '')}/${encodeURIComponent(tenantId)}/oauth2/v2.0/token`);
  const form = { grant_type: 'client_credentials', client_id: clientId, client_secret: clientSecret, scope };
  let status: number;
  let text: string;
  try {
    const reply = await transport.request({
      url,
      headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
      body: new URLSearchParams(form).toString(),
      signal: AbortSignal.timeout(TOKEN_MS),
    });
    status = reply.status;
    text = await textOf(reply);
  } catch (cause) {
    if (cause instanceof RoutingError) throw cause;
    const why = cause instanceof Error ? cause.message : 'connection lost';
    throw new RoutingError('UPSTREAM_ERROR', `${url.host} gave no token: ${why}`, { cause });
  }
  const reply = parse(text);
  if (status !== 200) {
    // `AADSTS7000215: Invalid client secret provided. …`, with lines of ids behind it.
    const why = String(reply.error_description ?? reply.error ?? `status ${status}`)
      .split(/\r?\n/)[0]
      ?.slice(0, 300);
    throw new RoutingError(
      status >= 500 || status === 429 ? 'UPSTREAM_ERROR' : 'PROVIDER_NOT_CONFIGURED',
      `${url.host} refused a token: ${why}`,
    );
  }
  const { access_token: value, expires_in: seconds } = reply;
  if (typeof value !== 'string' || value === '' || !(Number(seconds) > 0)) {
    throw new RoutingError('UPSTREAM_INVALID', `${url.host} answered without a token`);
  }
  return { value, expiresAt: now() + Number(seconds) * 1000 };
}

async function textOf({ body }: TransportReply): Promise<string> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of body) {
    size += piece.byteLength;
    if (size > REPLY_BYTES)
      throw new RoutingError('UPSTREAM_INVALID', 'the answer to a request for a token is too large');
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString();
}

function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
