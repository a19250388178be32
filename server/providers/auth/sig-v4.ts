/** AWS Signature Version 4, by the AWS client's own signer; credentials given, or found as its clients find them. */
import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto';
import type { SignatureV4 } from '@smithy/signature-v4';
import { RoutingError } from '../../../datasets/index.ts';
import type { Authorizer } from './authorizer.ts';
import { type RenewedOptions, renewed } from './renewed.ts';

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
  /** Absent: they do not expire. */
  readonly expiration?: Date | undefined;
}

export interface SigV4Options {
  readonly region: string;
  readonly service?: string | undefined;
  /** Static ones, or where to get them; asked again shortly before they expire. */
  readonly credentials: AwsCredentials | (() => Promise<AwsCredentials>);
  readonly now?: (() => Date) | undefined;
}

/** Loads the signer at the first request, for few gateways need it. */
export function sigV4({ region, service = 'bedrock', credentials, now = () => new Date() }: SigV4Options): Authorizer {
  const source = typeof credentials === 'function' ? fetched(credentials, { now: () => now().getTime() }) : credentials;
  let signer: Promise<SignatureV4> | undefined;
  const made = async () => {
    const { SignatureV4 } = await import('@smithy/signature-v4');
    return new SignatureV4({ region, service, credentials: source, sha256: Sha256 });
  };
  return async ({ method, url, headers, body }) => {
    signer ??= made();
    const signed = await (await signer).sign(
      {
        method,
        protocol: url.protocol,
        hostname: url.hostname,
        ...(url.port !== '' && { port: Number(url.port) }),
        path: url.pathname,
        query: queryOf(url),
        headers: { ...headers, host: url.host },
        body,
      },
      { signingDate: now() },
    );
    // `host` is what the connection sends anyway.
    return Object.fromEntries(Object.entries(signed.headers).filter(([name]) => name !== 'host' && !(name in headers)));
  };
}

/**
 * The AWS clients' default chain: environment, SSO, profile, web identity, container, instance. Renewed by itself.
 * @param profile of the shared configuration files
 */
export function awsDefaultCredentials({
  profile,
}: {
  readonly profile?: string | undefined;
} = {}): () => Promise<AwsCredentials> {
  let chain: (() => Promise<AwsCredentials>) | undefined;
  return async () => {
    if (chain === undefined) {
      const { defaultProvider } = await import('@aws-sdk/credential-provider-node');
      chain = defaultProvider(profile === undefined ? {} : { profile });
    }
    return await chain();
  };
}

function fetched(credentials: () => Promise<AwsCredentials>, options: RenewedOptions): () => Promise<AwsCredentials> {
  return renewed(async () => {
    const value = await credentials().catch((cause) => {
      const why = cause instanceof Error ? cause.message : 'none found';
      throw new RoutingError('PROVIDER_NOT_CONFIGURED', `no AWS credentials: ${why}`, { cause });
    });
    return { value, expiresAt: value.expiration?.getTime() };
  }, options);
}

function queryOf({ searchParams }: URL): Record<string, string | string[]> {
  const query: Record<string, string | string[]> = {};
  for (const name of new Set(searchParams.keys())) query[name] = searchParams.getAll(name);
  return query;
}

/** Node's SHA-256 in the shape that the signer wants; prompts with images are megabytes. */
class Sha256 {
  readonly #secret: Bytes | undefined;
  #hash: Hash | Hmac;

  constructor(secret?: Bytes) {
    this.#secret = secret;
    this.#hash = this.#fresh();
  }

  update(data: Bytes): void {
    this.#hash.update(asBuffer(data));
  }

  async digest(): Promise<Uint8Array> {
    return new Uint8Array(this.#hash.digest());
  }

  reset(): void {
    this.#hash = this.#fresh();
  }

  #fresh(): Hash | Hmac {
    return this.#secret === undefined ? createHash('sha256') : createHmac('sha256', asBuffer(this.#secret));
  }
}

type Bytes = string | ArrayBuffer | ArrayBufferView;

function asBuffer(data: Bytes): Buffer {
  if (typeof data === 'string') return Buffer.from(data);
  return data instanceof ArrayBuffer
    ? Buffer.from(data)
    : Buffer.from(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
}
