import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RoutingError } from '../../../datasets/index.ts';
import { RequestLife } from '../../../server/forward/watch.ts';
import type { ProtocolName } from '../../../server/protocols/index.ts';
import { onOwnClock } from '../../own-clock.ts';
import { candidate, completion, word } from '../fakes.ts';
import { exception } from '../protocols/converse-wire.ts';
import {
  after,
  askedOf,
  failing,
  fine,
  json,
  QUICK,
  run,
  type Scripted,
  type Step,
  scripted,
  silent,
  stream,
  targetAt,
  unreachable,
} from './scripted.ts';

onOwnClock();

const models = ({ calls }: Scripted) => calls.map(({ call }) => call.model);
const keys = ({ calls }: Scripted) => calls.map(({ call }) => call.credential!.id);
const inOrder =
  (...steps: Step[]): Step =>
  (call) =>
    (steps.length > 1 ? steps.shift()! : steps[0]!)(call);

describe('keys', () => {
  const two = [
    { id: 'a', weight: 1 },
    { id: 'b', weight: 1 },
  ];
  const byKey =
    (steps: Record<string, Step>): Step =>
    (call) =>
      steps[call.credential!.id]!(call);

  test.each([
    ['refused', failing(401)],
    ['out of credit', failing(402)],
    ['beyond its quota', failing(429, { code: 'insufficient_quota' })],
    [
      'unknown to Google, which answers 400',
      () =>
        json(
          {
            error: {
              code: 400,
              message: 'API key not valid',
              status: 'INVALID_ARGUMENT',
              details: [{ reason: 'API_KEY_INVALID' }],
            },
          },
          400,
        ),
    ],
  ])('a key that is %s gives way to the provider’s next one, for every model', async (why, refuse) => {
    const protocol: ProtocolName = why.includes('Google') ? 'gemini' : 'chat';
    const google = { candidates: [{ content: { parts: [{ text: 'fine' }] }, finishReason: 'STOP' }] };
    const one = scripted('one', byKey({ a: refuse, b: () => json(protocol === 'gemini' ? google : completion()) }), {
      credentials: two,
      protocol,
    });
    const other = scripted('other', fine);
    const [dearA] = targetAt(one, 'dear');
    const { call } = await run([
      ...targetAt(one, 'cheap').slice(0, 1),
      dearA!,
      ...targetAt(one, 'cheap').slice(1),
      ...targetAt(other, 'x'),
    ]);
    expect(call?.target.deployment).toBe('one/cheap#b');
    expect(keys(one)).toEqual(['a', 'b']);
    expect(other.calls).toHaveLength(0);
  });

  test.each([
    ['has no credentials to sign with', 'PROVIDER_NOT_CONFIGURED', 2],
    ['lies behind a proxy that refuses', 'UPSTREAM_ERROR', 1],
  ] as const)('a provider that %s is not tried again and again', async (_, code, calls) => {
    const one = scripted('one', () => Promise.reject(new RoutingError(code, 'no')), { credentials: two });
    const other = scripted('other', fine);
    const targets = [...targetAt(one, 'cheap'), ...targetAt(one, 'dear'), ...targetAt(other, 'x')];
    const { call } = await run(targets, { config: { retry: QUICK } });
    expect(call?.target.id).toBe('other/x');
    expect(one.calls).toHaveLength(calls);
    expect((await run(targetAt(one, 'cheap'), { config: { retry: QUICK } })).error?.code).toBe(code);
    expect(one.calls).toHaveLength(2 * calls);
  });

  test('a key that is refused is not tried again after a pause either', async () => {
    let calls = 0;
    // Busy at first, so that it waits for a second try; by then its key has been refused elsewhere.
    const one = scripted('one', ({ model }) =>
      (model === 'busy' && ++calls === 1 ? failing(429) : failing(401))({} as never),
    );
    const { error } = await run([...targetAt(one, 'busy'), ...targetAt(one, 'other')], { config: { retry: QUICK } });
    expect(error).toMatchObject({ blame: 'credential' });
    expect(models(one)).toEqual(['busy', 'other']);
  });

  test('a provider that cannot be reached is dropped with all its keys and models', async () => {
    const one = scripted('one', unreachable, { credentials: two });
    const other = scripted('other', fine);
    const targets = [...targetAt(one, 'cheap'), ...targetAt(one, 'dear'), ...targetAt(other, 'x')];
    const { call, failed } = await run(targets, { config: { retry: QUICK } });
    expect(call?.target.id).toBe('other/x');
    expect(one.calls).toHaveLength(1);
    expect(failed).toMatchObject([{ status: 'error', errorCode: 'UPSTREAM_ERROR', httpStatus: null, costUsd: 0 }]);
  });
});

