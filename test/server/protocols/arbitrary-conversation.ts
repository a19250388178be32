/** Conversations of any shape that a client may hold, for properties that every protocol must keep. */
import fc from 'fast-check';
import type { Block, Conversation, Turn } from '../../../server/protocols/conversation.ts';

/** `JSON.stringify` loses what is undefined, so absent fields are absent here too. */
const maybe = { requiredKeys: [] as [] };
const word = fc.stringMatching(/^[a-z][a-z0-9_]{0,12}$/);
const id = fc.stringMatching(/^[\w-]{1,12}$/);
const sealed = fc.record({
  by: fc.constantFrom('anthropic', 'google', 'openai', 'deepseek', 'other'),
  data: fc.base64String(),
});
const json = fc.oneof(fc.json(), fc.constant(''), fc.constant('{'), fc.string());
const text = fc.record({ type: fc.constant('text'), text: fc.string() });
const source = fc.oneof(
  fc.record({ kind: fc.constant('base64'), mediaType: fc.constant('image/png'), data: fc.base64String() }),
  fc.record({ kind: fc.constant('url'), url: fc.webUrl() }),
  fc.record({ kind: fc.constant('file'), fileId: id }),
);
const image = fc.record({ type: fc.constant('image'), source });
const file = fc.record({ type: fc.constant('file'), source });
const audio = fc.record({ type: fc.constant('audio'), data: fc.base64String(), format: fc.constantFrom('wav', 'mp3') });
const toolCall = fc.record(
  { type: fc.constant('tool_call'), id, name: word, arguments: json, sealed },
  { requiredKeys: ['type', 'id', 'name', 'arguments'] },
);
const toolResult = fc.record({
  type: fc.constant('tool_result'),
  callId: id,
  content: fc.array(fc.oneof({ weight: 4, arbitrary: text }, image, file), { maxLength: 3 }),
  isError: fc.boolean(),
});
const thinking = fc.record(
  { type: fc.constant('thinking'), text: fc.string(), sealed, redacted: fc.boolean() },
  { requiredKeys: ['type', 'text'] },
);

const often = <T>(arbitrary: fc.Arbitrary<T>) => ({ weight: 5, arbitrary });
const turn = fc.oneof(
  fc.record({
    role: fc.constant('user'),
    blocks: fc.array(fc.oneof(often(text), often(toolResult), image, file, audio), { maxLength: 4 }),
  }),
  fc.record({
    role: fc.constant('assistant'),
    blocks: fc.array(fc.oneof(often(text), often(thinking), often(toolCall)), { maxLength: 4 }),
  }),
);

/** Words, calls and results alone, and every result answers a call of the turn before it. */
function plain(turns: readonly Turn[]): Turn[] {
  let open: string[] = [];
  return turns.map(({ role, blocks }) => {
    const kept = blocks.flatMap((block): Block[] => {
      if (block.type === 'image' || block.type === 'file' || block.type === 'audio') return [];
      if (block.type !== 'tool_result') return [block];
      const callId = open.shift();
      const words = block.content.filter(({ type }) => type === 'text');
      return callId === undefined ? [] : [{ ...block, callId, content: words }];
    });
    open = kept.flatMap((block) => (block.type === 'tool_call' ? [block.id] : []));
    return { role, blocks: kept };
  });
}

const rest = {
  system: fc.array(text, { maxLength: 2 }),
  tools: fc.array(
    fc.record(
      {
        name: word,
        description: fc.string(),
        parameters: fc.dictionary(word, fc.jsonValue({ maxDepth: 3 })),
        strict: fc.boolean(),
      },
      { requiredKeys: ['name', 'parameters'] },
    ),
    { maxLength: 3 },
  ),
  stop: fc.array(fc.string({ minLength: 1 }), { maxLength: 6 }),
  stream: fc.boolean(),
  only: fc.oneof({ weight: 9, arbitrary: fc.constant([]) }, fc.constant(['logprobs'])),
};
const optional = fc.record(
  {
    toolChoice: fc.oneof(
      fc.record({ type: fc.constantFrom('auto', 'none', 'required') }),
      fc.record({ type: fc.constant('tool'), name: word }),
    ),
    parallelToolCalls: fc.boolean(),
    maxOutputTokens: fc.integer({ min: 1, max: 100_000 }),
    temperature: fc.double({ min: 0, max: 2, noNaN: true }),
    topP: fc.double({ min: 0, max: 1, noNaN: true }),
    topK: fc.integer({ min: 0, max: 1000 }),
    seed: fc.maxSafeInteger(),
    presencePenalty: fc.double({ min: -2, max: 2, noNaN: true }),
    frequencyPenalty: fc.double({ min: -2, max: 2, noNaN: true }),
    reasoning: fc.record(
      {
        enabled: fc.boolean(),
        effort: fc.constantFrom('none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'),
        budgetTokens: fc.integer({ min: 0, max: 100_000 }),
        visible: fc.boolean(),
      },
      maybe,
    ),
    responseFormat: fc.oneof(
      fc.record({ type: fc.constantFrom('text', 'json') }),
      fc.record({
        type: fc.constant('json_schema'),
        name: word,
        schema: fc.dictionary(word, fc.jsonValue({ maxDepth: 3 })),
      }),
    ),
    user: fc.string(),
  },
  maybe,
);

const conversation = (turns: fc.Arbitrary<readonly Turn[]>) =>
  fc.tuple(fc.record({ ...rest, turns }), optional).map(([all, some]) => ({ ...all, ...some }) as Conversation);

const turns = fc.array(turn, { maxLength: 6 }) as fc.Arbitrary<readonly Turn[]>;

/** Anything that the types allow, sense or not. */
export const anyConversation: fc.Arbitrary<Conversation> = conversation(turns);

/** What any protocol can say. */
export const plainConversation: fc.Arbitrary<Conversation> = anyConversation.map(
  ({ system, turns: all, tools, stop, stream, maxOutputTokens }) => ({
    system,
    turns: plain(all),
    tools,
    stop: stop.slice(0, 4),
    stream,
    only: [],
    ...(maxOutputTokens !== undefined && { maxOutputTokens }),
  }),
);

/** Every text that somebody wrote, tool results included; thinking is not among them. */
export function textsOf({ system, turns: all }: Conversation): string[] {
  const ofBlock = (block: Block): string[] =>
    block.type === 'text' ? [block.text] : block.type === 'tool_result' ? block.content.flatMap(ofBlock) : [];
  return [...system.map(({ text: words }) => words), ...all.flatMap(({ blocks }) => blocks.flatMap(ofBlock))];
}

/** Every string anywhere in a value, keys left out. */
export function stringsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(stringsIn) : [];
}
