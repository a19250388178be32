/** Asks the run's desk for what all test files share. */
import { get } from 'node:http';
import { join } from 'node:path';
import { inject } from 'vitest';

/** Root of the compiled program: a mirror of this repository, a `.js` where it has a `.ts`. */
export const compiledRoot = (): Promise<string> => ask('/program');

/** A file of the compiled program. @param source from the root of the repository, `server/cli/main.ts` */
export const compiledFile = async (source: string): Promise<string> =>
  join(await compiledRoot(), source.replace(/\.ts$/, '.js'));

/** The program `pointsman`, compiled. */
export const programFile = (): Promise<string> => compiledFile('server/cli/main.ts');

/** The run's PostgreSQL server, as its superuser. */
export const postgresUrl = (): Promise<string> => ask('/postgres');

const answers = new Map<string, Promise<string>>();

function ask(what: string): Promise<string> {
  const answer = answers.get(what) ?? fetched(what);
  answers.set(what, answer);
  return answer;
}

const fetched = (what: string): Promise<string> =>
  new Promise((resolve, reject) => {
    get(`${inject('desk')}${what}`, { agent: false }, async (response) => {
      let text = '';
      for await (const piece of response.setEncoding('utf8')) text += piece;
      if (response.statusCode === 200) resolve(text);
      else reject(new Error(`${what}: ${text}`));
    }).on('error', reject);
  });
