/** What is wrong with a configuration although every option of it, taken alone, is right. */
import { createHash } from 'node:crypto';
import { AllowList } from '../egress/allow-list.ts';
import { nearest } from '../nearest.ts';
import { patternFault } from '../verify/pattern-engine.ts';
import { KNOWN_PROVIDERS, PROVIDER_TYPES } from './known-providers.ts';
import { isLoopback } from './listen.ts';
import type { GatewayConfig } from './schema.ts';
import type { Problem } from './yaml-text.ts';

type Said = (path: Problem['path'], message: string) => void;

/** Names that point nowhere or in a circle, keys that cannot be told apart, options that rule each other out. */
export function contradictions(config: GatewayConfig): Problem[] {
  const problems: Problem[] = [];
  const say: Said = (path, message) => problems.push({ path, message });
  checkProviders(config, say);
  checkDeployments(config, say);
  checkAliases(config, say);
  checkFallbacks(config, say);
  checkClientKeys(config, say);
  checkTeams(config, say);
  checkReach(config, say);
  checkVerifiers(config, say);
  checkAudit(config, say);
  checkOidc(config, say);
  return problems;
}

/** Ids that ask for a routed answer: `auto` with or without a dial, and RouteLLM's `router-NAME-THRESHOLD`. */
const asksForRouting = (id: string): boolean => /^(pointsman\/)?auto(:|$)|^router-/.test(id);

const isProvider = (name: string, config: GatewayConfig): boolean =>
  KNOWN_PROVIDERS.has(name) || Object.hasOwn(config.providers, name);

const providersOf = (config: GatewayConfig): string[] => [...KNOWN_PROVIDERS, ...Object.keys(config.providers)];

/** `; did you mean x?`, where something is near enough. */
function hint(name: string, known: Iterable<string>): string {
  const guess = nearest(name, known);
  return guess === undefined ? '' : `; did you mean ${guess}?`;
}

function checkProviders({ providers }: GatewayConfig, say: Said): void {
  for (const [name, provider] of Object.entries(providers)) {
    const path = ['providers', name];
    const { type, keys } = provider;
    if (type !== undefined && !PROVIDER_TYPES.has(type)) {
      say([...path, 'type'], `no such type of provider${hint(type, PROVIDER_TYPES)}`);
    }
    if (keys === undefined) continue;
    for (const option of ['apiKey', 'apiKeyEnv'] as const) {
      if (provider[option] !== undefined) say([...path, option], 'keys are given as well; put this one among them');
    }
    const names = new Set<string>();
    for (const [i, key] of keys.entries()) {
      if ((key.apiKey === undefined) === (key.apiKeyEnv === undefined)) {
        say([...path, 'keys', i], 'needs apiKey or apiKeyEnv, and not both');
      }
      const shown = key.name ?? String(i + 1);
      if (names.has(shown)) say([...path, 'keys', i], `a second key by the name ${shown}`);
      names.add(shown);
    }
  }
}

function checkDeployments(config: GatewayConfig, say: Said): void {
  for (const [id, deployments] of Object.entries(config.models)) {
    for (const [i, { provider }] of deployments.entries()) {
      if (isProvider(provider, config)) continue;
      const known = hint(provider, providersOf(config)) || '; name it under providers, with its baseUrl';
      say(['models', id, i, 'provider'], `no provider ${provider} here${known}`);
    }
  }
}

function checkAliases(config: GatewayConfig, say: Said): void {
  const { aliases } = config;
  for (const [name, target] of Object.entries(aliases)) {
    const path = ['aliases', name];
    if (asksForRouting(name)) say(path, 'this name always asks for a routed answer; choose another');
    else if (name.includes('/') && isProvider(name.slice(0, name.indexOf('/')), config)) {
      say(path, 'names a model; a concrete id is never answered by another');
    }
    const way = [name];
    let next = target;
    while (Object.hasOwn(aliases, next) && !way.includes(next)) {
      way.push(next);
      next = aliases[next]!;
    }
    if (way.includes(next)) {
      // One message a circle, at the first of its names.
      const circle = way.slice(way.indexOf(next));
      if (circle[0] === name && name === first(circle, aliases))
        say(path, `a circle: ${[...circle, name].join(' → ')}`);
    } else if (way.length === 1) checkModel(target, path, config, say);
  }
}

const first = (names: readonly string[], aliases: object): string | undefined =>
  Object.keys(aliases).find((name) => names.includes(name));

/** An id that something here must answer to. */
function checkModel(id: string, path: Problem['path'], config: GatewayConfig, say: Said): void {
  if (asksForRouting(id) || Object.hasOwn(config.models, id)) return;
  const slash = id.indexOf('/');
  if (slash < 0) {
    const known = [...Object.keys(config.aliases), ...Object.keys(config.models)].filter((name) => name !== path[1]);
    say(path, `points nowhere: ${id} is neither provider/model nor auto nor another alias${hint(id, known)}`);
  } else if (!isProvider(id.slice(0, slash), config)) {
    const provider = id.slice(0, slash);
    say(path, `points nowhere: no provider ${provider} here${hint(provider, providersOf(config))}`);
  }
}

function checkFallbacks(config: GatewayConfig, say: Said): void {
  for (const [name, models] of Object.entries(config.fallbacks)) {
    const path = ['fallbacks', name];
    if (!Object.hasOwn(config.aliases, name)) {
      const names = Object.keys(config.aliases);
      say(path, `no alias of that name; a concrete id is never answered by another${hint(name, names)}`);
    }
    for (const [i, model] of models.entries()) {
      if (model === name) say([...path, i], 'falls back to itself');
      else if (asksForRouting(model)) say([...path, i], 'auto has a ranked list of its own; name models here');
      else if (!Object.hasOwn(config.aliases, model)) checkModel(model, [...path, i], config, say);
    }
  }
}

