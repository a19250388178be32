/**
 * What an artifact has learned from, by hashes, so that it is never tested on that, whoever brings it. A group is known
 * by its id; a question that comes in another file, under another group, by its text.
 */
import { createHash } from 'node:crypto';
import type { Prompt } from '../../datasets/index.ts';
import type { Manifest } from './artifact.ts';

/** Without a text the group alone decides. */
export type KnownBy = Pick<Prompt, 'groupId' | 'text'>;

export interface TrainedOn {
  /** True when anything in the artifact was fitted, chosen or proved on this prompt: it may not be tested on. */
  seen(prompt: KnownBy): boolean;
  /** True when encoder or heads learned from it: predictions there are too good to choose settings on. */
  fitted(prompt: KnownBy): boolean;
}

/** Letters and digits that tell one question from another, at most and at least. */
const START = { most: 120, least: 24 };

/** The line with the first of the options that a question is followed by. */
const OPTIONS = /^[^\S\n]*(?:[([]?[a1][\]).:]+\s|(?:answer )?(?:options|choices):)/im;

/** How a group is named in a manifest: enough to recognise it, too little to read it. */
export const hashGroup = (groupId: string): string => shortHash(groupId);

/**
 * One hash per text: of how it starts, where no other group starts like that, else of all of it. Its start is what
 * stands before its options, at most 120 letters and digits of it, so that options may be lettered, ordered and shown
 * in another way. Case, punctuation, spaces and the form of a character (NFKC) do not count. 48 bits: 15 000 hashes
 * take one of 100 000 other texts for known with probability 1e-5 (two look-ups each).
 * @param prompts what was learned from; those without letters and digits have no hash
 * @param among   all prompts that there were, to tell a question from a template
 * @returns sorted, each once
 */
export function textHashes(prompts: readonly KnownBy[], among: readonly KnownBy[]): string[] {
  const owners = new Map<string, string | null>();
  for (const { text, groupId } of among) {
    const { start } = keysOf(text);
    if (start === undefined) continue;
    const owner = owners.get(start);
    owners.set(start, owner === undefined || owner === groupId ? groupId : null);
  }
  const hashes = prompts.flatMap(({ text, groupId }) => {
    const { start, whole } = keysOf(text);
    if (start !== undefined && owners.get(start) === groupId) return [shortHash(start)];
    return whole === '' ? [] : [shortHash(whole)];
  });
  return [...new Set(hashes)].sort();
}

/** What the manifest's hashes tell of a prompt; artifacts from before there were hashes of texts know groups alone. */
export function trainedOn({ training }: Pick<Manifest, 'training'>): TrainedOn {
  const { trainedTextHashes = [], calibrationTextHashes = [], certificateTextHashes = [] } = training;
  const fitted = { groups: new Set(training.trainedGroupHashes), texts: new Set(trainedTextHashes) };
  const { calibrationGroupHashes, certificateGroupHashes = [] } = training;
  const seen = {
    groups: new Set([...fitted.groups, ...calibrationGroupHashes, ...certificateGroupHashes]),
    texts: new Set([...trainedTextHashes, ...calibrationTextHashes, ...certificateTextHashes]),
  };
  // Asked again for every router and fold: a long text is read once.
  const read = new WeakMap<KnownBy, readonly string[]>();
  const hashesOf = (prompt: KnownBy): readonly string[] => {
    const known = read.get(prompt);
    if (known !== undefined) return known;
    const { start, whole } = keysOf(prompt.text);
    const hashes = whole === '' ? [] : [...(start === undefined ? [] : [start]), whole].map(shortHash);
    read.set(prompt, hashes);
    return hashes;
  };
  const isIn =
    ({ groups, texts }: typeof seen) =>
    (prompt: KnownBy): boolean =>
      groups.has(hashGroup(prompt.groupId)) || (texts.size > 0 && hashesOf(prompt).some((hash) => texts.has(hash)));
  return { seen: isIn(seen), fitted: isIn(fitted) };
}

/** A text's key, and that of its start where the text goes on after it and it says enough. */
function keysOf(text: string): { start: string | undefined; whole: string } {
  const whole = keyOf(text);
  const options = text.search(OPTIONS);
  const stem = options < 0 ? whole : keyOf(text.slice(0, options));
  const start = (stem.length < START.least ? whole : stem).slice(0, START.most);
  return { start: start.length < whole.length ? start : undefined, whole };
}

const keyOf = (text: string): string =>
  text
    .normalize('NFKC')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, '');

const shortHash = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 12);
