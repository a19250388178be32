/** What an artifact has learned from is known again by its text, under whatever group it comes back. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hashGroup, type KnownBy, textHashes, trainedOn } from '../../router/artifact/trained-on.ts';

const QUESTION =
  'A company buys a machine for 12 000 dollars, writes off a fifth of its value every year and sells it after three ' +
  'years for 7 000 dollars. How much has it gained or lost against the book value?';
const trained: KnownBy[] = [
  { groupId: 'bought', text: `${QUESTION}\nA. 856 gained\nB. 856 lost\nC. nothing` },
  { groupId: 'short', text: 'What contains seeds?' },
  { groupId: 'options', text: 'Which of these is the largest planet?\nA. Mars\nB. Jupiter\nC. Venus' },
];

/** Made of prompts in three parts, as training does it. */
function manifestOf(parts: { fitted?: KnownBy[]; calibration?: KnownBy[]; certificate?: KnownBy[] }, among: KnownBy[]) {
  const { fitted = [], calibration = [], certificate = [] } = parts;
  const groups = (prompts: KnownBy[]) => prompts.map((p) => hashGroup(p.groupId));
  return {
    training: {
      seed: 1,
      data: [],
      trainedGroupHashes: groups(fitted),
      calibrationGroupHashes: groups(calibration),
      certificateGroupHashes: groups(certificate),
      trainedTextHashes: textHashes(fitted, among),
      calibrationTextHashes: textHashes(calibration, among),
      certificateTextHashes: textHashes(certificate, among),
    },
  };
}

const { seen } = trainedOn(manifestOf({ fitted: trained }, trained));
const elsewhere = (text: string): KnownBy => ({ groupId: 'another file', text });

describe('a prompt in another group is seen', () => {
  test.each([
    ['as it was', trained[0]!.text],
    ['in capitals', trained[0]!.text.toUpperCase()],
    ['without punctuation, on one line', trained[0]!.text.replace(/[^A-Za-z0-9]+/g, ' ')],
    ['in characters of double width', trained[0]!.text.replaceAll('12', '\uff11\uff12')],
    ['with its options lettered and ordered another way', `${QUESTION}\n(1) nothing\n(2) 856 lost\n(3) 856 gained`],
    ['without its options', QUESTION],
    ['with other options after fewer letters', 'Which of these is the largest planet?\nOptions:\n(A) Venus\n(B) Mars'],
    ['with numbered options', 'Which of these is the largest planet?\n  1) Venus\n  2) Jupiter'],
    ['that is the question alone', 'Which of these is the largest planet?'],
    ['and short', ' what contains: SEEDS'],
  ])('%s', (_, text) => {
    expect(seen(elsewhere(text))).toBe(true);
  });

  test('whatever its case, spaces and punctuation, in any script', () => {
    const noise = fc.stringMatching(/^[\s.,:;!?()$-]*$/);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.stringMatching(/^[a-zа-яあ-ん0-9]{1,9}$/), noise), { minLength: 1 }),
        (words) => {
          const text = words.map(([word]) => word).join(' ');
          const first = { groupId: 'g', text };
          const other = {
            groupId: 'h',
            text: words.map(([word, gap], i) => gap + (i % 2 ? word : word.toUpperCase())).join(''),
          };
          expect(trainedOn(manifestOf({ fitted: [first] }, [first])).seen(other)).toBe(true);
        },
      ),
    );
  });
});

describe('a prompt is not seen', () => {
  test.each([
    ['when another text is longer', 'What contains seeds and stones?'],
    ['when it only ends alike', 'Name a fruit. What contains seeds?'],
    ['when it is cut short within its first 120 letters and digits', QUESTION.slice(0, 120)],
    ['without a text', ''],
    ['of signs alone', '?!'],
  ])('%s', (_, text) => {
    expect(seen(elsewhere(text))).toBe(false);
  });

  test('for a template that it shares with one', () => {
    const template = 'Answer the following multiple choice question with one letter and nothing else. '.repeat(3);
    const asked = ['Which gas do plants take in?', 'Which planet is the largest?', 'Who wrote Faust?'].map(
      (question, i) => ({ groupId: `g${i}`, text: template + question }),
    );
    // The third was there when the first was learned from, so it is told that the start is no question.
    const known = trainedOn(manifestOf({ fitted: [asked[0]!] }, [asked[0]!, asked[2]!]));
    const again = asked.map((p) => ({ ...p, groupId: 'another file' }));
    expect(again.map(known.seen)).toEqual([true, false, false]);
  });

  test('for few words before its options', () => {
    // "Which is true" are 11 letters: fewer than 24 are no question of their own.
    const first = { groupId: 'g', text: 'Which is true?\nA. Ice floats.\nB. Ice sinks.' };
    const known = trainedOn(manifestOf({ fitted: [first] }, [first]));
    expect(known.seen(elsewhere('Which is true?\nA. Cats bark.\nB. Dogs bark.'))).toBe(false);
    expect(known.seen(elsewhere('Which is true?\n(a) Ice floats\n(b) Ice sinks'))).toBe(true);
  });
});

test('what only chose or proved settings is seen, but not fitted', () => {
  const prompts = ['one', 'two', 'three', 'four'].map((text) => ({ groupId: `group of ${text}`, text }));
  const [a, b, c] = prompts as [KnownBy, KnownBy, KnownBy];
  const known = trainedOn(manifestOf({ fitted: [a], calibration: [b], certificate: [c] }, prompts));
  for (const again of [prompts, prompts.map(({ text }) => elsewhere(text))]) {
    expect(again.map(known.seen)).toEqual([true, true, true, false]);
    expect(again.map(known.fitted)).toEqual([true, false, false, false]);
  }
});

test('an artifact from before there were hashes of texts knows groups alone', () => {
  const { trainedGroupHashes, calibrationGroupHashes } = manifestOf({ fitted: trained }, trained).training;
  const old = trainedOn({ training: { seed: 1, data: [], trainedGroupHashes, calibrationGroupHashes } });
  expect(old.seen({ groupId: 'short', text: '' })).toBe(true);
  expect(old.seen(elsewhere(trained[1]!.text))).toBe(false);
});

test('hashes are short, sorted, each once, and none is of a text without letters and digits', () => {
  const twice = [...trained, { groupId: 'again', text: 'WHAT contains seeds' }, { groupId: 'none', text: '…' }];
  const hashes = textHashes(twice, twice);
  expect(hashes).toHaveLength(3);
  expect(hashes).toEqual([...hashes].sort());
  for (const hash of hashes) expect(hash).toMatch(/^[0-9a-f]{12}$/);
});
