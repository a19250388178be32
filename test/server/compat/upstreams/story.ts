/** One conversation that every upstream of the matrix can hold: a greeting, a question that needs a tool, and what is made of the result. */
import type { ServerResponse } from 'node:http';
import type { ProtocolName } from '../../../../server/protocols/index.ts';
import type { ProviderKind } from '../../../../server/providers/kind.ts';

export const STORY = {
  system: 'Answer in one sentence.',
  greeting: 'Good morning.',
  greeted: 'Good morning to you.',
  question: 'How warm is it in Paris?',
  thought: 'The thermometer knows.',
  plan: 'I look at the thermometer.',
  tool: {
    name: 'read_thermometer',
    description: 'The temperature of a town.',
    parameters: {
      type: 'object',
      properties: { town: { type: 'string' }, unit: { type: 'string', enum: ['C', 'F'] } },
      required: ['town', 'unit'],
      additionalProperties: false,
    },
  },
  call: { town: 'Paris', unit: 'C' },
  reading: '18 degrees',
  report: 'It is 18 °C in Paris.',
} as const;

/** What an upstream is to say next: told by what the conversation ends with. */
export type Step = 'greet' | 'call' | 'report';

/** Every answer is reported to have used so many tokens: all input, of it cached, all output. */
export const USED = { input: 120, cached: 100, output: 30 } as const;

/** Claude's signatures are good wherever Claude is had: at Anthropic and on Bedrock alike. */
export const CLAUDE_SIGNATURES: readonly string[] = [
  'EqoBCkgIBxABGAIiQL8signature+of/anthropic==',
  'ErUBCkYIBhABsignatureOnBedrock==',
];

export interface TrueUpstream {
  readonly protocol: ProtocolName;
  /** Speaks this protocol only, so that nothing is passed where it should be translated. */
  readonly kind: ProviderKind;
  /** As this host names it. */
  readonly model: string;
  /** Where the answers' base URL lies under the server's root. */
  readonly basePath: string;
  /** What it seals its reasoning with; undefined where the protocol has no seal. */
  readonly seal?: string | undefined;
  /** Seals that it takes back. Default: its own. */
  readonly reads?: readonly string[] | undefined;
  /** Cached tokens it reports. */
  readonly cached: number;
  /**
   * Reads a request as strictly as the host itself: unknown fields, blocks out of order, results without a call and
   * broken seals are refused.
   * @throws with the reason
   */
  read(request: { readonly url: string; readonly body: Record<string, unknown> }): {
    readonly step: Step;
    readonly stream: boolean;
  };
  answer(step: Step, stream: boolean, response: ServerResponse): void;
  /** An error in this protocol's words. */
  refuse(status: number, message: string, response: ServerResponse): void;
}

export const sse = (data: unknown, event?: string): string =>
  `${event === undefined ? '' : `event: ${event}\n`}data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`;

export function json(response: ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(value));
}

/** In several writes, so that frames do not all arrive in one piece. */
export function stream(
  response: ServerResponse,
  frames: readonly (string | Uint8Array)[],
  type = 'text/event-stream',
): void {
  response.writeHead(200, { 'content-type': type });
  for (const frame of frames) response.write(frame);
  response.end();
}

/** Two halves of a text, as streams bring it. */
export const halves = (text: string): [string, string] => {
  const middle = Math.ceil(text.length / 2);
  return [text.slice(0, middle), text.slice(middle)];
};

export function must(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(message);
}
