// biome-ignore-all lint/suspicious/noTemplateCurlyInString: placeholders are what is written
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { RoutingError } from '../../../datasets/index.ts';
import { importLiteLlm } from '../../../server/cli/import-litellm/index.ts';
import { parseConfig } from '../../../server/config/index.ts';
import { programFile } from '../../run/shared.ts';

const PROGRAM = await programFile();

/** Imports a file, checks that the result is a configuration once its variables are set, and gives both. */
function imported(text: string) {
  const { yaml, variables, left } = importLiteLlm(text, 'config.yaml');
  const env = Object.fromEntries(variables.map((name) => [name, `https://${name}.example/0123456789`]));
  return { config: parseConfig(yaml, 'out.yaml', { env }), plain: parse(yaml), yaml, variables, left };
}

const COMPANY = `
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt-4o-eu
      api_base: https://acme-europe.openai.azure.com/
      api_key: os.environ/AZURE_API_KEY_EU
      api_version: "2024-10-21"
      rpm: 60
    model_info:
      base_model: azure/gpt-4o
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt-4o-ca
      api_base: https://acme-canada.openai.azure.com
      api_key: plain-azure-key-of-canada
      rpm: 180
  - model_name: gpt-4o
    litellm_params: {model: gpt-4o, api_key: os.environ/OPENAI_API_KEY, rpm: 60}
  - model_name: claude
    litellm_params: {model: anthropic/claude-sonnet-5-5, api_key: os.environ/ANTHROPIC_API_KEY, temperature: 0.2}
  - model_name: claude
    litellm_params:
      model: bedrock/converse/us.anthropic.claude-sonnet-5-5-v1:0
      aws_region_name: us-east-1
      aws_access_key_id: AKIAPLAINPLAINPLAIN
      aws_secret_access_key: os.environ/AWS_SECRET_ACCESS_KEY
  - model_name: small
    litellm_params: {model: hosted_vllm/acme/small-8b, api_base: http://gpu-1.acme.internal:8000/v1, api_key: none}
  - model_name: embed
    litellm_params: {model: text-embedding-3-small}
    model_info: {mode: embedding}
router_settings:
  routing_strategy: simple-shuffle
  model_group_alias:
    gpt-4: gpt-4o
    Claude: {model: claude, hidden: true}
  num_retries: 4
  timeout: 30
  fallbacks: [{gpt-4o: [claude]}]
litellm_settings:
  drop_params: true
  num_retries: 1
  request_timeout: 900
general_settings:
  master_key: sk-1234
environment_variables:
  LANGFUSE_SECRET_KEY: planted-langfuse-secret
`;

test('turns a company’s file into ours', () => {
  const { plain, variables, left } = imported(COMPANY);
  expect(plain).toEqual({
    providers: {
      azure: { resource: 'acme-europe', apiVersion: '2024-10-21', apiKeyEnv: 'AZURE_API_KEY_EU' },
      'azure-2': { type: 'azure', resource: 'acme-canada', apiKeyEnv: 'AZURE_2_API_KEY' },
      openai: { apiKeyEnv: 'OPENAI_API_KEY' },
      anthropic: { apiKeyEnv: 'ANTHROPIC_API_KEY' },
      'amazon-bedrock': { region: 'us-east-1' },
      vllm: { baseUrl: 'http://gpu-1.acme.internal:8000/v1' },
    },
    models: {
      // What base_model says it is; rpm are the weights of LiteLLM's simple-shuffle.
      'openai/gpt-4o': [
        { provider: 'azure', model: 'gpt-4o-eu', weight: 60 },
        { provider: 'azure-2', model: 'gpt-4o-ca', weight: 180 },
        { provider: 'openai', weight: 60 },
      ],
      'anthropic/claude-sonnet-5-5': [
        { provider: 'anthropic' },
        { provider: 'amazon-bedrock', model: 'us.anthropic.claude-sonnet-5-5-v1:0' },
      ],
    },
    aliases: {
      'gpt-4o': 'openai/gpt-4o',
      claude: 'anthropic/claude-sonnet-5-5',
      small: 'vllm/acme/small-8b',
      embed: 'openai/text-embedding-3-small',
      'gpt-4': 'gpt-4o',
      Claude: 'claude',
    },
    fallbacks: { 'gpt-4o': ['claude'] },
    keys: [{ name: 'master', key: '${LITELLM_MASTER_KEY}' }],
    // The router's own settings win over litellm_settings, as in LiteLLM.
    timeouts: { answerMs: 30_000 },
    retry: { retries: 4 },
  });
  expect(variables).toEqual([
    'ANTHROPIC_API_KEY',
    'AZURE_2_API_KEY',
    'AZURE_API_KEY_EU',
    'LITELLM_MASTER_KEY',
    'OPENAI_API_KEY',
  ]);
  expect(left).toEqual([
    'model_list[1] (gpt-4o).api_key: stands in the file in plain text and was not copied; set AZURE_2_API_KEY to it',
    'model_list[3] (claude).temperature: defaults for requests have no counterpart; clients send it themselves',
    'model_list[4] (claude).aws_access_key_id: not copied; set AWS_ACCESS_KEY_ID, where the cloud’s own library looks for it',
    'rpm, tpm: taken for weights between deployments of one model; they are no limits here',
    'model_group_alias.Claude.hidden: aliases are always listed',
    'litellm_settings.drop_params: auto sends each model what it understands; a named model gets what the client sent',
    'general_settings.master_key: stands in the file in plain text and was not copied; set LITELLM_MASTER_KEY to it',
    'general_settings.master_key: may call models, not administer; LITELLM_MASTER_KEY must hold 16 characters or more',
    'environment_variables.LANGFUSE_SECRET_KEY: not copied; set it where the gateway is started',
  ]);
});

