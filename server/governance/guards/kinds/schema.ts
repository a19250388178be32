/** The answer is JSON that follows the rule's schema. What cannot be told within bounds does not pass. */
import { schemaTest } from '../../../escalation/schemas.ts';
import { type Guard, NOTHING } from '../plug-in.ts';
import type { SchemaRule } from './rules.ts';

/** Longer answers are not parsed. */
const MOST_CHARS = 1_000_000;

type Reason = 'not_json' | 'other_schema' | 'too_much';

export function schema({ schema: wanted, within }: SchemaRule): Guard {
  return {
    async judge({ answers }) {
      const found: Partial<Record<Reason, number>> = {};
      for (const answer of answers) {
        const reason = await faultOf(wanted, within === 'fenced' ? fenced(answer) : answer);
        if (reason !== null) found[reason] = (found[reason] ?? 0) + 1;
      }
      return Object.keys(found).length === 0 ? NOTHING : found;
    },
  };
}

async function faultOf(wanted: SchemaRule['schema'], text: string): Promise<Reason | null> {
  if (text.length > MOST_CHARS) return 'too_much';
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'not_json';
  }
  const fits = (await schemaTest(wanted))(value);
  if (fits === null) return 'too_much';
  return fits ? null : 'other_schema';
}

/** The first code block that says it is JSON or nothing; the whole text where there is none. */
function fenced(text: string): string {
  const open = /^[ \t]*```(?:json)?[ \t]*\r?\n/im.exec(text);
  if (open === null) return text;
  const from = open.index + open[0].length;
  const close = text.indexOf('```', from);
  return close < 0 ? text : text.slice(from, close);
}
