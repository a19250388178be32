/** Routers asked over HTTP: well-behaved ones are measured, others end in an error that names prompt and reason. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { Dataset } from '../../datasets/index.ts';
import type { Frozen, Training } from '../../eval/contender.ts';
import { evaluate } from '../../eval/evaluate.ts';
import { type HttpRouterOptions, httpRouter } from '../../eval/http-router.ts';
import { type Part, selectPartRows } from '../../eval/part.ts';
import { inSampleSuspicion } from '../../eval/predictions.ts';
import { rosterOf } from '../../eval/routers.ts';
import { singleModels } from '../../eval/single-models.ts';
import { foldRows } from '../../eval/split.ts';
import { fakeSource, loading, partFrom, SKILLS, truth, world } from './fixtures.ts';

const MODELS = Object.keys(SKILLS);

/** A world whose prompts can be told apart by their text, which no message may hold. */
function speaking(prompts = 300): Dataset {
  const dataset = world({ prompts });
  return { ...dataset, prompts: dataset.prompts.map((p) => ({ ...p, text: `SECRET ${p.id} ${p.text}` })) };
}
const dataset = speaking();
const byText = new Map(dataset.prompts.map((p) => [p.text, p]));

function foldOf(of: Dataset): { train: Part; test: Part; training: Training } {
  const whole = partFrom(of);
  const [rows] = foldRows(of.prompts, { split: 'group', seed: 0, seen: () => false });
  const train = selectPartRows(whole, rows!.train);
  const singles = singleModels(train);
  const training = { part: train, singles, baseline: singles.byFallingQuality, gridPoints: 33, seed: 0 };
  return { train, test: selectPartRows(whole, rows!.test), training };
}
const fold = foldOf(dataset);

