/**
 * Renders the part of Go's templates that our chart uses, so that a mistake in it is found without Helm: actions with
 * trimming, if/else/with/define/include, fields, pipes and a handful of functions. What it does not know it refuses.
 */
import { stringify } from 'yaml';

type Value = unknown;
interface Scope {
  readonly dot: Value;
  readonly root: Value;
  readonly defined: Map<string, Node[]>;
}
type Node = string | { readonly action: string } | Block;
interface Block {
  readonly kind: 'if' | 'with';
  readonly test: string;
  readonly yes: Node[];
  readonly otherwise: Node[];
}

/** @param root `{Values, Release, Chart}` */
export function render(text: string, root: Value, names = ''): string {
  const defined = new Map<string, Node[]>();
  parse(names, defined);
  return run(parse(text, defined), { dot: root, root, defined });
}

function parse(text: string, defined: Map<string, Node[]>): Node[] {
  const tokens = text
    .replace(/\s*\{\{-/g, '{{')
    .replace(/-\}\}\s*/g, '}}')
    .split(/(\{\{[\s\S]*?\}\})/);
  let at = 0;
  const body = (): { nodes: Node[]; end: string } => {
    const nodes: Node[] = [];
    while (at < tokens.length) {
      const token = tokens[at++]!;
      if (!token.startsWith('{{')) {
        nodes.push(token);
        continue;
      }
      const action = token.slice(2, -2).trim();
      const [word] = action.split(/\s+/);
      if (word === 'end' || word === 'else') return { nodes, end: word };
      if (word === 'define') defined.set(JSON.parse(action.slice(6)) as string, body().nodes);
      else if (word === 'if' || word === 'with') {
        const yes = body();
        const otherwise = yes.end === 'else' ? body().nodes : [];
        nodes.push({ kind: word, test: action.slice(word.length).trim(), yes: yes.nodes, otherwise });
      } else nodes.push({ action });
    }
    return { nodes, end: '' };
  };
  const { nodes, end } = body();
  if (end !== '') throw new Error(`an ${end} too many`);
  return nodes;
}

function run(nodes: readonly Node[], scope: Scope): string {
  return nodes
    .map((node) => {
      if (typeof node === 'string') return node;
      if ('action' in node) return String(evaluate(node.action, scope) ?? '');
      const value = evaluate(node.test, scope);
      if (isEmpty(value)) return run(node.otherwise, scope);
      return run(node.yes, node.kind === 'with' ? { ...scope, dot: value } : scope);
    })
    .join('');
}

const isEmpty = (value: Value): boolean =>
  value === undefined ||
  value === null ||
  value === false ||
  value === '' ||
  value === 0 ||
  (typeof value === 'object' && Object.keys(value).length === 0);

const FUNCTIONS: Record<string, (...args: never[]) => Value> = {
  quote: (value: Value) => JSON.stringify(String(value)),
  toYaml: (value: Value) => stringify(value, { lineWidth: 0 }).trimEnd(),
  nindent: (spaces: number, text: string) => `\n${text.replace(/^/gm, ' '.repeat(spaces))}`,
  default: (fallback: Value, value: Value) => (isEmpty(value) ? fallback : value),
  printf: (format: string, ...args: Value[]) => format.replace(/%s/g, () => String(args.shift())),
  eq: (a: Value, b: Value) => a === b,
  gt: (a: number, b: number) => a > b,
  int: Number,
  not: isEmpty,
};

/** `f a (g b) | h 4`: each stage gets the result of the one before as its last argument. */
function evaluate(expression: string, scope: Scope): Value {
  const words = expression.match(/"(?:[^"\\]|\\.)*"|[()|]|[^\s()|]+/g) ?? [];
  let at = 0;
  const term = (): Value => {
    const word = words[at++]!;
    if (word === '(') return pipeline();
    if (word.startsWith('"')) return JSON.parse(word);
    if (/^-?\d+$/.test(word)) return Number(word);
    if (word === '.') return scope.dot;
    if (!word.startsWith('.')) throw new Error(`unknown: ${word} in ${expression}`);
    const from = /^\.(Values|Release|Chart)\b/.test(word) ? scope.root : scope.dot;
    return word
      .slice(1)
      .split('.')
      .reduce<Value>((value, name) => {
        // What values.yaml does not name is a misspelling.
        if (typeof value !== 'object' || value === null || !(name in value)) throw new Error(`no value ${word}`);
        return (value as Record<string, Value>)[name];
      }, from);
  };
  const call = (piped: readonly Value[]): Value => {
    const word = words[at]!;
    if (word === '(' || word === '.' || /^["\d-]|^\./.test(word)) return term();
    at++;
    const args: Value[] = [];
    while (at < words.length && words[at] !== '|' && words[at] !== ')') args.push(term());
    args.push(...piped);
    if (word === 'include') {
      const nodes = scope.defined.get(args[0] as string);
      if (nodes === undefined) throw new Error(`no template ${String(args[0])}`);
      return run(nodes, { ...scope, dot: args[1] }).trim();
    }
    const known = FUNCTIONS[word];
    if (known === undefined) throw new Error(`unknown function ${word}`);
    return known(...(args as never[]));
  };
  const pipeline = (): Value => {
    let value = call([]);
    while (words[at] === '|') {
      at++;
      value = call([value]);
    }
    if (words[at] === ')') at++;
    return value;
  };
  return pipeline();
}
