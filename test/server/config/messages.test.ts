// biome-ignore-all lint/suspicious/noTemplateCurlyInString: placeholders are what is tested
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RoutingError } from '../../../datasets/index.ts';
import { parseConfig } from '../../../server/config/index.ts';

const lines = (...text: string[]) => text.join('\n');

function refusal(text: string, env: Record<string, string> = {}, overrides: Record<string, unknown> = {}): string[] {
  try {
    parseConfig(text, 'pointsman.yaml', { env, overrides });
  } catch (error) {
    expect(error).toBeInstanceOf(RoutingError);
    expect((error as RoutingError).code).toBe('INVALID_CONFIG');
    return (error as RoutingError).message.split('\n');
  }
  throw new Error('nothing was refused');
}

describe('a mistake in the file', () => {
  test('is told by line, column and option, the option’s name being the place', () => {
    const text = lines('providers:', '  openai:', '    weight: 2');
    expect(refusal(text)).toEqual([
      expect.stringMatching(
        /^pointsman\.yaml:3:5: providers\.openai\.weight: no such option; known here: type, baseUrl/,
      ),
    ]);
  });

  test.each([
    ['baseline: 12', '1:1: baseline: must be a text; put it in quotes'],
    ['port: 99999', '1:1: port: must be a whole number'],
    [lines('', '# first', 'timeouts: {idleMs: 0}'), '3:12: timeouts.idleMs: must be more than 0'],
    [lines('keys:', '  - name: a', '    sha256: abc'), '3:5: keys.0.sha256: must be 64 hex digits'],
    [lines('keys:', '  - 7'), '2:5: keys.0: must be an object of names and values, not a number'],
    [lines('models:', '  gpt: [{provider: openai}]'), '2:3: models.gpt: must be provider/model'],
    // What is not there is told at what it should be in.
    [
      lines('models:', '  openai/a:', '    - model: b'),
      '3:7: models.openai/a.0.provider: is missing; it must be a text',
    ],
    [lines('policy:', '  target: {kep: 0.9}'), '2:12: policy.target.kep: no such option; did you mean keep?'],
    [
      lines('providers:', '  x:', '    keys:', '      - {nam: y}'),
      '4:10: providers.x.keys.0.nam: no such option; did you mean name?',
    ],
    [lines('x: &a {idelMs: 5}', 'timeouts: *a'), '1:8: timeouts.idelMs: no such option; did you mean idleMs?'],
    [
      lines('providers:', '  x:', '    proxy: true'),
      '3:5: providers.x.proxy: must be an http:// or https:// URL, or false',
    ],
  ])('is found in %j', (text, message) => {
    expect(refusal(text).join('\n')).toContain(`pointsman.yaml:${message}`);
  });

  test('does not hide the others: they come by line, up to ten, and then a count', () => {
    const text = lines('retry:', '  retries: -1', 'port: x', 'aliass: {}', 'baseline: ${UNSET}');
    expect(refusal(text, { POINTSMAN_LOG_LEVEL: 'loud' })).toEqual([
      expect.stringMatching(/^POINTSMAN_LOG_LEVEL=loud: must be one of fatal, error, warn, info, debug, trace, silent/),
      expect.stringMatching(/^pointsman\.yaml:2:3: retry\.retries: /),
      expect.stringMatching(/^pointsman\.yaml:3:1: port: /),
      expect.stringMatching(/^pointsman\.yaml:4:1: aliass: no such option; did you mean aliases\?/),
      expect.stringMatching(/^pointsman\.yaml:5:1: baseline: environment variable UNSET is not set/),
    ]);
    const many = Array.from({ length: 13 }, (_, i) => `wrong${i}: 1`).join('\n');
    const said = refusal(many);
    expect(said).toHaveLength(11);
    expect(said[9]).toContain('pointsman.yaml:10:1: wrong9');
    expect(said[10]).toBe('… and 3 more');
  });

  test('is told without the file’s line where the command line or the environment holds it', () => {
    expect(refusal('port: 1', {}, { port: 'x' })).toEqual(['port: must be a whole number from 0 to 65535']);
    expect(refusal('port: 1', { PORT: 'x' })).toEqual(['PORT=x: must be a whole number from 0 to 65535']);
    // Given twice, the command line's is the one that counts.
    expect(refusal('port: 1', { PORT: 'x' }, { port: 'y' })[0]).toMatch(/^port: /);
  });

  test('may be that a variable is missing, which then need not fit the schema as well', () => {
    const text = lines('databaseUrl: ${DB}', 'keys:', '  - name: a', '    key: ${K}');
    expect(refusal(text)).toEqual([
      'pointsman.yaml:1:1: databaseUrl: environment variable DB is not set; set it, or write ${DB:-} for empty',
      'pointsman.yaml:4:5: keys.0.key: environment variable K is not set; set it, or write ${K:-} for empty',
    ]);
  });
});

