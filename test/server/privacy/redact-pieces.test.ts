/** Long texts are masked in pieces as they are whole, in work that grows with the text alone, and others have their turn. */
import fc from 'fast-check';
import { beforeEach, describe, expect, test, vi } from 'vitest';

/** Places that were looked at closely for a place to cut, and their characters. */
const work = { places: 0, chars: 0 };

vi.mock('../../../server/privacy/folded-text.ts', async (original) => {
  const real = await original<typeof import('../../../server/privacy/folded-text.ts')>();
  return {
    ...real,
    foldedForPlaces: (text: string) => {
      work.places++;
      work.chars += text.length;
      return real.foldedForPlaces(text);
    },
  };
});

const { Breath, IN_ONE_GO } = await import('../../../server/governance/guards/breath.ts');
const { TextChannel } = await import('../../../server/governance/guards/channel.ts');
const { Hits } = await import('../../../server/governance/guards/looking.ts');
const { pii } = await import('../../../server/governance/guards/kinds/pii.ts');
const { PiiRule } = await import('../../../server/governance/guards/kinds/rules.ts');
const { redact } = await import('../../../server/privacy/redact.ts');
const { redactInPieces, settled } = await import('../../../server/privacy/redact-pieces.ts');
const { KINDS, LONGEST_KEY } = await import('../../../server/privacy/redact-rules.ts');

beforeEach(() => Object.assign(work, { places: 0, chars: 0 }));

const filled = (unit: string, length: number) => unit.repeat(Math.ceil(length / unit.length)).slice(0, length);

/** Of every kind, some of them in letters and digits that take more or fewer characters than they stand for. */
const SECRETS = [
  'joe.doe@mail.example.com',
  'joe%40example.com',
  '4111 1111 1111 1111',
  '\u{1d7d2}\u{1d7cf}11111111111111',
  'DE89 3704 0044 0532 0130 00',
  '078-05-1120',
  'AB 12 34 56 C',
  '12345678Z',
  'RSSMRA85T10A562S',
  '529.982.247-25',
  '+49 30 1234567',
  '(030) 9018 2012',
  '203.0.113.7',
  'sk-abcdefghijklmnop1234',
  'AKIAABCDEFGHIJKLMNOP',
  `eyJ${'a1'.repeat(20)}.${'b2'.repeat(20)}.${'c3'.repeat(20)}`,
  'Authorization: Bearer abcdef0123456789abcdef',
  'password = "hunter\u200b22,x"',
  'postgres://app:hunter2hunter2@db/main',
  `-----BEGIN RSA PRIVATE KEY-----\n${'MIIB\n'.repeat(20)}-----END RSA PRIVATE KEY-----`,
  'раssword: hunter22x!',
];

describe.each(SECRETS)('%j across the end of a piece', (secret) => {
  test('is found as in the whole, wherever the piece ends, and whatever stands before it', async () => {
    for (const before of ['', 'some words ', '-----BEGIN PRIVATE KEY----- and words ', '12 12 12 x ', 'v v x ']) {
      const text = `${before}${secret}, and more`;
      const whole = redact(text);
      expect(Object.values(whole.found).reduce((sum, count) => sum + count, 0)).toBeGreaterThan(0);
      for (let end = Math.max(1, before.length - 2); end <= before.length + secret.length + 2; end++) {
        expect(await redactInPieces(text, undefined, end)).toEqual(whole);
      }
    }
  });

  test('is found in texts without any place to cut', async () => {
    for (const [first, unit] of [
      ['-----BEGIN PRIVATE KEY-----', ' some words here and'],
      ['', 'AB CD '],
      ['', '12 12 '],
      ['', 'version '],
      ['', '漢'],
    ] as const) {
      const at = IN_ONE_GO - Math.floor(secret.length / 2);
      const text = `${first}${filled(unit, at - first.length - 3)} ; ${secret} and more`;
      const { text: masked, found } = await redactInPieces(text);
      expect(masked.includes(secret)).toBe(false);
      expect(found).toEqual(redact(text).found);
    }
  });
});