describe('a provider', () => {
  const provider = (params: string) => {
    const { plain, left } = imported(`model_list: [{model_name: m, litellm_params: {${params}}}]`);
    return { providers: plain.providers, id: plain.aliases?.m, left };
  };

  test.each([
    ['model: openai/gpt-6-luna', { openai: { apiKeyEnv: 'OPENAI_API_KEY' } }, 'openai/gpt-6-luna'],
    ['model: gpt-6-luna', { openai: { apiKeyEnv: 'OPENAI_API_KEY' } }, 'openai/gpt-6-luna'],
    ['model: o3-mini', { openai: { apiKeyEnv: 'OPENAI_API_KEY' } }, 'openai/o3-mini'],
    ['model: claude-haiku-5-5', { anthropic: { apiKeyEnv: 'ANTHROPIC_API_KEY' } }, 'anthropic/claude-haiku-5-5'],
    ['model: gemini/gemini-2.5-pro', { google: { apiKeyEnv: 'GEMINI_API_KEY' } }, 'google/gemini-2.5-pro'],
    ['model: mistral/mistral-small-2603', { mistral: { apiKeyEnv: 'MISTRAL_API_KEY' } }, 'mistral/mistral-small-2603'],
    ['model: groq/llama-3.1-8b-instant', { groq: { apiKeyEnv: 'GROQ_API_KEY' } }, 'groq/llama-3.1-8b-instant'],
    ['model: deepseek/deepseek-chat', { deepseek: { apiKeyEnv: 'DEEPSEEK_API_KEY' } }, 'deepseek/deepseek-chat'],
    ['model: xai/grok-4.3', { xai: { apiKeyEnv: 'XAI_API_KEY' } }, 'xai/grok-4.3'],
    ['model: moonshot/kimi-k3', { moonshotai: { apiKeyEnv: 'MOONSHOT_API_KEY' } }, 'moonshotai/kimi-k3'],
    ['model: minimax/MiniMax-M3', { minimax: { apiKeyEnv: 'MINIMAX_API_KEY' } }, 'minimax/MiniMax-M3'],
    ['model: zai/glm-5.3', { zai: { apiKeyEnv: 'ZAI_API_KEY' } }, 'zai/glm-5.3'],
    ['model: dashscope/qwen3.7-max', { alibaba: { apiKeyEnv: 'DASHSCOPE_API_KEY' } }, 'alibaba/qwen3.7-max'],
    ['model: cerebras/gpt-oss-120b', { cerebras: { apiKeyEnv: 'CEREBRAS_API_KEY' } }, 'cerebras/gpt-oss-120b'],
    ['model: cohere_chat/command-a', { cohere: { apiKeyEnv: 'COHERE_API_KEY' } }, 'cohere/command-a'],
    ['model: command-r', { cohere: { apiKeyEnv: 'COHERE_API_KEY' } }, 'cohere/command-r'],
    // LiteLLM's own names for the variables, where they are not ours.
    [
      'model: together_ai/zai-org/GLM-5.2',
      { together: { apiKeyEnv: 'TOGETHERAI_API_KEY' } },
      'together/zai-org/GLM-5.2',
    ],
    [
      'model: fireworks_ai/accounts/fireworks/models/gpt-oss-20b',
      { fireworks: { apiKeyEnv: 'FIREWORKS_AI_API_KEY' } },
      'fireworks/accounts/fireworks/models/gpt-oss-20b',
    ],
    [
      'model: openrouter/anthropic/claude-haiku-4.5',
      { openrouter: { apiKeyEnv: 'OPENROUTER_API_KEY' } },
      'openrouter/anthropic/claude-haiku-4.5',
    ],
    // An address without a version for those to which LiteLLM adds it.
    [
      'model: ollama_chat/llama3.3, api_base: "http://localhost:11434"',
      { ollama: { baseUrl: 'http://localhost:11434/v1' } },
      'ollama/llama3.3',
    ],
    [
      'model: anthropic/claude-x, api_base: "https://claude.acme.com/", api_key: os.environ/K',
      { anthropic: { baseUrl: 'https://claude.acme.com/v1', apiKeyEnv: 'K' } },
      'anthropic/claude-x',
    ],
    [
      'model: lm_studio/qwen, api_base: "http://localhost:1234/v1"',
      { lmstudio: { baseUrl: 'http://localhost:1234/v1' } },
      'lmstudio/qwen',
    ],
    // `openai/` with an address is any compatible host.
    [
      'model: openai/facebook/opt-125m, api_base: "http://0.0.0.0:4000/v1", api_key: none',
      { 'local-4000': { baseUrl: 'http://0.0.0.0:4000/v1' } },
      'local-4000/facebook/opt-125m',
    ],
    [
      'model: my-model, custom_llm_provider: openai, api_base: "https://llm.acme.com/v1", api_key: os.environ/ACME',
      { 'llm-acme-com': { baseUrl: 'https://llm.acme.com/v1', apiKeyEnv: 'ACME' } },
      'llm-acme-com/my-model',
    ],
    [
      'model: openai/gpt-4o, api_base: os.environ/PROXY_BASE, api_key: os.environ/K',
      { 'proxy-base': { baseUrl: '${PROXY_BASE}', apiKeyEnv: 'K' } },
      'proxy-base/gpt-4o',
    ],
    [
      'model: openai/gpt-4o, api_base: "https://api.openai.com/v1"',
      { openai: { baseUrl: 'https://api.openai.com/v1', apiKeyEnv: 'OPENAI_API_KEY' } },
      'openai/gpt-4o',
    ],
    [
      'model: openai/gpt-4o, organization: org-acme',
      { openai: { apiKeyEnv: 'OPENAI_API_KEY', headers: { 'OpenAI-Organization': 'org-acme' } } },
      'openai/gpt-4o',
    ],
    // The clouds.
    [
      'model: vertex_ai/gemini-2.5-pro, vertex_project: acme-prod, vertex_location: europe-west1',
      { 'google-vertex': { project: 'acme-prod', region: 'europe-west1' } },
      'google-vertex/gemini-2.5-pro',
    ],
    [
      'model: bedrock/invoke/anthropic.claude-x, aws_profile_name: prod, aws_region_name: os.environ/AWS_REGION_NAME',
      { 'amazon-bedrock': { region: '${AWS_REGION_NAME}', profile: 'prod' } },
      'amazon-bedrock/anthropic.claude-x',
    ],
    [
      'model: bedrock/us.amazon.nova-pro-v1:0, api_key: os.environ/AWS_BEARER_TOKEN_BEDROCK',
      { 'amazon-bedrock': { apiKeyEnv: 'AWS_BEARER_TOKEN_BEDROCK' } },
      'amazon-bedrock/us.amazon.nova-pro-v1:0',
    ],
    [
      'model: azure/chat, api_base: os.environ/AZURE_API_BASE, api_key: os.environ/AZURE_API_KEY',
      { azure: { baseUrl: '${AZURE_API_BASE}/openai', apiKeyEnv: 'AZURE_API_KEY' } },
      'azure/chat',
    ],
    [
      'model: azure/chat, api_base: "https://apim.acme.com/openai", api_version: v1',
      { azure: { baseUrl: 'https://apim.acme.com/openai', apiKeyEnv: 'AZURE_API_KEY' } },
      'azure/chat',
    ],
  ])('%s', (params, providers, id) => {
    expect(provider(params)).toMatchObject({ providers, id });
  });

  test.each([
    [
      'model: sagemaker/endpoint',
      'no provider sagemaker here; if it speaks the OpenAI protocol, name it under providers',
    ],
    ['model: some-name', 'no provider of that name here'],
    ['model: hosted_vllm/m', 'no api_base: the file does not say where it is called'],
    ['model: vertex_ai/meta/llama-4', 'of Vertex AI only Gemini and Claude can be called'],
  ])('%s is left, with the reason', (params, reason) => {
    const { left } = imported(`model_list: [{model_name: m, litellm_params: {${params}}}]`);
    expect(left[0]).toContain(`model_list[0] (m): ${reason}`);
  });

  test('whose address is none is left', () => {
    const { plain, left } = imported(
      'model_list: [{model_name: m, litellm_params: {model: ollama/mistral, api_base: your_ollama_api_base}}]',
    );
    expect(plain).toEqual({});
    expect(left[0]).toBe(
      'model_list[0] (m).api_base: no http:// or https:// address, so the file does not say where it is called',
    );
  });

  test('is one where address and key are the same, and several where they are not', () => {
    const { plain } = imported(`
model_list:
  - {model_name: a, litellm_params: {model: openai/a, api_key: os.environ/ONE}}
  - {model_name: b, litellm_params: {model: openai/b, api_key: os.environ/ONE}}
  - {model_name: c, litellm_params: {model: openai/c, api_key: os.environ/TWO}}
  - {model_name: d, litellm_params: {model: openai/d, litellm_credential_name: shared}}
credential_list:
  - credential_name: shared
    credential_values: {api_key: os.environ/TWO}
    credential_info: {description: production}
`);
    expect(plain.providers).toEqual({ openai: { apiKeyEnv: 'ONE' }, 'openai-2': { type: 'openai', apiKeyEnv: 'TWO' } });
    // The model is OpenAI's whichever key it is called with: its price is known by that id.
    expect(plain.models).toEqual({ 'openai/c': [{ provider: 'openai-2' }], 'openai/d': [{ provider: 'openai-2' }] });
    expect(plain.aliases).toEqual({ a: 'openai/a', b: 'openai/b', c: 'openai/c', d: 'openai/d' });
  });
});

