import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { proxyFor } from '../../../server/providers/proxy.ts';
import {
  Transport,
  type TransportOptions,
  type TransportReply,
  trusting,
} from '../../../server/providers/transport.ts';
import { TEST_CA } from './certificates.ts';
import { afterwards, plainServer, proxyServer, tlsServer } from './servers.ts';

function transport(options: TransportOptions = {}): Transport {
  const made = new Transport(options);
  afterwards(() => made.close());
  return made;
}

const get = (by: Transport, url: string, signal?: AbortSignal) =>
  by.request({ url: new URL(url), method: 'GET', headers: {}, signal });

async function textOf({ body }: TransportReply): Promise<string> {
  const pieces: Uint8Array[] = [];
  for await (const piece of body) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

function caFile(text = TEST_CA): string {
  const folder = mkdtempSync(join(tmpdir(), 'pointsman-ca-'));
  afterwards(async () => rmSync(folder, { recursive: true }));
  const path = join(folder, 'ca.pem');
  writeFileSync(path, text);
  return path;
}

describe('a request', () => {
  test('sends what it was given, and gives back the head and the body', async () => {
    const port = await plainServer(async (request, response) => {
      let body = '';
      for await (const piece of request) body += piece;
      response.writeHead(429, { 'content-type': 'application/json', 'retry-after': '7', 'x-request-id': 'r1' });
      response.end(JSON.stringify([request.method, request.url, request.headers['x-api-key'], body]));
    });
    const reply = await transport().request({
      url: new URL(`http://127.0.0.1:${port}/v1/chat?a=b%20c`),
      headers: { 'x-api-key': 'k' },
      body: 'naïve',
    });
    expect(reply).toMatchObject({ status: 429, contentType: 'application/json', retryAfter: '7' });
    expect(reply.headers['x-request-id']).toBe('r1');
    expect(JSON.parse(await textOf(reply))).toEqual(['POST', '/v1/chat?a=b%20c', 'k', 'naïve']);
  });

  test('takes retry-after-ms before retry-after, and dates as they are', async () => {
    const date = 'Wed, 21 Oct 2026 07:28:00 GMT';
    const told: [Record<string, string>, string | undefined][] = [
      [{ 'retry-after-ms': '250', 'retry-after': '1' }, '0.25'],
      [{ 'retry-after-ms': 'soon', 'retry-after': '1' }, '1'],
      [{ 'retry-after': date }, date],
      [{}, undefined],
    ];
    const by = transport();
    for (const [headers, expected] of told) {
      const port = await plainServer((_, response) => response.writeHead(503, headers).end());
      expect((await get(by, `http://127.0.0.1:${port}/`)).retryAfter).toBe(expected);
    }
  });

  test('does not follow redirects', async () => {
    let calls = 0;
    const port = await plainServer((_, response) => {
      calls++;
      response.writeHead(302, { location: '/elsewhere' }).end();
    });
    const reply = await get(transport(), `http://127.0.0.1:${port}/`);
    expect(reply.status).toBe(302);
    await textOf(reply);
    expect(calls).toBe(1);
  });

  test('uses a connection again', async () => {
    const sockets = new Set<unknown>();
    const port = await plainServer((request, response) => {
      sockets.add(request.socket);
      response.end('ok');
    });
    const by = transport();
    for (let i = 0; i < 3; i++) {
      await textOf(await get(by, `http://127.0.0.1:${port}/`));
      // A connection is free a moment after its reply's end.
      await setTimeout(5);
    }
    expect(sockets.size).toBe(1);
  });

  test('ends with its signal, while waiting and in mid-answer, and the host sees the hang-up', async () => {
    const hangUps: Promise<unknown>[] = [];
    const waiting = new AbortController();
    const port = await plainServer((request, response) => {
      hangUps.push(once(response, 'close'));
      if (request.url === '/never') waiting.abort(new Error('given up'));
      if (request.url === '/stream') response.write('first');
    });
    const by = transport();
    const never = get(by, `http://127.0.0.1:${port}/never`, waiting.signal);
    await expect(never).rejects.toThrow('given up');
    const reading = new AbortController();
    const reply = await get(by, `http://127.0.0.1:${port}/stream`, reading.signal);
    const read = textOf(reply);
    reading.abort(new Error('client left'));
    await expect(read).rejects.toThrow('client left');
    await Promise.all(hangUps);
    expect(hangUps).toHaveLength(2);
  });

  test('fails with the name of what was wrong when nobody is there, and after the end', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    server.close();
    await once(server, 'close');
    const by = transport();
    await expect(get(by, `http://127.0.0.1:${port}/`)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await by.close();
    await expect(get(by, `http://127.0.0.1:${port}/`)).rejects.toMatchObject({ code: 'SHUTTING_DOWN' });
  });
});

describe('certificates', () => {
  test('of an unknown authority are refused, unless its file is given', async () => {
    const port = await tlsServer((_, response) => response.end('secret'));
    const url = `https://127.0.0.1:${port}/`;
    await expect(get(transport(), url)).rejects.toMatchObject({ code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' });
    const by = transport({ secureContext: trusting(caFile()) });
    expect(await textOf(await get(by, url))).toBe('secret');
  });

  test('for another name are refused all the same', async () => {
    const port = await tlsServer((_, response) => response.end('secret'));
    const by = transport({
      secureContext: trusting(caFile()),
      proxy: `http://127.0.0.1:${(await proxyServer()).port}`,
    });
    await expect(get(by, `https://other.example.test:${port}/`)).rejects.toMatchObject({
      code: 'ERR_TLS_CERT_ALTNAME_INVALID',
    });
  });

  test('come from NODE_EXTRA_CA_CERTS too, which a list of our own would replace', async () => {
    const port = await tlsServer((_, response) => response.end('secret'));
    // Any other authority as the file, and the tests' own by the environment.
    const { rootCertificates } = await import('node:tls');
    const secureContext = trusting(caFile(rootCertificates[0]), { NODE_EXTRA_CA_CERTS: caFile() });
    expect(await textOf(await get(transport({ secureContext }), `https://127.0.0.1:${port}/`))).toBe('secret');
  });

  test('that cannot be read are refused at the start', () => {
    const block = '-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n';
    for (const [path, why] of [
      [join(tmpdir(), 'no-such-folder', 'ca.pem'), /cannot be read/],
      [caFile('hello'), /no certificate/],
      [caFile(block), /certificate that cannot be read/],
    ] as const) {
      expect(() => trusting(path)).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG' }));
      expect(() => trusting(path)).toThrow(why);
    }
  });
});

describe('a proxy', () => {
  test('is tunnelled through to https, with the environment’s name and password for it', async () => {
    const port = await tlsServer((_, response) => response.end('secret'));
    const proxy = await proxyServer();
    const env = { HTTPS_PROXY: `http://me:p%40ss@127.0.0.1:${proxy.port}` };
    const by = transport({ env, secureContext: trusting(caFile()) });
    const url = `https://api.example.test:${port}/`;
    expect(await textOf(await get(by, url))).toBe('secret');
    await setTimeout(5);
    expect(await textOf(await get(by, url))).toBe('secret');
    // One tunnel for both.
    expect(proxy.seen).toEqual([`CONNECT api.example.test:${port}`]);
    expect(proxy.credentials).toEqual([`Basic ${Buffer.from('me:p@ss').toString('base64')}`]);
    expect(by.proxyOf(new URL(url))).toBe(`http://127.0.0.1:${proxy.port}`);
  });

  test('may itself speak TLS, and be set for one provider only, loopback included', async () => {
    const port = await tlsServer((_, response) => response.end('secret'));
    const proxy = await proxyServer({ tls: true });
    const by = transport({
      proxy: `https://127.0.0.1:${proxy.port}`,
      env: { NO_PROXY: '*' },
      secureContext: trusting(caFile()),
    });
    expect(await textOf(await get(by, `https://127.0.0.1:${port}/`))).toBe('secret');
    expect(proxy.seen).toEqual([`CONNECT 127.0.0.1:${port}`]);
  });

  test('is asked for the whole address of http', async () => {
    const proxy = await proxyServer();
    const by = transport({ env: { http_proxy: `me:@127.0.0.1:${proxy.port}` } });
    expect(await textOf(await get(by, 'http://api.example.test:8080/v1?x=1'))).toBe('by the proxy');
    expect(proxy.seen).toEqual(['GET http://api.example.test:8080/v1?x=1']);
    expect(proxy.credentials).toEqual([`Basic ${Buffer.from('me:').toString('base64')}`]);
  });

  test('is passed by where NO_PROXY or the provider says so, and for this machine', async () => {
    const port = await plainServer((_, response) => response.end('straight'));
    const proxy = await proxyServer();
    const env = { HTTP_PROXY: `http://127.0.0.1:${proxy.port}` };
    expect(await textOf(await get(transport({ env }), `http://127.0.0.1:${port}/`))).toBe('straight');
    expect(await textOf(await get(transport({ env, proxy: false }), `http://127.0.0.1:${port}/`))).toBe('straight');
    expect(proxy.seen).toEqual([]);
  });

  test('that refuses is named, without its password', async () => {
    for (const refuse of [403, 407]) {
      const proxy = await proxyServer({ refuse });
      const by = transport({ proxy: `http://me:hunter22@127.0.0.1:${proxy.port}` });
      const failed = await get(by, 'https://api.example.test/').catch((error) => error);
      expect(failed).toMatchObject({ code: 'UPSTREAM_ERROR' });
      expect(failed.message).toContain(`the proxy http://127.0.0.1:${proxy.port} refused`);
      expect(failed.message).toContain(`status ${refuse}`);
      expect(failed.message).not.toMatch(/hunter22/);
    }
    const proxy = await proxyServer({ refuse: 407 });
    await expect(
      get(transport({ proxy: `http://127.0.0.1:${proxy.port}` }), 'http://api.example.test/'),
    ).rejects.toMatchObject({ code: 'UPSTREAM_ERROR', message: expect.stringMatching(/407.*check the name/) });
  });

  test('that accepts the connection and says nothing is given up', async () => {
    const silent = createServer(() => {}).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as { port: number };
    const by = transport({ proxy: `http://127.0.0.1:${port}`, connectMs: 300 });
    await expect(get(by, 'https://api.example.test/')).rejects.toThrow();
    await by.close();
    silent.close();
  });

  test('whose address is none is refused without showing it', () => {
    for (const value of ['socks5://me:hunter22@proxy:1080', 'http://', 'http://me:hunter22@bad host']) {
      const read = () => proxyFor(new URL('https://api.example.test/'), { env: { HTTPS_PROXY: value } });
      expect(read).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG' }));
      expect(read).not.toThrow(/hunter22/);
    }
  });
});

describe('NO_PROXY', () => {
  const passes = (url: string, list: string) =>
    proxyFor(new URL(url), {
      env: { https_proxy: 'http://proxy:3128', http_proxy: 'http://proxy:3128', no_proxy: list },
    }) === null;

  test('lists names with all below them, with a port or without, and everything', () => {
    const api = 'https://api.example.com/';
    for (const list of [
      '*',
      'example.com',
      '.example.com',
      '*.example.com',
      'API.example.com',
      'a.b, api.example.com:443',
    ]) {
      expect(passes(api, list), list).toBe(true);
    }
    for (const list of ['', 'ample.com', 'x.api.example.com', 'api.example.com:8443', 'com.', ',,', '.']) {
      expect(passes(api, list), list).toBe(list === 'com.');
    }
    expect(passes('http://api.example.com/', 'api.example.com:80')).toBe(true);
    expect(passes('https://api.example.com.:8443/', 'x other api.example.com:8443')).toBe(true);
  });

  test('lists addresses and blocks of them', () => {
    expect(passes('https://10.1.2.3/', '10.0.0.0/8')).toBe(true);
    expect(passes('https://11.1.2.3/', '10.0.0.0/8')).toBe(false);
    expect(passes('https://[2001:db8::5]/', '2001:db8::/32')).toBe(true);
    expect(passes('https://[2001:db8::5]:8443/', '[2001:db8:0::5]:8443')).toBe(true);
    expect(passes('https://[2001:db8::5]/', '10.0.0.0/8')).toBe(false);
    expect(passes('https://10.1.2.3/', '10.1.2.3')).toBe(true);
    expect(passes('https://10.1.2.3/', '10.0.0.0/99')).toBe(false);
    expect(passes('https://example.com/', '10.0.0.0/8')).toBe(false);
  });

  test('need not list this machine', () => {
    for (const url of ['http://localhost:11434/', 'http://a.localhost/', 'http://127.9.9.9/', 'http://[::1]/']) {
      expect(passes(url, ''), url).toBe(true);
    }
  });

  test('and the proxies may be in small letters or capitals; https has one of its own', () => {
    const at = (url: string, env: Record<string, string>) => proxyFor(new URL(url), { env })?.url;
    expect(at('https://a.com/', { HTTPS_PROXY: 'http://s:1' })).toBe('http://s:1');
    expect(at('https://a.com/', { HTTP_PROXY: 'http://p:1' })).toBeUndefined();
    expect(at('http://a.com/', { HTTP_PROXY: 'p:1', http_proxy: 'q:1' })).toBe('http://q:1');
    expect(at('http://a.com/', { HTTP_PROXY: ' ' })).toBeUndefined();
  });
});
