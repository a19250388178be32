/** The demo's client: asks the gateway over HTTP, checks each answer and, where wanted, tells it. */
import { RoutingError } from '../../datasets/index.ts';
import { isRight, type Task } from './tasks.ts';

export interface Result {
  readonly task: Task;
  /** The program that answered. */
  readonly model: string;
  readonly right: boolean;
  readonly costUsd: number;
}

/** Requests under way at once. */
const AT_ONCE = 8;

export class DemoClient {
  readonly #url: string;
  readonly #stop: AbortSignal;

  constructor(url: string, stop: AbortSignal) {
    this.#url = url;
    this.#stop = stop;
  }

  /** Results in the order of the tasks. */
  async askAll(
    model: string,
    tasks: readonly Task[],
    judge: boolean,
    progress: (done: number) => void,
  ): Promise<Result[]> {
    const results: Result[] = new Array(tasks.length);
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

  async #ask(model: string, task: Task, judge: boolean): Promise<Result> {
    const { headers, body } = await this.#post('/v1/chat/completions', {
      model,
      messages: [{ role: 'user', content: task.prompt }],
    });
    const { choices, model: answered } = body as { choices: { message: { content: string } }[]; model: string };
    const right = isRight(task, choices[0]?.message.content ?? '');
    if (judge) {
      const decisionId = headers.get('x-pointsman-decision-id');
      await this.#post('/v1/feedback', { decisionId, score: right ? 1 : 0, source: 'checker' });
    }
    return { task, model: answered, right, costUsd: Number(headers.get('x-pointsman-cost-usd')) };
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
