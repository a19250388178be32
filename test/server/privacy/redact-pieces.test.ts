/** Long texts are masked in pieces as they are whole, in work that grows with the text alone, and others have their turn. */
import fc from 'fast-check';
import { beforeEach, describe, expect, test, vi } from 'vitest';

/** Characters that were masked, and that were looked at closely for a place to cut. */
const work = { masked: 0, places: 0, rounds: 0, chars: 0 };

vi.mock('../../../server/privacy/redact.ts', async (original) => {
  const { redact } = await original<typeof import('../../../server/privacy/redact.ts')>();
  return {
    redact: (...given: Parameters<typeof redact>) => {
      work.rounds++;
      work.masked += given[0].length;
      return redact(...given);
    },
  };
});
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

const { IN_ONE_GO } = await import('../../../server/governance/guards/breath.ts');
const { pii } = await import('../../../server/governance/guards/kinds/pii.ts');
const { PiiRule } = await import('../../../server/governance/guards/kinds/rules.ts');
const { redact } = await import('../../../server/privacy/redact.ts');
const { redactInPieces, settled } = await import('../../../server/privacy/redact-pieces.ts');

beforeEach(() => Object.assign(work, { masked: 0, places: 0, rounds: 0, chars: 0 }));

const filled = (unit: string, length: number) => unit.repeat(Math.ceil(length / unit.length)).slice(0, length);

describe.each([
  ...[
    '、',
    '=、',
    '。password：',
    '「@',
    'password、',
    ' ',
    '1 ',
    'A ',
    'AB ',
    'basic ',
    'version ',
    '\t=',
    '\n',
    '１ ',
  ],
  ...['a', '-----', '-----BEGIN ', '-----BEGIN PRIVATE KEY-----\n', '-----END PRIVATE KEY-----', '漢字', '1\n'],
  ...[`a ${'b'.repeat(49_000)}`, `${'、'.repeat(30_000)}${'='.repeat(30_000)}`],
])('a text of %j', (unit) => {
  test('is masked once, and little more than its own length is searched for places to cut', async () => {
    const n = 400_000;
    const text = filled(unit, n);
    const { user: before } = process.cpuUsage();
    await redactInPieces(text);
    expect(work.masked).toBe(n);
    // Each piece is half of the longest or more; 300 places are tried in it, at 220 characters each.
    expect(work.rounds).toBeLessThanOrEqual((2 * n) / IN_ONE_GO);
    expect(work.places).toBeLessThanOrEqual(300 * work.rounds);
    expect(work.chars).toBeLessThanOrEqual(220 * 300 * work.rounds);
    // Some 200 ms; it was minutes.
    expect((process.cpuUsage().user - before) / 1e6).toBeLessThan(20);
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

test('others have their turn after each piece', async () => {
  let turns = 0;
  let isOver = false;
  const others = () => {
    turns++;
    if (!isOver) setImmediate(others);
  };
  setImmediate(others);
  await redactInPieces(filled('、', 500_000));
  isOver = true;
  expect(work.rounds).toBeGreaterThanOrEqual(10);
  expect(turns).toBeGreaterThanOrEqual(work.rounds - 1);
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
