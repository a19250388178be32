/**
 * A data rule binds every call that leaves: for each kind of call, that of a request without the tag reaches the forbidden
 * house, and the same call of a request with it does not, by no byte.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import type { Router } from '../../../../router/router.ts';
import { Calls, type Underway } from '../../../../server/api/passthrough-call.ts';
import { ANYBODY } from '../../../../server/callers.ts';
import { faultOf } from '../../../../server/escalation/check.ts';
import { RequestLife } from '../../../../server/forward/watch.ts';
import { compilePolicy } from '../../../../server/governance/policies/compile.ts';
import { readPolicyText } from '../../../../server/governance/policies/document.ts';
import { scoreFrom } from '../../../../server/verify/http-verifier.ts';
import { jsonOf, sendJson } from '../../fakes.ts';
import {
  atEnd,
  failing,
  get,
  type Houses,
  type HousesOptions,
  houses,
  MODELS,
  post,
  STAYS_HOME,
  type Who,
} from './two-houses.ts';

const messages = [{ role: 'user', content: 'the secret is 42' }];
const ask = (at: Houses, who: Who, body: object) =>
  post(at.gateway, who, '/v1/chat/completions', { messages, ...body });

interface Kind extends HousesOptions {
  /** Makes the call; its outcome is looked at by the test. */
  readonly call: (at: Houses, who: Who) => Promise<Response>;
  /** Of the request with the tag: what its client gets. */
  readonly status: number;
  /** What reaches the forbidden house of the request without it. */
  readonly reaches: RegExp;
}

const form = (model: string) => {
  const data = new FormData();
  data.set('model', model);
  data.set('file', new Blob(['RIFF']), 'a.wav');
  return data;
};

const fileForm = () => {
  const data = new FormData();
  data.set('purpose', 'batch');
  data.set('file', new Blob(['{}\n']), 'b.jsonl');
  return data;
};

/** A file that the free key has put there: held for the team, and so for the bound key's requests, too. */
const fileOf = async (at: Houses): Promise<string> => {
  const made = await post(at.gateway, 'free', '/v1/files?provider=away', fileForm());
  const { id } = await jsonOf(made);
  at.away.seen.length = 0;
  return id;
};

const responseOf = async (at: Houses): Promise<string> => {
  const made = await post(at.gateway, 'free', '/v1/responses', { model: 'away/best', input: 'hello' });
  const { id } = await jsonOf(made);
  at.away.seen.length = 0;
  return id;
};

const homeFails = (at: Houses) => {
  at.home.script = failing;
};

const preferring = (first: string) => MODELS.toSorted((a, b) => Number(b.id === first) - Number(a.id === first));

