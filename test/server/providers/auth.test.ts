import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { BedrockRuntimeClient, ConverseCommand, ConverseStreamCommand } from '@aws-sdk/client-bedrock-runtime';
import { afterEach, describe, expect, test, vi } from 'vitest';
import {
  apiKeyHeader,
  awsDefaultCredentials,
  azureEntra,
  bearer,
  googleOAuth,
  type OutgoingRequest,
  sigV4,
} from '../../../server/providers/auth/index.ts';
import { renewed } from '../../../server/providers/auth/renewed.ts';
import { Transport } from '../../../server/providers/transport.ts';
import { CREDENTIALS, event } from '../protocols/converse-wire.ts';
import { afterwards, plainServer } from './servers.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

const request = (over: Partial<OutgoingRequest> = {}): OutgoingRequest => ({
  method: 'POST',
  url: new URL('https://api.example.com/v1/chat/completions'),
  headers: { 'content-type': 'application/json' },
  body: '{}',
  ...over,
});

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'pointsman-auth-'));
  afterwards(async () => rmSync(path, { recursive: true }));
  return path;
}

test('a key goes to Authorization, or to the header that the provider reads', async () => {
  expect(await bearer('k')(request())).toEqual({ authorization: 'Bearer k' });
  expect(await apiKeyHeader('X-API-Key', 'k')(request())).toEqual({ 'x-api-key': 'k' });
});

