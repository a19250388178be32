/** A text that comes in pieces is looked at as if it came whole. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GuardrailBlocked } from '../../../../server/governance/guards/blocked.ts';
import { JsonChannel, TextChannel } from '../../../../server/governance/guards/channel.ts';
import { PatternThread } from '../../../../server/governance/guards/kinds/deny-patterns.ts';
import { guardOf } from '../../../../server/governance/guards/kinds/index.ts';
import { type Active, Hits } from '../../../../server/governance/guards/looking.ts';
import { GuardRule } from '../../../../server/governance/guards/rule.ts';

const active = (rule: object, action: Active['action'] = 'masked'): Active => {
  const read = GuardRule.parse({ name: 'g', ...rule });
  return { rule: read, guard: guardOf(read, new PatternThread()), action, unreadable: null, mark: '' };
};

const PII = { kind: 'pii' };
const WORDS = { kind: 'deny', words: ['falcon', 'Project  Falcon', 'naïve', '机密', 'C++', 'a', 'ﬁsh'] };
const PATTERNS = {
  kind: 'deny',
  patterns: ['PRJ-\\d{3,6}', '\\bcat\\b', '(?m)^note', '(?i)top\\s?secret'],
  windowChars: 16,
};
const BOTH = { kind: 'deny', words: ['falcon', 'secret plan'], patterns: ['con\\w', '\\d{4}'], windowChars: 16 };

/** What is looked for, what looks like it, and what stands around it. */
const FRAGMENTS = [
  ...['joe@example.com', 'a.b+c', '@', 'x.org', '4111 1111 1111 1111', '4111-1111-1111-1111', '5500', ' 0000'],
  ...['DE89 3704 0044 0532 0130 00', 'GB82', ' WEST', '+49 30 1234567', '(030) 12345', '078-05-1120', 'AB 12 34 56 C'],
  ...[
    '10.0.0.1',
    'sk-abcdefghijklmnop123456',
    'password: hunter22',
    'password',
    ':',
    ' = ',
    '"s3cr3t-value"',
    'Bearer ',
  ],
  ...[
    'abcdefghijklmnop0123',
    'https://joe:pa55word@host/x',
    'https://',
    'api_key=',
    'eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl',
  ],
  ...['-----BEGIN RSA PRIVATE KEY-----\n', 'MIIBOgIBAAJB\n', '-----END RSA PRIVATE KEY-----', '-----', 'BEGIN '],
  ...[
    'falcon',
    'FALCON',
    'Project ',
    'project\n\tfalcon',
    'nai\u0308ve',
    'NA\u00CFVE',
    '机密',
    '这是',
    '。',
    '，',
    'C++',
    'ﬁsh',
    'fi',
  ],
  ...[
    'f\u200Balcon',
    'ｆａｌｃｏｎ',
    'PRJ-123',
    'PRJ-',
    '4567',
    'cat',
    'note',
    'Top Secret',
    'secret plan',
    'con',
    '\u0301',
    '\u200D',
  ],
  ...[
    ' ',
    '  ',
    '\n',
    '\t',
    ', ',
    '. ',
    'word ',
    'The quick brown fox ',
    'US ',
    'ALL CAPS ',
    '😀',
    '👩‍💻',
    '"',
    "'",
    '\\',
    '{',
    '}',
  ],
];

const text = fc.array(fc.constantFrom(...FRAGMENTS), { maxLength: 25 }).map((parts) => parts.join(''));
/** Where it is cut: at any place, in the middle of a character as well. */
const cuts = fc.array(fc.nat(), { maxLength: 12 });

function piecesOf(whole: string, at: readonly number[]): string[] {
  const places = [...new Set([0, ...at.map((n) => n % (whole.length + 1)), whole.length])].sort((a, b) => a - b);
  return places.slice(1).map((end, i) => whole.slice(places[i], end));
}

async function streamed(actives: readonly Active[], pieces: readonly string[]) {
  const hits = new Hits('answer', () => {});
  const channel = new TextChannel(actives, hits);
  let out = '';
  for (const piece of pieces) out += await channel.push(piece);
  out += await channel.end();
  return { out, hits: counts(hits) };
}

const counts = (hits: Hits) => Object.fromEntries(hits.all.map(({ found, count }) => [found, count]));