const KINDS: Record<string, Kind> = {
  'a model that the client names': {
    call: (at, who) => ask(at, who, { model: 'away/best' }),
    status: 403,
    reaches: /POST .*chat/,
  },
  'a model that nobody knows': {
    call: (at, who) => ask(at, who, { model: 'away/unheard-of' }),
    status: 403,
    reaches: /POST .*chat/,
  },
  auto: { call: (at, who) => ask(at, who, { model: 'auto' }), status: 200, reaches: /POST .*chat/ },
  'a stream of auto': {
    call: (at, who) => ask(at, who, { model: 'auto', stream: true }),
    status: 200,
    reaches: /POST .*chat/,
  },
  'fail-over to another model': {
    models: preferring('home/good'),
    async call(at, who) {
      homeFails(at);
      return ask(at, who, { model: 'auto' });
    },
    status: 502,
    reaches: /POST .*chat/,
  },
  'fail-over to another deployment of the same model': {
    config: { models: { 'home/good': [{ provider: 'home' }, { provider: 'away', model: 'good' }] } },
    async call(at, who) {
      homeFails(at);
      return ask(at, who, { model: 'home/good' });
    },
    status: 502,
    reaches: /POST .*chat/,
  },
  'a fallback of an alias': {
    config: { aliases: { mine: 'home/good' }, fallbacks: { mine: ['away/best'] } },
    async call(at, who) {
      homeFails(at);
      return ask(at, who, { model: 'mine' });
    },
    status: 502,
    reaches: /POST .*chat/,
  },
  'a hedge': {
    models: preferring('home/good'),
    config: { retry: { retries: 0, hedgeAfterMs: 30 } },
    async call(at, who) {
      const usual = at.home.script;
      at.home.script = async (seen, response) => {
        await new Promise((resolve) => setTimeout(resolve, 1000));
        return usual(seen, response);
      };
      return ask(at, who, { model: 'auto' });
    },
    status: 200,
    reaches: /POST .*chat/,
  },
  'an escalation to a better model': {
    models: preferring('home/good'),
    config: { escalation: { enabled: true } },
    async call(at, who) {
      const { current } = at.gateway.gateway.holder;
      at.gateway.gateway.holder.current = rising(current);
      at.home.script = (_, response) => {
        sendJson(response, { id: 'c', choices: [{ index: 0, message: { role: 'assistant', content: '' } }] });
        return true;
      };
      const format = { type: 'json_schema', json_schema: { name: 'n', schema: { type: 'object', required: ['a'] } } };
      return ask(at, who, { model: 'auto', response_format: format });
    },
    status: 200,
    reaches: /POST .*chat/,
  },
  embeddings: {
    call: (at, who) => post(at.gateway, who, '/v1/embeddings', { model: 'away/embed', input: 'x' }),
    status: 403,
    reaches: /POST .*embeddings/,
  },
  'counting of tokens': {
    call: (at, who) => post(at.gateway, who, '/v1/messages/count_tokens', { model: 'anth/claude', messages }),
    status: 403,
    reaches: /POST .*count_tokens/,
  },
  'messages of Anthropic’s protocol': {
    call: (at, who) => post(at.gateway, who, '/v1/messages', { model: 'anth/claude', max_tokens: 9, messages }),
    status: 403,
    reaches: /POST .*messages/,
  },
  'a response that is stored': {
    call: (at, who) => post(at.gateway, who, '/v1/responses', { model: 'away/best', input: 'x' }),
    status: 403,
    reaches: /POST .*responses/,
  },
  'a turn that goes on with a stored response': {
    async call(at, who) {
      const previous_response_id = await responseOf(at);
      return post(at.gateway, who, '/v1/responses', { model: 'auto', input: 'x', previous_response_id });
    },
    status: 403,
    reaches: /POST .*responses/,
  },
  'a stored response that is read': {
    call: async (at, who) => get(at.gateway, who, `/v1/responses/${await responseOf(at)}`),
    status: 403,
    reaches: /GET .*responses/,
  },
  speech: {
    call: (at, who) => post(at.gateway, who, '/v1/audio/speech', { model: 'away/tts', input: 'x' }),
    status: 403,
    reaches: /POST .*speech/,
  },
  'a transcription': {
    call: (at, who) => post(at.gateway, who, '/v1/audio/transcriptions', form('away/whisper')),
    status: 403,
    reaches: /POST .*transcriptions/,
  },
  'an image': {
    call: (at, who) => post(at.gateway, who, '/v1/images/generations', { model: 'away/paint', prompt: 'x' }),
    status: 403,
    reaches: /POST .*images/,
  },
  'a moderation': {
    call: (at, who) => post(at.gateway, who, '/v1/moderations', { model: 'away/mod', input: 'x' }),
    status: 403,
    reaches: /POST .*moderations/,
  },
  'a file that goes up': {
    call: (at, who) => post(at.gateway, who, '/v1/files?provider=away', fileForm()),
    status: 403,
    reaches: /POST .*files/,
  },
  'a list of files, page by page': {
    async call(at, who) {
      await fileOf(at);
      await fileOf(at);
      return get(at.gateway, who, '/v1/files?provider=away&limit=1');
    },
    status: 403,
    reaches: /GET .*files/,
  },
  'a file that is read': {
    call: async (at, who) => get(at.gateway, who, `/v1/files/${await fileOf(at)}/content`),
    status: 403,
    reaches: /GET .*files/,
  },
  'a file that is deleted': {
    call: async (at, who) => get(at.gateway, who, `/v1/files/${await fileOf(at)}`, 'DELETE'),
    status: 403,
    reaches: /DELETE .*files/,
  },
  'a batch': {
    call: async (at, who) =>
      post(at.gateway, who, '/v1/batches', { input_file_id: await fileOf(at), endpoint: '/v1/chat/completions' }),
    status: 403,
    reaches: /POST .*batches/,
  },
  'the judge of an audit': {
    models: preferring('home/good'),
    config: { audit: { share: 1, judge: 'away/judge', budgetUsdPerDay: 100 } },
    async call(at, who) {
      const answer = await ask(at, who, { model: 'auto' });
      await answer.clone().text();
      await at.gateway.gateway.afterwork.stop(10_000);
      return answer;
    },
    status: 200,
    reaches: /POST .*chat/,
  },
};

