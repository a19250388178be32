/** Tasks that take steps in order: code, words, stories, comparisons and sequences. */
import { shuffled } from '../../datasets/index.ts';
import { NAMES, oneOf, someOf, whole } from './draw.ts';
import type { Family } from './tasks.ts';

/** Level 1: assignments. 2: a loop. 3: a loop with a condition. 4: a loop in a loop, or until something holds. */
export const codeReading: Family = (random, level) => {
  const n = (low: number, high: number) => whole(random, low, high);
  const [code, value] = ((): [string, number] => {
    if (level === 1) {
      const [a, b] = [n(2, 30), n(2, 30)];
      return [`a = ${a}\nb = a + ${b}\nprint(a + b)`, a + a + b];
    }
    const [start, stop, step] = [n(0, 9), n(5, 12), n(2, 6)];
    if (level === 2) {
      let total = start;
      for (let i = 0; i < stop; i++) total += i * step;
      return [`total = ${start}\nfor i in range(${stop}):\n    total += i * ${step}\nprint(total)`, total];
    }
    if (level === 3) {
      let total = start;
      for (let i = 1; i < stop + 8; i++) total += i % step === 0 ? i : -1;
      return [
        `total = ${start}\nfor i in range(1, ${stop + 8}):\n    if i % ${step} == 0:\n        total += i\n    else:\n        total -= 1\nprint(total)`,
        total,
      ];
    }
    if (random() < 0.5) {
      let x = n(6, 30);
      let steps = 0;
      const code4 = `x = ${x}\nsteps = 0\nwhile x > 1:\n    if x % 2 == 0:\n        x = x // 2\n    else:\n        x = 3 * x + 1\n    steps += 1\nprint(steps)`;
      for (; x > 1; steps++) x = x % 2 === 0 ? x / 2 : 3 * x + 1;
      return [code4, steps];
    }
    let count = 0;
    for (let i = 1; i < stop; i++) for (let j = i; j < stop; j++) if ((i * j) % step === 0) count += j;
    return [
      `count = 0\nfor i in range(1, ${stop}):\n    for j in range(i, ${stop}):\n        if i * j % ${step} == 0:\n            count += j\nprint(count)`,
      count,
    ];
  })();
  const question = oneOf(random, [
    'What does this program print?',
    'Give the output of this code:',
    'What is printed?',
  ]);
  return { prompt: `${question}\n\n\`\`\`python\n${code}\n\`\`\``, answer: String(value) };
};

const STEPS: readonly [string, (word: string) => string][] = [
  ['reverse it', (w) => [...w].reverse().join('')],
  ['remove its vowels', (w) => w.replace(/[aeiou]/g, '')],
  ['keep only every second letter, beginning with the first', (w) => [...w].filter((_, i) => i % 2 === 0).join('')],
  ['replace each letter by the next one of the alphabet', (w) => w.replace(/[a-z]/g, next)],
  ['move its first letter to the end', (w) => w.slice(1) + w.slice(0, 1)],
];
const next = (letter: string) => (letter === 'z' ? 'a' : String.fromCharCode(letter.charCodeAt(0) + 1));
const LONG_WORDS =
  'locomotive timetable carriages platforms signalling crossings departure whistle conductor terminus junctions sleepers'.split(
    ' ',
  );

/** Level 1: one simple step. 2: one of any kind. 3: two in a row. 4: four in a row. */
export const strings: Family = (random, level) => {
  const word = oneOf(random, LONG_WORDS);
  if (level === 1) {
    return random() < 0.5
      ? {
          prompt: oneOf(random, [`Write the word "${word}" backwards.`, `Reverse "${word}".`]),
          answer: [...word].reverse().join(''),
        }
      : { prompt: `How many letters does the word "${word}" have?`, answer: String(word.length) };
  }
  const steps = someOf(random, STEPS, { 2: 1, 3: 2, 4: 4 }[level]);
  const text = steps
    .map(([name], i) => `${i === 0 ? '' : i === steps.length - 1 ? ', and finally ' : ', then '}${name}`)
    .join('');
  const prompt = oneOf(random, [
    `Take the word "${word}": ${text}. What is the result?`,
    `Start from "${word}" and do this: ${text}. Which letters are left, in order?`,
  ]);
  return { prompt, answer: steps.reduce((w, [, apply]) => apply(w), word) };
};

const THINGS = ['marbles', 'stamps', 'tickets', 'apples', 'coins', 'books'];