describe('trying again', () => {
  test('a busy model is tried again after the others, as often as retries says', async () => {
    const one = scripted('one', failing(503));
    const { error, failed } = await run(targetAt(one, 'a'), { config: { retry: { ...QUICK, retries: 3 } } });
    expect(error).toMatchObject({ code: 'UPSTREAM_ERROR', httpStatus: 503 });
    expect(one.calls).toHaveLength(4);
    expect(failed.map(({ ordinal, id }) => [ordinal, id])).toEqual([0, 1, 2, 3].map((i) => [i, `d-${i}`]));
  });

  test('every other candidate is asked before the first is asked again', async () => {
    const one = scripted('one', inOrder(failing(500), fine));
    const two = scripted('two', failing(500));
    const { call } = await run([...targetAt(one, 'a'), ...targetAt(two, 'b')], {
      config: { retry: { ...QUICK, firstPauseMs: 20 } },
    });
    expect(call).toBeDefined();
    expect(one.calls[1]!.at).toBeGreaterThan(two.calls[0]!.at);
  });

  test('whoever asks for a wait is left alone for so long, even when another is due before', async () => {
    const slow = scripted('slow', inOrder(failing(429, {}, { retryAfter: '0.3' }), fine));
    const quick = scripted('quick', failing(500));
    const { call, ms } = await run([...targetAt(slow, 'a'), ...targetAt(quick, 'b')], { config: { retry: QUICK } });
    expect(call?.target.id).toBe('slow/a');
    expect(slow.calls[1]!.at - slow.calls[0]!.at).toBe(300);
    // In the meantime the other had all its tries.
    expect(quick.calls).toHaveLength(3);
    expect(ms).toBe(300);
  });

  test('a wait beyond the longest pause is not waited for', async () => {
    const one = scripted('one', failing(429, {}, { retryAfter: '2' }));
    const { error, ms } = await run(targetAt(one, 'a'), { config: { retry: QUICK } });
    expect(error).toMatchObject({ httpStatus: 429, retryAfter: '2' });
    expect(one.calls).toHaveLength(1);
    expect(ms).toBe(0);
  });

  test('maxAttempts ends it, whoever is left', async () => {
    const one = scripted('one', failing(500));
    const targets = ['a', 'b', 'c', 'd'].flatMap((model) => targetAt(one, model));
    const { error } = await run(targets, { config: { maxAttempts: 3, retry: QUICK } });
    expect(error?.code).toBe('UPSTREAM_ERROR');
    expect(one.calls).toHaveLength(3);
  });

  test('a fault of the request ends it at once', async () => {
    const one = scripted('one', failing(400, { type: 'invalid_request_error', param: 'temperature' }));
    const { error } = await run([...targetAt(one, 'a'), ...targetAt(one, 'b')], { config: { retry: QUICK } });
    expect(error).toMatchObject({ blame: 'request', httpStatus: 400 });
    expect(one.calls).toHaveLength(1);
  });

  test('a line that breaks before any reply is tried once more at once, and only once', async () => {
    const broken: Step = () => Promise.reject(Object.assign(new Error('reset'), { code: 'ECONNRESET' }));
    const one = scripted('one', broken);
    const two = scripted('two', fine);
    const { call } = await run([...targetAt(one, 'a'), ...targetAt(two, 'b')], { config: { retry: QUICK } });
    expect(call?.target.id).toBe('two/b');
    expect(one.calls).toHaveLength(2);
  });

  test('a timeout is tried again while there is time, and everything ends with the total', async () => {
    const one = scripted('one', silent);
    const life = new RequestLife(250);
    const { error, ms } = await run(targetAt(one, 'a'), {
      life: life.signal,
      config: { timeouts: { answerMs: 100 }, retry: { ...QUICK, retries: 10 }, maxAttempts: 50 },
    });
    expect(error?.code).toBe('UPSTREAM_TIMEOUT');
    expect(one.calls.length).toBeGreaterThan(1);
    expect(ms).toBe(250);
  });

  test('a pause does not outlast the total either, and then the last failure is what is told', async () => {
    const one = scripted('one', failing(429, {}, { retryAfter: '0.9' }));
    const life = new RequestLife(100);
    const { error, ms } = await run(targetAt(one, 'a'), { life: life.signal, config: { retry: QUICK } });
    expect(error).toMatchObject({ code: 'UPSTREAM_ERROR', httpStatus: 429 });
    expect(ms).toBe(100);
  });
});

