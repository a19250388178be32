/** A YAML text as plain values that still know where they were written, so that a message can point at the line. */
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, visit } from 'yaml';

/** Where an option stands: names and numbers from the top of the file. */
export type OptionPath = readonly (string | number)[];

/** Something wrong in a configuration, for people. Never holds a value: it could be a key. */
export interface Problem {
  readonly path: OptionPath;
  readonly message: string;
}

/** Both from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

export interface YamlText {
  /** Undefined where the text is no YAML. */
  readonly value: unknown;
  /** What keeps the text from being read, each with its place. */
  readonly faults: readonly { readonly message: string; readonly place: Place }[];
  /** The key of an option, or the item of a list; of one that is not there, the nearest thing around it. */
  placeOf(path: OptionPath): Place;
}

/** Larger than any configuration; a file like that was named by mistake. */
const LONGEST = 8 * 1024 * 1024;
const TOP: Place = { line: 1, column: 1 };

/** The parser's own words quote the text, which may be a key; these do not. */
const IN_OUR_WORDS: Readonly<Record<string, string>> = {
  UNEXPECTED_TOKEN: 'no YAML from here on; is a quote, a colon or a bracket missing before it?',
  TAG_RESOLVE_FAILED: 'an unknown tag; put a value that begins with ! in quotes',
  BAD_ALIAS: 'an alias (*name) without its anchor (&name); put a value that begins with * in quotes',
  BAD_COLLECTION_TYPE: 'a tag that does not fit what follows it',
  BAD_DIRECTIVE: 'an unknown directive; put a value that begins with % in quotes',
  BAD_DQ_ESCAPE: 'an escape that YAML does not know; use single quotes, or double the backslash',
  MULTIPLE_DOCS: 'a second document (---); a configuration is one',
};

/** Never throws: what is wrong is in `faults`. */
export function readYamlText(text: string): YamlText {
  if (text.length > LONGEST) {
    return {
      value: undefined,
      faults: [{ message: 'too large to be a configuration', place: TOP }],
      placeOf: () => TOP,
    };
  }
  const lines = new LineCounter();
  const placeAt = (offset: number | undefined): Place => {
    if (offset === undefined) return TOP;
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const faults = [...document.errors, ...document.warnings].map(({ code, message, pos }) => ({
    message: IN_OUR_WORDS[code] ?? message,
    place: placeAt(pos[0]),
  }));
  visit(document, {
    Alias(_, alias) {
      if (alias.resolve(document) === undefined) {
        faults.push({ message: IN_OUR_WORDS.BAD_ALIAS!, place: placeAt(alias.range?.[0]) });
      }
    },
  });
  let value: unknown;
  if (faults.length === 0) {
    try {
      value = document.toJS();
    } catch {
      // Aliases that multiply: a few lines that stand for millions.
      faults.push({ message: 'its aliases stand for more than can be read', place: TOP });
    }
  }
  return { value, faults, placeOf: (path) => placeAt(offsetOf(document, path)) };
}

function offsetOf(document: Document, path: OptionPath): number | undefined {
  let node = document.contents as Node | null;
  let offset: number | undefined;
  for (const step of path) {
    if (isAlias(node)) node = node.resolve(document) ?? null;
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => String(isScalar(key) ? key.value : key) === String(step));
      if (pair === undefined) break;
      offset = (pair.key as Node | null)?.range?.[0] ?? offset;
      node = pair.value as Node | null;
    } else if (isSeq(node)) {
      node = (node.items[Number(step)] as Node | undefined) ?? null;
      offset = node?.range?.[0] ?? offset;
    } else break;
  }
  return offset;
}
