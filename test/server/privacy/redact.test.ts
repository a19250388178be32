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
    '12:30:45.123456',
    'the password is not told',
  ])('%s', (text) => {
    expect(redact(text)).toEqual({ text, found: {} });
  });
});

test('what was found is counted by kind', () => {
  expect(redact('a@b.example, c@d.example and 10.0.0.1').found).toEqual({ email: 2, ip: 1 });
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
