/** Pictures and sounds in answers: what cannot be looked into passes, unless a rule says otherwise. */
import { describe, expect, test } from 'vitest';
import { Guards } from '../../../../server/governance/guards/guards.ts';
import { callerUnder, rulesOf } from './governed.ts';

const guards = new Guards();
const log = undefined as never;
const MASK = { name: 'pii', kind: 'pii', on: 'answer' };
const STRICT = { ...MASK, unreadable: 'block' };
const BLOCKED = { code: 'GUARDRAIL_BLOCKED', message: expect.stringMatching(/found: unreadable/) };
const PICTURE = Buffer.from('\x89PNG\0\0\0\0'.repeat(100), 'latin1').toString('base64');
const WORDS = Buffer.from('please write to joe@example.com').toString('base64');

type Surface = 'chat' | 'responses' | 'messages';
const told = (rule: object, surface: Surface, json: object) =>
  guards.after({
    caller: callerUnder(rulesOf(rule)),
    surface,
    request: { model: 'm' },
    text: JSON.stringify(json),
    log,
  });

const said = (more: object) => ({ choices: [{ index: 0, message: { role: 'assistant', content: 'fine', ...more } }] });
const output = (item: object) => ({ object: 'response', output: [item] });

describe('in whole answers', () => {
  test.each<[string, Surface, object]>([
    ['a sound', 'chat', said({ audio: { id: 'a', data: PICTURE, transcript: 'fine' } })],
    [
      'a picture',
      'chat',
      said({ images: [{ type: 'image_url', image_url: { url: `data:image/png;base64,${PICTURE}` } }] }),
    ],
    [
      'where a picture lies',
      'chat',
      said({ images: [{ type: 'image_url', image_url: { url: 'https://x.org/a.png' } }] }),
    ],
    ['a picture that was painted', 'responses', output({ type: 'image_generation_call', id: 'i', result: PICTURE })],
    [
      'bytes',
      'messages',
      { content: [{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: PICTURE } }] },
    ],
  ])('%s is what a rule cannot look into', async (_, surface, json) => {
    await expect(told(STRICT, surface, json)).rejects.toMatchObject(BLOCKED);
    const text = JSON.stringify(json);
    expect(await told(MASK, surface, json)).toEqual({ text, hits: [] });
    expect(await told({ ...STRICT, dryRun: true }, surface, json)).toMatchObject({
      text,
      hits: [{ found: 'unreadable', where: 'answer', action: 'noticed', count: 1 }],
    });
  });

  test.each<[string, Surface, object]>([
    [
      'a page that is cited',
      'chat',
      said({ annotations: [{ type: 'url_citation', url_citation: { url: 'https://x.org' } }] }),
    ],
    ['a picture that was not painted', 'responses', output({ type: 'image_generation_call', id: 'i', result: null })],
    ['what was thought, under a seal', 'messages', { content: [{ type: 'redacted_thinking', data: PICTURE }] }],
    ['a result in words', 'responses', output({ type: 'other_call', result: 'fine' })],
    ['no sound', 'chat', said({ audio: null })],
  ])('%s is none', async (_, surface, json) => {
    expect((await told(STRICT, surface, json)).text).toBe(JSON.stringify(json));
  });

  test('a file that holds text is looked into, and written anew', async () => {
    const url = `data:text/plain;base64,${WORDS}`;
    const { text, hits } = await told(STRICT, 'chat', said({ images: [{ image_url: { url } }] }));
    const [, bytes] = /base64,([^"]+)"/.exec(text)!;
    expect(Buffer.from(bytes!, 'base64').toString()).toBe('please write to [EMAIL]');
    expect(hits).toMatchObject([{ found: 'email' }]);
  });

  test('pictures of an endpoint that paints are, and what is said of them are words', async () => {
    const passed = (rule: object, json: object) =>
      guards.afterPassed({ caller: callerUnder(rulesOf(rule)), text: JSON.stringify(json), log });
    const painted = { created: 1, data: [{ b64_json: PICTURE, revised_prompt: 'a letter to joe@example.com' }] };
    expect((await passed(MASK, painted)).text).toBe(JSON.stringify(painted).replace('joe@example.com', '[EMAIL]'));
    await expect(passed(STRICT, painted)).rejects.toMatchObject(BLOCKED);
    await expect(passed(STRICT, { data: [{ url: 'https://x.org/a.png' }] })).rejects.toMatchObject(BLOCKED);
  });
});

describe('in streams', () => {
  const stream = (rule: object, surface: Surface) =>
    guards.stream({ caller: callerUnder(rulesOf(rule)), surface, request: { model: 'm' }, log })!;
  const event = (frame: object) => `data: ${JSON.stringify(frame)}\n\n`;
  const delta = (fields: object) => event({ choices: [{ index: 0, delta: fields }] });

  test.each<[string, Surface, string]>([
    ['a piece of a sound', 'chat', delta({ audio: { id: 'a', data: 'UklGRg==' } })],
    ['a picture', 'chat', delta({ images: [{ image_url: { url: `data:image/png;base64,${PICTURE}` } }] })],
    [
      'a piece of a picture',
      'responses',
      event({ type: 'response.image_generation_call.partial_image', partial_image_b64: PICTURE }),
    ],
    ['a piece of what is spoken', 'responses', event({ type: 'response.audio.delta', delta: 'UklGRg==' })],
    [
      'what was painted',
      'responses',
      event({
        type: 'response.output_item.done',
        output_index: 0,
        item: { type: 'image_generation_call', result: PICTURE },
      }),
    ],
  ])('%s is what a rule cannot look into, once', async (_, surface, frame) => {
    await expect(stream(STRICT, surface).see(frame)).rejects.toMatchObject(BLOCKED);
    expect(await stream(MASK, surface).see(frame)).toBe(frame);
    const watching = stream({ ...STRICT, dryRun: true }, surface);
    expect((await watching.see(frame)) + (await watching.see(frame))).toBe(frame + frame);
    expect(watching.hits).toMatchObject([{ found: 'unreadable', action: 'noticed', count: 1 }]);
  });

  test('words that only look like one are none', async () => {
    const frames =
      delta({ content: '{"b64_json":"aaaa","audio":{"data":"aaaa"}} ' }) + delta({ audio: { transcript: 'so. ' } });
    const strict = stream({ ...STRICT, kinds: ['email'] }, 'chat');
    expect((await strict.see(frames)) + (await strict.end())).toContain('b64_json');
    expect(strict.hits).toEqual([]);
  });
});
