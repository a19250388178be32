/** `GET /v1/models`: `auto` and every model that can be called by name, in the form that the client's protocol has. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { type Candidate, providerOf } from '../../datasets/catalog/candidate.ts';
import { RoutingError } from '../../datasets/index.ts';
import { type Caller, isAmong } from '../callers.ts';
import type { Gateway } from '../gateway.ts';
import { refuseAuto } from './exchange.ts';

export function modelsRoute(app: FastifyInstance, gateway: Gateway): void {
  app.get('/v1/models', async (request) => {
    const list = listed(gateway, request);
    if (!isAnthropics(request)) return { object: 'list', data: list };
    const data = list.map(forAnthropic);
    return { data, has_more: false, first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null };
  });

  // A model id holds slashes, and clients send them bare or escaped.
  app.get<{ Params: { '*': string } }>('/v1/models/*', async (request) => {
    const id = request.params['*'];
    const known = listed(gateway, request).find((model) => model.id === id);
    if (known !== undefined) return isAnthropics(request) ? forAnthropic(known) : known;
    const { models } = gateway.setup;
    if (models.autoOf(id) !== null) {
      refuseAuto(request.caller, id);
      const auto = { ...autoOf(gateway), id };
      return isAnthropics(request) ? forAnthropic(auto) : auto;
    }
    // Says which model was meant, or that it can be called though the catalog does not know it.
    const { targets } = models.resolve(id, governed(gateway, request));
    const { provider } = targets[0]!;
    if (provider.sandbox) throw new RoutingError('UNKNOWN_MODEL', `no model ${id} in the catalog`);
    return { id, object: 'model', created: createdOf(gateway), owned_by: provider.name };
  });
}

interface Listed {
  readonly id: string;
  readonly object: 'model';
  readonly created: number;
  readonly owned_by: string;
}

const createdOf = (gateway: Gateway): number => Math.floor(Date.parse(gateway.catalog.priceDate) / 1000);

const autoOf = (gateway: Gateway): Listed => ({
  id: 'auto',
  object: 'model',
  created: createdOf(gateway),
  owned_by: 'pointsman',
});

/** Under the rules that hold for whatever this caller asks, by its key. */
const governed = (gateway: Gateway, { caller }: FastifyRequest): Caller =>
  gateway.governance.policies.govern({ caller, tags: caller.tags, surface: 'models' });

/** What this caller may use: `auto`, the administrators' names, the models. */
function listed(gateway: Gateway, request: FastifyRequest): Listed[] {
  const { models } = gateway.setup;
  const caller = governed(gateway, request);
  const named = (id: string, owner: string): Listed => ({
    id,
    object: 'model',
    created: createdOf(gateway),
    owned_by: owner,
  });
  const all: Listed[] = [
    autoOf(gateway),
    ...Object.keys(models.aliases).map((id) => named(id, 'pointsman')),
    ...models.usable.map((model) => describe(model, gateway)),
    ...models.listed.map((id) => named(id, providerOf(id))),
  ].filter(({ id }) => !models.isOutOfReach(models.meaning(id), caller));
  const { models: patterns } = caller;
  return patterns === undefined
    ? all
    : all.filter(({ id }) => isAmong(id, patterns) || isAmong(models.meaning(id), patterns));
}

const describe = (model: Candidate, gateway: Gateway) => ({
  id: model.id,
  object: 'model' as const,
  created: createdOf(gateway),
  owned_by: providerOf(model.id),
  context_length: model.contextTokens,
  max_output_tokens: model.maxOutputTokens ?? null,
  pricing: {
    input_usd_per_mtok: model.inputUsdPerMTok,
    cached_input_usd_per_mtok: model.cachedInputUsdPerMTok ?? null,
    cache_write_usd_per_mtok: model.cacheWriteUsdPerMTok ?? null,
    output_usd_per_mtok: model.outputUsdPerMTok,
    date: model.priceDate ?? gateway.catalog.priceDate,
  },
  input_modalities: model.inputModalities,
  tools: model.tools,
  structured_output: model.structuredOutput,
  reasoning: model.reasoning,
});

/** Anthropic's clients always say which version of its API they speak. */
const isAnthropics = ({ headers }: FastifyRequest): boolean => headers['anthropic-version'] !== undefined;

const forAnthropic = ({ id, created }: Listed) => ({
  type: 'model' as const,
  id,
  display_name: id,
  created_at: new Date(created * 1000).toISOString(),
});
