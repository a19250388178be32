/** The provider that every contender calls: answers at once, always the same few words, as JSON or as a stream. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const WORDS = ['A ', 'pointsman ', 'sets ', 'the ', 'points.'];
const usage = { prompt_tokens: 110, completion_tokens: WORDS.length, total_tokens: 110 + WORDS.length };

const json = Buffer.from(
  JSON.stringify({
    id: 'chatcmpl-bench',
    object: 'chat.completion',
    created: 1_760_000_000,
    model: 'bench',
    choices: [
      { index: 0, message: { role: 'assistant', content: WORDS.join('') }, logprobs: null, finish_reason: 'stop' },
    ],
    usage,
  }),
);

const frame = (fields: object): string =>
  `data: ${JSON.stringify({ id: 'chatcmpl-bench', object: 'chat.completion.chunk', created: 1_760_000_000, model: 'bench', ...fields })}\n\n`;
const delta = (part: object, finish: string | null = null) =>
  frame({ choices: [{ index: 0, delta: part, finish_reason: finish }] });

/** What a stream writes, one frame a write. */
const frames = (withUsage: boolean): string[] => [
  delta({ role: 'assistant', content: '' }),
  ...WORDS.map((content) => delta({ content })),
  delta({}, 'stop'),
  ...(withUsage ? [frame({ choices: [], usage })] : []),
  'data: [DONE]\n\n',
];
const withUsage = frames(true);
const withoutUsage = frames(false);

const server = createServer((request, response) => {
  const pieces: Buffer[] = [];
  request.on('data', (piece: Buffer) => pieces.push(piece));
  request.on('end', () => {
    const body = (pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)).toString('latin1');
    if (!/"stream": ?true/.test(body)) {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': json.length }).end(json);
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const each of /"include_usage": ?true/.test(body) ? withUsage : withoutUsage) response.write(each);
    response.end();
  });
});
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => process.send!({ port: (server.address() as AddressInfo).port }));
process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => {});
