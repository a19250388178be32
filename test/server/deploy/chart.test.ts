/** What is shipped beside the program says what the program does: chart, compose file, image and unit are read as what they are. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { parseConfig } from '../../../server/config/read.ts';
import { render } from './go-template.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const read = (path: string) => readFileSync(`${root}/${path}`, 'utf8');
const CHART = 'server/deploy/helm/pointsman';
const { version } = JSON.parse(read('package.json')) as { version: string };

// biome-ignore lint/suspicious/noExplicitAny: what was rendered is looked at as it is
type Loose = any;
type Manifest = Record<string, never> & { kind: string; metadata: { name: string } };

/** Every manifest of the chart. @param change what a user sets over values.yaml */
function manifests(change: (values: Loose) => void = () => {}, release = 'pointsman'): Manifest[] {
  const Values = parse(read(`${CHART}/values.yaml`));
  change(Values);
  const Chart = parse(read(`${CHART}/Chart.yaml`));
  const scope = {
    Values,
    Release: { Name: release, Namespace: 'llm', Service: 'Helm' },
    Chart: { Version: Chart.version, AppVersion: Chart.appVersion },
  };
  const names = read(`${CHART}/templates/_names.tpl`);
  return readdirSync(`${root}/${CHART}/templates`)
    .filter((file) => file.endsWith('.yaml'))
    .flatMap((file) => {
      const documents = parseAllDocuments(render(read(`${CHART}/templates/${file}`), scope, names));
      return documents.map((document) => {
        expect(document.errors, file).toEqual([]);
        return document.toJS() as Manifest;
      });
    })
    .filter((manifest) => manifest !== null);
}

const everything = (values: Loose) => {
  values.autoscaling.enabled = true;
  values.ingress.enabled = true;
  values.ingress.className = 'nginx';
  values.ingress.tlsSecretName = 'tls';
  values.networkPolicy.enabled = true;
  values.networkPolicy.from = [{ namespaceSelector: {} }];
  values.serviceMonitor.enabled = true;
  values.serviceMonitor.bearerTokenSecret.name = 'metrics';
  values.imagePullSecrets = [{ name: 'pull' }];
  values.spool.storageClassName = 'fast';
  values.podAnnotations = { a: 'b' };
  values.serviceAccount.annotations = { role: 'x' };
  values.config = { teams: { search: { exploration: true } } };
  values.nodeSelector = { disk: 'ssd' };
  values.tolerations = [{ key: 'x' }];
  values.affinity = { podAntiAffinity: {} };
  values.env = [{ name: 'A', value: 'b' }];
  values.service.annotations = { c: 'd' };
};
const kind = (all: readonly Manifest[], name: string): Loose => all.find((one) => one.kind === name);

