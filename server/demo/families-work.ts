/** Tasks of an office day: sums, records, dates, lists and units. */
import type { Random } from '../../datasets/index.ts';
import { NAMES, oneOf, someOf, whole } from './draw.ts';
import type { Family } from './tasks.ts';

/** Level 1: two numbers. 2: three, plus and minus. 3: a product among them. 4: brackets and larger numbers. */
export const arithmetic: Family = (random, level) => {
  const n = (low: number, high: number) => whole(random, low, high);
  const [text, value] = ((): [string, number] => {
    if (level === 1) {
      const [a, b] = [n(2, 90), n(2, 90)];
      return random() < 0.5 ? [`${a} + ${b}`, a + b] : [`${a + b} - ${a}`, b];
    }
    if (level === 2) {
      const [a, b, c] = [n(20, 300), n(20, 300), n(2, 19)];
      return random() < 0.5 ? [`${a} + ${b} - ${c}`, a + b - c] : [`${a + b} - ${a} + ${c}`, b + c];
    }
    if (level === 3) {
      const [a, b, c, d] = [n(10, 200), n(3, 30), n(3, 30), n(2, 99)];
      return random() < 0.5
        ? [`${a} + ${b} * ${c} - ${d}`, a + b * c - d]
        : [`${a * 5} - ${b} * ${c} + ${d}`, a * 5 - b * c + d];
    }
    const [a, b, c, d, e] = [n(100, 900), n(100, 900), n(11, 60), n(11, 60), n(3, 19)];
    return random() < 0.5
      ? [`(${a} + ${b}) * ${e} - ${c} * ${d}`, (a + b) * e - c * d]
      : [`${c} * (${a} - (${b} - ${d}) * ${e}) + ${d}`, c * (a - (b - d) * e) + d];
  })();
  const prompt = oneOf(random, [
    `What is ${text}?`,
    `Work out ${text}.`,
    `Calculate ${text} for me, please.`,
    `Could you compute ${text}? Just the number.`,
    `I need the value of ${text}.`,
  ]);
  return { prompt, answer: String(value) };
};

/** Level 1: one record in a sentence. 2: the record of one person. 3: the largest of many. 4: a sum over a person's. */
export const extraction: Family = (random, level) => {
  const count = { 1: 1, 2: 4, 3: 8, 4: 12 }[level];
  const people = someOf(random, NAMES, level === 4 ? 4 : 10);
  const records = Array.from({ length: count }, (_, i) => ({
    id: `INV-${whole(random, 1000, 9999)}`,
    name: level === 2 || level === 1 ? people[i]! : oneOf(random, people),
    // Different cents keep the largest amount unique.
    amount: `${whole(random, 15, 980)}.${String(i * 7 + 10)}`,
  }));
  const wanted = oneOf(random, records);
  const list = records.map((r) => `- ${r.id} | ${r.name} | ${r.amount} EUR`).join('\n');
  const opening = oneOf(random, ['Open invoices:', 'Here is this week’s list.', 'From the ledger:']);
  if (level === 1) {
    const letter = `Dear team, please pay invoice ${wanted.id} from ${wanted.name}, in all ${wanted.amount} EUR, by Friday.`;
    return random() < 0.5
      ? { prompt: `${letter}\n\nWhat is the invoice number in this message?`, answer: wanted.id }
      : { prompt: `${letter}\n\nWhich amount has to be paid? Only the number.`, answer: wanted.amount };
  }
  if (level === 2) {
    return random() < 0.5
      ? { prompt: `${opening}\n${list}\n\nWhich invoice number belongs to ${wanted.name}?`, answer: wanted.id }
      : {
          prompt: `${opening}\n${list}\n\nWhich amount does ${wanted.name} owe? Only the number.`,
          answer: wanted.amount,
        };
  }
  if (level === 3) {
    const largest = records.reduce((a, b) => (Number(b.amount) > Number(a.amount) ? b : a));
    return {
      prompt: `${opening}\n${list}\n\nGive the number of the invoice with the largest amount.`,
      answer: largest.id,
    };
  }
  const cents = records
    .filter((r) => r.name === wanted.name)
    .reduce((sum, r) => sum + Math.round(Number(r.amount) * 100), 0);
  return {
    prompt: `${opening}\n${list}\n\nHow much does ${wanted.name} owe in total over all invoices? Only the number.`,
    answer: (cents / 100).toFixed(2),
  };
};

const MONTHS = 'January February March April May June July August September October November December'.split(' ');
const WEEKDAYS = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ');
const DAY_MS = 86_400_000;