describe('models of one name', () => {
  const deployments = (params: string[]) => {
    const list = params.map((each) => `  - {model_name: m, litellm_params: {${each}}}`).join('\n');
    const { plain, left } = imported(`model_list:\n${list}`);
    return { list: Object.values(plain.models ?? {})[0], left };
  };

  test('share by weight, else rpm, else tpm, else alike', () => {
    const weights = (...options: string[]) =>
      (
        deployments(options.map((option, i) => `model: ${i === 0 ? 'openai' : 'groq'}/x${option}`)).list as {
          weight?: number;
        }[]
      ).map(({ weight }) => weight);
    expect(weights(', weight: 9, rpm: 1', ', weight: 1, rpm: 100')).toEqual([9, undefined]);
    expect(weights(', rpm: 10, tpm: 1', ', rpm: 20, tpm: 1')).toEqual([10, 20]);
    expect(weights(', tpm: 1000', ', tpm: 3000')).toEqual([1000, 3000]);
    expect(weights(', rpm: 7', ', rpm: 7')).toEqual([undefined, undefined]);
    expect(weights('', '')).toEqual([undefined, undefined]);
  });

  test('of a later order, or of no weight beside others, are drawn rarely, and that is said', () => {
    const { list, left } = deployments([
      'model: openai/x, order: 1, weight: 5',
      'model: groq/x, order: 2, weight: 5',
      'model: xai/x, order: 1, weight: 0',
      'model: zai/x, order: 1',
    ]);
    expect(list).toEqual([
      { provider: 'openai', weight: 5 },
      { provider: 'groq', weight: 0.001 },
      { provider: 'xai', weight: 0.001 },
      { provider: 'zai', weight: 0.001 },
    ]);
    expect(left.slice(0, 3)).toEqual([
      'model_list[1] (m).order: deployments are drawn by weight and health; it is drawn rarely (weight 0.001)',
      'model_list[2] (m).weight: none or 0 beside others; it is drawn rarely (weight 0.001)',
      'model_list[3] (m).weight: none or 0 beside others; it is drawn rarely (weight 0.001)',
    ]);
  });

  test('that are one deployment twice are one, with both weights', () => {
    expect(
      deployments(['model: openai/x, weight: 2', 'model: openai/x, weight: 3', 'model: groq/x, weight: 1']).list,
    ).toEqual([{ provider: 'openai', weight: 5 }, { provider: 'groq' }]);
  });

  test('keep an id of their own where two names hold the same model differently', () => {
    const { plain } = imported(`
model_list:
  - {model_name: fast, litellm_params: {model: openai/x}}
  - {model_name: safe, litellm_params: {model: openai/x}}
  - {model_name: safe, litellm_params: {model: azure/x, api_base: "https://a.openai.azure.com"}}
  - {model_name: same, litellm_params: {model: openai/x}}
`);
    expect(plain.aliases).toEqual({ fast: 'openai/x', safe: 'azure/x', same: 'openai/x' });
    expect(plain.models).toEqual({ 'azure/x': [{ provider: 'openai' }, { provider: 'azure' }] });
  });

  test('named like an id are that id', () => {
    const { plain } = imported(`
model_list:
  - {model_name: anthropic/claude-x, litellm_params: {model: bedrock/anthropic.claude-x, aws_region_name: us-east-1}}
  - {model_name: openai/gpt-x, litellm_params: {model: openai/gpt-x}}
router_settings: {fallbacks: [{openai/gpt-x: [anthropic/claude-x]}]}
`);
    expect(plain.models).toEqual({
      'anthropic/claude-x': [{ provider: 'amazon-bedrock', model: 'anthropic.claude-x' }],
    });
    expect(plain.aliases).toBeUndefined();
    expect(plain.fallbacks).toBeUndefined();
  });

  test('named with * need no entry, or cannot have one', () => {
    const { plain, left } = imported(`
model_list:
  - {model_name: "*", litellm_params: {model: "*"}}
  - {model_name: "xai/*", litellm_params: {model: "xai/*", api_key: os.environ/XAI_API_KEY}}
  - {model_name: "eu-*", litellm_params: {model: "groq/eu-*"}}
  - {model_name: auto, litellm_params: {model: openai/x}}
`);
    expect(plain.providers).toEqual({ xai: { apiKeyEnv: 'XAI_API_KEY' }, groq: { apiKeyEnv: 'GROQ_API_KEY' } });
    expect(left).toEqual([
      'model_list[0] (*): not needed: a provider is on when its key is set, and each of its models is PROVIDER/MODEL',
      'model_list[1] (xai/*): not needed: each model of xai is xai/MODEL',
      'model_list[2] (eu-*): names with * cannot be rewritten: each model of groq is groq/MODEL',
      'model_list[3] (auto): this name always asks for a routed answer here; give it another',
      'general_settings: no master_key: without keys everybody who reaches the gateway may call it',
    ]);
  });
});

