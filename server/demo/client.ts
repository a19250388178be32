/** The demo's client: asks the gateway over HTTP, checks each answer and, where wanted, tells it. */
import { RoutingError } from '../../datasets/index.ts';

/** What can be asked. */
export interface Asked {
  /** All that an upstream gets to see. */
  readonly prompt: string;
}

export interface Result<T extends Asked = Asked> {
  readonly task: T;
  /** The model that answered. */
  readonly model: string;
  /** How good the answer is, in [0, 1]. */
  readonly score: number;
  readonly costUsd: number;
}

/** How an answer is judged. */
export interface Checker<T extends Asked> {
  /** In [0, 1]. @param model who gave the reply */
  score(task: T, reply: string, model: string): number;
  /** The source that feedback names. */
  readonly source: string;
}

/** Requests under way at once. */
const AT_ONCE = 8;

export class DemoClient<T extends Asked> {
  readonly #url: string;
  readonly #stop: AbortSignal;
  readonly #checker: Checker<T>;

  constructor(url: string, stop: AbortSignal, checker: Checker<T>) {
    this.#url = url;
    this.#stop = stop;
    this.#checker = checker;
  }

  /** Results in the order of the tasks. */
  async askAll(
    model: string,
    tasks: readonly T[],
    judge: boolean,
    progress: (done: number) => void,
  ): Promise<Result<T>[]> {
    const results: Result<T>[] = new Array(tasks.length);
    let next = 0;
    let done = 0;
    const worker = async () => {
      for (let at = next++; at < tasks.length; at = next++) {
        // Between requests is soon enough: each takes milliseconds.
        this.#stop.throwIfAborted();
        results[at] = await this.#ask(model, tasks[at]!, judge);
        progress(++done);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    return results;
  }

  /** Hash of the artifact that decides now. */
  async artifact(): Promise<string> {
    const { body } = await this.#post('/v1/route', { messages: [{ role: 'user', content: 'Who decides?' }] });
    return (body as { artifact: string }).artifact;
  }

  async #ask(model: string, task: T, judge: boolean): Promise<Result<T>> {
    const { headers, body } = await this.#post('/v1/chat/completions', {
      model,
      messages: [{ role: 'user', content: task.prompt }],
    });
    const { choices, model: answered } = body as { choices: { message: { content: string } }[]; model: string };
    const score = this.#checker.score(task, choices[0]?.message.content ?? '', answered);
    if (judge) {
      const decisionId = headers.get('x-pointsman-decision-id');
      await this.#post('/v1/feedback', { decisionId, score, source: this.#checker.source });
    }
    return { task, model: answered, score, costUsd: Number(headers.get('x-pointsman-cost-usd')) };
  }

  async #post(path: string, body: unknown): Promise<{ headers: Headers; body: unknown }> {
    const reply = await fetch(`${this.#url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const text = await reply.text();
    if (!reply.ok) throw new RoutingError('INTERNAL', `the gateway answered ${reply.status} to ${path}: ${text}`);
    return { headers: reply.headers, body: JSON.parse(text) };
  }
}