describe('a prompt that is too long', () => {
  const small = candidate('x/small', 1, { contextTokens: 1000 });
  const middle = candidate('x/middle', 1, { contextTokens: 10_000 });
  const large = candidate('x/large', 1, { contextTokens: 100_000 });
  const tooLong: Step = failing(400, { code: 'context_length_exceeded', type: 'invalid_request_error' });

  test('goes to the models that hold more, and to none that holds less', async () => {
    const one = scripted('one', ({ model }) => (model === 'large' ? fine : tooLong)({} as never));
    const targets = [
      ...targetAt(one, 'middle', middle),
      ...targetAt(one, 'small', small),
      ...targetAt(one, 'also-middle', middle),
      ...targetAt(one, 'large', large),
    ];
    const { call } = await run(targets);
    expect(call?.target.upstreamModel).toBe('large');
    expect(models(one)).toEqual(['middle', 'large']);
  });

  test.each([
    'This model’s maximum context length is 8192 tokens. However, you requested 9000 tokens',
    'prompt is too long: 210000 tokens > 200000 maximum',
    'The input token count (1100000) exceeds the maximum number of tokens allowed',
    'Please reduce the length of the messages or completion.',
  ])('is known by its words where a host has no code for it: %s', async (message) => {
    const one = scripted('one', failing(400, { message, type: 'invalid_request_error' }));
    const { error } = await run([...targetAt(one, 'a', middle), ...targetAt(one, 'b', small)]);
    expect(error).toMatchObject({ blame: 'model', error: { code: 'context_length_exceeded' } });
    expect(models(one)).toEqual(['a']);
  });
});

describe('an error that comes as the first frame of a stream counts as one before it', () => {
  const cases: [string, ProtocolName, string | Uint8Array, string][] = [
    ['OpenAI’s', 'chat', 'data: {"error":{"message":"no capacity","type":"server_error"}}\n\n', 'no capacity'],
    [
      'Anthropic’s, after a ping',
      'messages',
      'event: ping\ndata: {"type":"ping"}\n\nevent: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n',
      'Overloaded',
    ],
    [
      'Gemini’s',
      'gemini',
      'data: {"error":{"code":503,"message":"The model is overloaded","status":"UNAVAILABLE"}}\n\n',
      'The model is overloaded',
    ],
    ['Bedrock’s', 'converse', exception('throttlingException', { message: 'Too many requests' }), 'Too many requests'],
    [
      'Responses’',
      'responses',
      'event: error\ndata: {"type":"error","code":"server_error","message":"burnt","param":null,"sequence_number":0}\n\n',
      'burnt',
    ],
  ];
  test.each(cases)('%s', async (_, protocol, frame, message) => {
    const one = scripted(
      'one',
      () => ({
        ...stream(frame),
        contentType: protocol === 'converse' ? 'application/vnd.amazon.eventstream' : 'text/event-stream',
      }),
      { protocol },
    );
    const two = scripted('two', () => stream(word('hello'), word('', 'stop'), 'data: [DONE]\n\n'));
    const { call, failed } = await run([...targetAt(one, 'a'), ...targetAt(two, 'b')], {
      asked: askedOf({ stream: true }),
      config: { retry: { retries: 0 } },
    });
    expect(call?.target.id).toBe('two/b');
    expect(failed).toMatchObject([{ status: 'error', errorCode: 'UPSTREAM_ERROR', costUsd: 0 }]);
    const alone = await run(targetAt(one, 'a'), {
      asked: askedOf({ stream: true }),
      config: { retry: { retries: 0 } },
    });
    expect(alone.error?.message).toContain(message);
    expect(alone.error).toMatchObject({ blame: 'overload' });
  });
});