const digestOf = (key: string): string => createHash('sha256').update(key).digest('hex');

function checkClientKeys({ keys }: GatewayConfig, say: Said): void {
  const digests = new Map<string, string>();
  const names = new Set<string>();
  for (const [i, { name, key, sha256 }] of keys.entries()) {
    const path = ['keys', i];
    if ((key === undefined) === (sha256 === undefined)) say(path, `${name}: needs key or sha256, and not both`);
    if (names.has(name)) say(path, `a second key by the name ${name}; records could not tell them apart`);
    names.add(name);
    const digest = sha256?.toLowerCase() ?? (key === undefined ? undefined : digestOf(key));
    if (digest === undefined) continue;
    const other = digests.get(digest);
    if (other !== undefined) say(path, `${name}: the same key as ${other}`);
    else digests.set(digest, name);
  }
}

/** A misspelt team would go without its protection, and nobody would notice. */
function checkTeams({ keys, teams, rollout, verifiers }: GatewayConfig, say: Said): void {
  if (keys.length === 0) return;
  const known = [...new Set(keys.map(({ tenant }) => tenant))];
  const check = (name: string, path: (string | number)[]) => {
    if (!known.includes(name)) say(path, `no key is of the tenant ${name}${hint(name, known)}`);
  };
  for (const name of Object.keys(teams)) check(name, ['teams', name]);
  for (const [i, name] of rollout.canaryTeams.entries()) check(name, ['rollout', 'canaryTeams', i]);
  for (const [v, verifier] of verifiers.entries()) {
    for (const [i, name] of (verifier.teams ?? []).entries()) check(name, ['verifiers', v, 'teams', i]);
  }
}

/** Addresses that the egress guard would refuse every time. */
function checkReach({ escalation, drift, verifiers, limits, egress }: GatewayConfig, say: Said): void {
  const named: [(string | number)[], string | undefined][] = [
    [['escalation', 'verifierUrl'], escalation.verifierUrl],
    [['drift', 'webhookUrl'], drift.webhookUrl],
    [['limits', 'webhookUrl'], limits.webhookUrl],
    ...verifiers.flatMap((v, i) =>
      v.kind === 'http' ? [[['verifiers', i, 'url'], v.url] as [(string | number)[], string]] : [],
    ),
  ];
  for (const [path, url] of named) {
    if (url === undefined) continue;
    const { host } = new URL(url);
    if (!isAllowed(new URL(url), egress.allow)) say(path, `may not be fetched: add ${host} to egress.allow`);
  }
}

function isAllowed(url: URL, allow: readonly string[]): boolean {
  try {
    return new AllowList(allow).match(url) !== null;
  } catch {
    // An entry that is no host is told by the guard itself.
    return true;
  }
}

/** Sign-in needs all of its parts, and what comes over it has to come from the provider itself. */
function checkOidc({ oidc }: GatewayConfig, say: Said): void {
  const { issuer, groups } = oidc;
  const parts = ['issuer', 'clientId', 'publicUrl'] as const;
  const missing = parts.filter((part) => oidc[part] === undefined);
  if (missing.length > 0 && missing.length < parts.length) {
    say(['oidc'], `sign-in needs ${parts.join(', ')}; missing: ${missing.join(', ')}`);
  }
  if (issuer?.startsWith('http:') && !isLoopback(new URL(issuer).hostname)) {
    say(['oidc', 'issuer'], 'must be https; http is for providers on this machine only');
  }
  if (missing.length === 0 && Object.keys(groups).length === 0) {
    say(['oidc', 'groups'], 'nobody could come in: map at least one group to a role');
  }
  for (const [group, { role, team }] of Object.entries(groups)) {
    if (role === 'admin' && team !== undefined) {
      say(['oidc', 'groups', group, 'team'], 'an admin reaches every team; leave team out, or make it a manager');
    }
  }
}

/** Names that records could not tell apart, and patterns that cannot be matched in linear time. */
function checkVerifiers({ verifiers }: GatewayConfig, say: Said): void {
  const names = new Set<string>();
  for (const [i, verifier] of verifiers.entries()) {
    const path = ['verifiers', i];
    const { name } = verifier;
    if (names.has(name)) say(path, `a second verifier by the name ${name}; records could not tell them apart`);
    names.add(name);
    if (verifier.kind !== 'pattern') continue;
    if (verifier.must.length + verifier.mustNot.length === 0) say(path, `${name}: needs must or mustNot, or both`);
    for (const list of ['must', 'mustNot'] as const) {
      for (const [j, pattern] of verifier[list].entries()) {
        const fault = patternFault(pattern);
        if (fault !== null) say([...path, list, j], `${name}: no pattern of RE2: ${fault}`);
      }
    }
  }
}

/** Whether the judge can be called is known with the catalog and the providers (`server/verify/judge.ts`). */
function checkAudit(config: GatewayConfig, say: Said): void {
  const { share, judge } = config.audit;
  const path = ['audit', 'judge'];
  if (judge === undefined) {
    if (share > 0) say(path, 'audits need a model that judges, as provider/model');
  } else if (asksForRouting(judge)) say(path, 'the judge must be one model, always the same');
  else if (!Object.hasOwn(config.aliases, judge)) checkModel(judge, path, config, say);
  else if (asksForRouting(config.aliases[judge]!)) say(path, 'the judge must be one model, always the same');
}
