/**
 * How the demo's programs solve sums, records, dates, lists and units: each reads the question and
 * computes, with more or less skill. None of them knows how the questions were made.
 */
import { evaluate } from './tiny-python.ts';

/** `lookup` takes the first thing it finds, `simple` one step or rule of thumb, `full` does it properly. */
export type Skill = 'lookup' | 'simple' | 'full';

/** An answer, or null when the question is none of its kind. */
export type Solver = (question: string, skill: Skill) => string | null;

export const numbersIn = (text: string): number[] => (text.match(/\d+(\.\d+)?/g) ?? []).map(Number);

export const solveArithmetic: Solver = (question, skill) => {
  const expression = /[\d(][\d\s()+*-]*[\d)]/.exec(question)?.[0];
  if (expression === undefined || !/\d\s*[-+*]/.test(expression) || /\d-\d/.test(expression)) return null;
  try {
    if (skill === 'full') return String(evaluate(expression));
    // From left to right, as on a pocket calculator: brackets are not seen, products do not come first.
    const terms = expression.match(/\d+|[-+*]/g) ?? [];
    const steps = skill === 'lookup' ? terms.slice(0, 3) : terms;
    let value = steps[0] ?? '';
    for (let i = 1; i + 1 < steps.length; i += 2) value = String(evaluate(`(${value}) ${steps[i]} ${steps[i + 1]}`));
    return value;
  } catch {
    return null;
  }
};

export const solveExtraction: Solver = (question, skill) => {
  const records = [...question.matchAll(/^- (\S+) \| (\w+) \| ([\d.]+) EUR$/gm)].map(([, id, name, amount]) => ({
    id: id!,
    name: name!,
    amount: amount!,
  }));
  const asked = question.slice(question.lastIndexOf('\n') + 1);
  const wantsId = /number (in|belongs)|invoice number|number of the invoice/i.test(asked);
  if (records.length === 0) {
    const id = /INV-\d+/.exec(question)?.[0];
    const amount = /([\d.]+) EUR/.exec(question)?.[1];
    return (wantsId ? id : amount) ?? null;
  }
  const own = records.filter(({ name }) => new RegExp(`\\b${name}\\b`).test(asked));
  if (/largest amount/.test(asked)) {
    const best = records.reduce((a, b) => (Number(b.amount) > Number(a.amount) ? b : a));
    // The look-up compares digits, not numbers: 98.10 stands before 341.17.
    const first = records.reduce((a, b) => (b.amount > a.amount ? b : a));
    return (skill === 'lookup' ? first : best).id;
  }
  if (/in total/.test(asked)) {
    const cents = own.map(({ amount }) => Math.round(Number(amount) * 100));
    // Without carrying over the cents, the sum of the whole amounts is a little low.
    if (skill === 'full') return (cents.reduce((a, b) => a + b, 0) / 100).toFixed(2);
    return skill === 'simple' ? String(cents.reduce((a, b) => a + Math.floor(b / 100), 0)) : (own[0]?.amount ?? null);
  }
  return (wantsId ? own[0]?.id : own[0]?.amount) ?? null;
};

const MONTHS = 'January February March April May June July August September October November December'.split(' ');
const WEEKDAYS = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ');

export const solveDates: Solver = (question, skill) => {
  const date = new RegExp(`(\\d{1,2}) (${MONTHS.join('|')}) (\\d{4})`).exec(question);
  const span = /(\d+) days/.exec(question);
  if (!date || !span) return null;
  const [day, month, year, days] = [Number(date[1]), MONTHS.indexOf(date[2]!), Number(date[3]), Number(span[1])];
  const end = new Date(Date.UTC(year, month, day + days));
  if (/day of the week|weekday/.test(question)) {
    // Without counting it is a guess at the most likely sort of day.
    return skill === 'full' ? WEEKDAYS[end.getUTCDay()]! : skill === 'simple' ? 'Monday' : 'Friday';
  }
  if (skill === 'full') return end.toISOString().slice(0, 10);
  const write = (y: number, m: number, d: number) => `${y}-${String(m).padStart(2, '0')}-${String(d).padStart(2, '0')}`;
  if (skill === 'lookup') return write(year, month + 1, day + days);
  // Every month has thirty days: good enough for a short while.
  const total = day - 1 + days;
  const months = month + Math.floor(total / 30);
  return write(year + Math.floor(months / 12), (months % 12) + 1, (total % 30) + 1);
};

export const solveOrdering: Solver = (question, skill) => {
  const down = /largest to smallest|descending|oldest to youngest/.test(question);
  const people = [...question.matchAll(/(\w+) is (\d+)/g)].map(([, name, age]) => ({ name: name!, age: Number(age) }));
  if (people.length > 0 && /List the names/.test(question)) {
    if (skill === 'lookup') return people.map(({ name }) => name).join(', ');
    // The rule of thumb forgets which end was asked for.
    const sign = down && skill === 'full' ? -1 : 1;
    return people
      .sort((a, b) => sign * (a.age - b.age))
      .map(({ name }) => name)
      .join(', ');
  }
  const list = /: (.+)$/.exec(question)?.[1]?.split(', ');
  if (list === undefined || !/^(sort|put in|order)/i.test(question)) return null;
  if (list.every((item) => /^\d+$/.test(item))) {
    // Digit by digit, 90 stands after 1200.
    const sorted = skill === 'lookup' ? [...list].sort() : [...list].sort((a, b) => Number(a) - Number(b));
    return (down ? sorted.reverse() : sorted).join(', ');
  }
  if (skill === 'lookup') return [...list].sort().join(', ');
  if (skill === 'simple') return [...list].sort((a, b) => a.length - b.length).join(', ');
  return [...list].sort((a, b) => a.length - b.length || (a < b ? -1 : 1)).join(', ');
};

/** What one of the first holds of the second. */
const FACTORS: Readonly<Record<string, number>> = {
  'kilometres metres': 1000,
  'kilograms grams': 1000,
  'hours minutes': 60,
  'days minutes': 1440,
  'feet inches': 12,
  'litres millilitres': 1000,
  'weeks hours': 168,
};
/** As much of the table as fits on a card. */
const ON_THE_CARD = Object.keys(FACTORS).slice(0, 3);

export const solveUnits: Solver = (question, skill) => {
  const numbers = numbersIn(question);
  const train = /(\d+) km\/h for (\d+) minutes/.exec(question);
  const pump = /(\d+) litres per minute .* (\d+) hours and (\d+) minutes.* (\d+) millilitres/.exec(question);
  if (train || pump) {
    if (skill === 'lookup') return String(numbers[0]! * numbers[1]!);
    if (train) {
      const metres = Number(train[1]) * Number(train[2]) * (1000 / 60);
      // Rounding the metres of a minute first is handy and, mostly, off.
      return skill === 'full'
        ? String(Math.round(metres))
        : String(Math.round((Number(train[1]) * 1000) / 60) * Number(train[2]));
    }
    const [perMinute, hours, minutes, bottle] = pump!.slice(1).map(Number) as [number, number, number, number];
    return skill === 'full'
      ? String((perMinute * 1000 * (hours * 60 + minutes)) / bottle)
      : String((perMinute * hours * 60 * 1000) / bottle);
  }
  for (const [pair, factor] of Object.entries(FACTORS)) {
    const [from, to] = pair.split(' ') as [string, string];
    if (!new RegExp(`\\d ${from}\\b`).test(question) || !new RegExp(`\\b${to}\\b`).test(question)) continue;
    return String(numbers[0]! * (skill === 'lookup' && !ON_THE_CARD.includes(pair) ? 100 : factor));
  }
  return null;
};
