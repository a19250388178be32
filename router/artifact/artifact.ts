/**
 * A fitted router as an immutable folder, named by the hash of its content:
 * `manifest.json`, `encoder.onnx`, `heads.onnx`, `heads.json`, `policy.json`.
 * A transformer encoder stays where it lies; the manifest names its files by their hashes instead.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { RoutingError } from '../../datasets/index.ts';
import { PLAIN } from '../../datasets/plain-issues.ts';
import type { Encoder } from '../encoder/encoder.ts';
import { encoderIdOf, openNgramEncoder } from '../encoder/ngram/ngram.ts';
import { TransformerReference } from '../encoder/transformer/reference.ts';
import type { Heads } from '../heads/heads.ts';
import { headsGraph } from '../heads/onnx.ts';
import { inspectModel } from '../onnx/inspect.ts';
import { openSession, type Session } from '../onnx/session.ts';
import { Policy } from '../policy/policy.ts';
import { headsFromJson, headsToJson } from './heads-json.ts';

export const FORMAT = 3;

/** The files that the manifest vouches for; a transformer encoder is none of them. */
const FILES = ['encoder.onnx', 'heads.onnx', 'heads.json', 'policy.json'];

/** What a folder says of itself. `hash` covers everything but `created`, a transformer's `folder` and itself. */
export const Manifest = z.strictObject({
  format: z.literal(FORMAT),
  hash: z.string(),
  created: z.iso.datetime(),
  encoder: z.discriminatedUnion('kind', [
    z.strictObject({ id: z.string(), kind: z.literal('ngram'), dimension: z.number().int().positive() }),
    TransformerReference,
  ]),
  models: z.array(z.string()),
  training: z.strictObject({
    seed: z.number(),
    data: z.array(
      z.strictObject({
        name: z.string(),
        prompts: z.number(),
        groups: z.number(),
        outcomes: z.number(),
        licence: z.string().optional(),
      }),
    ),
    /** `hashGroup` of each group whose text or outcomes were trained on. */
    trainedGroupHashes: z.array(z.string()),
    /** The same for groups that only chose settings. */
    calibrationGroupHashes: z.array(z.string()),
    /** The same for groups that only proved the tolerance; older artifacts have none. */
    certificateGroupHashes: z.array(z.string()).optional(),
    /** `textHashes` of the prompts in these groups, in the same three parts; older artifacts have none. */
    trainedTextHashes: z.array(z.string()).optional(),
    calibrationTextHashes: z.array(z.string()).optional(),
    certificateTextHashes: z.array(z.string()).optional(),
  }),
  /** Measured when it was made; see the model card. */
  metrics: z.record(z.string(), z.unknown()),
  notes: z.array(z.string()),
  /** Hash of the artifact this one was refitted from. */
  parent: z.string().nullable(),
  files: z.record(z.string(), z.string()),
});
export type Manifest = z.infer<typeof Manifest>;

export interface Artifact {
  readonly hash: string;
  readonly dir: string;
  readonly manifest: Manifest;
  readonly encoder: Encoder;
  readonly heads: Heads;
  /** The graph of the heads alone. */
  readonly headsSession: Session;
  /** One text → its embedding, and the heads' output `all` of it (`unpackHeads`). */
  predict(text: string): Promise<{ embedding: Float32Array; all: Float32Array }>;
  readonly policy: Policy;
}

/** What a new artifact is made of; the manifest's hashes are filled in by {@link saveArtifact}. */
export interface ArtifactParts {
  /** Bytes of `encoder.onnx`, or what names a transformer. */
  readonly encoder: Uint8Array | TransformerReference;
  readonly heads: Heads;
  readonly policy: Policy;
  readonly training: Manifest['training'];
  readonly metrics: Manifest['metrics'];
  readonly notes: readonly string[];
  readonly parent: string | null;
  readonly created: Date;
}

/** Folder of the artifact that is shipped. */
export const defaultArtifactDir = (): string =>
  join(dirname(fileURLToPath(import.meta.url)), '..', 'models', 'default');

export interface LoadOptions {
  /** Folder of the transformer that the heads were trained over; default: where it lay then. */
  readonly encoderDir?: string | undefined;
}

