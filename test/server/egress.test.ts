import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Address, Egress, type EgressSettings, reachOf } from '../../server/egress/index.ts';
import { trusting } from '../../server/providers/transport.ts';
import { TEST_CA } from './providers/certificates.ts';
import { plainServer, tlsServer } from './providers/servers.ts';

const settings = (over: Partial<EgressSettings> = {}): EgressSettings => ({
  allow: [],
  allowPrivate: false,
  maxBytesMb: 1,
  timeoutMs: 30_000,
  ...over,
});

const at = (...addresses: string[]): Address[] =>
  addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));

const PUBLIC = '93.184.215.14';

/** Never asks the network for a name. */
function egress(over: Partial<EgressSettings>, names: Record<string, Address[]> = {}) {
  const asked: string[] = [];
  const guard = new Egress(settings(over), {
    secureContext: trustingTests(),
    resolve: async (host) => {
      asked.push(host);
      const found = names[host];
      if (found === undefined) throw Object.assign(new Error(`getaddrinfo ENOTFOUND ${host}`), { code: 'ENOTFOUND' });
      return found;
    },
  });
  return { guard, asked };
}

let trusted: ReturnType<typeof trusting> | undefined;
function trustingTests() {
  if (trusted === undefined) {
    const folder = mkdtempSync(join(tmpdir(), 'pointsman-egress-'));
    writeFileSync(join(folder, 'ca.pem'), TEST_CA);
    trusted = trusting(join(folder, 'ca.pem'));
    rmSync(folder, { recursive: true });
  }
  return trusted;
}

const code = (name: string, message?: RegExp) =>
  expect.objectContaining({ code: name, ...(message && { message: expect.stringMatching(message) }) });

/** A private TLS server under the name api.example.test, and a guard that lets it be fetched from. */
async function served(answer: RequestListener, over: Partial<EgressSettings> = {}) {
  const port = await tlsServer(answer);
  const names = { 'api.example.test': at('127.0.0.1') };
  const { guard, asked } = egress({ allow: [`api.example.test:${port}`], allowPrivate: true, ...over }, names);
  return { guard, asked, port, url: `https://api.example.test:${port}/a.png?sig=secret` };
}

describe('what is allowed', () => {
  test('is nothing until a host is listed, and the message says by which option', async () => {
    const { guard, asked } = egress({});
    await expect(guard.fetchBytes('https://example.com/a.png')).rejects.toEqual(
      code('EGRESS_REFUSED', /the operator can allow example\.com by egress\.allow/),
    );
    expect(asked).toEqual([]);
  });

  test('are the hosts of the list, at the usual port or the one listed', async () => {
    const names = Object.fromEntries(
      ['a.com', 'x.b.com', 'y.x.b.com', 'b.com', 'c.com', 'd.com', 'ab.com'].map((name) => [name, at('10.0.0.1')]),
    );
    const passes = async (url: string) => {
      const { guard } = egress({ allow: ['A.com', '*.b.com', 'c.com:8443'] }, names);
      const failure = (await guard.fetchBytes(url).catch((error: unknown) => error)) as Error;
      // Past the list, the address is refused: nothing is fetched in this test.
      return /private network/.test(failure.message);
    };
    for (const url of [
      'https://a.com/',
      'https://a.com./',
      'https://x.b.com/',
      'https://y.x.b.com/',
      'https://c.com:8443/',
    ]) {
      expect(await passes(url), url).toBe(true);
    }
    for (const url of [
      'https://b.com/',
      'https://ab.com/',
      'https://a.com:8443/',
      'https://c.com/',
      'https://d.com/',
      'https://a.com.evil.com/',
    ]) {
      expect(await passes(url), url).toBe(false);
    }
  });

  test('by * are public hosts only, though private ones are allowed by name', async () => {
    const names = { 'inside.corp': at('10.0.0.1') };
    const { guard } = egress({ allow: ['*', 'named.corp'], allowPrivate: true }, names);
    await expect(guard.fetchBytes('https://inside.corp/')).rejects.toEqual(code('EGRESS_REFUSED', /private network/));
    await expect(guard.fetchBytes('https://inside.corp:8443/')).rejects.toEqual(
      code('EGRESS_REFUSED', /not in egress\.allow/),
    );
  });

  test('is no URL with a name or password, of another scheme, or that is none', async () => {
    const { guard } = egress({ allow: ['example.com'] });
    for (const url of ['https://me:pw@example.com/', 'https://me@example.com/', 'https://example.com@evil.com/']) {
      await expect(guard.fetchBytes(url)).rejects.toEqual(code('EGRESS_REFUSED', /name or password/));
    }
    for (const url of [
      'file:///etc/passwd',
      'ftp://example.com/',
      'data:text/plain,x',
      'http://example.com/',
      'gopher://example.com',
    ]) {
      await expect(guard.fetchBytes(url)).rejects.toEqual(code('EGRESS_REFUSED', /https/));
    }
    for (const url of ['', 'example.com', 'https://', 'https://exa mple.com/', 'https://[::1/', 'https://1.2.3.256/']) {
      await expect(guard.fetchBytes(url)).rejects.toEqual(code('EGRESS_REFUSED', /none/));
    }
  });

  test('is a list of hosts, and the entry that is none is named', () => {
    for (const entry of ['https://example.com', 'a b', '*.', 'a.*.com', 'a.com/x', '::1', 'me@a.com', '10.0.0.0/8']) {
      expect(() => egress({ allow: [entry] })).toThrow(code('INVALID_CONFIG'));
      expect(() => egress({ allow: [entry] })).toThrow(JSON.stringify(entry));
    }
    expect(() => egress({ allow: ['[::1]:8443', '10.0.0.5:8080', '*', 'bücher.example'] })).not.toThrow();
  });
});

