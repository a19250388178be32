/** What the configuration says that no provider need be asked about: names that lead somewhere, who may call. */
import type { Catalog } from '../../datasets/catalog/candidate.ts';
import { type GatewayConfig, refusePublicHost, withoutKeys } from '../config/index.ts';
import { NO_CHAINS } from '../governance/limits/carry-over.ts';
import { namesOf, unknownNames } from '../governance/limits/names.ts';
import { limitsOf } from '../governance/limits/terms.ts';
import { modelsOf } from '../models.ts';
import type { ProviderSetup } from '../providers/index.ts';
import { judgeTrouble } from '../verify/judge.ts';
import { type Check, note, ok, problem, wordsOf } from './check.ts';

export function examineModels(config: GatewayConfig, catalog: Catalog, { on, off }: ProviderSetup): Check[] {
  let models: ReturnType<typeof modelsOf>;
  try {
    models = modelsOf(config, catalog, on);
  } catch (error) {
    return [problem('models', 'baseline', wordsOf(error), 'name a model of the catalog as baseline, or none')];
  }
  const { length } = models.candidates;
  const checks: Check[] =
    length > 0
      ? [
          ok('models', 'candidates', `${length} models for auto; prices of ${catalog.priceDate}`),
          ok('models', 'baseline', models.baseline.id),
        ]
      : [
          problem(
            'models',
            'candidates',
            'no provider that is on has a model of the catalog, so auto has nothing to choose',
            'add its models to a catalog file and name it as catalog',
          ),
        ];
  for (const id of config.retire) {
    if (catalog.models.some((model) => model.id === id)) checks.push(ok('models', id, 'retired: auto leaves it alone'));
    else checks.push(problem('models', id, 'retired, and not in the catalog', 'take it out of retire'));
  }
  for (const [id, deployments] of Object.entries(config.models)) {
    const dark = deployments.filter(({ provider }) => !on.has(provider));
    if (dark.length === 0) checks.push(ok('models', id, `${deployments.length} deployments`));
    for (const { provider } of dark) {
      const why = off.get(provider) ?? 'there is no such provider';
      const found = `its deployment at ${provider} leads nowhere: that is off`;
      checks.push(problem('models', id, found, `${why}, or take the deployment out`));
    }
  }
  const named = [
    ...Object.entries(config.aliases).map(([name, target]) => ({ name, target, what: 'alias' })),
    ...Object.entries(config.fallbacks).flatMap(([name, targets]) =>
      targets.map((target) => ({ name, target, what: 'fallback' })),
    ),
  ];
  for (const { name, target, what } of named) {
    if (models.autoOf(target) !== null) {
      checks.push(ok('models', name, `${what} of auto`));
      continue;
    }
    try {
      checks.push(ok('models', name, `${what} of ${models.resolve(target).id}`));
    } catch (error) {
      const mend = `switch that provider on, or point the ${what} elsewhere`;
      checks.push(problem('models', name, `${what} of ${target}, which leads nowhere: ${wordsOf(error)}`, mend));
    }
  }
  const { share, judge } = config.audit;
  const trouble = judgeTrouble(config, models);
  if (trouble !== null) {
    checks.push(problem('models', 'audit', trouble, 'name another judge, or set audit.share to 0'));
  } else if (share > 0 && judge !== undefined) checks.push(ok('models', 'audit', `${judge} judges`));
  return checks;
}

export function examineClients(config: GatewayConfig): Check[] {
  const { keys, host, port } = config;
  const checks: Check[] = [];
  try {
    refusePublicHost(config);
    checks.push(ok('clients', 'address', `listens on ${host}:${port}`));
  } catch (error) {
    checks.push(problem('clients', 'address', wordsOf(error), 'auth: auto, or host: 127.0.0.1'));
  }
  if (keys.length === 0) checks.push(note('clients', 'keys', withoutKeys(config)));
  for (const { name, tenant, models } of keys) {
    checks.push(ok('clients', name, `tenant ${tenant}; ${models === undefined ? 'all models' : models.join(', ')}`));
  }
  const names = namesOf(config, NO_CHAINS);
  for (const { kind, name, ...whose } of limitsOf(config.limits)) {
    for (const { message } of unknownNames(whose, names)) {
      const found = `bounds nobody that the configuration knows: ${message} (those of the database are not looked at here)`;
      checks.push(note('clients', `${kind} ${name}`, found));
    }
  }
  return checks;
}