async function whole(actives: readonly Active[], input: string) {
  const hits = new Hits('answer', () => {});
  let out = input;
  for (const one of actives) {
    const seen = await one.guard.look!(out, 'assistant');
    hits.note(one, seen.found);
    out = seen.text;
  }
  return { out, hits: counts(hits) };
}

describe.each(Object.entries({ PII, WORDS, PATTERNS, BOTH }))('%s', (_, rule) => {
  test('masks a text cut anywhere as it masks it whole, and counts the same', async () => {
    const actives = [active(rule)];
    await fc.assert(
      fc.asyncProperty(text, cuts, async (input, at) => {
        expect(await streamed(actives, piecesOf(input, at))).toEqual(await whole(actives, input));
      }),
      { numRuns: 600 },
    );
  });

  test('lets nothing go that it only notices later, and changes nothing', async () => {
    const actives = [active(rule, 'noticed')];
    await fc.assert(
      fc.asyncProperty(text, cuts, async (input, at) => {
        const { out, hits } = await streamed(actives, piecesOf(input, at));
        expect(out).toBe(input);
        expect(hits).toEqual((await whole(actives, input)).hits);
      }),
      { numRuns: 150 },
    );
  });

  test('blocks before the first character of what it finds is sent', async () => {
    const blocking = [active(rule, 'blocked')];
    const masking = active(rule);
    await fc.assert(
      fc.asyncProperty(text, cuts, async (input, at) => {
        const seen = await masking.guard.look!(input, 'assistant');
        const channel = new TextChannel(blocking, new Hits('answer', () => {}));
        let sent = '';
        const run = async () => {
          for (const piece of piecesOf(input, at)) sent += await channel.push(piece);
          sent += await channel.end();
        };
        if (seen.text === input && Object.keys(seen.found).length === 0) {
          await run();
          expect(sent).toBe(input);
        } else {
          await expect(run()).rejects.toThrow(GuardrailBlocked);
          // What was sent is what stands before the first mask.
          expect(seen.text.startsWith(sent)).toBe(true);
        }
      }),
      { numRuns: 200 },
    );
  });
});

test('passes each guardrail what the one before it left', async () => {
  const actives = [active(PII), active({ kind: 'deny', words: ['email'] })];
  await fc.assert(
    fc.asyncProperty(text, cuts, async (input, at) => {
      expect(await streamed(actives, piecesOf(input, at))).toEqual(await whole(actives, input));
    }),
    { numRuns: 200 },
  );
  expect((await streamed(actives, ['write to jo', 'e@example.c', 'om now'])).out).toBe('write to [[REMOVED]] now');
});

test('holds back no more of plain prose than the word that is being written', async () => {
  const channel = new TextChannel([active(PII)], new Hits('answer', () => {}));
  expect(await channel.push('Dear Joe, here is what you asked f')).toBe('Dear Joe, here is what you asked ');
  expect(await channel.push('or')).toBe('');
  expect(await channel.push(': ')).toBe('for: ');
});

test('lets go of a text without a gap when it has waited too long', async () => {
  for (const [rule, most] of [
    [PII, 20_112],
    [{ kind: 'deny', patterns: ['x+'] }, 4096],
  ] as const) {
    const channel = new TextChannel([active(rule, 'noticed')], new Hits('answer', () => {}));
    let out = '';
    for (let i = 0; i < 500; i++) {
      out += await channel.push('x'.repeat(100));
      expect(channel.waiting).toBeLessThanOrEqual(most);
    }
    expect(out).toBe('x'.repeat(50_000));
  }
});

test('JSON waits until it is whole, and stays JSON when something in it is masked', async () => {
  const hits = new Hits('answer', () => {});
  const channel = new JsonChannel([active(PII)], hits);
  const json = '{"to":"joe\\u0040example.com","card":4111111111111111,"note":"a\\njoe@example.com","n":1.50}';
  for (const piece of json) expect(await channel.push(piece)).toBe('');
  expect(await channel.end()).toBe('{"to":"[EMAIL]","card":"[CARD]","note":"a\\n[EMAIL]","n":1.50}');
  expect(counts(hits)).toEqual({ email: 2, card: 1 });
});