/**
 * Loads and verifies an artifact.
 * @throws `ARTIFACT_MISSING`, `ARTIFACT_DAMAGED` (content does not match its hash or format),
 *         `ARTIFACT_UNTRUSTED` (a graph that names other files, or operators that are not ONNX' own),
 *         `ARTIFACT_MISMATCH` (encoder and heads do not belong together)
 */
export async function loadArtifact(dir: string = defaultArtifactDir(), options: LoadOptions = {}): Promise<Artifact> {
  const manifestPath = join(dir, 'manifest.json');
  if (!existsSync(manifestPath)) {
    throw new RoutingError(
      'ARTIFACT_MISSING',
      `${dir}: no router artifact there (manifest.json is missing); make one with: pointsman train`,
    );
  }
  const parsed = Manifest.safeParse(parseJson(manifestPath), PLAIN);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw new RoutingError('ARTIFACT_DAMAGED', `${manifestPath}: ${issue.path.join('.')}: ${issue.message}`);
  }
  const manifest = parsed.data;
  const files: Record<string, Uint8Array> = {};
  for (const name of manifest.encoder.kind === 'ngram' ? FILES : FILES.slice(1)) {
    const path = join(dir, name);
    if (!existsSync(path)) throw new RoutingError('ARTIFACT_DAMAGED', `${path} is missing`);
    files[name] = readFileSync(path);
    if (sha256(files[name]) !== manifest.files[name]) {
      throw new RoutingError(
        'ARTIFACT_DAMAGED',
        `${path}: content does not match the manifest's hash; restore or retrain it`,
      );
    }
  }
  if (contentHash(manifest) !== manifest.hash) {
    throw new RoutingError('ARTIFACT_DAMAGED', `${manifestPath}: the manifest does not match its own hash`);
  }
  for (const name of ['encoder.onnx', 'heads.onnx']) if (files[name] !== undefined) inspectModel(files[name], name);
  const heads = headsFromJson(text(files['heads.json']!));
  const headsSession = await openSession(files['heads.onnx']!, 'heads.onnx');
  const { encoder, predict } = await openEncoder(manifest.encoder, files, headsSession, options);
  if (manifest.encoder.id !== encoder.id || encoder.dimension !== heads.dimension) {
    throw new RoutingError(
      'ARTIFACT_MISMATCH',
      `${dir}: heads were fitted on encoder ${manifest.encoder.id} (${heads.dimension} dimensions), the file is ${encoder.id} (${encoder.dimension})`,
    );
  }
  const policy = Policy.safeParse(parseJson(join(dir, 'policy.json')), PLAIN);
  if (!policy.success)
    throw new RoutingError('ARTIFACT_DAMAGED', `${dir}/policy.json: ${policy.error.issues[0]!.message}`);
  return { hash: manifest.hash, dir, manifest, encoder, heads, headsSession, predict, policy: policy.data };
}

/** The encoder, and the way from a text through it and the heads: in one session where both are graphs of ours. */
async function openEncoder(
  encoder: Manifest['encoder'],
  files: Readonly<Record<string, Uint8Array>>,
  headsSession: Session,
  { encoderDir }: LoadOptions,
): Promise<Pick<Artifact, 'encoder' | 'predict'>> {
  if (encoder.kind === 'ngram') {
    const model = files['encoder.onnx']!;
    const joined = await openNgramEncoder(model, files['heads.onnx']!).catch(async (error) => {
      // Heads of another encoder? Alone it says what it is.
      const alone = await openNgramEncoder(model);
      if (alone.dimension === headsSession.inputs.z?.[1]) throw error;
      return alone;
    });
    return { encoder: joined, predict: joined.predict };
  }
  // Loaded late: who routes with n-grams needs nothing of it.
  const { reopenTransformerEncoder } = await import('../encoder/transformer/transformer.ts');
  const transformer = await reopenTransformerEncoder(encoder, encoderDir);
  return {
    encoder: transformer,
    async predict(text) {
      const embedding = await transformer.encode([text]);
      const z = { data: embedding, dims: [1, embedding.length] };
      const { all } = await headsSession.run({ z }, ['all']);
      return { embedding, all: all! };
    },
  };
}

