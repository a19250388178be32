/** What is masked, what is not, and that no text takes long. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { redact } from '../../../server/privacy/redact.ts';

describe('masks', () => {
  test.each([
    ['write to jane.doe+x@mail.example.org today', 'write to [EMAIL] today'],
    ['jürgen@müller.example', '[EMAIL]'],
    // Test numbers that card schemes publish.
    ['card 4111 1111 1111 1111, cvv', 'card [CARD], cvv'],
    ['5555-5555-5555-4444', '[CARD]'],
    ['378282246310005', '[CARD]'],
    ['12 4111 1111 1111 1111', '12 [CARD]'],
    ['4111 1111 1111 1111 12/29 123', '[CARD] 12/29 123'],
    ['row 7 3782 822463 10005 900', 'row 7 [CARD] 900'],
    ['id 12 4111111111111111 3', 'id 12 [CARD] 3'],
    ['pay GB82 WEST 1234 5698 7654 32 now', 'pay [IBAN] now'],
    ['DE89370400440532013000', '[IBAN]'],
    ['my ssn is 078-05-1120.', 'my ssn is [NATIONAL_ID].'],
    ['NI AB 12 34 56 C', 'NI [NATIONAL_ID]'],
    ['DNI 12345678Z', 'DNI [NATIONAL_ID]'],
    ['CPF 529.982.247-25', 'CPF [NATIONAL_ID]'],
    ['call +44 20 7946 0958', 'call [PHONE]'],
    ['call (212) 555-0187', 'call [PHONE]'],
    ['from 192.168.10.254 at', 'from [IP] at'],
    ['key sk-proj-abcdefghijklmnop1234 end', 'key [SECRET] end'],
    ['AKIAIOSFODNN7EXAMPLE', '[SECRET]'],
    ['Authorization: Bearer abcdef0123456789abcdef', 'Authorization: Bearer [SECRET]'],
    ['password=hunter22;', 'password=[SECRET];'],
    ['"api_key": "0123456789abcdef"', '"api_key": "[SECRET]"'],
    ['postgres://bob:s3cr3t@host/db', 'postgres://bob:[SECRET]@host/db'],
    ['-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----', '[SECRET]'],
    // Keys that begin as names of constraints do, in every form that their makers give them. None of these was ever given out.
    ['sk-ant-api03-abcdefghijklmnopqrstuvwx', '[SECRET]'],
    ['sk-or-v1-0123456789abcdef0123456789abcdef', '[SECRET]'],
    ['sk-svcacct-abcdefghijklmnop', '[SECRET]'],
    ['sk-0123456789abcdef0123456789abcdef', '[SECRET]'],
    ['sk-abcdefghijklmnop1234', '[SECRET]'],
    ['sk-planted-0123456789', '[SECRET]'],
    ['sk-123e4567-e89b-12d3-a456-426614174000', '[SECRET]'],
    ['sk_live_abcdefghijklmnop', '[SECRET]'],
    ['pk_test_Qw3rTyUiOp4sDfGhJkLz', '[SECRET]'],
    ['rk_live_Qw3rTyUiOp4sDfGhJkLz', '[SECRET]'],
    ['pm_x0Vq-Lw2mZ_k9TfHrB4nYc7sDgJpA1eUoQi6XvWtK3M', '[SECRET]'],
    ['pm_xVqWLwmZ_kTfHrBnYcsDgJpAeUoQiXvWtKMabCdEfGh', '[SECRET]'], // by chance without a digit
    // Words, unless they stand where only a secret does.
    ['Authorization: Basic opensesameopensesame', 'Authorization: Basic [SECRET]'],
    ['"proxy-authorization": "bearer opensesameopensesame"', '"proxy-authorization": "bearer [SECRET]"'],
    ['curl -H "Bearer 8f3kd92kfh38dk20"', 'curl -H "Bearer [SECRET]"'],
    ['bearer deadbeefcafe0123', 'bearer [SECRET]'],
    ['basic dXNlcjpwYXNzd29yZA==', 'basic [SECRET]'],
    ['password: opensesame', 'password: [SECRET]'],
    ['pwd=monkey, password=mypassword', 'pwd=[SECRET], password=[SECRET]'],
    ['sk-vbWLUnyBeXIImJYQESbL', '[SECRET]'], // by chance without a digit
    ['password = Tr0ub4dor.three', 'password = [SECRET]'],
    ['password = hunter.22', 'password = [SECRET]'],
    ['password = "form.password"', 'password = "[SECRET]"'],
    ['api_key=SG.x0VqLw2mZk9Tf.HrB4nYc7sDgJ', 'api_key=[SECRET]'],
    ['pwd=strings-attached', 'pwd=[SECRET]'],
    ['password=<a>hunter22', 'password=[SECRET]'],
    ['secret=$ecr3t-of-mine', 'secret=[SECRET]'],
    ['123.456.7890', '[PHONE]'],
    ['030.123.456', '[PHONE]'],
    ['123-456-789', '[PHONE]'],
    ['at 10.0.0.1:8080', 'at [IP]:8080'],
    ['http://203.0.113.7/v1', 'http://[IP]/v1'],
    ['conversion 203.0.113.7', 'conversion [IP]'],
  ])('%s', (text, masked) => {
    expect(redact(text).text).toBe(masked);
  });
});

describe('leaves', () => {
  test.each([
    'the sum of 1234567890123456 and 1',
    'order 12345678A',
    'version 1.2.3 of 2026-11-29',
    'a@b is no address, nor is user@localhost',
    'ISBN 978-3-16-148410-0',
    'π ≈ 3.14159265358979323846',
    'f(x) = 100 200 300',
    'a column: 1234 4111 1111 1111 1111 5678',
    '12:30:45.123456',
    'the password is not told',
    'The basic responsibilities of a manager.',
    'Basic characteristics.',
    'basic internationalization',
    'the basic AuthenticationProvider, a basic oauth2-authentication-flow',
    'Basic requirements/expectations-2026',
    'CONSTRAINT pk_organization_members PRIMARY KEY',
    'sk_total_customer_orders',
    'pm_reports_monthly_totals and pk_totals2026_monthly_20261129',
    'class sk-learn-preprocess-pipeline',
    'pk_UserAccountSettings2, pk_CustomerOrderItemsIDs',
    'const secret = this.#options.secretOf(name), key = accessToken',
    'const next = { secret: typeof value, password: newPassword, accessToken: oldToken }',
    'password: string;',
    'password: string | null, secret: Optional[str])',
    '"password": "string"',
    'password = form.password;',
    'const secret = this.options?.secret;',
    '$password = $this->password;',
    'password = process.env.DB_PASSWORD',
    'api_key = os.environ["K"]',
    'api_key=get_api_key()',
    'connect(user=user, password=password)',
    'client = Client(api_key=OPENAI_API_KEY)',
    `password: \${DB_PASSWORD}, api_key: {{ vault_key }}, secret: <your-secret>`,
    'if (password === undefined)',
    'if (password===undefined)',
    'password:  required',
    'password: [SECRET], password=[EMAIL])',
    '123.456.789 EUR',
    'git: 100.000.000 rows',
    'version 1.2.3.4, v1.2.3.4, "version": "10.1.2.3"',
    'host 127.0.0.1 and 0.0.0.0',
    'Chrome/120.0.0.0',
  ])('%s', (text) => {
    expect(redact(text)).toEqual({ text, found: {} });
  });
});

test('what was found is counted by kind', () => {
  expect(redact('a@b.example, c@d.example and 10.0.0.1').found).toEqual({ email: 2, ip: 1 });
});

test('what is found by two rules is one, and counted by what it is masked as', () => {
  expect(redact('password=sk-abcdefghijklmnop1234')).toEqual({ text: 'password=[SECRET]', found: { secret: 1 } });
  expect(redact('password=sk-abcdefghijklmnop1234!x')).toEqual({ text: 'password=[SECRET]', found: { secret: 1 } });
  expect(redact('pwd＝sk-abcdefghijklmnop1234!x a@b.example')).toEqual({
    text: 'pwd＝[SECRET] [EMAIL]',
    found: { secret: 1, email: 1 },
  });
  expect(redact('Bearer sk-abcdefghijklmnop1234').found).toEqual({ secret: 1 });
  expect(redact('ftp://joe:sk-abcdefghijklmnop1234@host').found).toEqual({ secret: 1 });
});

/** What is looked for, what looks like it, and what stands around it. */
const BITS = [
  ...[
    'a',
    ' ',
    '"',
    '\\',
    '@',
    'joe@x.org',
    '１0.7.0.1',
    '10.7.0.1',
    'é',
    '\u200b',
    '%40',
    '&#64;',
    '4111 1111 1111 1111',
  ],
  ...['password=', 'sk-abcdefghijklmnop1234', '[', '{', ':', '😀', '𝟏', '+49 30 1234567', 'ﬁ', '、', 'version ', 'v'],
  ...[
    '-----BEGIN PRIVATE KEY-----',
    '-----END PRIVATE KEY-----',
    '\udc80',
    'bearer ',
    '0049301234567',
    '[SECRET]',
    '://b:',
  ],
];
const made = fc.array(fc.constantFrom(...BITS), { maxLength: 12 }).map((parts) => parts.join(''));
const MASK = /\[(?:EMAIL|PHONE|CARD|IBAN|NATIONAL_ID|IP|SECRET)\]/;

