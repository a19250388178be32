/**
 * Runs a few lines of Python: whole numbers, assignments, `for … in range`, `while`, `if`/`else`, one
 * `print`. It is what the demo's stronger programs read code with.
 */

/** A slip of the weaker programs: they go through the body of a loop once. */
export interface Reading {
  readonly loopsOnce: boolean;
}

/** More steps than any task of the demo takes: a program that runs on has been misread. */
const MOST_STEPS = 100_000;

interface Line {
  readonly indent: number;
  readonly text: string;
}

/** What the code prints, or null when it is no code that this can read. */
export function runPython(code: string, { loopsOnce }: Reading): string | null {
  const lines = code
    .split('\n')
    .filter((text) => text.trim() !== '')
    .map((text) => ({ indent: text.length - text.trimStart().length, text: text.trim() }));
  const variables = new Map<string, number>();
  const printed: string[] = [];
  let steps = 0;

  const value = (text: string) => evaluate(text, variables);

  function run(block: readonly Line[]): void {
    for (let at = 0; at < block.length; ) {
      const { indent, text } = block[at]!;
      if (++steps > MOST_STEPS) throw new Error('runs on');
      const end = endOfBlock(block, at, indent);
      const body = block.slice(at + 1, end);
      let next = end;
      const loop = /^for (\w+) in range\((.+)\):$/.exec(text);
      if (loop) {
        const bounds = splitArguments(loop[2]!).map(value);
        const [from, to] = bounds.length === 1 ? [0, bounds[0]!] : [bounds[0]!, bounds[1]!];
        for (let i = from; i < to; i++) {
          variables.set(loop[1]!, i);
          run(body);
          if (loopsOnce) break;
        }
      } else if (text.startsWith('while ')) {
        const condition = text.slice(6, -1);
        while (value(condition) !== 0) {
          run(body);
          if (loopsOnce) break;
        }
      } else if (text.startsWith('if ')) {
        const otherwise = block[end]?.text === 'else:' && block[end]!.indent === indent;
        const endOfElse = otherwise ? endOfBlock(block, end, indent) : end;
        if (value(text.slice(3, -1)) !== 0) run(body);
        else if (otherwise) run(block.slice(end + 1, endOfElse));
        next = endOfElse;
      } else {
        simple(text);
        next = at + 1;
      }
      at = next;
    }
  }

  function simple(text: string): void {
    const print = /^print\((.+)\)$/.exec(text);
    if (print) {
      printed.push(String(value(print[1]!)));
      return;
    }
    const assign = /^(\w+) ([+-]?)= (.+)$/.exec(text);
    if (!assign) throw new Error(`cannot read: ${text}`);
    const [, name, sign, right] = assign;
    const before = sign === '' ? 0 : value(name!);
    variables.set(name!, sign === '' ? value(right!) : sign === '+' ? before + value(right!) : before - value(right!));
  }

  try {
    run(lines);
  } catch {
    return null;
  }
  return printed.length === 0 ? null : printed.join('\n');
}

/** Index after the lines that are indented deeper than the one at `at`. */
function endOfBlock(block: readonly Line[], at: number, indent: number): number {
  let end = at + 1;
  while (end < block.length && block[end]!.indent > indent) end++;
  return end;
}

const splitArguments = (text: string): string[] => text.split(',').map((part) => part.trim());

/**
 * Value of an expression of whole numbers, names, brackets, `+ - * // %` and one comparison
 * (1 for true, 0 for false). Multiplication binds closer than addition.
 * @throws Error when the text is no such expression
 */
export function evaluate(text: string, variables: ReadonlyMap<string, number> = new Map()): number {
  const tokens = text.match(/\d+|\w+|\/\/|[=!<>]=|[-+*/%()<>]/g) ?? [];
  if (tokens.join('') !== text.replace(/\s/g, '') || tokens.length === 0) throw new Error(`cannot read: ${text}`);
  let at = 0;

  const atom = (): number => {
    const token = tokens[at++];
    if (token === '(') {
      const inside = comparison();
      if (tokens[at++] !== ')') throw new Error('a bracket is missing');
      return inside;
    }
    if (token === '-') return -atom();
    const value = token !== undefined && /^\d/.test(token) ? Number(token) : variables.get(token ?? '');
    if (value === undefined) throw new Error(`unknown: ${token}`);
    return value;
  };
  const product = (): number => {
    let left = atom();
    for (;;) {
      const token = tokens[at];
      if (token !== '*' && token !== '//' && token !== '%') return left;
      at++;
      const right = atom();
      // Python rounds down and gives a remainder the divisor's sign.
      if (token === '*') left *= right;
      else if (token === '//') left = Math.floor(left / right);
      else left = ((left % right) + right) % right;
    }
  };
  const sum = (): number => {
    let left = product();
    for (;;) {
      const token = tokens[at];
      if (token !== '+' && token !== '-') return left;
      at++;
      const right = product();
      left = token === '+' ? left + right : left - right;
    }
  };
  const comparison = (): number => {
    const left = sum();
    const token = tokens[at];
    if (token === undefined || !/^([=!<>]=|[<>])$/.test(token)) return left;
    at++;
    const right = sum();
    const holds = { '==': left === right, '!=': left !== right, '<': left < right, '>': left > right };
    if (token === '<=') return left <= right ? 1 : 0;
    if (token === '>=') return left >= right ? 1 : 0;
    return holds[token as keyof typeof holds] ? 1 : 0;
  };

  const result = comparison();
  if (at !== tokens.length) throw new Error(`cannot read: ${text}`);
  return result;
}
