/** The chat requests that are sent: as bytes on the wire, all of one size, alike or every one different. */

/** What is asked of the model's name and of the prompt. */
export interface RequestKind {
  readonly model: string;
  /** Every prompt different, so that nothing can be answered from memory; else always the same one. */
  readonly distinct: boolean;
  readonly stream: boolean;
}

/** Characters of a prompt. */
const PROMPT_CHARS = 500;

const PHRASES = [
  'find the largest prime below',
  'which of these statements holds',
  'the price of each cell is given in the table',
  'write a function that returns every index',
  'explain why the market moved',
  'the law applies where the force is constant',
  'list the steps of the method',
  'compare both results and say which is better',
  'a patient reports a history of',
  'prove that the array is sorted',
  'translate the sentence into plain words',
  'compute the probability that',
  'name the acid in the reaction',
  'summarise the paragraph above in one line',
  'what follows from the theorem',
  'sort the values and remove those that repeat',
] as const;

/** Serial numbers of a process must not meet another's: the gateway outlives one load, not one visit. */
let serial = 0;

/** @param length in characters @returns a text that no other call in this process returns */
export function distinctPrompt(length = PROMPT_CHARS): string {
  let seed = ++serial;
  let text = `Question ${serial}. `;
  while (text.length < length) {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    text += `${PHRASES[seed >>> 28]} ${(seed >>> 8) % 9973}, `;
  }
  return text.slice(0, length);
}

/**
 * @param headers  lower-case names; host, content-type and content-length are added
 * @returns makes the next request's bytes
 */
export function requestMaker(kind: RequestKind, url: URL, headers: Readonly<Record<string, string>>): () => Buffer {
  const given = Object.entries({ host: url.host, 'content-type': 'application/json', ...headers });
  const head = `POST ${url.pathname} HTTP/1.1\r\n${given.map(([name, value]) => `${name}: ${value}\r\n`).join('')}`;
  const before = `{"model":${JSON.stringify(kind.model)},${kind.stream ? '"stream":true,' : ''}"messages":[{"role":"user","content":"`;
  const after = '"}]}';
  const make = (prompt: string) => {
    // Plain ASCII throughout, so characters are bytes.
    const body = before + prompt + after;
    return Buffer.from(`${head}content-length: ${body.length}\r\n\r\n${body}`, 'latin1');
  };
  if (kind.distinct) return () => make(distinctPrompt());
  const always = make(distinctPrompt());
  return () => always;
}