describe('settings', () => {
  const base =
    'model_list: [{model_name: a, litellm_params: {model: openai/a}}, {model_name: b, litellm_params: {model: xai/b}}]\n';

  test('fall-backs of all names are those of each that has none of its own', () => {
    const { plain, left } = imported(
      `${base}litellm_settings: {fallbacks: [{a: [b, c, {model: d}]}, {e: [a]}], default_fallbacks: [a]}`,
    );
    expect(plain.fallbacks).toEqual({ a: ['b'], b: ['a'] });
    expect(left).toContain('fallbacks.a: c is no model here');
    expect(left).toContain('fallbacks.a: only names of models are understood');
    expect(left).toContain('fallbacks.e: no such model here');
    expect(imported(`${base}router_settings: {fallbacks: [{"*": [b]}]}`).plain.fallbacks).toEqual({ a: ['b'] });
  });

  test('waits are seconds there and milliseconds here; a longer wait than ten minutes lengthens the whole', () => {
    const { plain } = imported(
      `${base}router_settings: {timeout: 1200, stream_timeout: 2.5, stream_idle_timeout: 20, retry_after: 15, keepalive_seconds: 10, num_retries: 99}\nlitellm_settings: {ssl_verify: /etc/ca.pem}`,
    );
    expect(plain).toMatchObject({
      timeouts: { answerMs: 1_200_000, totalMs: 1_200_000, firstByteMs: 2500, idleMs: 20_000 },
      retry: { retries: 10, firstPauseMs: 15_000, longestPauseMs: 15_000 },
      pingMs: 10_000,
      caFile: '/etc/ca.pem',
    });
  });

  test('that have no counterpart are each named, with what is done instead where there is something', () => {
    const { left } = imported(`${base}
router_settings: {routing_strategy: latency-based-routing, allowed_fails: 3, redis_host: h, redis_password: planted-redis, timeout: soon}
litellm_settings: {cache: true, context_window_fallbacks: [{a: [b]}], something_new: 1, ssl_verify: false}
general_settings: {database_url: "postgresql://u:planted-db@h/d", alerting: [slack]}
guardrails: [{guardrail_name: x}]
include: [more.yaml]
`);
    for (const start of [
      'routing_strategy: deployments are drawn by weight and health',
      'timeout: must be a number of seconds',
      'router_settings.allowed_fails: a model that keeps failing',
      'router_settings.redis_host: replicas share',
      'router_settings.redis_password: replicas share',
      'litellm_settings.cache: answers are cached where a policy says so: pointsman policy example',
      'litellm_settings.context_window_fallbacks: auto goes to a model that fits',
      'litellm_settings.something_new: no counterpart',
      'ssl_verify: certificates are always checked',
      'general_settings.database_url: LiteLLM’s own tables',
      'general_settings.alerting: no counterpart',
      'guardrails: no counterpart',
      'include: import those files, too',
    ]) {
      expect(left.filter((line) => line.startsWith(start))).toHaveLength(1);
    }
  });
});

