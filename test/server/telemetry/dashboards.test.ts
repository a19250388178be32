/** The Grafana dashboard and the alert rules ask only for metrics and labels that `/metrics` has. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Counter, collectDefaultMetrics, Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { candidate, gatewayOver, memoryStore, type TestGateway } from '../fakes.ts';

const deploy = (path: string) =>
  readFileSync(fileURLToPath(new URL(`../../../server/deploy/${path}`, import.meta.url)), 'utf8');

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly h: number; readonly w: number; readonly x: number; readonly y: number };
  readonly targets?: readonly { readonly refId: string; readonly expr: string }[];
}

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string };
}

const dashboard = JSON.parse(deploy('grafana/pointsman.json')) as {
  readonly uid: string;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly query: unknown }[] };
};
const rules = (parse(deploy('prometheus/alerts.yaml')) as { groups: { name: string; rules: Rule[] }[] }).groups.flatMap(
  (group) => group.rules,
);
const panelQueries = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }) => [title, expr] as const),
);
const queries = [...panelQueries, ...rules.map(({ alert, expr }) => [alert, expr] as const)];

/** Labels that Prometheus itself adds, and `le` of histograms. */
const ADDED = ['job', 'instance', 'le'];

/** Metrics named in a query, each with the labels that it is asked for. */
function asked(expr: string): { readonly name: string; readonly labels: readonly string[] }[] {
  return [...expr.matchAll(/\b((?:pointsman|nodejs|process)_\w+)(?:\{([^}]*)\})?/g)].map(([, name, selector = '']) => ({
    name: name!,
    labels: [...selector.matchAll(/(\w+)\s*[=!]~?/g)].map(([, label]) => label!),
  }));
}

const grouped = (expr: string): string[] =>
  [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, names]) => names!.split(',').map((name) => name.trim()));

/** Name → labels, of all that there is to ask for. */
const known = new Map<string, readonly string[]>();
let gateway: TestGateway;

beforeAll(async () => {
  const writer = { queued: 0, unsaved: 0, spooled: false, spoolBytes: 0, rejected: 0, dropped: 0, diskErrors: 0 };
  const store = Object.assign(memoryStore(), { writer: { ...writer, droppedSince: null, lastError: null } });
  gateway = await gatewayOver([candidate('one/cheap', 1)], { store });
  const ofProcess = new Registry();
  collectDefaultMetrics({ register: ofProcess });
  const text = await (await fetch(`${gateway.url}/metrics`)).text();
  for (const registry of [gateway.gateway.governance.telemetry.metrics.registry, ofProcess]) {
    for (const { name, type } of await registry.getMetricsAsJSON()) {
      expect(text).toContain(`# TYPE ${name} ${type}\n`);
      const { labelNames } = registry.getSingleMetric(name) as unknown as { labelNames: string[] };
      known.set(name, labelNames);
      if (String(type) === 'histogram')
        for (const end of ['bucket', 'sum', 'count']) known.set(`${name}_${end}`, labelNames);
    }
  }
});
afterAll(() => gateway.close());

test('reads queries as it should', () => {
  expect(asked('sum by (a) (rate(pointsman_x_total{b="1",c!~"2|3"}[5m])) / pointsman_y')).toEqual([
    { name: 'pointsman_x_total', labels: ['b', 'c'] },
    { name: 'pointsman_y', labels: [] },
  ]);
  expect(new Counter({ name: 'x', help: 'x', labelNames: ['a'], registers: [] })).toMatchObject({ labelNames: ['a'] });
});

describe('every query', () => {
  test.each(queries)('of %s', (_, expr) => {
    const metrics = asked(expr);
    expect(metrics.length + Number(/\bup\{/.test(expr))).toBeGreaterThan(0);
    for (const { name, labels } of metrics) {
      expect([...known.keys()]).toContain(name);
      for (const label of labels) expect([...known.get(name)!, ...ADDED]).toContain(label);
    }
    const all = [...new Set(metrics.flatMap(({ name }) => known.get(name)!)), ...ADDED];
    for (const label of grouped(expr)) expect(all).toContain(label);
    for (const [open, close] of ['()', '{}', '[]']) {
      expect(expr.split(open!).length).toBe(expr.split(close!).length);
    }
  });
});

test('the README names every metric', () => {
  const readme = readFileSync(fileURLToPath(new URL('../../../server/telemetry/README.md', import.meta.url)), 'utf8');
  const named = new Set(readme.match(/`pointsman_\w+`/g));
  const own = [...known.keys()].filter((name) => name.startsWith('pointsman_') && !/_(bucket|sum|count)$/.test(name));
  expect(own.filter((name) => !named.has(`\`${name}\``))).toEqual([]);
  expect([...named].filter((name) => !known.has(name.slice(1, -1)))).toEqual([]);
});

test('a counter is asked for its growth, never for its value', () => {
  for (const [, expr] of queries) {
    for (const [before] of expr.matchAll(/\S*pointsman_\w+_total\b/g)) expect(before).toMatch(/(rate|increase)\(/);
  }
});

test('every alert says how bad it is and what is wrong, and has a name of its own', () => {
  expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
  for (const { labels, annotations, for: during = '0m' } of rules) {
    expect(['critical', 'warning', 'info']).toContain(labels.severity);
    expect(annotations.summary).toMatch(/\.$|\?$/);
    expect(during).toMatch(/^\d+[mh]$/);
  }
});

test('no two panels of the dashboard lie on each other', () => {
  const { panels } = dashboard;
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
  );
  expect(new Set(cells).size).toBe(cells.length);
  for (const { gridPos } of panels) expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
  const variables = dashboard.templating.list.map(({ name }) => name);
  for (const [, expr] of panelQueries) {
    for (const [, name] of expr.matchAll(/\$(\w+)/g)) expect([...variables, '__rate_interval']).toContain(name);
  }
});