/** Expects more of the models further down, so that a failed check goes up to them. */
const rising = (router: Router): Router => ({
  ...router,
  async route(request, options) {
    const decision = await router.route(request, options);
    return { ...decision, ranked: decision.ranked.map((one, i) => ({ ...one, quality: 0.6 + i / 10 })) };
  },
});

describe('with a rule that keeps it home,', () => {
  test.each(Object.entries(KINDS))('%s stays home', async (_, { call, status, reaches, ...options }) => {
    const at = await houses(options);
    const answer = await call(at, 'bound');
    await answer.text();
    expect(at.calls()).toEqual([]);
    expect(answer.status).toBe(status);
    // Work on answers that are out has ended with the first of them.
    const other = 'audit' in (options.config ?? {}) ? await houses(options) : at;
    expect((await call(other, 'free')).status).toBeLessThan(400);
    expect(other.calls().join('\n')).toMatch(reaches);
  });

  test('the tag may as well come from the client, wherever it is said', async () => {
    const at = await houses();
    const named = { model: 'away/best', messages };
    const said = [
      await post(at.gateway, 'free', '/v1/chat/completions', { ...named, routing: { tags: ['secret'] } }),
      await post(at.gateway, 'free', '/v1/chat/completions', named, { 'x-pointsman-tags': 'other, Secret' }),
      await post(at.gateway, 'free', '/v1/audio/transcriptions', form('away/whisper'), {
        'x-pointsman-tags': 'secret',
      }),
      await post(at.gateway, 'free', '/v1/images/generations', {
        model: 'away/p',
        prompt: 'x',
        routing: { tags: ['secret'] },
      }),
      await post(at.gateway, 'free', '/v1/files?provider=away', fileForm(), { 'x-pointsman-tags': 'secret' }),
      await post(
        at.gateway,
        'free',
        '/v1/messages/count_tokens',
        { model: 'anth/claude', messages },
        { 'x-pointsman-tags': 'secret' },
      ),
    ];
    expect(said.map(({ status }) => status)).toEqual([403, 403, 403, 403, 403, 403]);
    expect(at.calls()).toEqual([]);
  });
});

test('a rule about messages holds for counting their tokens', async () => {
  const policy = 'version: 1\nrules:\n  - {name: r, when: {surfaces: [messages]}, providers: {allow: [home]}}\n';
  const at = await houses({ policy });
  const counted = await post(at.gateway, 'free', '/v1/messages/count_tokens', { model: 'anth/claude', messages });
  expect(counted.status).toBe(403);
  expect(at.calls()).toEqual([]);
  const other = await houses({ policy: policy.replace('messages', 'chat') });
  const free = await post(other.gateway, 'free', '/v1/messages/count_tokens', { model: 'anth/claude', messages });
  expect(await jsonOf(free)).toEqual({ input_tokens: 4711 });
});