interface Asked {
  readonly id: string;
  readonly body: { model: string; messages: { role: string; content: string }[] };
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Of how many requests for the same prompt this is, from 1. */
  readonly time: number;
}

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** A router on loopback that does as it is told. */
async function routerThat(answer: (asked: Asked) => void | Promise<void>) {
  const seen: string[] = [];
  const urls: string[] = [];
  let open = 0;
  let most = 0;
  const sockets = new Set<Socket>();
  const server = createServer(async (request, response) => {
    most = Math.max(most, ++open);
    response.on('close', () => open--);
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const body = JSON.parse(Buffer.concat(pieces).toString()) as Asked['body'];
    const { id } = byText.get(body.messages[0]!.content)!;
    seen.push(id);
    urls.push(request.url!);
    await answer({ id, body, request, response, time: seen.filter((x) => x === id).length });
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(
    () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  );
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, seen, urls, most: () => most };
}

const send = (response: ServerResponse, value: unknown, status = 200, headers: Record<string, string> = {}): void => {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(typeof value === 'string' ? value : JSON.stringify(value));
};
const promptOf = (id: string) => dataset.prompts.find((p) => p.id === id)!;
const rankedFor = (id: string, names: (modelId: string) => string = (m) => m) => ({
  model: names('c/large'),
  ranked: MODELS.map((m) => ({ model: names(m), quality: truth(promptOf(id), m), adequate: true })),
});
const truthful = ({ id, response }: Asked) => send(response, rankedFor(id));

const frozenOf = async (url: string, options: HttpRouterOptions = {}): Promise<Frozen> =>
  (await httpRouter('remote', url, options).prepare(fold.training)) as Frozen;
const failureOf = (work: Promise<unknown>) =>
  work.then(
    () => {
      throw new Error('expected a failure');
    },
    (e: { code: string; message: string; name: string }) => e,
  );

describe('a router that ranks', () => {
  test('is measured as the same predictions are in the process', async () => {
    const { url, seen, urls } = await routerThat(truthful);
    const source = fakeSource({ asItIs: truth });
    const e = await evaluate(dataset, { routers: ['default', `remote=${url}`], load: loading(source), replicates: 50 });
    const [a, b] = ['default', 'remote'].map((name) => e.routers.find((r) => r.name === name)!);
    expect(b!.kind).toBe('learned');
    expect(b!.aiq.value!).toBeCloseTo(a!.aiq.value!, 6);
    expect(b!.aiqMinusZero.value!).toBeGreaterThan(0);
    // 210 training and 90 test prompts, each asked once, at the route.
    expect([...seen].sort()).toEqual(dataset.prompts.map((p) => p.id).sort());
    expect(new Set(urls)).toEqual(new Set(['/v1/route']));
  });

  test('gets one user message and our headers, a few requests at a time', async () => {
    const bodies: unknown[] = [];
    const keys = new Set<unknown>();
    const { url, most } = await routerThat(async (asked) => {
      bodies.push(asked.body);
      keys.add(asked.request.headers.authorization);
      await new Promise((resolve) => setTimeout(resolve, 2));
      truthful(asked);
    });
    const progress: string[] = [];
    await frozenOf(url, {
      headers: { authorization: 'Bearer k' },
      concurrency: 3,
      onProgress: (line) => progress.push(line),
    });
    const { text } = promptOf('p0');
    expect(bodies.find((b) => JSON.stringify(b).includes(JSON.stringify(text)))).toEqual({
      model: 'auto',
      messages: [{ role: 'user', content: text }],
    });
    expect(keys).toEqual(new Set(['Bearer k']));
    expect(most()).toBeGreaterThan(1);
    expect(most()).toBeLessThanOrEqual(3);
    expect(progress).toEqual([100, 200, 210].map((n) => `remote has answered ${n} of 210 training prompts`));
  });

  test('has its costs taken as they are, and its predictions compared for what they saw', async () => {
    const outcome = new Map([...dataset.outcomes].map((o) => [`${o.promptId} ${o.modelId}`, o.quality]));
    const trained = new Set(fold.train.table.prompts.map((p) => p.id));
    const { url } = await routerThat(({ id, response }) => {
      const quality = (m: string) => (trained.has(id) ? outcome.get(`${id} ${m}`)! : truth(promptOf(id), m));
      send(response, {
        ranked: MODELS.map((model, j) => ({ model, quality: quality(model), costUsd: j + 0.5, outputTokens: null })),
      });
    });
    const contender = httpRouter('remote', url);
    const frozen = (await contender.prepare(fold.training)) as Frozen;
    const { expected } = await frozen.measure(fold.test);
    expect([...expected!.costUsd.slice(0, 6)]).toEqual([0.5, 1.5, 2.5, 0.5, 1.5, 2.5]);
    const found = inSampleSuspicion(contender, [fold])!;
    expect(found.trainingAuc).toBe(1);
    expect(found.low).toBeGreaterThan(0);
  });

  test.each<[string, (m: string) => string]>([
    ['without a provider', (m) => m.slice(m.indexOf('/') + 1)],
    ['of another provider', (m) => `gateway/${m}`],
  ])('may name models %s where that is unambiguous', async (_, names) => {
    const { url } = await routerThat(({ id, response }) => send(response, rankedFor(id, names)));
    const { predicted } = await (await frozenOf(url)).measure(fold.test);
    fold.test.table.prompts.slice(0, 5).forEach((p, i) => {
      expect([...predicted!.slice(i * 3, i * 3 + 3)]).toEqual(MODELS.map((m) => truth(p, m)));
    });
  });

  test('takes the model of the very name where two are alike, and neither where none is', async () => {
    const { url } = await routerThat(({ id, response }) =>
      send(response, {
        ranked: [
          ...rankedFor(id).ranked,
          { model: 'z/small', quality: 0.123 },
          { model: 'unknown/model', quality: 0.5 },
        ],
      }),
    );
    const { predicted } = await (await frozenOf(url)).measure(fold.test);
    expect([...predicted!.slice(0, 3)]).toEqual(MODELS.map((m) => truth(fold.test.table.prompts[0]!, m)));
    const { url: twins } = await routerThat(({ id, response }) =>
      send(response, {
        ranked: [
          ...rankedFor(id).ranked.slice(1),
          { model: 'y/small', quality: 0.1 },
          { model: 'z/small', quality: 0.2 },
        ],
      }),
    );
    const twice = await (await frozenOf(twins)).measure(fold.test);
    expect([...twice.predicted!.slice(0, 3)]).toEqual([
      Number.NaN,
      ...MODELS.slice(1).map((m) => truth(fold.test.table.prompts[0]!, m)),
    ]);
  });

  test('asks each prompt once, however many parts are left out in turn', async () => {
    const { url, seen } = await routerThat(truthful);
    const roster = await rosterOf([`remote=${url}`], loading(fakeSource({})));
    const [contender] = roster.contenders;
    for (const _ of [1, 2]) await ((await contender!.prepare(fold.training)) as Frozen).measure(fold.test);
    expect(seen).toHaveLength(300);
  });
});

describe('a router that says only which model', () => {
  test('is one operating point: its own choices, bought at the task’s costs', async () => {
    // The hard half goes to the large model.
    const hard = (id: string) => truth(promptOf(id), 'b/middle') < 0.5;
    const { url } = await routerThat(({ id, response }) => send(response, { model: hard(id) ? 'large' : 'a/small' }));
    const frozen = await frozenOf(url);
    expect(frozen.points).toHaveLength(1);
    expect(frozen.label(0)).toBe('its own choice');
    const measured = await frozen.measure(fold.test);
    expect(measured.predicted).toBeUndefined();
    const { choice, costUsd } = measured.outcomes.get(0)!;
    fold.test.table.prompts.forEach((p, i) => {
      const j = hard(p.id) ? 2 : 0;
      expect(choice![i]).toBe(j);
      expect(costUsd[i]).toBe(fold.test.costUsd[i * 3 + j]);
    });
    const train = fold.train.table.prompts.map((p, i) => fold.train.costUsd[i * 3 + (hard(p.id) ? 2 : 0)]!);
    expect(frozen.points[0]!.trainCostUsd).toBeCloseTo(train.reduce((a, b) => a + b) / train.length, 12);
  });

  test('goes through a whole evaluation', async () => {
    const { url } = await routerThat(({ id, response }) =>
      send(response, { model: truth(promptOf(id), 'b/middle') < 0.5 ? 'c/large' : 'a/small' }),
    );
    const e = await evaluate(dataset, { routers: [`remote=${url}`], load: loading(fakeSource({})), replicates: 20 });
    const remote = e.routers.find((r) => r.name === 'remote')!;
    expect(remote.aiq.value).not.toBeNull();
    expect(remote.ece).toBeNull();
  });

  test('now and then, and ranks otherwise, is refused: the two cannot be put together', async () => {
    const { url } = await routerThat(({ id, response }) =>
      send(response, id === 'p7' ? { model: 'a/small' } : rankedFor(id)),
    );
    const failure = await failureOf(
      evaluate(dataset, { routers: [url], load: loading(fakeSource({})), replicates: 20 }),
    );
    expect(failure).toMatchObject({ code: 'UPSTREAM_INVALID' });
    expect(failure.message).toMatch(
      /with "ranked" on some prompts \(e\.g\. p\d+\) and without on others \(e\.g\. p7\)/,
    );
  });
});

describe('a router that misbehaves', () => {
  // The others must answer in time, however busy the machine is: short only where a hanging one is waited for.
  const patient: HttpRouterOptions = { timeoutMs: 20_000, retries: 1 };
  const impatient: HttpRouterOptions = { timeoutMs: 1500, retries: 1 };

  test.each<[string, (asked: Asked) => void, string, RegExp]>([
    [
      'errs',
      ({ response }) => send(response, { error: { code: 'BAD_KEY', message: 'SECRET' } }, 401),
      'UPSTREAM_ERROR',
      /it answered with status 401 \(BAD_KEY\)$/,
    ],
    [
      'errs in its own words',
      ({ response }) => send(response, 'SECRET said the server', 400),
      'UPSTREAM_ERROR',
      /it answered with status 400$/,
    ],
    ['is broken', ({ response }) => send(response, '', 500), 'UPSTREAM_ERROR', /status 500$/],
    [
      'is too busy for long',
      ({ response }) => send(response, '', 429, { 'retry-after': '3600' }),
      'UPSTREAM_ERROR',
      /status 429 and asks to wait 3600 s$/,
    ],
    ['hangs', () => {}, 'UPSTREAM_TIMEOUT', /gave no whole answer within 1\.5 s$/],
    [
      'begins and hangs',
      ({ response }) => void response.writeHead(200).write('{"ranked"'),
      'UPSTREAM_TIMEOUT',
      /no whole answer/,
    ],
    ['hangs up', ({ request }) => void request.socket.destroy(), 'UPSTREAM_ERROR', /cannot be reached or hung up \(/],
    [
      'answers HTML',
      ({ response }) => send(response, '<p>SECRET</p>', 200, { 'content-type': 'text/html; charset=utf-8' }),
      'UPSTREAM_INVALID',
      /13 characters \(text\/html\) that are not JSON$/,
    ],
    [
      'answers a word',
      ({ response }) => send(response, '"SECRET"'),
      'UPSTREAM_INVALID',
      /field \(body\) that is wrong/,
    ],
    ['answers nothing', ({ response }) => send(response, ''), 'UPSTREAM_INVALID', /0 characters/],
    [
      'answers an empty object',
      ({ response }) => send(response, {}),
      'UPSTREAM_INVALID',
      /neither "ranked" nor "model"$/,
    ],
    [
      'ranks nobody',
      ({ response }) => send(response, { ranked: [] }),
      'UPSTREAM_INVALID',
      /field ranked that is wrong: is empty$/,
    ],
    [
      'answers quality 2',
      ({ response }) => send(response, { ranked: [{ model: 'a/small', quality: 2 }] }),
      'UPSTREAM_INVALID',
      /field ranked\.0\.quality that is wrong: .* \(it is 2\)$/,
    ],
    [
      'answers NaN',
      ({ response }) => send(response, '{"ranked":[{"model":"a/small","quality":NaN}]}'),
      'UPSTREAM_INVALID',
      /not JSON$/,
    ],
    [
      'answers null',
      ({ response }) => send(response, { ranked: [{ model: 'a/small', quality: null }] }),
      'UPSTREAM_INVALID',
      /quality that is wrong: .*\(it is null\)$/,
    ],
    [
      'answers an endless cost',
      ({ response }) => send(response, '{"ranked":[{"model":"a/small","quality":1,"costUsd":1e999}]}'),
      'UPSTREAM_INVALID',
      /ranked\.0\.costUsd/,
    ],
    [
      'answers its prompt as quality',
      ({ response, body }) => send(response, { ranked: [{ model: 'a/small', quality: body.messages[0]!.content }] }),
      'UPSTREAM_INVALID',
      /ranked\.0\.quality/,
    ],
    [
      'ranks other models',
      ({ response }) => send(response, { ranked: [{ model: 'x/other', quality: 0.5 }] }),
      'UPSTREAM_INVALID',
      /answered with "x\/other", none of the task’s models \(a\/small, b\/middle, c\/large\)/,
    ],
    [
      'chooses another model',
      ({ response }) => send(response, { model: 'auto' }),
      'UPSTREAM_INVALID',
      /answered with "auto", none/,
    ],
    [
      'chooses its prompt',
      ({ response, body }) => send(response, { model: body.messages[0]!.content.slice(0, 6) }),
      'UPSTREAM_INVALID',
      /a name that is no model id, none/,
    ],
    [
      'ranks a model twice',
      ({ response }) => send(response, { ranked: [1, 2].map(() => ({ model: 'a/small', quality: 0.5 })) }),
      'UPSTREAM_INVALID',
      /ranked "a\/small" twice$/,
    ],
    [
      'sends elsewhere',
      ({ response }) => send(response, '', 307, { location: 'http://127.0.0.1:1/' }),
      'UPSTREAM_INVALID',
      /status 307, a redirect/,
    ],
    [
      'answers without end',
      ({ response }) => send(response, `"${'x'.repeat(5 * 1024 * 1024)}"`),
      'UPSTREAM_INVALID',
      /more than 4 MB$/,
    ],
  ])('%s: the error names the prompt and what came back, and no text', async (_, answer, code, says) => {
    // Only one prompt of the training part is answered so.
    const bad = fold.train.table.prompts[40]!.id;
    const { url } = await routerThat((asked) => (asked.id === bad ? answer(asked) : truthful(asked)));
    const failure = await failureOf(frozenOf(url, code === 'UPSTREAM_TIMEOUT' ? impatient : patient));
    expect(failure).toMatchObject({ name: 'RoutingError', code });
    expect(failure.message).toContain(`router "remote" at ${url}/v1/route, prompt ${bad}: `);
    expect(failure.message).toMatch(says);
    expect(failure.message).not.toContain('SECRET');
  });

  test('fails on a test prompt in the same words', async () => {
    const bad = fold.test.table.prompts[3]!.id;
    const { url } = await routerThat((asked) => (asked.id === bad ? send(asked.response, {}) : truthful(asked)));
    const frozen = await frozenOf(url, patient);
    expect((await failureOf(frozen.measure(fold.test))).message).toContain(`prompt ${bad}: it answered with neither`);
  });

  test('once fails all: no further prompt is sent', async () => {
    const { url, seen } = await routerThat(({ response }) => send(response, '', 404));
    await failureOf(frozenOf(url));
    expect(seen.length).toBeLessThanOrEqual(8);
  });

  test('for a moment is asked again, as late as it wishes', async () => {
    const at: number[] = [];
    const { url, seen } = await routerThat((asked) => {
      if (asked.id !== 'p0' && asked.id !== 'p1') return truthful(asked);
      if (asked.id === 'p0') at.push(Date.now());
      if (asked.time === 1) return send(asked.response, '', 503, { 'retry-after': '1' });
      if (asked.time === 2) return void asked.request.socket.destroy();
      truthful(asked);
    });
    await (await frozenOf(url)).measure(fold.test);
    expect(seen.filter((id) => id === 'p0')).toHaveLength(3);
    expect(at[1]! - at[0]!).toBeGreaterThanOrEqual(990);
  });

  test('gives up after the retries', async () => {
    const { url, seen } = await routerThat((asked) =>
      asked.id === 'p0' ? send(asked.response, '', 502) : truthful(asked),
    );
    await failureOf((async () => (await frozenOf(url, { retries: 2 })).measure(fold.test))());
    expect(seen.filter((id) => id === 'p0')).toHaveLength(3);
  });

  test('is nowhere: said after a few attempts', async () => {
    const { url } = await routerThat(truthful);
    await closing.splice(0)[0]!();
    const failure = await failureOf(frozenOf(url, { retries: 1 }));
    expect(failure).toMatchObject({ code: 'UPSTREAM_ERROR' });
    expect(failure.message).toMatch(/cannot be reached or hung up \(ECONNREFUSED\)$/);
    // The port of the discard service is one that no client of HTTP may call.
    const forbidden = await failureOf(frozenOf('http://127.0.0.1:9', { retries: 0 }));
    expect(forbidden.message).toMatch(/hung up \(bad port\)$/);
  });
});

describe('a router that cannot be asked', () => {
  const unfitOf = async (of: Dataset): Promise<string> =>
    ((await httpRouter('remote', 'http://127.0.0.1:1').prepare(foldOf(of).training)) as { unfit: string }).unfit;

  test('because the data holds embeddings in place of texts', async () => {
    const prompts = dataset.prompts.map((p) => ({ ...p, text: '', embedding: Float32Array.of(1) }));
    expect(await unfitOf({ ...dataset, prompts })).toMatch(
      /^210 of 210 training prompts have no text to send, e\.g\. p\d+; .*predictions file/,
    );
  });

  test('because there are too few prompts to choose settings on', async () => {
    expect(await unfitOf(speaking(60))).toMatch(
      /^settings are chosen on 50 training prompts at least, and there are 42;/,
    );
  });

  test('because it knows one model', async () => {
    const { url } = await routerThat(({ response }) =>
      send(response, { ranked: [{ model: 'a/small', quality: 0.5 }] }),
    );
    const { unfit } = (await httpRouter('remote', url).prepare(fold.training)) as { unfit: string };
    expect(unfit).toMatch(/^it ranks 1 of the 3 models \(a\/small\), and two are needed/);
  });
});