test('any text is masked in pieces of any size as it is in the whole', async () => {
  const hostile = fc.constantFrom(
    ...['-----BEGIN PRIVATE KEY-----', '-----END PRIVATE KEY-----', '--', '-', ' ', '\n', '、', '@', '.', ':', '='],
    ...['12 ', 'AB ', '4111', '1111 ', '+1', '(0', 'sk-', 'a', 'é', '１', '\u200b', '\u{1d7d2}', '\ud835', '%40', '漢'],
    ...['password', 'bearer ', 'version ', 'https://', 'eyJ', 'AKIA', 'а', 'с', 'о', 'DE89 ', '[SECRET]'],
  );
  const text = fc
    .array(fc.oneof({ weight: 3, arbitrary: hostile }, { weight: 1, arbitrary: fc.constantFrom(...SECRETS) }), {
      maxLength: 40,
    })
    .map((parts) => parts.join(''));
  const kinds = fc.option(fc.subarray([...KINDS], { minLength: 1 }), { nil: undefined });
  await fc.assert(
    fc.asyncProperty(text, fc.integer({ min: 1, max: 120 }), kinds, async (text, size, kinds) => {
      const wanted = kinds && new Set(kinds);
      expect(await redactInPieces(text, wanted, size)).toEqual(redact(text, wanted));
    }),
    { numRuns: 3000 },
  );
});

test('the longest private key, token and address are found across the end of a piece', async () => {
  const key = `-----BEGIN PRIVATE KEY-----${'a'.repeat(20_000)}-----END PRIVATE KEY-----`;
  const jwt = `eyJ${'a'.repeat(2000)}.${'b'.repeat(4000)}.${'c'.repeat(1000)}`;
  const address = `${filled('𝒳é', 64 * 1.5).normalize()}@${`${'é'.repeat(63)}.`.repeat(8)}${'z'.repeat(24)}`;
  for (const secret of [key, jwt, `Bearer ${filled('a1', 4000)}`, address]) {
    const text = `x ${secret} y`;
    for (const size of [1, 3, 100, secret.length - 1, secret.length + 1]) {
      expect((await redactInPieces(text, undefined, Math.max(size, 50))).text).toBe(redact(text).text);
    }
    expect(redact(text).text.length).toBeLessThan(50);
  }
});

/** Takes every chance there is. */
class Breathless extends Breath {
  override get isDue(): boolean {
    return true;
  }
}

describe.each([
  ...[
    '、',
    '=、',
    '。password：',
    '「@',
    ' ',
    '1 ',
    'AB ',
    'basic ',
    'version ',
    '\t=',
    '\n',
    '１ ',
    'v ',
    'а',
    'joe@example.com ',
  ],
  ...['a', '-----', '-----BEGIN ', '-----BEGIN PRIVATE KEY-----\n', '-----END PRIVATE KEY-----', '漢字', '𝟒', 'ﷺ'],
  ...['-----BEGIN PRIVATE KEY-----a ', '1.2.3.4 ', 'eyJaaaaaaaaaaaaa.', 'a@', 'a.a.', `a ${'b'.repeat(49_000)}`],
])('a text of %j', (unit) => {
  test('is masked in time that grows with it, and others have their turn after each piece and rule', async () => {
    const n = 400_000;
    const text = filled(unit, n);
    const breath = new Breathless();
    const { user: before } = process.cpuUsage();
    await redactInPieces(text, undefined, IN_ONE_GO, breath);
    // Some 200 ms; it was minutes.
    expect((process.cpuUsage().user - before) / 1e6).toBeLessThan(20);
    // The first rule of all sees all of it.
    expect(breath.taken).toBeGreaterThanOrEqual(n / IN_ONE_GO - 1);
  });
});

test('a stream without a gap is not searched over and over', () => {
  for (const unit of ['=、', '1 ', '、']) {
    Object.assign(work, { places: 0 });
    const text = filled(unit, 20_000);
    let tried = 0;
    for (let to = 10; to <= text.length; to += 10) {
      settled(text.slice(0, to), 0, tried);
      tried = to;
    }
    expect(work.places).toBeLessThanOrEqual(20_000);
  }
});

test('a text without spaces is cut at its own marks, but not within a value', () => {
  const words = filled('这是一个句子', 300);
  expect(settled(`${words}。${words}`, 0, 0)).toBe(301);
  // As long as a value is, and no longer.
  const value = filled('é。', 199);
  expect(settled(`${words} password=${value}`, 0, 0)).toBe(301);
  expect(settled(`version 1.2.3.4\n${words}，version `, 0, 0)).toBe(317);
});

