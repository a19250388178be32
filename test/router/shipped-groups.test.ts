/** What the shipped artifact says it was trained on, against the data itself: the report part stays unseen. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { Prompt, readJsonl, roleOf } from '../../datasets/index.ts';
import { loadArtifact } from '../../router/artifact/artifact.ts';
import { hashGroup, trainedOn } from '../../router/artifact/trained-on.ts';

const root = fileURLToPath(new URL('../../../shared/data/outcomes', import.meta.url));
const present = existsSync(root);
if (!present) console.log('shipped-groups: skipped, ../shared/data/outcomes is not there');

/** Each group and whether a prompt of it may be trained on at all. */
async function groupsOf(name: string): Promise<Map<string, boolean>> {
  const groups = new Map<string, boolean>();
  for await (const p of readJsonl(join(root, name, 'prompts.jsonl.gz'), Prompt)) {
    const id = p.groupId ?? p.id;
    groups.set(id, groups.get(id) === true || !p.contaminated);
  }
  return groups;
}

const TRAINED = ['mmlu-pro', 'zeroeval', 'livecodebench', 'ulab-llmrouter'];

describe.skipIf(!present)('the shipped artifact and the public sources', () => {
  test('trained on every training group of its four sources, chose settings on calibration groups, proved them on certificate groups, saw no report group', async () => {
    const { manifest } = await loadArtifact();
    const { trainedGroupHashes, calibrationGroupHashes, certificateGroupHashes } = manifest.training;
    const [trained, certificate, calibration, report] = [1, 2, 3, 4].map(() => new Set<string>());
    const ofRole = { train: trained!, certificate: certificate!, calibration: calibration!, report: report! };
    for (const name of TRAINED) {
      for (const [id, usable] of await groupsOf(name)) if (usable) ofRole[roleOf(id)].add(hashGroup(id));
    }
    expect([...ofRole.train].sort()).toEqual(trainedGroupHashes);
    expect([...ofRole.calibration].sort()).toEqual(calibrationGroupHashes);
    expect([...ofRole.certificate].sort()).toEqual(certificateGroupHashes);
    const seen = new Set([...trainedGroupHashes, ...calibrationGroupHashes, ...certificateGroupHashes!]);
    expect([...ofRole.report].filter((hash) => seen.has(hash))).toEqual([]);
    expect(ofRole.report.size).toBeGreaterThan(1000);
  });

  test('saw no group that stands in routellm alone', async () => {
    const { manifest } = await loadArtifact();
    const elsewhere = new Set<string>();
    for (const name of TRAINED) for (const id of (await groupsOf(name)).keys()) elsewhere.add(id);
    const own = [...(await groupsOf('routellm')).keys()].filter((id) => !elsewhere.has(id));
    expect(own.length).toBeGreaterThan(5000);
    const { seen } = trainedOn(manifest);
    expect(own.filter((groupId) => seen({ groupId, text: '' }))).toEqual([]);
  });
});