/** Level 1: within a month. 2: into the next. 3: months away. 4: the weekday far away. */
export const dates: Family = (random, level) => {
  const month = whole(random, 0, 11);
  const year = whole(random, 2019, 2027);
  const day = level === 1 ? whole(random, 1, 9) : whole(random, 20, 28);
  const start = Date.UTC(year, month, day);
  const days = {
    1: whole(random, 3, 18),
    2: whole(random, 12, 27),
    3: whole(random, 75, 320),
    4: whole(random, 90, 700),
  }[level];
  const end = new Date(start + days * DAY_MS);
  const text = `${day} ${MONTHS[month]} ${year}`;
  if (level === 4) {
    const prompt = oneOf(random, [
      `Which day of the week is ${days} days after ${text}?`,
      `A permit of ${text} is valid for ${days} days. On which weekday does it end?`,
    ]);
    return { prompt, answer: WEEKDAYS[end.getUTCDay()]! };
  }
  const prompt = oneOf(random, [
    `Which date is ${days} days after ${text}? Write it as YYYY-MM-DD.`,
    `The parcel left on ${text} and took ${days} days. When did it arrive (YYYY-MM-DD)?`,
    `Add ${days} days to ${text} and give the date as YYYY-MM-DD.`,
  ]);
  return { prompt, answer: end.toISOString().slice(0, 10) };
};

const WORDS =
  'signal harbour lantern copper meadow violin pepper saddle ticket garden bridge island carriage oak fog platform ivy whistle timetable rail'.split(
    ' ',
  );

/** Level 1: few numbers. 2: more, of mixed length. 3: words by length. 4: people by age, dated both ways. */
export const ordering: Family = (random, level) => {
  const down = random() < 0.5;
  if (level <= 2) {
    const pool = level === 1 ? range(10, 99) : range(3, 1500);
    const numbers = someOf(random, pool, level === 1 ? 4 : 9);
    const sorted = [...numbers].sort((a, b) => (down ? b - a : a - b));
    const prompt = oneOf(random, [
      `Sort these numbers from ${down ? 'largest to smallest' : 'smallest to largest'}: ${numbers.join(', ')}`,
      `Put in ${down ? 'descending' : 'ascending'} order: ${numbers.join(', ')}`,
    ]);
    return { prompt, answer: sorted.join(', ') };
  }
  if (level === 3) {
    const words = someOf(random, WORDS, 7);
    const sorted = [...words].sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
    return {
      prompt: `Order these words by length, shortest first; words of one length alphabetically: ${words.join(', ')}`,
      answer: sorted.join(', '),
    };
  }
  const people = someOf(random, NAMES, 8);
  const ages = someOf(random, range(18, 80), 8);
  const sorted = people
    .map((name, i) => ({ name, age: ages[i]! }))
    .sort((a, b) => (down ? b.age - a.age : a.age - b.age));
  return {
    prompt: `${people.map((name, i) => `${name} is ${ages[i]}`).join(', ')}. List the names from ${
      down ? 'oldest to youngest' : 'youngest to oldest'
    }, separated by commas.`,
    answer: sorted.map(({ name }) => name).join(', '),
  };
};

const range = (low: number, high: number): number[] => Array.from({ length: high - low + 1 }, (_, i) => low + i);

/** Level 1: one step of a thousand or sixty. 2: any pair of a table. 3: speed and time. 4: a rate over several units. */
export const units: Family = (random, level) => {
  const n = (low: number, high: number) => whole(random, low, high);
  if (level === 1)
    return convert(
      random,
      n(2, 60),
      oneOf(random, [
        ['kilometres', 'metres', 1000],
        ['kilograms', 'grams', 1000],
        ['hours', 'minutes', 60],
      ] as const),
    );
  if (level === 2)
    return convert(
      random,
      n(2, 60),
      oneOf(random, [
        ['days', 'minutes', 1440],
        ['feet', 'inches', 12],
        ['litres', 'millilitres', 1000],
        ['weeks', 'hours', 168],
      ] as const),
    );
  if (level === 3) {
    const [speed, quarters] = [n(8, 60) * 4, n(3, 30)];
    const minutes = quarters * 15;
    return {
      prompt: `A train runs at ${speed} km/h for ${minutes} minutes. How many metres does it cover?`,
      answer: String((speed / 4) * quarters * 1000),
    };
  }
  const [perMinute, hours, minutes, perBottle] = [n(3, 20) * 3, n(2, 9), n(1, 5) * 10, oneOf(random, [250, 500, 750])];
  const millilitres = perMinute * 1000 * (hours * 60 + minutes);
  return {
    prompt: `A pump fills ${perMinute} litres per minute and runs for ${hours} hours and ${minutes} minutes. How many bottles of ${perBottle} millilitres does that fill?`,
    answer: String(millilitres / perBottle),
  };
};

function convert(random: Random, amount: number, [from, to, factor]: readonly [string, string, number]) {
  const prompt = oneOf(random, [
    `How many ${to} are ${amount} ${from}?`,
    `Convert ${amount} ${from} to ${to}.`,
    `${amount} ${from} is how many ${to}?`,
  ]);
  return { prompt, answer: String(amount * factor) };
}
