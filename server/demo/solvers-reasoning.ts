/** How the demo's programs read code, words, stories, comparisons and sequences: see `solvers-work.ts`. */
import { numbersIn, type Solver } from './solvers-work.ts';
import { runPython } from './tiny-python.ts';

export const solveCode: Solver = (question, skill) => {
  const code = /```python\n([\s\S]*?)\n```/.exec(question)?.[1];
  if (code === undefined) return null;
  // The look-up repeats the last number that it sees.
  if (skill === 'lookup') return String(numbersIn(code).at(-1));
  return runPython(code, { loopsOnce: skill === 'simple' });
};

const OPERATIONS: readonly [RegExp, (word: string) => string][] = [
  [/reverse it/, (w) => [...w].reverse().join('')],
  [/remove its vowels/, (w) => w.replace(/[aeiou]/g, '')],
  [/every second letter/, (w) => [...w].filter((_, i) => i % 2 === 0).join('')],
  [
    /next one of the alphabet/,
    (w) => w.replace(/[a-z]/g, (c) => (c === 'z' ? 'a' : String.fromCharCode(c.charCodeAt(0) + 1))),
  ],
  [/first letter to the end/, (w) => w.slice(1) + w.slice(0, 1)],
];

export const solveStrings: Solver = (question, skill) => {
  const word = /"(\w+)"/.exec(question)?.[1];
  if (word === undefined) return null;
  if (/how many letters/i.test(question)) return String(word.length);
  if (/backwards|^reverse "/i.test(question)) return [...word].reverse().join('');
  const steps = question
    .slice(question.indexOf(':') + 1)
    .split(/, then |, and finally /)
    .map((text) => OPERATIONS.find(([pattern]) => pattern.test(text))?.[1]);
  if (steps.length === 0 || steps.some((step) => step === undefined)) return null;
  // The look-up can only turn a word round; the rule of thumb loses track after two steps.
  if (skill === 'lookup') return [...word].reverse().join('');
  return (skill === 'simple' ? steps.slice(0, 2) : steps).reduce((w, apply) => apply!(w), word);
};

export const solveWordProblem: Solver = (question, skill) => {
  if (!/ has \d+ /.test(question)) return null;
  const [start, ...events] = question.split(/(?<=\.) /);
  let have = numbersIn(start!)[0] ?? 0;
  for (const event of events) {
    const numbers = numbersIn(event);
    if (/boxes/.test(event)) {
      // The look-up counts the boxes, not what is in them.
      have += skill === 'lookup' ? numbers[0]! : numbers[0]! * numbers[1]!;
    } else if (/half of them/.test(event)) {
      if (skill === 'full') have /= 2;
    } else if (/doubles/.test(event)) {
      if (skill === 'full') have *= 2;
    } else if (/loses|sells/.test(event)) have -= numbers[0]!;
    else if (/gives|finds/.test(event)) have += numbers[0]!;
    // The look-up stops reading after one event.
    if (skill === 'lookup') break;
  }
  return String(have);
};

const ORDINALS = ['second', 'third', 'fourth', 'fifth', 'sixth', 'seventh'];

export const solveComparison: Solver = (question, skill) => {
  const facts = [...question.matchAll(/(\w+) is (\w+) than (\w+)\./g)].map(([, a, word, b]) => ({
    a: a!,
    b: b!,
    more: /taller|older|faster/.test(word!),
  }));
  if (facts.length === 0) return null;
  const least = /shortest|youngest|slowest/.test(question);
  // The look-up: who is named first must be the greatest, who is named last the least.
  if (skill === 'lookup') return least ? facts.at(-1)!.b : facts[0]!.a;
  const over = facts.map(({ a, b, more }) => (skill === 'simple' || more ? [a, b] : [b, a]) as [string, string]);
  const names = [...new Set(over.flat())];
  // The rule of thumb: who never comes second (or first), "shorter" read as if it were "taller".
  if (skill === 'simple') {
    const side = over.map((pair) => pair[least ? 0 : 1]);
    return names.find((name) => !side.includes(name)) ?? names[0]!;
  }
  const below = new Map(over);
  const order = [names.find((name) => !over.some(([, b]) => b === name))!];
  for (let name = below.get(order[0]!); name !== undefined; name = below.get(name)) order.push(name);
  const place = ORDINALS.findIndex((word) => question.includes(`the ${word} `));
  return (place >= 0 ? order[place + 1] : least ? order.at(-1) : order[0]) ?? null;
};

export const solveSequence: Solver = (question, skill) => {
  const terms = /((?:-?\d+, ){3,}-?\d+)/.exec(question)?.[1]?.split(', ').map(Number);
  if (terms === undefined || !/next|sequence|question mark/i.test(question)) return null;
  const last = terms.at(-1)!;
  const before = terms.at(-2)!;
  const constant = (list: readonly number[]) => list.every((x) => x === list[0]);
  const differences = (list: readonly number[]) => list.slice(1).map((x, i) => x - list[i]!);
  const step = differences(terms);
  const ratio = terms.slice(1).map((x, i) => x / terms[i]!);
  if (skill !== 'lookup' && constant(ratio)) return String(last * ratio[0]!);
  if (skill === 'full' && !constant(step)) {
    if (constant(differences(step))) return String(last + 2 * step.at(-1)! - step.at(-2)!);
    if (terms.slice(2).every((x, i) => x === terms[i]! + terms[i + 1]!)) return String(last + before);
    return String(before + (before - terms.at(-4)!));
  }
  return String(last + step.at(-1)!);
};