describe('secrets', () => {
  const PLANTED = `
model_list:
  - model_name: a
    litellm_params: {model: openai/a, api_key: planted-1, extra_headers: {Authorization: Bearer planted-2, x-team: search}}
  - model_name: b
    litellm_params: {model: openai/b, api_key: planted-3}
  - model_name: c
    litellm_params: {model: openai/c, api_key: planted-1, organization: org-1}
  - model_name: d
    litellm_params: {model: hosted_vllm/d, api_base: "https://user:planted-4@host.example/v1?key=planted-5"}
  - model_name: e
    litellm_params:
      model: bedrock/e
      aws_region_name: us-east-1
      aws_access_key_id: planted-6
      aws_secret_access_key: planted-7
      aws_session_token: planted-8
  - model_name: f
    litellm_params: {model: vertex_ai/gemini-x, vertex_project: p, vertex_credentials: '{"private_key": "planted-9"}'}
  - model_name: g
    litellm_params: {model: azure/g, api_base: "https://g.openai.azure.com", azure_ad_token: planted-10, client_secret: planted-11}
  - {model_name: h, litellm_params: {model: openai/h, litellm_credential_name: shared}}
  - {model_name: i, litellm_params: {model: openai/i}}
credential_list: [{credential_name: shared, credential_values: {api_key: planted-12}, credential_info: {}}]
router_settings: {redis_password: planted-13}
litellm_settings: {cache_params: {password: planted-14}}
general_settings: {master_key: planted-15, database_url: "postgresql://u:planted-16@h/d"}
environment_variables: {OPENAI_API_KEY_2: planted-17}
`;

  test('are in neither the result nor the list, whatever they stand in', () => {
    const { yaml, left } = imported(PLANTED);
    expect(yaml + left.join('\n')).not.toContain('planted');
    expect(left).toContain(
      'model_list[3] (d).api_base: only scheme, host and path were copied; what else stood there could be a secret',
    );
  });

  test('have a variable each, none that means something else in the file', () => {
    const { plain } = imported(PLANTED);
    // OPENAI_API_KEY is where the key of i comes from, so it cannot be that of a.
    expect(plain.providers).toMatchObject({
      openai: {
        apiKeyEnv: 'OPENAI_API_KEY_3',
        headers: { Authorization: '${HEADER_AUTHORIZATION}', 'x-team': 'search' },
      },
      'openai-2': { apiKeyEnv: 'OPENAI_2_API_KEY' },
      // The same key is the same variable.
      'openai-3': { apiKeyEnv: 'OPENAI_API_KEY_3', headers: { 'OpenAI-Organization': 'org-1' } },
      'openai-4': { apiKeyEnv: 'OPENAI_4_API_KEY' },
      'openai-5': { apiKeyEnv: 'OPENAI_API_KEY' },
    });
  });
});