/** Level 1: one thing happens. 2: two. 3: three, boxes among them. 4: five, with halves and doubles. */
export const wordProblems: Family = (random, level) => {
  const n = (low: number, high: number) => whole(random, low, high);
  const [name, friend] = someOf(random, NAMES, 2);
  const things = oneOf(random, THINGS);
  let have = n(10, 60) * 2;
  const story = [`${name} has ${have} ${things}.`];
  const events = [
    () => {
      const k = n(3, 40);
      have += k;
      return oneOf(random, [`${friend} gives ${name} ${k} more.`, `Then ${name} finds ${k} ${things}.`]);
    },
    () => {
      const k = n(2, Math.max(2, Math.min(30, have - 2)));
      have -= k;
      return oneOf(random, [`${name} loses ${k} of them.`, `${name} sells ${k} ${things}.`]);
    },
    () => {
      const [boxes, each] = [n(2, 9), n(3, 12)];
      have += boxes * each;
      return `${name} buys ${boxes} boxes with ${each} ${things} each.`;
    },
    () => {
      const even = have % 2 === 0;
      have = even ? have / 2 : have * 2;
      return even ? `${name} gives half of them to ${friend}.` : `A prize doubles what ${name} has.`;
    },
  ];
  const plan = { 1: [whole(random, 0, 1)], 2: [0, 1], 3: [2, whole(random, 0, 1), 1], 4: [2, 3, 1, 2, 3] }[level];
  for (const at of level === 1 ? plan : shuffled(plan, random)) story.push(events[at]!());
  story.push(oneOf(random, [`How many ${things} does ${name} have now?`, `How many ${things} are there in the end?`]));
  return { prompt: story.join(' '), answer: String(have) };
};

/** Level 1: three in one direction. 2: four. 3: six, both directions. 4: eight, both directions, somebody in between. */
export const comparison: Family = (random, level) => {
  const count = { 1: 3, 2: 4, 3: 6, 4: 8 }[level];
  const [more, less, most, least] = oneOf(random, [
    ['taller', 'shorter', 'tallest', 'shortest'],
    ['older', 'younger', 'oldest', 'youngest'],
    ['faster', 'slower', 'fastest', 'slowest'],
  ] as const);
  // From the most to the least; neighbours are enough to know the whole order.
  const order = someOf(random, NAMES, count);
  const facts = order.slice(1).map((lower, i) => {
    const flip = level >= 3 && random() < 0.5;
    return flip ? `${lower} is ${less} than ${order[i]}.` : `${order[i]} is ${more} than ${lower}.`;
  });
  const text = (level === 1 ? facts : shuffled(facts, random)).join(' ');
  if (level === 4) {
    const place = whole(random, 2, count - 1);
    const ordinal = ['second', 'third', 'fourth', 'fifth', 'sixth', 'seventh'][place - 2]!;
    return { prompt: `${text} Who is the ${ordinal} ${most}?`, answer: order[place - 1]! };
  }
  const top = random() < 0.5;
  return { prompt: `${text} Who is the ${top ? most : least}?`, answer: top ? order[0]! : order.at(-1)! };
};

/** Level 1: constant steps. 2: a constant factor. 3: growing steps. 4: sums of two before, or two sequences in turn. */
export const sequences: Family = (random, level) => {
  const n = (low: number, high: number) => whole(random, low, high);
  const [a, b, c] = [n(1, 20), n(2, 12), n(2, 6)];
  const terms: number[] = [a];
  if (level === 4 && random() < 0.5) terms.push(a + b);
  const pair = level === 4 && terms.length === 1;
  for (let i = terms.length; i < 7; i++) {
    const last = terms[i - 1]!;
    if (level === 1) terms.push(last + b);
    else if (level === 2) terms.push(last * Math.min(c, 4));
    else if (level === 3) terms.push(last + b + (i - 1) * c);
    else if (pair) terms.push(i % 2 === 1 ? b * 3 + (i - 1) * c : a + (i / 2) * b);
    else terms.push(last + terms[i - 2]!);
  }
  const shown = terms.slice(0, 6).join(', ');
  const prompt = oneOf(random, [
    `Which number comes next: ${shown}, …?`,
    `Continue the sequence ${shown} by one number.`,
    `${shown}, ? What replaces the question mark?`,
  ]);
  return { prompt, answer: String(terms[6]) };
};