/** An endpoint that judges answers, and counts who comes. */
async function judge() {
  let asked = 0;
  const server = createServer((request, response) => {
    asked++;
    request.resume();
    sendJson(response, { ok: true, score: 1 });
  });
  server.on('connection', () => asked++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  atEnd(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const egress = { allow: [`127.0.0.1:${port}`], allowPrivate: true };
  return { url: `http://127.0.0.1:${port}/judge`, egress, asked: () => asked };
}

describe('a verifier elsewhere', () => {
  const NAMED =
    'version: 1\nrules:\n  - {name: r, when: {tags: [secret]}, providers: {allow: [home]}, verifiers: {allow: [mine]}}\n';

  test.each([
    ['is told nothing under a rule about providers', undefined, 0],
    ['is told where the rule names it', NAMED, 2],
  ])('%s', async (_, policy, times) => {
    const { url, egress, asked } = await judge();
    const config = { egress, verifiers: [{ name: 'mine', kind: 'http', url }] };
    for (const [who, expected] of [
      ['free', 2],
      ['bound', times],
    ] as const) {
      const before = asked();
      const at = await houses({ config, ...(policy && { policy }), models: preferring('home/good') });
      await (await ask(at, who, { model: 'auto' })).text();
      await at.gateway.gateway.afterwork.stop(10_000);
      expect(asked() - before).toBe(expected);
    }
  });

  test('that escalation asks is told nothing, either', async () => {
    const { url, egress, asked } = await judge();
    const config = { egress, escalation: { enabled: true, verifierUrl: url } };
    for (const [who, expected] of [
      ['free', 2],
      ['bound', 0],
    ] as const) {
      const before = asked();
      const at = await houses({ config, models: preferring('home/good') });
      expect((await ask(at, who, { model: 'auto' })).status).toBe(200);
      expect(asked() - before).toBe(expected);
    }
  });
});

describe('what is filtered', () => {
  test('keeps its reason in the decision', async () => {
    const at = await houses();
    const answer = await ask(at, 'bound', { model: 'auto' });
    expect((await jsonOf(answer)).model).toBe('home/good');
    const options: unknown[] = [];
    const { current } = at.gateway.gateway.holder;
    at.gateway.gateway.holder.current = {
      ...current,
      route: (request, given) => {
        options.push(given);
        return current.route(request, given);
      },
    };
    await ask(at, 'bound', { model: 'auto' });
    expect(options[0]).toMatchObject({ allowed: ['home/good'], forbidden: ['away/best', 'away/judge'] });
  });

  test('whole, is refused by the rule’s name, and not for want of a candidate', async () => {
    const policy = 'version: 1\nrules:\n  - {name: nowhere, when: {tags: [secret]}, regions: {allow: [eu]}}\n';
    const at = await houses({ policy });
    const { error } = await jsonOf(ask(at, 'bound', { model: 'auto' }));
    expect(error).toMatchObject({ code: 'POLICY_REFUSED', type: 'permission_error' });
    expect(error.message).toMatch(/rule nowhere of the policy .* nobody has said in which region away computes/);
    expect(at.home.seen).toEqual([]);
  });

  test('is not listed for the key', async () => {
    const at = await houses();
    const ids = async (who: Who) =>
      (await jsonOf(get(at.gateway, who, '/v1/models'))).data.map((m: { id: string }) => m.id);
    expect(await ids('free')).toEqual(['auto', 'away/best', 'home/good', 'away/judge']);
    expect(await ids('bound')).toEqual(['auto', 'home/good']);
  });

  test('is not there for observe mode, either', async () => {
    const at = await houses({ config: { observe: { share: 1 } } });
    for (const who of ['free', 'bound'] as const) await (await ask(at, who, { model: 'home/good' })).text();
    expect(at.gateway.decisions.map(({ observed }) => observed?.model)).toEqual(['away/best', 'home/good']);
  });
});

describe('the version of the policy', () => {
  test('is on record with every decision made under it', async () => {
    const at = await houses();
    await (await ask(at, 'free', { model: 'auto' })).text();
    await (await post(at.gateway, 'free', '/v1/moderations', { model: 'home/mod', input: 'x' })).text();
    const { version } = at.gateway.gateway.governance.policies.inForce;
    expect(version).toBeGreaterThan(2 ** 46);
    expect(at.gateway.decisions.map(({ policyVersion }) => policyVersion)).toEqual([version, version]);
    const without = await houses({ policy: null });
    await (await ask(without, 'free', { model: 'auto' })).text();
    expect(without.gateway.decisions.map(({ policyVersion }) => policyVersion)).toEqual([null]);
  });
});

describe('past all filters, by a fault of ours,', () => {
  /** As if no rule were heeded where targets are looked for. */
  const blind = ({ gateway: { gateway } }: Houses) => {
    const { models } = gateway.setup;
    const resolve = models.resolve;
    const unruled = (caller: object) => ({ ...caller, rules: { ...OPEN } });
    Object.assign(models, {
      resolve: (model: string, caller: object) => resolve(model, unruled(caller) as never),
      isOutOfReach: () => false,
      isForbidden: () => false,
    });
  };
  const OPEN = { refusalOf: () => null, allows: () => true };

  test.each([
    ['a model that is named', 'a model that the client names'],
    ['auto', 'auto'],
    ['a stream', 'a stream of auto'],
    ['fail-over', 'fail-over to another model'],
    ['a hedge', 'a hedge'],
    ['an escalation', 'an escalation to a better model'],
    ['embeddings', 'embeddings'],
    ['counting of tokens', 'counting of tokens'],
    ['a turn that goes on', 'a turn that goes on with a stored response'],
    ['speech', 'speech'],
    ['a transcription', 'a transcription'],
    ['a judge', 'the judge of an audit'],
  ] as const)('%s is stopped before a byte has left', async (_, name) => {
    const { call, status: __, reaches: ___, ...options } = KINDS[name]!;
    const at = await houses(options);
    blind(at);
    const answer = await call(at, 'bound');
    const text = await answer.text();
    expect(at.calls()).toEqual([]);
    // What is done when the answer is out fails by itself.
    if (name === 'the judge of an audit') expect(answer.status).toBe(200);
    else expect(text).toMatch(/POLICY_REFUSED|rule stays home of the policy/);
  });

  const rules = () => {
    const { document } = readPolicyText(STAYS_HOME);
    const subject = { team: 't', project: null, key: null, tags: ['secret'], added: [], surface: 'chat' };
    return compilePolicy(document!, 1).rulesFor(subject);
  };

  test('what a provider holds is not asked for, nor a further page of it, nor a batch run', async () => {
    const at = await houses();
    const { gateway } = at.gateway;
    const provider = gateway.setup.providers.get('away')!;
    const target = {
      id: 'away',
      upstreamModel: '',
      provider,
      credential: provider.credentials[0]!,
      candidate: undefined,
      deployment: 'away',
    };
    const entrant = { caller: { ...ANYBODY, rules: rules() } };
    const passage = {
      gateway,
      entrant,
      targets: [target],
      method: 'GET',
      path: '/files',
      note() {},
    } as unknown as Underway;
    const life = new RequestLife(10_000);
    for (const more of [{}, { runsAnything: true }]) {
      const calls = new Calls({ ...passage, ...more }, { id: 'd' } as never, life);
      await expect(calls.open()).rejects.toMatchObject({ code: 'POLICY_REFUSED' });
      await expect(calls.again(target, '/files?after=x')).rejects.toMatchObject({ code: 'POLICY_REFUSED' });
    }
    life.end();
    expect(at.calls()).toEqual([]);
  });

  test('a verifier is not told', async () => {
    const sent: unknown[] = [];
    const egress = { postJson: async (...said: unknown[]) => sent.push(said) };
    const { signal } = new AbortController();
    const question = { verifier: 'mine', decisionId: 'd', model: 'm', surface: 'chat', request: {}, answer: {} };
    await expect(scoreFrom('http://v', question, { egress, signal, rules: rules() })).rejects.toMatchObject({
      code: 'POLICY_REFUSED',
    });
    const unchecked: unknown[] = [];
    const answer = { whole: { blocks: [{ type: 'text', text: 'x' }], finish: 'stop' }, text: '{}' };
    const checking = {
      config: { verifierUrl: 'http://v', minTokenProbability: 0 },
      conversation: { tools: [], turns: [], system: [], only: [] },
      onUnchecked: ({ code }: { code: string }) => unchecked.push(code),
    };
    await faultOf(answer as never, 'm', { ...checking, egress, question, signal, rules: rules() } as never);
    expect(unchecked).toEqual(['POLICY_REFUSED']);
    expect(sent).toEqual([]);
  });
});
