/** Where a call goes, as rules see it; and the last look before its bytes leave. */
import { providerOf } from '../../../datasets/catalog/candidate.ts';
import { RoutingError } from '../../../datasets/index.ts';
import type { Target } from '../../forward/target.ts';
import type { Provider } from '../../providers/provider.ts';
import type { Place, Refusal, Rules } from './rules.ts';

/** What rules know `escalation.verifierUrl` by: it has no name of its own, and no other verifier can be called that. */
export const ESCALATION_VERIFIER = 'escalation.verifierUrl';

/** The place that a target calls. One of a provider's own, whose `upstreamModel` is empty, is asked for no one model. */
export function placeOf({ id, upstreamModel, provider }: Pick<Target, 'id' | 'upstreamModel' | 'provider'>): Place {
  // The sandbox stands in for the provider that the model is named after: rules can be tried before there are keys.
  if (provider.sandbox) return { model: id, provider: providerOf(id), region: null };
  if (upstreamModel === '') return holderPlace(provider);
  const alsoCalled = `${provider.name}/${upstreamModel}`;
  return {
    model: id,
    provider: provider.name,
    region: regionOf(provider, upstreamModel),
    ...(alsoCalled !== id && { alsoCalled }),
  };
}

/** A provider, for what it holds; and for batches, which run whatever their file says. */
export const holderPlace = (provider: Pick<Provider, 'name' | 'region'>, everyModel = false): Place => ({
  model: null,
  provider: provider.name,
  region: provider.region ?? null,
  ...(everyModel && { everyModel }),
});

/** Some hosts name a region in the model: it computes there, wherever it is called. */
const regionOf = (provider: Pick<Provider, 'region' | 'regionOf'>, model: string): string | null =>
  (provider.regionOf === undefined ? provider.region : provider.regionOf(model)) ?? null;

/**
 * Whatever was filtered before: nothing goes where the rules do not let it.
 * @throws `POLICY_REFUSED`; `BUDGET_EXCEEDED`, `RATE_LIMITED` where a limit alone keeps it out
 */
export function mustAllow(rules: Rules, place: Place): void {
  const refusal = rules.refusalOf(place);
  if (refusal !== null) throw refused(rules, place, refusal);
}

/** The same of a verifier that is sent prompts. @throws `POLICY_REFUSED` */
export function mustAllowVerifier(rules: Rules, name: string): void {
  if (rules.allowsVerifier(name)) return;
  throw new RoutingError('POLICY_REFUSED', `verifier ${name}: the policy lets it see nothing of this request`);
}

export function refused({ version }: Rules, place: Place, { rule, about, isDenied, error }: Refusal): RoutingError {
  if (error !== undefined) return error();
  const { model, provider, region, everyModel } = place;
  const what = model ?? (everyModel === true ? `batches at ${provider}` : `what ${provider} holds`);
  const why =
    about === 'region'
      ? region === null
        ? `nobody has said in which region ${provider} computes (providers.${provider}.region of the configuration)`
        : `it computes in ${region}`
      : about === 'provider'
        ? `${provider} is ${isDenied ? 'a provider that it denies' : 'not among the providers that it allows'}`
        : everyModel === true
          ? `it does not allow every model there`
          : `it is ${isDenied ? 'a model that it denies' : 'not among the models that it allows'}`;
  return new RoutingError(
    'POLICY_REFUSED',
    `${shorten(what)}: rule ${rule} of the policy (version ${version}) keeps it from this request: ${why}. ` +
      'Name a model that is allowed (GET /v1/models lists them), or ask whoever keeps the policy.',
  );
}

const shorten = (text: string): string => (text.length <= 100 ? text : `${text.slice(0, 100)}…`);
