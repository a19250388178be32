/** Whatever carries text in an answer is looked at, wherever its host has put it and whatever it says that it is. */
import { describe, expect, test } from 'vitest';
import { Guards } from '../../../../server/governance/guards/guards.ts';
import { callerUnder, rulesOf } from './governed.ts';

const guards = new Guards();
const log = undefined as never;
const MAIL = 'joe@example.com';
const MASK = { name: 'pii', kind: 'pii', on: 'answer' };
const BLOCK = { ...MASK, action: 'block' };
const STRICT = { ...MASK, unreadable: 'block' };
const BLOCKED = { code: 'GUARDRAIL_BLOCKED' };
const PICTURE = Buffer.from('\x89PNG\0\0\0\0'.repeat(100), 'latin1').toString('base64');

type Surface = 'chat' | 'responses' | 'messages';

describe('a file that a batch has written', () => {
  const seen = async (line: string, ...rules: object[]) => {
    const { guard } = guards.download(() => callerUnder(rulesOf(...rules)))!;
    return Buffer.concat([await guard.push(Buffer.from(`${line}\n`)), await guard.end()]).toString();
  };
  const chat = `{"object":"chat.completion","choices":[{"index":0,"message":{"content":"write to ${MAIL}"}}]}`;
  const vectors = '{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5,0.25]}],"model":"m"}';

  test.each([
    ['an answer, and then vectors', `{"response":{"body":${chat},"body":${vectors}}}`],
    ['vectors, and then an answer', `{"response":{"body":${vectors},"body":${chat}}}`],
    ['two responses', `{"response":{"body":${chat}},"response":{"body":${vectors}}}`],
    ['a body beside the response', `{"response":{"body":${vectors}},"body":${chat}}`],
    ['choices beside vectors', `{"response":{"body":${vectors.slice(0, -1)},"choices":[{"text":"${MAIL}"}]}}}`],
    ['words in place of a vector', `{"response":{"body":${vectors.replace('[0.5,0.25]', `"${MAIL}"`)}}}`],
    ['another vector than the first', `{"response":{"body":${vectors.replace('}],', `},{"text":"${MAIL}"}],`)}}}`],
    ['an answer that says it is another', `{"response":{"body":${chat.replace('chat.completion', 'response')}}}`],
    ['a member that nobody knows', `{"response":{"body":${chat.slice(0, -1)},"note":"${MAIL}"}}}`],
  ])('is masked and refused where a line has %s', async (_, line) => {
    expect(await seen(line, MASK)).not.toContain(MAIL);
    await expect(seen(line, BLOCK)).rejects.toMatchObject(BLOCKED);
  });

  test('is under the rules of all endpoints where a line may be of several', async () => {
    const ofChat = (line: string) => {
      const caller = (surface: string) => callerUnder(surface === 'chat' ? rulesOf(BLOCK) : []);
      const { guard } = guards.download(caller)!;
      return guard.push(Buffer.from(`${line}\n`)).then(() => guard.end());
    };
    await expect(ofChat(`{"response":{"body":${chat},"body":${vectors}}}`)).rejects.toMatchObject(BLOCKED);
    await expect(ofChat(`{"response":{"body":${chat.replace('chat.completion', 'response')}}}`)).rejects.toMatchObject(
      BLOCKED,
    );
  });

  test('passes byte for byte where it is vectors', async () => {
    const lines = `{"id":"b1","custom_id":"r1","response":{"status_code":200,"body":${vectors}},"error":null}`;
    const short = { name: 'size', kind: 'length', on: 'answer', minChars: 50 };
    const ofChat = guards.download((surface) => callerUnder(surface === 'files' ? [] : rulesOf(BLOCK, short)))!;
    const passed = Buffer.concat([await ofChat.guard.push(Buffer.from(lines)), await ofChat.guard.end()]);
    expect(passed.toString()).toBe(lines);
  });
});

