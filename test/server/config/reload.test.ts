import { expect, test } from 'vitest';
import { inForce, parseConfig, reloadable } from '../../../server/config/index.ts';

const config = (text: string) => parseConfig(text, 'f', {});

test('tells apart what takes effect at once and what waits for the next start', () => {
  const before = config('port: 1\nproviders: {openai: {}, groq: {}}\naliases: {a: openai/a}\nmaxAttempts: 3');
  const after = config(
    'port: 2\ndataDir: x\nproviders: {openai: {enabled: false}, groq: {}, xai: {}}\naliases: {b: openai/a}\nmaxAttempts: 3\ntimeouts: {idleMs: 5}\nkeys: [{name: k, key: 0123456789abcdef}]',
  );
  expect(reloadable(before, after)).toEqual({
    needsRestart: ['port', 'dataDir'],
    applied: ['providers.openai', 'providers.xai', 'aliases.a', 'aliases.b', 'keys', 'timeouts.idleMs'],
  });
  expect(reloadable(after, after)).toEqual({ applied: [], needsRestart: [] });
});

test('every option is one or the other, and an option that is new or gone counts', () => {
  const before = config('');
  const after = config(
    'host: ::1\nallowPublic: true\ndatabaseUrl: postgres://h/d\nartifact: a\nencoder: transformer:x\nspoolLimitMb: 1\nbaseline: b\ncatalog: c\nlogLevel: warn\nbodyLimitMb: 1',
  );
  const { applied, needsRestart } = reloadable(before, after);
  expect(needsRestart.sort()).toEqual([
    'allowPublic',
    'artifact',
    'bodyLimitMb',
    'databaseUrl',
    'encoder',
    'host',
    'spoolLimitMb',
  ]);
  expect(applied.sort()).toEqual(['baseline', 'catalog', 'logLevel']);
  expect(reloadable(after, before).applied.sort()).toEqual(applied);
});

test('names options, never what they hold', () => {
  const { applied } = reloadable(config(''), config('providers: {openai: {apiKey: sk-planted}}'));
  expect(applied).toEqual(['providers.openai']);
});

test('what is in force is the new configuration, but for what waits', () => {
  const before = config('port: 1\nmaxAttempts: 3\ndatabaseUrl: postgres://h/d');
  const now = inForce(before, config('port: 2\nmaxAttempts: 4'));
  expect(now).toMatchObject({ port: 1, maxAttempts: 4, databaseUrl: 'postgres://h/d' });
  expect(reloadable(before, now)).toEqual({ applied: ['maxAttempts'], needsRestart: [] });
});