describe('an address', () => {
  test('is public, private or never called', () => {
    const PRIVATE = [
      '127.0.0.1',
      '127.255.255.254',
      '10.1.2.3',
      '172.16.0.1',
      '172.31.255.255',
      '192.168.1.1',
      '100.64.0.1',
      '100.127.255.255',
      '::1',
      'fc00::1',
      'fd12:3456::1',
    ];
    const NEVER = [
      '0.0.0.0',
      '0.1.2.3',
      '169.254.169.254',
      '192.0.0.1',
      '192.0.2.1',
      '198.18.0.1',
      '198.51.100.1',
      '203.0.113.9',
      '224.0.0.1',
      '240.0.0.1',
      '255.255.255.255',
      '192.88.99.1',
      '::',
      'fe80::1',
      'fe80::1%eth0',
      'fec0::1',
      'ff02::1',
      '::ffff:127.0.0.1',
      '::ffff:93.184.215.14',
      '::127.0.0.1',
      '::ffff:0:10.0.0.1',
      '64:ff9b::7f00:1',
      '64:ff9b:1::1',
      '2002:7f00:1::',
      '2001::1',
      '2001:db8::1',
      '3fff::1',
      '100::1',
      '5f00::1',
      '4000::1',
      'not an address',
      '',
    ];
    const EVERYBODY = [PUBLIC, '1.1.1.1', '172.32.0.1', '100.128.0.1', '2606:4700:4700::1111', '2a00:1450::1'];
    for (const address of PRIVATE) expect(reachOf(address), address).toBe('private');
    for (const address of NEVER) expect(reachOf(address), address).toBe('never');
    for (const address of EVERYBODY) expect(reachOf(address), address).toBe('public');
  });

  test('of the private blocks is never public, however it is put into an IPv6 one', () => {
    const block = fc.constantFrom([10], [127], [192, 168], [172, 20], [169, 254], [100, 80], [0], [224]);
    const octet = fc.nat({ max: 255 });
    fc.assert(
      fc.property(block, octet, octet, octet, (start, b, c, d) => {
        const octets = [...start, b, c, d].slice(0, 4);
        const hex = octets.map((byte) => byte.toString(16).padStart(2, '0'));
        const low = `${hex[0]}${hex[1]}:${hex[2]}${hex[3]}`;
        expect(reachOf(octets.join('.'))).not.toBe('public');
        for (const form of [`::ffff:${low}`, `::${low}`, `64:ff9b::${low}`, `2002:${low}::1`, `::ffff:0:${low}`]) {
          expect(reachOf(form), form).toBe('never');
        }
      }),
    );
  });

  test('that is private or never called is refused, in any spelling, by name or as it is', async () => {
    const spellings = [
      'https://127.0.0.1/',
      'https://2130706433/',
      'https://0x7f.1/',
      'https://0177.0.0.1/',
      'https://127.1/',
      'https://[::1]/',
      'https://[::ffff:127.0.0.1]/',
      'https://[0:0:0:0:0:ffff:7f00:1]/',
      'https://[64:ff9b::a00:1]/',
      'https://169.254.169.254/',
      'https://0/',
      'https://[fe80::1]/',
      'https://[fd00::1]/',
      'https://127.0.0.1./',
    ];
    for (const url of spellings) {
      const { guard, asked } = egress({ allow: ['*'] });
      await expect(guard.fetchBytes(url), url).rejects.toEqual(code('EGRESS_REFUSED', /private network|never fetched/));
      expect(asked).toEqual([]);
    }
    const names = {
      'a.com': at('10.0.0.1'),
      'b.com': at(PUBLIC, '127.0.0.1'),
      'c.com': at('::ffff:10.0.0.1'),
      'd.com': [],
    };
    const { guard } = egress({ allow: ['*'] }, names);
    for (const host of ['a.com', 'b.com', 'c.com']) {
      await expect(guard.fetchBytes(`https://${host}/`)).rejects.toEqual(code('EGRESS_REFUSED'));
    }
    await expect(guard.fetchBytes('https://d.com/')).rejects.toEqual(code('EGRESS_FAILED', /no address/));
    await expect(guard.fetchBytes('https://e.com/')).rejects.toEqual(code('EGRESS_FAILED', /ENOTFOUND/));
  });

  test('of cloud metadata is refused even where private ones are allowed by name', async () => {
    const names = { 'metadata.corp': at('169.254.169.254') };
    const { guard } = egress({ allow: ['metadata.corp', '169.254.169.254'], allowPrivate: true }, names);
    for (const url of ['http://metadata.corp/', 'http://169.254.169.254/latest/', 'https://metadata.corp/']) {
      await expect(guard.fetchBytes(url)).rejects.toEqual(code('EGRESS_REFUSED', /never fetched/));
    }
  });

  test('is asked for once, and the connection goes to that one though the name has another by then', async () => {
    // The name's owner answers with a harmless address first, and with the one that is wanted from then on.
    const harmless = await tlsServer((_, response) => response.end('harmless'));
    let asked = 0;
    const guard = new Egress(settings({ allow: [`api.example.test:${harmless}`], allowPrivate: true }), {
      secureContext: trustingTests(),
      resolve: async () => (++asked === 1 ? at('127.0.0.1') : at('169.254.169.254')),
    });
    const { bytes } = await guard.fetchBytes(`https://api.example.test:${harmless}/`);
    expect(Buffer.from(bytes).toString()).toBe('harmless');
    expect(asked).toBe(1);
    // The next fetch is judged anew.
    await expect(guard.fetchBytes(`https://api.example.test:${harmless}/`)).rejects.toEqual(code('EGRESS_REFUSED'));
    expect(asked).toBe(2);
  });
});