/** An artifact's encoder, for an artifact refitted from it. */
export const readEncoder = ({ manifest, dir }: Artifact): ArtifactParts['encoder'] =>
  manifest.encoder.kind === 'ngram' ? readFileSync(join(dir, 'encoder.onnx')) : manifest.encoder;

/**
 * Writes an artifact to `dir`, or with `underHash` to `dir/<hash>`; complete or not at all.
 * Same parts, same bytes and hash, but for `created`.
 * @throws `INVALID_CONFIG` when the folder holds anything but an artifact, which would be lost;
 *         `ARTIFACT_DAMAGED` when the heads hold numbers that could not be loaded again
 */
export function saveArtifact(
  dir: string,
  parts: ArtifactParts,
  options: { underHash?: boolean } = {},
): { hash: string; dir: string } {
  const headsJson = headsToJson(parts.heads);
  headsFromJson(headsJson);
  const { encoder } = parts;
  const files: Record<string, Uint8Array> = {
    ...(encoder instanceof Uint8Array && { 'encoder.onnx': encoder }),
    'heads.onnx': headsGraph(parts.heads),
    'heads.json': Buffer.from(headsJson),
    'policy.json': Buffer.from(`${JSON.stringify(parts.policy, null, 1)}\n`),
  };
  const unsigned: Manifest = {
    format: FORMAT,
    hash: '',
    created: parts.created.toISOString(),
    encoder:
      encoder instanceof Uint8Array
        ? { id: encoderIdOf(encoder), kind: 'ngram', dimension: parts.heads.dimension }
        : encoder,
    models: [...parts.heads.modelIds],
    training: parts.training,
    metrics: parts.metrics,
    notes: [...parts.notes],
    parent: parts.parent,
    files: Object.fromEntries(Object.entries(files).map(([name, bytes]) => [name, sha256(bytes)])),
  };
  const manifest = { ...unsigned, hash: contentHash(unsigned) };
  const target = options.underHash ? resolve(dir, manifest.hash) : resolve(dir);
  refuseToReplace(target);
  const staging = `${target}.${process.pid}.part`;
  rmSync(staging, { recursive: true, force: true });
  mkdirSync(staging, { recursive: true });
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(staging, name), bytes);
  writeFileSync(join(staging, 'manifest.json'), `${JSON.stringify(manifest, null, 1)}\n`);
  const card = join(target, 'README.md'); // a model card is written by people and survives a retraining
  if (existsSync(card)) writeFileSync(join(staging, 'README.md'), readFileSync(card));
  rmSync(target, { recursive: true, force: true });
  renameSync(staging, target);
  return { hash: manifest.hash, dir: target };
}

/**
 * Checks that an artifact may be written to this folder: worth asking before a long training.
 * @throws `INVALID_CONFIG` when it is a file, or holds files that are no part of an artifact
 */
export function refuseToReplace(dir: string): void {
  if (!existsSync(dir)) return;
  if (!statSync(dir).isDirectory()) throw new RoutingError('INVALID_CONFIG', `${dir}: is a file; give a folder`);
  const ours = new Set(['manifest.json', 'README.md', ...FILES]);
  const foreign = readdirSync(dir, { withFileTypes: true }).find((entry) => !entry.isFile() || !ours.has(entry.name));
  if (foreign === undefined) return;
  throw new RoutingError(
    'INVALID_CONFIG',
    `${dir}: holds ${foreign.name}, which is no part of an artifact and would be lost; give a new or empty folder`,
  );
}

/** Hash of everything but the date, the place of a transformer and the hash itself; key order does not matter. */
function contentHash(manifest: Manifest): string {
  const { hash: _hash, created: _created, ...content } = manifest;
  const { folder: _folder, ...encoder } = { folder: '', ...content.encoder };
  return sha256(canonical({ ...content, encoder })).slice(0, 32);
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value !== null && typeof value === 'object') {
    const entries = Object.entries(value as Record<string, unknown>).sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([k, v]) => `${JSON.stringify(k)}:${canonical(v)}`).join(',')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}

const sha256 = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex');
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');

function parseJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new RoutingError('ARTIFACT_DAMAGED', `${path}: not JSON`, { cause });
  }
}