describe('what a failed call cost', () => {
  const priced = candidate('one/a', 10);
  test('is netted from the next one’s answer and stands in its record', async () => {
    // 100 in at 10, 50 out at 20 USD per million = 2e-3.
    const bad = scripted('one', () => json({ choices: [], usage: { prompt_tokens: 100, completion_tokens: 50 } }));
    const good = scripted('two', fine);
    const { call, failed } = await run([...targetAt(bad, 'a', priced), ...targetAt(good, 'b')]);
    expect(failed[0]!.costUsd).toBeCloseTo(2e-3, 12);
    expect(call?.spentUsd).toBeCloseTo(2e-3, 12);
    expect(call?.attempts).toBe(2);
  });
});

test('a request that no candidate’s protocol can say is not held against the next one that can', async () => {
  // Only the chat protocol has this part.
  const messages = [
    { role: 'user', content: [{ type: 'video_url', video_url: { url: 'https://example.com/v.mp4' } }] },
  ];
  const claude = scripted('claude', fine, { protocol: 'messages' });
  const open = scripted('open', fine);
  const { call } = await run([...targetAt(claude, 'a'), ...targetAt(open, 'b')], { asked: askedOf({ messages }) });
  expect(call?.target.id).toBe('open/b');
  expect(claude.calls).toHaveLength(0);
});

test('whatever fails how: no more calls than allowed, no call twice without a pause, and every failed one on record once', async () => {
  const steps: readonly Step[] = [
    fine,
    failing(500),
    failing(429),
    failing(401),
    failing(404),
    failing(400, { code: 'context_length_exceeded' }),
    failing(400),
    unreachable,
    () => json('<html>'),
    () => json({ error: { message: 'x', code: 529 } }),
    silent,
  ];
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat({ max: 2 }), fc.nat({ max: steps.length - 1 })), { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: 0, max: 2 }),
      fc.option(fc.constant(1), { nil: null }),
      async (plan, maxAttempts, retries, hedgeAfterMs) => {
        const providers = [0, 1, 2].map((p) => scripted(`p${p}`, (call) => steps[Number(call.model)]!(call)));
        const targets = plan.flatMap(([p, step]) => targetAt(providers[p]!, String(step)));
        const { call, error, failed } = await run(targets, {
          config: {
            maxAttempts,
            retry: { retries, firstPauseMs: 1, longestPauseMs: 5, hedgeAfterMs },
            timeouts: { answerMs: 5 },
          },
        });
        // A call given up is written down once it has let go.
        await new Promise((resolve) => setTimeout(resolve, 5));
        const made = providers.reduce((sum, { calls }) => sum + calls.length, 0);
        expect(made).toBeLessThanOrEqual(maxAttempts);
        expect(failed).toHaveLength(made - (call === undefined ? 0 : 1));
        expect(new Set(failed.map(({ id }) => id)).size).toBe(failed.length);
        expect((call === undefined) !== (error === undefined)).toBe(true);
        // An answer is the answer of one that was asked for, never of a stranger.
        if (call) expect(plan.some(([p, step]) => call.target.id === `p${p}/${step}` && step === 0)).toBe(true);
      },
    ),
    { numRuns: 150 },
  );
});

test('a slow answer within its time is waited for', async () => {
  const one = scripted('one', after(50, fine));
  const { call } = await run(targetAt(one, 'a'), { config: { timeouts: { answerMs: 5000 } } });
  expect(call?.answer).toMatchObject({ kind: 'json' });
});
