/** `GET /v1/models`: `auto` and every model that can be called by name. */
import type { FastifyInstance } from 'fastify';
import { type Candidate, providerOf } from '../../datasets/catalog/candidate.ts';
import { RoutingError } from '../../datasets/index.ts';
import type { Gateway } from '../gateway.ts';

export function modelsRoute(app: FastifyInstance, gateway: Gateway): void {
  const created = Math.floor(Date.parse(gateway.catalog.priceDate) / 1000);
  const auto = { id: 'auto', object: 'model', created, owned_by: 'pointsman' };
  const describe = (model: Candidate) => ({
    id: model.id,
    object: 'model',
    created,
    owned_by: providerOf(model.id),
    context_length: model.contextTokens,
    max_output_tokens: model.maxOutputTokens ?? null,
    pricing: {
      input_usd_per_mtok: model.inputUsdPerMTok,
      cached_input_usd_per_mtok: model.cachedInputUsdPerMTok ?? null,
      output_usd_per_mtok: model.outputUsdPerMTok,
      date: model.priceDate ?? gateway.catalog.priceDate,
    },
    input_modalities: model.inputModalities,
    tools: model.tools,
    structured_output: model.structuredOutput,
    reasoning: model.reasoning,
  });

  app.get('/v1/models', async () => ({ object: 'list', data: [auto, ...gateway.models.map(describe)] }));

  // A model id holds slashes, and clients send them bare or escaped.
  app.get<{ Params: { '*': string } }>('/v1/models/*', async (request) => {
    const id = request.params['*'];
    if (id === 'auto' || id === 'pointsman/auto') return auto;
    const model = gateway.models.find((known) => known.id === id);
    if (model !== undefined) return describe(model);
    // Says which model was meant, or that it can be called though the catalog does not know it.
    const { provider } = gateway.resolve(id);
    if (provider.sandbox) throw new RoutingError('UNKNOWN_MODEL', `no model ${id} in the catalog`);
    return { id, object: 'model', created, owned_by: provider.name };
  });
}