interface ClientRequest {
  readonly method: string;
  readonly hostname: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

describe('the AWS signature', () => {
  /** `20261129T130124Z` */
  const dateOf = (amz = '') => new Date(amz.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z'));

  /** An AWS client over HTTP/1.1, as ours goes out; what it would send ends here. */
  function clientInto(sent: ClientRequest[]): BedrockRuntimeClient {
    const answer = JSON.stringify({ output: { message: { role: 'assistant', content: [] } }, stopReason: 'end_turn' });
    return new BedrockRuntimeClient({
      region: 'eu-central-1',
      credentials: CREDENTIALS,
      maxAttempts: 1,
      requestHandler: {
        metadata: { handlerProtocol: 'http/1.1' },
        handle: async (request: ClientRequest) => {
          sent.push(request);
          return {
            response: {
              statusCode: 200,
              headers: {},
              body: Readable.from([request.path.endsWith('-stream') ? event('messageStart', {}) : Buffer.from(answer)]),
            },
          };
        },
      } as never,
    });
  }

  test('is the one that the AWS client sends for the same request at the same moment', async () => {
    const requests: ClientRequest[] = [];
    const client = clientInto(requests);
    const arn = 'arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/a b';
    const text = { messages: [{ role: 'user' as const, content: [{ text: 'naïve 🚂' }] }] };
    await client.send(new ConverseCommand({ modelId: 'amazon.nova-pro-v1:0', ...text }));
    await client.send(new ConverseCommand({ modelId: arn, ...text }));
    await client.send(new ConverseStreamCommand({ modelId: arn, ...text }));
    expect(requests).toHaveLength(3);
    for (const { method, hostname, path, headers, body } of requests) {
      const { authorization = '' } = headers;
      const names = /SignedHeaders=([^,]+)/.exec(authorization)?.[1]?.split(';') ?? [];
      expect(names).toEqual(expect.arrayContaining(['host', 'content-type', 'x-amz-security-token']));
      // What the signer adds is left to ours.
      const given = names.filter(
        (name) => name !== 'host' && !/^x-amz-(date|content-sha256|security-token)$/.test(name),
      );
      const sign = sigV4({
        region: 'eu-central-1',
        credentials: CREDENTIALS,
        now: () => dateOf(headers['x-amz-date']),
      });
      const added = await sign({
        method,
        url: new URL(path, `https://${hostname}`),
        headers: Object.fromEntries(given.map((name) => [name, headers[name] ?? ''])),
        body,
      });
      expect(added).toEqual({
        authorization,
        'x-amz-date': headers['x-amz-date'],
        'x-amz-content-sha256': createHash('sha256').update(body).digest('hex'),
        'x-amz-security-token': CREDENTIALS.sessionToken,
      });
    }
  });

  test('covers the body, the path and the headers', async () => {
    const sign = sigV4({ region: 'r', credentials: CREDENTIALS, now: () => new Date(0) });
    const signatureOf = async (over: Partial<OutgoingRequest>) => (await sign(request(over))).authorization;
    const plain = await signatureOf({});
    expect(await signatureOf({})).toBe(plain);
    expect(await signatureOf({ body: Buffer.from('{}') })).toBe(plain);
    for (const over of [
      { body: '{ }' },
      { url: new URL('https://api.example.com/v1/chat') },
      { url: new URL('https://api.example.com/v1/chat/completions?a=1&a=2') },
      { headers: { 'content-type': 'text/plain' } },
    ]) {
      expect(await signatureOf(over)).not.toBe(plain);
    }
  });

  test('fetches credentials once, and anew shortly before they expire', async () => {
    let now = 0;
    let fetches = 0;
    const sign = sigV4({
      region: 'r',
      now: () => new Date(now),
      credentials: async () => ({
        ...CREDENTIALS,
        accessKeyId: `AKID${++fetches}`,
        expiration: new Date(now + 3_600_000),
      }),
    });
    const who = async () => /Credential=(\w+)/.exec((await sign(request())).authorization ?? '')?.[1];
    expect(await Promise.all([who(), who(), who()])).toEqual(['AKID1', 'AKID1', 'AKID1']);
    now = 3_200_000;
    expect(await who()).toBe('AKID1');
    // Five minutes before the hour's end.
    now = 3_300_000;
    expect(await who()).toBe('AKID2');
  });

  test('takes credentials from the AWS configuration’s profile, and says when there are none', async () => {
    const home = folder();
    writeFileSync(
      join(home, 'credentials'),
      '[team]\naws_access_key_id = AKIDTEAM\naws_secret_access_key = made-up\n[default]\naws_access_key_id = AKIDDEFAULT\naws_secret_access_key = made-up\n',
    );
    writeFileSync(join(home, 'config'), '');
    for (const name of ['AWS_PROFILE', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN']) {
      vi.stubEnv(name, undefined);
    }
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', join(home, 'credentials'));
    vi.stubEnv('AWS_CONFIG_FILE', join(home, 'config'));
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
    const who = async (profile?: string) => {
      const sign = sigV4({ region: 'r', credentials: awsDefaultCredentials({ profile }) });
      return /Credential=(\w+)/.exec((await sign(request())).authorization ?? '')?.[1];
    };
    expect(await who('team')).toBe('AKIDTEAM');
    expect(await who()).toBe('AKIDDEFAULT');
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIDENV');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'made-up');
    expect(await who()).toBe('AKIDENV');
    vi.stubEnv('AWS_ACCESS_KEY_ID', undefined);
    await expect(who('nobody')).rejects.toMatchObject({ code: 'PROVIDER_NOT_CONFIGURED' });
  });
});

describe('what expires', () => {
  test('stays in use while it holds, when it cannot be renewed, and is asked for again after that', async () => {
    let now = 0;
    let fails = false;
    let fetches = 0;
    const token = renewed(
      async () => {
        fetches++;
        if (fails) throw new Error('away');
        return { value: `t${fetches}`, expiresAt: now + 1000 };
      },
      { earlyMs: 100, now: () => now },
    );
    expect(await token()).toBe('t1');
    fails = true;
    now = 950;
    expect(await token()).toBe('t1');
    now = 1000;
    await expect(token()).rejects.toThrow('away');
    fails = false;
    expect(await token()).toBe('t4');
  });
});

describe('Google’s OAuth', () => {
  /** An external account whose tokens come from a server of ours. */
  async function account(answer: (calls: number) => [status: number, body: object]) {
    const calls: string[] = [];
    const port = await plainServer(async (incoming, response) => {
      let body = '';
      for await (const piece of incoming) body += piece;
      calls.push(body);
      const [status, json] = answer(calls.length);
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json));
    });
    const home = folder();
    writeFileSync(join(home, 'subject'), 'subject-token-secret');
    const keyFile = join(home, 'account.json');
    writeFileSync(
      keyFile,
      JSON.stringify({
        type: 'external_account',
        audience: '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x',
        subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        token_url: `http://127.0.0.1:${port}/token`,
        credential_source: { file: join(home, 'subject') },
      }),
    );
    return { calls, keyFile };
  }
  const token = { access_token: 'ya29.made-up', token_type: 'Bearer', expires_in: 3600 };
  const vertex = request({ url: new URL('https://aiplatform.googleapis.com/v1/x') });

  test('asks for a token once, and finds its account by GOOGLE_APPLICATION_CREDENTIALS too', async () => {
    const { calls, keyFile } = await account(() => [200, token]);
    const authorize = googleOAuth({ keyFile });
    for (let i = 0; i < 3; i++) {
      expect(await authorize(vertex)).toMatchObject({ authorization: 'Bearer ya29.made-up' });
    }
    expect(calls).toHaveLength(1);
    expect(calls[0]).toContain('subject_token=subject-token-secret');
    vi.stubEnv('GOOGLE_APPLICATION_CREDENTIALS', keyFile);
    expect(await googleOAuth({ project: 'p1' })(vertex)).toMatchObject({ authorization: 'Bearer ya29.made-up' });
    expect(calls).toHaveLength(2);
  });

  test('says that it was refused, without the secret', async () => {
    const { keyFile } = await account(() => [400, { error: 'invalid_grant', error_description: 'bad subject' }]);
    const failed = (await Promise.resolve(googleOAuth({ keyFile })(vertex)).catch((error: unknown) => error)) as Error;
    expect(failed).toMatchObject({
      code: 'PROVIDER_NOT_CONFIGURED',
      message: expect.stringContaining('invalid_grant'),
    });
    expect(JSON.stringify([failed.message, failed.cause, failed])).not.toContain('subject-token-secret');
  });

  test('says that there is no account, and looks again at the next call', async () => {
    const { keyFile } = await account(() => [200, token]);
    const later = join(folder(), 'later.json');
    const authorize = googleOAuth({ keyFile: later });
    await expect(authorize(vertex)).rejects.toMatchObject({ code: 'PROVIDER_NOT_CONFIGURED' });
    const { readFileSync } = await import('node:fs');
    writeFileSync(later, readFileSync(keyFile));
    expect(await authorize(vertex)).toMatchObject({ authorization: 'Bearer ya29.made-up' });
  });
});

describe('Microsoft Entra', () => {
  async function entra(answer: (calls: number) => [status: number, body: string]) {
    const calls: { url: string | undefined; form: Record<string, string> }[] = [];
    const port = await plainServer(async (incoming, response) => {
      let body = '';
      for await (const piece of incoming) body += piece;
      calls.push({ url: incoming.url, form: Object.fromEntries(new URLSearchParams(body)) });
      const [status, text] = answer(calls.length);
      response.writeHead(status, { 'content-type': 'application/json' }).end(text);
    });
    const transport = new Transport();
    afterwards(() => transport.close());
    let now = 0;
    const authorize = azureEntra({
      tenantId: 'tenant',
      clientId: 'app',
      clientSecret: 'hunter22',
      transport,
      authority: `http://127.0.0.1:${port}`,
      now: () => now,
    });
    return { calls, authorize, at: (ms: number) => (now = ms) };
  }

  test('gives a token for the application’s secret, kept until shortly before its end', async () => {
    const { calls, authorize, at } = await entra((n) => [
      200,
      JSON.stringify({ access_token: `e${n}`, expires_in: 3599 }),
    ]);
    expect(await Promise.all([authorize(request()), authorize(request())])).toEqual([
      { authorization: 'Bearer e1' },
      { authorization: 'Bearer e1' },
    ]);
    expect(calls).toEqual([
      {
        url: '/tenant/oauth2/v2.0/token',
        form: {
          grant_type: 'client_credentials',
          client_id: 'app',
          client_secret: 'hunter22',
          scope: 'https://cognitiveservices.azure.com/.default',
        },
      },
    ]);
    at(3_299_000);
    expect(await authorize(request())).toEqual({ authorization: 'Bearer e2' });
  });

  test('says why there is none, without the secret', async () => {
    const told: [number, string, string, RegExp][] = [
      [
        401,
        '{"error":"invalid_client","error_description":"AADSTS7000215: Invalid secret.\\r\\nTrace ID: 1"}',
        'PROVIDER_NOT_CONFIGURED',
        /AADSTS7000215: Invalid secret\.$/,
      ],
      [503, 'away', 'UPSTREAM_ERROR', /status 503/],
      [200, '{}', 'UPSTREAM_INVALID', /without a token/],
      [200, '{"access_token":"x"}', 'UPSTREAM_INVALID', /without a token/],
      [200, 'x'.repeat(2_000_000), 'UPSTREAM_INVALID', /too large/],
    ];
    for (const [status, body, code, message] of told) {
      const { authorize } = await entra(() => [status, body]);
      const failed = (await Promise.resolve(authorize(request())).catch((error: unknown) => error)) as Error;
      expect(failed).toMatchObject({ code, message: expect.stringMatching(message) });
      expect(failed.message).not.toContain('hunter22');
    }
  });
});