describe('what is no YAML', () => {
  test.each([
    [lines('providers:', '  openai: {', 'port: 1'), 3],
    [lines('port: 1', 'port: 2'), 2],
    [lines('a: 1', ' b: 2'), 1],
    [lines('port: 1', '---', 'port: 2'), 2],
    [lines('host: x', 'catalog: *none'), 2],
    [lines('host: x', 'catalog: !secret y'), 2],
    [lines('host: "x', 'port: 1'), 2],
  ])('%j is refused at line %d', (text, line) => {
    expect(refusal(text)[0]).toMatch(new RegExp(`^pointsman\\.yaml:${line}:\\d+: `));
  });

  test('a list, a text, a number is no configuration', () => {
    for (const text of ['- a', 'just words', '7', 'true']) {
      expect(refusal(text)).toEqual(['pointsman.yaml: must hold `option: value` lines']);
    }
  });

  test('aliases that multiply are refused, not followed', () => {
    const bomb = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
    for (let i = 1; i < 9; i++)
      bomb.push(
        `a${i}: &a${i} [${Array(10)
          .fill(`*a${i - 1}`)
          .join(', ')}]`,
      );
    expect(refusal(bomb.join('\n'))).toEqual(['pointsman.yaml:1:1: its aliases stand for more than can be read']);
  });

  test('a file of many megabytes is refused', () => {
    expect(refusal('#'.repeat(9 * 1024 * 1024))).toEqual(['pointsman.yaml:1:1: too large to be a configuration']);
  });

  test('whatever the text, there is a configuration or an error of ours', () => {
    const scrap = fc.constantFrom(
      ...['providers', ':', ' ', '\n', '- ', '{', '}', '[', ']', '${A}', '${A:-x}', '&a', '*a', '!t', '"', "'", '#'],
      ...['port', '8787', '\t', 'keys', '__proto__', 'constructor', 'null', '~', '|', '>', '%', '---', '\u0000', '﻿'],
    );
    const text = fc.oneof(
      fc.string(),
      fc.array(scrap, { maxLength: 30 }).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(text, (some) => {
        try {
          parseConfig(some, 'f', {});
        } catch (error) {
          if (!(error instanceof RoutingError)) throw error;
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('a secret', () => {
  const SECRET = 'sk-planted-0123456789abcdef';
  test.each([
    ['a key under a wrong name', `providers:\n  openai:\n    apikey: ${SECRET}`],
    ['a key that is a list', `providers:\n  openai:\n    apiKey: [${SECRET}]`],
    ['a key at the wrong place', `providers:\n  openai: ${SECRET}`],
    ['a key with a tag before it', `providers:\n  openai:\n    apiKey: !${SECRET}`],
    ['a key that looks like an alias', `providers:\n  openai:\n    apiKey: *${SECRET}`],
    ['a quote too few', `providers:\n  openai:\n    apiKey: "${SECRET}`],
    ['a quote too many', `providers:\n  openai:\n    apiKey: "x" ${SECRET}`],
    ['a bracket too many', `providers:\n  openai:\n    apiKey: x\n  ] ${SECRET}`],
    ['an escape', `providers:\n  openai:\n    apiKey: "\\q${SECRET}"`],
    ['a percent sign', `%${SECRET} x\n---\nport: 1`],
    ['a block with words in its header', `baseline: |${SECRET}\n  x`],
    ['a short key', `keys:\n  - {name: a, key: ${SECRET.slice(0, 15)}}`],
    ['two keys alike', `keys:\n  - {name: a, key: ${SECRET}}\n  - {name: b, key: ${SECRET}}`],
    ['no hash', `keys:\n  - {name: a, sha256: ${SECRET}}`],
    ['a database of another kind', `databaseUrl: mysql://u:${SECRET}@h/d`],
    ['a proxy of another kind', `providers:\n  openai:\n    proxy: socks5://u:${SECRET}@h`],
    ['an address that is none', `providers:\n  openai:\n    baseUrl: ht tp://u:${SECRET}@h`],
    ['a header that is a list', `providers:\n  openai:\n    headers: {authorization: [${SECRET}]}`],
    ['a default of a placeholder', `databaseUrl: \${DB:-mysql://u:${SECRET}@h/d}`],
  ])('is not in the message: %s', (_, text) => {
    const said = refusal(text).join('\n');
    expect(said).not.toContain(SECRET.slice(3, 15));
  });

  test('from the environment is not in the message', () => {
    const text = 'providers:\n  x: {baseUrl: "${URL}"}\ndatabaseUrl: ${DB}';
    const said = refusal(text, { URL: `ftp://u:${SECRET}@h`, DB: `mysql://u:${SECRET}@h` }).join('\n');
    expect(said).not.toContain('planted');
    expect(refusal('', { DATABASE_URL: `mysql://u:${SECRET}@h` }).join('\n')).not.toContain('planted');
  });
});