describe('what is no configuration of LiteLLM’s', () => {
  test.each([
    ['', 'config.yaml:1:1: LiteLLM'],
    ['{}', 'config.yaml: has none of LiteLLM’s sections'],
    ['just words', 'config.yaml:1:1: '],
    ['model_list: [', 'config.yaml:1:14: '],
    ['model_list:\n  - model_name: a', 'config.yaml:2:5: model_list.0.litellm_params: '],
    ['model_list:\n  - {model_name: a, litellm_params: {}}', 'config.yaml:2:21: model_list.0.litellm_params.model: '],
    ['model_list: {a: b}', 'config.yaml:1:1: model_list: '],
    ['router_settings: 7', 'config.yaml:1:1: router_settings: '],
  ])('%j is refused with the line', (text, message) => {
    expect(() => importLiteLlm(text, 'config.yaml')).toThrow(RoutingError);
    expect(() => importLiteLlm(text, 'config.yaml')).toThrow(message);
  });

  test('whatever stands in the options, the result is a configuration', () => {
    const word = fc.constantFrom(
      'gpt',
      'a b',
      'openai/x',
      'auto',
      '*',
      'azure/y',
      'x/y/z',
      'ü',
      '',
      'os.environ/A',
      '__proto__',
    );
    const value = fc.oneof(
      word,
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      fc.array(word),
      fc.dictionary(word, word),
    );
    const options = fc.dictionary(
      fc.constantFrom(
        'model',
        'api_key',
        'api_base',
        'weight',
        'rpm',
        'order',
        'extra_headers',
        'organization',
        'api_version',
        'aws_region_name',
        'custom_llm_provider',
        'vertex_project',
      ),
      value,
    );
    const config = fc.record({
      model_list: fc.array(fc.record({ model_name: word, litellm_params: options }), { maxLength: 5 }),
      router_settings: fc.dictionary(
        fc.constantFrom('fallbacks', 'model_group_alias', 'timeout', 'num_retries', 'default_fallbacks'),
        value,
      ),
      general_settings: fc.dictionary(fc.constantFrom('master_key'), value),
    });
    fc.assert(
      fc.property(config, (some) => {
        let text: string;
        try {
          text = importLiteLlm(JSON.stringify(some), 'f').yaml;
        } catch (error) {
          if (error instanceof RoutingError) return;
          throw error;
        }
        const variables = [...text.matchAll(/\$\{(\w+)\}/g)].map(([, name]) => [name, 'https://x.example/0123456789']);
        parseConfig(text, 'out', { env: Object.fromEntries(variables) });
      }),
      { numRuns: 200 },
    );
  });
});