describe('a fetch', () => {
  test('gives bytes and their type, and sends nothing that the host need not know', async () => {
    let seen: Record<string, unknown> = {};
    const { guard, url } = await served((request, response) => {
      seen = { method: request.method, url: request.url, ...request.headers };
      response.writeHead(200, { 'content-type': 'Image/PNG; q=1' }).end(Buffer.from([1, 2, 3]));
    });
    expect(await guard.fetchBytes(url, { accept: ['image/'] })).toEqual({
      bytes: Buffer.from([1, 2, 3]),
      mediaType: 'image/png',
    });
    expect(seen).toMatchObject({
      method: 'GET',
      url: '/a.png?sig=secret',
      accept: 'image/*',
      'accept-encoding': 'identity',
    });
    expect(Object.keys(seen).sort()).toEqual([
      'accept',
      'accept-encoding',
      'connection',
      'host',
      'method',
      'url',
      'user-agent',
    ]);
  });

  test('proves by the certificate that the host is the one that was asked for', async () => {
    const port = await tlsServer((_, response) => response.end('x'));
    const { guard } = egress(
      { allow: [`other.example.test:${port}`], allowPrivate: true },
      { 'other.example.test': at('127.0.0.1') },
    );
    await expect(guard.fetchBytes(`https://other.example.test:${port}/`)).rejects.toEqual(
      code('EGRESS_FAILED', /ALTNAME/),
    );
  });

  test('may be plain http on a private network that is allowed, and nowhere else', async () => {
    const port = await plainServer((_, response) => response.end('inside'));
    const allow = [`inside.corp:${port}`, 'public.com', `127.0.0.1:${port}`];
    const names = { 'inside.corp': at('127.0.0.1'), 'public.com': at(PUBLIC) };
    const { guard } = egress({ allow, allowPrivate: true }, names);
    for (const host of ['inside.corp', '127.0.0.1']) {
      expect(Buffer.from((await guard.fetchBytes(`http://${host}:${port}/`)).bytes).toString()).toBe('inside');
    }
    await expect(guard.fetchBytes('http://public.com/')).rejects.toEqual(code('EGRESS_REFUSED', /only https/));
  });

  test('does not follow redirects', async () => {
    let calls = 0;
    const { guard, url } = await served((_, response) => {
      calls++;
      response.writeHead(302, { location: 'https://169.254.169.254/' }).end();
    });
    await expect(guard.fetchBytes(url)).rejects.toEqual(code('EGRESS_REFUSED', /redirects/));
    expect(calls).toBe(1);
  });

  test('ends at the bound of its size, told or not', async () => {
    const large = Buffer.alloc(3 * 1024 * 1024);
    let sent = 0;
    const answers: RequestListener[] = [
      (_, response) => response.writeHead(200, { 'content-length': large.length }).end(large),
      async (_, response) => {
        while (!response.destroyed && sent < 1000) {
          sent++;
          if (!response.write(large.subarray(0, 65_536)))
            await Promise.race([setTimeout(20), new Promise((go) => response.once('drain', go))]);
        }
        response.end();
      },
    ];
    for (const answer of answers) {
      const { guard, url } = await served(answer);
      await expect(guard.fetchBytes(url)).rejects.toEqual(code('EGRESS_FAILED', /more than 1 MB/));
    }
    expect(sent).toBeLessThan(1000);
    const { guard, url } = await served((_, response) => response.end(large.subarray(0, 1024 * 1024)));
    expect((await guard.fetchBytes(url)).bytes).toHaveLength(1024 * 1024);
  });

  test('ends at the bound of its time, whatever it waits for', async () => {
    const slow: RequestListener[] = [
      () => {},
      async (_, response) => {
        response.writeHead(200);
        while (!response.destroyed) {
          response.write('x');
          await setTimeout(30);
        }
      },
    ];
    for (const answer of slow) {
      const { guard, url } = await served(answer, { timeoutMs: 300 });
      await expect(guard.fetchBytes(url)).rejects.toEqual(code('EGRESS_FAILED', /within 300 ms/));
    }
    const never = new Egress(settings({ allow: ['a.com'], timeoutMs: 100 }), { resolve: () => new Promise(() => {}) });
    await expect(never.fetchBytes('https://a.com/')).rejects.toEqual(code('EGRESS_FAILED', /within 100 ms/));
  });

  test('ends when the client leaves', async () => {
    const leaves = new AbortController();
    const { guard, url } = await served(() => leaves.abort(new Error('client left')));
    await expect(guard.fetchBytes(url, { signal: leaves.signal })).rejects.toThrow('client left');
    await expect(guard.fetchBytes(url, { signal: leaves.signal })).rejects.toThrow('client left');
  });

  test('refuses what was not asked for, and shows nothing of the URL but its host', async () => {
    const told: [RequestListener, RegExp][] = [
      [
        (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'),
        /answered text\/html, not image\//,
      ],
      [(_, response) => response.writeHead(200).end('x'), /something of no type/],
      [
        (_, response) => response.writeHead(200, { 'content-encoding': 'gzip', 'content-type': 'image/png' }).end('x'),
        /compressed/,
      ],
      [(_, response) => response.writeHead(404).end(), /answered 404/],
      [(_, response) => response.writeHead(204).end(), /answered 204/],
      [(_, response) => response.socket?.destroy(), /cannot be fetched from/],
    ];
    for (const [answer, message] of told) {
      const { guard, url } = await served(answer);
      const failure = (await guard.fetchBytes(url, { accept: ['image/'] }).catch((error: unknown) => error)) as Error;
      expect(failure).toEqual(code('EGRESS_FAILED', message));
      expect(failure.message).not.toContain('secret');
    }
  });

  test('posts JSON and reads the answer’s', async () => {
    let seen = '';
    const { guard, url } = await served(async (request, response) => {
      for await (const piece of request) seen += piece;
      response.end(request.headers['content-type'] === 'application/json' ? '{"ok":true}' : 'no');
    });
    expect(await guard.postJson(url, { answer: 'naïve' })).toEqual({ ok: true });
    expect(seen).toBe('{"answer":"naïve"}');
    const other = await served((_, response) => response.end('<html>'));
    await expect(other.guard.postJson(other.url, {})).rejects.toEqual(code('EGRESS_FAILED', /not JSON/));
  });

  test('leaves no connection open', async () => {
    let open = 0;
    const { guard, url } = await served((request, response) => {
      open++;
      request.socket.on('close', () => open--);
      response.end('x');
    });
    for (let i = 0; i < 3; i++) await guard.fetchBytes(url);
    await expect.poll(() => open).toBe(0);
  });
});