test('all that is not masked stays in its order, and there are as many masks as are counted', () => {
  fc.assert(
    fc.property(made, (text) => {
      fc.pre(!MASK.test(text));
      const { text: masked, found } = redact(text);
      const pieces = masked.split(MASK);
      expect(pieces.length - 1).toBe(Object.values(found).reduce((sum, count) => sum + count, 0));
      let at = 0;
      for (const piece of pieces) {
        const place = text.indexOf(piece, at);
        expect(place).toBeGreaterThanOrEqual(at);
        at = place + piece.length;
      }
    }),
    { numRuns: 2000 },
  );
});

test('one wide digit in a text changes nothing else that is found', () => {
  const plain = made.filter((text) => /^[\0-\x7f]*$/.test(text) && !/%40|&#64;/.test(text));
  fc.assert(
    fc.property(plain, (text) => {
      const { text: masked, found } = redact(`1 . ${text}`);
      expect(redact(`１ . ${text}`)).toEqual({ text: masked.replace(/^1/, '１'), found });
    }),
    { numRuns: 500 },
  );
});

test('a text that is masked once is not masked again', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 300 }), (text) => {
      const once = redact(text).text;
      expect(redact(once)).toEqual({ text: once, found: {} });
    }),
  );
});

test('any address stands masked, wherever it is put', () => {
  fc.assert(
    fc.property(fc.emailAddress({ size: '-1' }), (address) => {
      // What the standard allows beyond these nobody has.
      fc.pre(/^[a-z0-9._%+-]{1,60}@[a-z0-9.-]+\.[a-z]{2,20}$/i.test(address));
      expect(redact(`x ${address} y`).text).not.toContain(address);
    }),
  );
});

test('no text takes long, however it is made', () => {
  const parts = [
    'a@',
    '1 ',
    '-',
    'sk-',
    '(0',
    'eyJ',
    '.a',
    ' ',
    '5.',
    'GB82 ',
    '-----BEGIN PRIVATE KEY-----',
    'password=',
    'a://b:',
    '1.1.1.1 ',
    // Written otherwise: masks are put where they stand.
    '１.1.1.1 ',
    'password=é１23456 ',
    '、',
  ];
  const cost = (n: number) => {
    const started = process.cpuUsage();
    for (const part of parts) redact(part.repeat(n));
    const { user } = process.cpuUsage(started);
    return user;
  };
  cost(2000);
  // Ten times the text costs some ten times the time; quadratic would be a hundred.
  expect(cost(20_000)).toBeLessThan(40 * Math.max(2000, cost(2000)));
});