describe('the chart', () => {
  test('makes what it should by default, and no more', () => {
    expect(manifests().map((one) => one.kind)).toEqual([
      'ConfigMap',
      'PodDisruptionBudget',
      'StatefulSet',
      'ServiceAccount',
      'Service',
      'Service',
    ]);
  });

  test('makes everything when everything is switched on', () => {
    const kinds = manifests(everything).map((one) => one.kind);
    for (const more of ['HorizontalPodAutoscaler', 'Ingress', 'NetworkPolicy', 'ServiceMonitor']) {
      expect(kinds).toContain(more);
    }
  });

  test('runs the gateway as nobody in particular, on a file system that it cannot write', () => {
    const { spec } = kind(manifests(), 'StatefulSet').spec.template;
    const [container] = spec.containers;
    expect(spec.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000 });
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    expect(spec.automountServiceAccountToken).toBe(false);
    expect(container.image).toBe(`pointsman:${version}`);
  });

  test('asks the endpoints that the gateway has', () => {
    const [container] = kind(manifests(), 'StatefulSet').spec.template.spec.containers;
    expect(container.livenessProbe.httpGet.path).toBe('/healthz');
    expect(container.readinessProbe.httpGet.path).toBe('/readyz');
    expect(container.ports[0].containerPort).toBe(8787);
    expect(container.args).toEqual(['start', '--config', '/etc/pointsman/pointsman.yaml']);
  });

  test('gives a replica longer to stop than it takes', () => {
    const { spec } = kind(manifests(), 'StatefulSet').spec.template;
    const { timeouts } = parseConfig('{}', 'pointsman.yaml', { env: {}, overrides: {} });
    const pause = Number(spec.containers[0].lifecycle.preStop.exec.command[1]);
    expect(spec.terminationGracePeriodSeconds).toBeGreaterThan(pause + timeouts.shutdownMs / 1000 + 5);
  });

  test('leaves the number of replicas to the autoscaler where there is one, which goes by requests under way', () => {
    expect(kind(manifests(), 'StatefulSet').spec.replicas).toBe(2);
    const all = manifests(everything);
    expect(kind(all, 'StatefulSet').spec).not.toHaveProperty('replicas');
    const autoscaler = kind(all, 'HorizontalPodAutoscaler').spec;
    expect(autoscaler.scaleTargetRef).toEqual({ apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'pointsman' });
    expect(autoscaler.metrics[0].pods.metric.name).toBe('pointsman_requests_under_way');
  });

  test('gives the gateway a configuration that it takes', () => {
    for (const change of [() => {}, everything]) {
      const text = kind(manifests(change), 'ConfigMap').data['pointsman.yaml'];
      expect(() => parseConfig(text, 'pointsman.yaml', { env: {}, overrides: {} })).not.toThrow();
    }
  });

  test('selects its own pods by every name of a release', () => {
    const all = manifests(everything, 'two');
    const set = kind(all, 'StatefulSet');
    expect(set.metadata.name).toBe('two-pointsman');
    const { labels } = set.spec.template.metadata;
    for (const service of all.filter((one) => one.kind === 'Service') as Loose[]) {
      expect(labels).toMatchObject(service.spec.selector);
    }
    expect(all.map(({ metadata }) => metadata.name)).toContain(set.spec.serviceName);
    const monitored = all.filter(
      (one: Loose) =>
        one.kind === 'Service' &&
        Object.entries(kind(all, 'ServiceMonitor').spec.selector.matchLabels).every(
          ([name, value]) => one.metadata.labels[name] === value,
        ),
    );
    expect(monitored).toHaveLength(1);
  });

  test('has the version of the program', () => {
    expect(parse(read(`${CHART}/Chart.yaml`)).appVersion).toBe(version);
  });
});

test('the compose file waits for its database, and keeps what must outlive it', () => {
  const { services, volumes } = parse(read('server/deploy/compose.yaml'));
  expect(services.gateway.depends_on.database.condition).toBe('service_healthy');
  expect(services.gateway.ports).toEqual(['127.0.0.1:8787:8787']);
  expect(services.gateway.volumes).toContain('spool:/data');
  expect(Object.keys(volumes)).toEqual(['spool', 'database']);
  expect(services.gateway.environment.DATABASE_URL).toMatch(/^postgres:\/\/pointsman:/);
});

describe('the image', () => {
  const text = read('Dockerfile');
  const lines = text.split('\n');

  test('runs as a user without rights, on a supported Node, with its list of parts', () => {
    expect(lines.findLast((line) => line.startsWith('USER '))).toBe('USER 1000:1000');
    expect(text).toMatch(/^ARG NODE_IMAGE=node:(22|24)-/m);
    expect(text).toContain('npm sbom');
    expect(text.match(/^FROM /gm)).toHaveLength(3);
  });

  test('copies nothing that the build leaves out', () => {
    const kept = read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    const copied = lines
      .filter((line) => line.startsWith('COPY ') && !line.includes('--from'))
      .flatMap((line) => line.split(/\s+/).slice(1, -1))
      .filter((name) => name !== '.');
    for (const name of copied) expect(kept).toContain(name);
    // What build.mjs and the compiler read.
    for (const name of ['datasets', 'router', 'eval', 'server', 'build.mjs', 'tsconfig.build.json']) {
      expect(kept).toContain(name);
    }
  });
});

test('the unit stops the gateway as it wants to be stopped, and shuts it in', () => {
  const unit = read('server/deploy/systemd/pointsman.service');
  const value = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(unit)?.[1];
  expect(value('KillSignal')).toBe('SIGTERM');
  expect(Number(value('TimeoutStopSec'))).toBeGreaterThan(15);
  expect(value('ProtectSystem')).toBe('strict');
  expect(value('NoNewPrivileges')).toBe('yes');
  expect(value('ExecReload')).toContain('-HUP');
  expect(value('User')).toBe('pointsman');
});