describe('a whole answer', () => {
  const told = (rule: object, surface: Surface, json: object) =>
    guards.after({
      caller: callerUnder(rulesOf(rule)),
      surface,
      request: { model: 'm' },
      text: JSON.stringify(json),
      log,
    });
  const said = (message: object, ofChoice = {}, more = {}) => ({
    ...{ id: 'c', object: 'chat.completion', created: 1_700_000_000, model: 'm' },
    choices: [{ index: 0, message: { role: 'assistant', ...message }, finish_reason: 'stop', ...ofChoice }],
    ...more,
  });

  test.each<[string, Surface, object]>([
    ['beside its message', 'chat', said({ content: 'so' }, { text: MAIL })],
    ['beside its choices', 'chat', said({ content: 'so' }, {}, { note: { says: MAIL } })],
    ['beside its output', 'responses', { object: 'response', output: [], error: { message: MAIL } }],
    ['beside its content', 'messages', { type: 'message', content: [], note: MAIL }],
    [
      'across parts of one list',
      'chat',
      said({
        content: [
          { type: 'text', text: 'joe@exa' },
          { type: 'text', text: 'mple.com' },
        ],
      }),
    ],
  ])('is masked %s', async (_, surface, json) => {
    const { text } = await told(MASK, surface, json);
    expect(text).toContain('EMAIL');
    expect(text).not.toContain(MAIL);
    await expect(told(BLOCK, surface, json)).rejects.toMatchObject(BLOCKED);
  });

  test('is refused for the name of a member', async () => {
    await expect(told(BLOCK, 'chat', said({ content: 'so', [MAIL]: 1 }))).rejects.toMatchObject(BLOCKED);
  });

  test('keeps the words of its protocol, and what a request said', async () => {
    const words = { name: 'd', kind: 'deny', on: 'answer', words: ['stop', 'default'] };
    const chat = said({ content: 'so' }, {}, { service_tier: 'default' });
    expect(await told(words, 'chat', chat)).toEqual({ text: JSON.stringify(chat), hits: [] });
    const response = { object: 'response', instructions: MAIL, metadata: { of: MAIL }, output: [] };
    expect(await told(MASK, 'responses', response)).toEqual({ text: JSON.stringify(response), hits: [] });
  });

  test.each<[string, Surface, object]>([
    ['in a list', 'responses', { output: [{ type: 'image_generation_call', result: [PICTURE] }] }],
    ['in an object', 'responses', { output: [{ type: 'image_generation_call', result: { bytes: PICTURE } }] }],
    ['beside the choices', 'chat', said({ content: 'so' }, {}, { b64_json: PICTURE })],
    ['beside the message', 'chat', said({ content: 'so' }, { b64_json: PICTURE })],
  ])('is refused for a picture %s', async (_, surface, json) => {
    await expect(told(STRICT, surface, json)).rejects.toMatchObject(BLOCKED);
    expect((await told(MASK, surface, json)).text).toBe(JSON.stringify(json));
  });
});

describe('a stream', () => {
  const stream = (rule: object, surface: Surface) =>
    guards.stream({ caller: callerUnder(rulesOf(rule)), surface, request: { model: 'm' }, log })!;
  const event = (frame: object) => `data: ${JSON.stringify(frame)}\n\n`;
  const passed = async (rule: object, surface: Surface, frames: string) => {
    const guard = stream(rule, surface);
    return (await guard.see(frames)) + (await guard.end());
  };

  test.each<[string, Surface, string]>([
    ['a message in a chunk', 'chat', event({ choices: [{ index: 0, message: { content: MAIL } }] })],
    [
      'texts in place of deltas, in pieces',
      'chat',
      event({ choices: [{ index: 0, text: 'joe@exa' }] }) + event({ choices: [{ index: 0, text: 'mple.com ' }] }),
    ],
    [
      'choices that are there twice',
      'chat',
      `data: {"choices":[{"index":0,"delta":{"content":"${MAIL} "}}],"choices":[]}\n\n`,
    ],
    ['an error', 'chat', event({ error: { message: MAIL } })],
    ['an error', 'messages', `event: error\n${event({ type: 'error', error: { message: MAIL } })}`],
    ['an error', 'responses', event({ type: 'error', message: MAIL })],
    ['a response that failed', 'responses', event({ type: 'response.failed', response: { error: { message: MAIL } } })],
    ['a member beside its choices', 'chat', event({ choices: [], note: MAIL })],
  ])('is masked in %s', async (_, surface, frames) => {
    const text = await passed(MASK, surface, frames);
    expect(text).not.toContain(MAIL);
    expect(text).not.toContain('joe@exa');
  });

  test('that breaks off tells what its provider said of it as it may be told, and nothing that was held back', async () => {
    const guard = stream(MASK, 'chat');
    await guard.see(event({ choices: [{ index: 0, delta: { content: 'not to be told' } }] }));
    const last = await guard.error(event({ error: { message: `it is ${MAIL}'s` } }));
    expect(last).toContain('EMAIL');
    expect(last).not.toMatch(/joe@|to be told/);
    await expect(stream(BLOCK, 'chat').error(event({ error: { message: MAIL } }))).rejects.toMatchObject(BLOCKED);
  });

  test('passes byte for byte however its frames are spaced', async () => {
    const frames = 'data: {"choices": [{"index": 0, "delta": {"content": "so. "}}], "created": 1700000000}\n\n';
    expect(await passed(MASK, 'chat', frames)).toBe(frames);
  });

  test('is refused for bytes of a block', async () => {
    const source = { type: 'base64', media_type: 'image/png', data: PICTURE };
    const frame = event({ type: 'content_block_start', index: 0, content_block: { type: 'image', source } });
    await expect(passed(STRICT, 'messages', frame)).rejects.toMatchObject(BLOCKED);
    expect(await passed(MASK, 'messages', frame)).toBe(frame);
  });
});