describe('pointsman import litellm', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pointsman-import-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'config.yaml');
  writeFileSync(file, COMPANY);
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [PROGRAM, 'import', 'litellm', ...args], {
      encoding: 'utf8',
      cwd: folder,
    });

  test('prints the result, and what was left to stderr, one line each', () => {
    const { status, stdout, stderr } = run(file);
    expect(status).toBe(0);
    const { yaml, left } = importLiteLlm(COMPANY, file);
    expect(stdout).toBe(yaml);
    expect(stderr.trimEnd().split('\n')).toEqual(left);
  });

  test('writes a file, but never over one that is there', () => {
    const out = join(folder, 'pointsman.yaml');
    expect(run(file, '--out', out)).toMatchObject({ status: 0, stdout: '' });
    expect(readFileSync(out, 'utf8')).toBe(importLiteLlm(COMPANY, file).yaml);
    writeFileSync(out, 'mine');
    const again = run(file, '--out', out);
    expect(again).toMatchObject({ status: 2, stdout: '' });
    expect(again.stderr).toContain('is there already');
    expect(readFileSync(out, 'utf8')).toBe('mine');
  });

  test('says which file is missing', () => {
    const { status, stderr } = run(join(folder, 'none.yaml'));
    expect(status).toBe(2);
    expect(stderr).toContain('none.yaml: no such file');
    expect(existsSync(join(folder, 'none.yaml'))).toBe(false);
  });
});