const PARTS = [
  ...[
    'joe@example.com ',
    'password: hunter22 ',
    '1.2.3.4 ',
    'version ',
    'v',
    'Authorization: ',
    'Basic opensesameopensesame ',
  ],
  ...[
    'sk-abcdefghijklmnop1234',
    '，',
    '。',
    '这是',
    'password=',
    'é',
    '4111 1111 1111 1111',
    ' ',
    '\n',
    '１',
    '-----BEGIN ',
  ],
  ...[
    '-----BEGIN PRIVATE KEY-----\n',
    'MIIB\n',
    '-----END PRIVATE KEY-----',
    'https://joe:pa55，word@host/x',
    '+49 30 1234567',
  ],
];
const parts = fc.array(fc.constantFrom(...PARTS), { maxLength: 20 }).map((all) => all.join(''));

test('what lies across the end of a piece is found as in the whole', async () => {
  await fc.assert(
    fc.asyncProperty(parts, fc.nat(200), async (text, before) => {
      // Words up to a little before the end of the first piece.
      const whole = `${filled('few words ', IN_ONE_GO - before)}${text}${filled(' and more', 300)}`;
      expect(await redactInPieces(whole)).toEqual(redact(whole));
    }),
    { numRuns: 60 },
  );
});

test('a place to cut parts nothing that is found', () => {
  fc.assert(
    fc.property(parts, (text) => {
      const place = settled(text, 0, 0);
      const cut = [redact(text.slice(0, place)), redact(text.slice(place))];
      expect(cut.map((seen) => seen.text).join('')).toBe(redact(text).text);
    }),
    { numRuns: 2000 },
  );
});

describe('a text that comes in pieces, without any sure place to cut', () => {
  const { guard, rule } = (() => {
    const rule = PiiRule.parse({ name: 'g', kind: 'pii' });
    return { rule, guard: pii(rule) };
  })();
  const streamed = async (text: string, size: number) => {
    const channel = new TextChannel(
      [{ rule, guard, action: 'masked', unreadable: null, mark: '' }],
      new Hits('answer', () => {}),
    );
    let out = '';
    for (let at = 0; at < text.length; at += size) {
      out += await channel.push(text.slice(at, at + size));
      expect(channel.waiting).toBeLessThanOrEqual(LONGEST_KEY);
    }
    return out + (await channel.end());
  };
  const UNITS = [
    ...['12 12 ', 'AB CD ', 'v ', 'password ', 'version ', '漢', 'x', '\u{1d7d2}x', '-----BEGIN PRIVATE KEY-----a '],
    '-----BEGIN PRIVATE KEY-----',
  ];

  test.each(UNITS)('of %j is masked as it is in the whole', async (unit) => {
    for (const first of ['', '-----BEGIN PRIVATE KEY-----']) {
      for (const secret of ['joe@example.com', 'AKIAABCDEFGHIJKLMNOP', 'password: hunter22x!', SECRETS[15]!]) {
        // Where it was cut, whatever stood there, and where it is now.
        for (const at of [20_100, 32_000, LONGEST_KEY, LONGEST_KEY - 7010, 16_000]) {
          const before = `${first}${filled(unit, at - first.length - Math.floor(secret.length / 2))}`;
          const text = `${before} ; ${secret} ; ${filled(unit, 25_000)}`;
          const out = await streamed(text, 16_000);
          expect(out.includes(secret)).toBe(false);
          expect(out === redact(text).text).toBe(true);
        }
      }
    }
  });

  test('goes on after a private key that does not end, and masks one that does', async () => {
    const key = `-----BEGIN PRIVATE KEY-----\n${'a'.repeat(19_000)}\n-----END PRIVATE KEY-----`;
    const words = filled('few words ', 30_000);
    expect((await streamed(`${words}${key}${words}${key}`, 700)) === `${words}[SECRET]${words}[SECRET]`).toBe(true);
    const open = `-----BEGIN PRIVATE KEY-----\n${words} joe@example.com ${words}`;
    expect((await streamed(open, 700)) === open.replace('joe@example.com', '[EMAIL]')).toBe(true);
  });
});

test('a guardrail looks at short texts at once, and at long ones in pieces', async () => {
  const { look } = pii(PiiRule.parse({ name: 'g', kind: 'pii', kinds: ['secret'] }));
  expect(look!('v1.2.3.4 joe@example.com pwd=hunter22', 'user')).toEqual({
    text: 'v1.2.3.4 joe@example.com pwd=[SECRET]',
    found: { secret: 1 },
  });
  const long = look!(`${filled('ab ', 60_000)} joe@example.com pwd=hunter22`, 'user');
  expect(long).toBeInstanceOf(Promise);
  expect((await long).found).toEqual({ secret: 1 });
});
