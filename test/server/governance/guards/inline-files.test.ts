/** Files within a request, however their base64 and their addresses are written. */
import { describe, expect, test } from 'vitest';
import { Guards } from '../../../../server/governance/guards/guards.ts';
import { callerUnder, rulesOf } from './governed.ts';

const guards = new Guards();
const MASK = { name: 'pii', kind: 'pii' };
const base64 = (text: string) => Buffer.from(text, 'latin1').toString('base64');
const escaped = (text: string) => `\\u${text.charCodeAt(0).toString(16).padStart(4, '0')}${text.slice(1)}`;

/** @param raw as it stands between the quotes */
const REQUESTS = {
  responses: (raw: string) =>
    `{"model":"m","input":[{"role":"user","content":[{"type":"input_file","filename":"a.txt","file_data":"${raw}"}]}]}`,
  messages: (raw: string) =>
    `{"model":"m","messages":[{"role":"user","content":[{"type":"document","source":{"type":"base64","media_type":"text/plain","data":"${raw}"}}]}]}`,
  chat: (raw: string) =>
    `{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"${raw}"}}]}]}`,
} as const;

async function under(rule: object, surface: keyof typeof REQUESTS, raw: string): Promise<string> {
  const text = REQUESTS[surface](raw);
  const passed = await guards.before({
    ...{ caller: callerUnder(rulesOf(rule)), surface, json: JSON.parse(text), text },
    log: undefined as never,
  });
  return passed.text;
}

const WORDS = base64('please write to joe@example.com, '.repeat(20));
const DATA = 'data:text/plain;base64,';
const wrapped = (text: string) => text.replace(/(.{76})/g, '$1\\n');

test.each([
  ['an escaped letter', WORDS.slice(0, 8) + escaped(WORDS.slice(8))],
  ['an escaped `data:`', escaped(DATA) + WORDS],
  ['lines', DATA + wrapped(WORDS)],
  ['a line end', `${WORDS}\\n`],
  ['a space', `${DATA}${WORDS.slice(0, 5)} ${WORDS.slice(5)}`],
  ['capitals', `DATA:text/plain;BASE64,${WORDS}`],
  ['a name with a space', `data:text/plain;name=a b;base64,${WORDS}`],
])('base64 with %s is read as it is without', async (_, raw) => {
  for (const surface of ['responses', 'messages', 'chat'] as const) {
    const passed = JSON.stringify(JSON.parse(await under(MASK, surface, raw)));
    const bytes = /"(?:file_data|data|url)":"(?:data:[^,]*,)?([^"]*)"/i.exec(passed)![1]!;
    expect(Buffer.from(bytes, 'base64').toString()).toBe('please write to [EMAIL], '.repeat(20));
  }
});

describe('where what is unreadable is blocked', () => {
  const STRICT = { ...MASK, unreadable: 'block' };
  const harmless = base64('nothing to see here, '.repeat(40));
  const picture = base64('\x89PNG\0\0\0\0'.repeat(200));

  test.each([
    ['a percent sign in base64', `${DATA}%61${harmless.slice(1)}`],
    ['padding in the middle', `YQ==${harmless}`],
    ['no base64', 'data:text/plain,hello'],
    ['a picture', picture],
    ['a picture with an escape', escaped(picture)],
    ['a picture in lines', wrapped(picture)],
    ['a picture with a line end', `data:image/png;base64,${picture}\\n`],
    ['PDF after a line', base64('x\n%PDF-1.4\n1 0 obj << /Filter /ASCIIHexDecode >> stream 6a6f>'.repeat(20))],
    ['a control character far behind', base64(`${'a '.repeat(5000)}\x02`)],
    ['an address', 'https://x.org/a.png'],
    ['an address in capitals', 'HTTPS://x.org/a.png'],
    ['an escaped address', '\\u0068ttps://x.org/a.png'],
    ['an address after a space', ' https://x.org/a.png'],
    ['an address before a line end', 'https://x.org/a.png\\n'],
    ['another scheme', 'ftp://x.org/a.png'],
    ['no scheme', '//x.org/a.png'],
  ])('%s is', async (_, raw) => {
    for (const surface of ['responses', 'messages', 'chat'] as const) {
      await expect(under(STRICT, surface, raw), surface).rejects.toMatchObject({
        code: 'GUARDRAIL_BLOCKED',
        message: expect.stringMatching(
          /\(found: unreadable\): it cannot look into (?:input|messages)\.0\.content\.0\./,
        ),
      });
      await under(MASK, surface, raw);
    }
  });

  test.each([
    ['', DATA + harmless],
    [' in lines', DATA + wrapped(harmless)],
    [' of no bytes', ''],
  ])('text%s passes', async (_, raw) => {
    for (const surface of ['responses', 'messages', 'chat'] as const) {
      expect(await under(STRICT, surface, raw)).toBe(REQUESTS[surface](raw));
    }
  });
});
