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
  values.databaseUrl = { secret: 'database-app', key: 'uri' };
  values.volumes = [{ name: 'ca', secret: { secretName: 'ca' } }];
  values.volumeMounts = [{ name: 'ca', mountPath: '/ca' }];
  values.serviceMonitor.labels = { release: 'prometheus' };
  values.networkPolicy.egress = [{ ports: [{ port: 4318 }] }];
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
    // Not /readyz: while the database is away no replica would be left, although each goes on answering.
    expect(container.readinessProbe.httpGet.path).toBe('/healthz');
    expect(container.ports[0].containerPort).toBe(8787);
    expect(container.args).toEqual(['start', '--config', '/etc/pointsman/pointsman.yaml']);
  });

  test('does not start without the database that all replicas share, from whichever Secret its URL is', () => {
    const env = (change?: (values: Loose) => void) =>
      kind(manifests(change), 'StatefulSet').spec.template.spec.containers[0].env;
    const url = (name: string, key: string) => ({ name: 'DATABASE_URL', valueFrom: { secretKeyRef: { name, key } } });
    expect(env()).toEqual([url('pointsman', 'DATABASE_URL')]);
    expect(env(everything)).toEqual([url('database-app', 'uri'), { name: 'A', value: 'b' }]);
  });

  test('keeps records that wait on a volume of the replica, with room for as many as the spool may hold', () => {
    for (const change of [() => {}, everything]) {
      const set = kind(manifests(change), 'StatefulSet').spec;
      const { volumes, containers } = set.template.spec;
      const at = (path: string) => containers[0].volumeMounts.find((one: Loose) => one.mountPath === path)?.name;
      expect(set.volumeClaimTemplates.map((claim: Loose) => claim.metadata.name)).toEqual([at('/data')]);
      // Every mount has its volume.
      const names = [...volumes, ...set.volumeClaimTemplates.map((one: Loose) => one.metadata)].map(({ name }) => name);
      for (const { name } of containers[0].volumeMounts) expect(names).toContain(name);
      const { spoolLimitMb } = parseConfig('{}', 'pointsman.yaml', { env: {}, overrides: {} });
      const { storage } = set.volumeClaimTemplates[0].spec.resources.requests;
      expect(Number(/^(\d+)Gi$/.exec(storage)?.[1]) * 1024).toBeGreaterThan(spoolLimitMb);
    }
  });

  test('gives a start time for a migration, and the draining of a node no replica to wait for in vain', () => {
    const [{ startupProbe }] = kind(manifests(), 'StatefulSet').spec.template.spec.containers;
    expect(startupProbe.periodSeconds * startupProbe.failureThreshold).toBeGreaterThanOrEqual(600);
    expect(kind(manifests(), 'PodDisruptionBudget').spec.unhealthyPodEvictionPolicy).toBe('AlwaysAllow');
  });

  test('is found by the Prometheus that selects by label, and may reach what is allowed beside the usual', () => {
    const all = manifests(everything);
    expect(kind(all, 'ServiceMonitor').metadata.labels).toMatchObject({ release: 'prometheus' });
    expect(kind(all, 'NetworkPolicy').spec.egress).toContainEqual({ ports: [{ port: 4318 }] });
    const usual = kind(
      manifests((values) => (values.networkPolicy.enabled = true)),
      'NetworkPolicy',
    ).spec;
    expect(usual.egress).toHaveLength(1);
    expect(usual.ingress).toEqual([{ ports: [{ port: 'http' }] }]);
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
    for (const spread of set.spec.template.spec.topologySpreadConstraints) {
      expect(labels).toMatchObject(spread.labelSelector.matchLabels);
      for (const key of spread.matchLabelKeys) expect(labels).toHaveProperty([key], 'two');
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
  for (const service of [services.gateway, services.database])
    expect(service.logging.options).toHaveProperty('max-size');
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
  // A database that is late is waited for; a configuration that is wrong is not.
  expect(value('StartLimitIntervalSec')).toBe('0');
  expect(value('RestartPreventExitStatus')).toBe('2');
});
