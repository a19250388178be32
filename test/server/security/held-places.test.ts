/** Ids of what a provider holds, wherever a request can name one: only its own tenant's are let through. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type HoldingSurface, heldBy } from '../../../server/api/held.ts';
import { ANYBODY } from '../../../server/callers.ts';
import type { Gateway } from '../../../server/gateway.ts';
import { HeldObjects } from '../../../server/held-objects.ts';

const KINDS = ['file', 'response', 'item', 'batch', 'seen'] as const;
const held = new HeldObjects(null);
await held.hold(
  ['mine', 'theirs'].flatMap((tenant) =>
    KINDS.map((kind) => ({
      ...{ id: `${kind}-${tenant}`, kind, tenant, provider: 'one', deployment: 'one', model: null },
      createdAt: new Date(0),
    })),
  ),
);
const gateway = { setup: { callers: { tenants: 2 }, providers: new Map() }, held } as unknown as Gateway;
const caller = { ...ANYBODY, tenant: 'mine' };
const asks = (surface: HoldingSurface, text: string) =>
  heldBy(gateway, surface, { text, json: JSON.parse(text), caller });

type Place = readonly [surface: HoldingSurface, kind: 'file' | 'response' | 'item', make: (id: string) => object];
const turn = (part: object) => ({ messages: [{ role: 'user', content: [{ type: 'text', text: 'x' }, part] }] });
const item = (value: object) => ({ input: [{ role: 'user', content: 'x' }, value] });
const part = (value: object) => item({ type: 'message', role: 'user', content: [value] });

const PLACES: readonly Place[] = [
  ['chat', 'file', (id) => turn({ type: 'file', file: { file_id: id } })],
  ['chat', 'item', (id) => ({ messages: [{ role: 'assistant', audio: { id } }] })],
  ['passed', 'file', (id) => ({ input: 'x', images: [{ file_id: id }] })],
  ['messages', 'file', (id) => turn({ type: 'document', source: { type: 'file', file_id: id } })],
  ['messages', 'file', (id) => turn({ type: 'container_upload', file_id: id })],
  ['messages', 'item', (id) => ({ container: id, messages: [] })],
  ['messages', 'item', (id) => ({ container: { id, skills: [] }, messages: [] })],
  ['messages', 'file', (id) => turn({ type: 'tool_result', content: [{ type: 'image', source: { file_id: id } }] })],
  ['responses', 'response', (id) => ({ previous_response_id: id })],
  ['responses', 'item', (id) => ({ conversation: id })],
  ['responses', 'item', (id) => ({ conversation: { id } })],
  ['responses', 'item', (id) => ({ prompt: { id, variables: {} } })],
  [
    'responses',
    'file',
    (id) => ({ prompt: { id: 'item-mine', variables: { f: { type: 'input_file', file_id: id } } } }),
  ],
  ['responses', 'item', (id) => item({ type: 'item_reference', id })],
  ['responses', 'item', (id) => item({ id })],
  ['responses', 'item', (id) => item({ type: 'reasoning', id, summary: [] })],
  ['responses', 'item', (id) => item({ type: 'image_generation_call', id })],
  ['responses', 'item', (id) => item({ type: 'code_interpreter_call', container_id: id, code: 'x' })],
  ['responses', 'item', (id) => item({ type: 'mcp_approval_response', approval_request_id: id, approve: true })],
  ['responses', 'file', (id) => part({ type: 'input_file', file_id: id })],
  ['responses', 'file', (id) => part({ type: 'input_image', file_id: id })],
  ['responses', 'file', (id) => item({ type: 'function_call_output', output: [{ type: 'input_image', file_id: id }] })],
  ['responses', 'file', (id) => item({ type: 'computer_call_output', output: { file_id: id } })],
  ['responses', 'item', (id) => ({ tools: [{ type: 'file_search', vector_store_ids: ['item-mine', id] }] })],
  ['responses', 'item', (id) => ({ tools: [{ type: 'code_interpreter', container: id }] })],
  [
    'responses',
    'file',
    (id) => ({ tools: [{ type: 'code_interpreter', container: { type: 'auto', file_ids: [id] } }] }),
  ],
  ['responses', 'item', (id) => ({ tools: [{ type: 'shell', environment: { container_id: id } }] })],
  ['responses', 'file', (id) => ({ tools: [{ type: 'image_generation', input_image_mask: { file_id: id } }] })],
  [
    'responses',
    'item',
    (id) => item({ type: 'additional_tools', tools: [{ type: 'file_search', vector_store_ids: [id] }] }),
  ],
];

/** Other members around it, in any order; its letters written as escapes or not. */
const around = (place: Place, id: string) =>
  fc
    .record({
      more: fc.dictionary(fc.constantFrom('temperature', 'x', 'metadata', 'user'), fc.jsonValue({ maxDepth: 2 })),
      isFirst: fc.boolean(),
      escaped: fc.boolean(),
    })
    .map(({ more, isFirst, escaped }) => {
      const made = place[2](id);
      const text = JSON.stringify(isFirst ? { ...made, ...more } : { ...more, ...made });
      return escaped
        ? text
            .replaceAll('file_id', 'fil\\u0065_id')
            .replaceAll(id, `\\u00${id.charCodeAt(0).toString(16)}${id.slice(1)}`)
        : text;
    });

describe.each(PLACES.map((place) => [place[0], JSON.stringify(place[2]('ID')), place] as const))(
  '%s: %s',
  (surface, _, place) => {
    test('takes what its tenant holds, and nothing of another’s', async () => {
      await fc.assert(
        fc.asyncProperty(around(place, `${place[1]}-mine`), around(place, `${place[1]}-theirs`), async (own, other) => {
          await asks(surface, own);
          await expect(asks(surface, other)).rejects.toMatchObject({ code: 'NOT_FOUND' });
        }),
        { numRuns: 20 },
      );
    });

    test('takes no record of what was seen for a file, whoever’s', async () => {
      if (place[1] !== 'file') return;
      await expect(asks(surface, JSON.stringify(place[2]('seen-mine')))).rejects.toMatchObject({ code: 'NOT_FOUND' });
    });
  },
);

test('an id cannot hide behind another member of the same name, in whichever order', async () => {
  for (const [first, second] of [
    ['file-mine', 'file-theirs'],
    ['file-theirs', 'file-mine'],
  ]) {
    for (const text of [
      `{"input":[{"role":"user","content":[{"type":"input_file","file_id":"${first}","file_id":"${second}"}]}]}`,
      `{"tools":[{"type":"code_interpreter","container":{"file_ids":["${first}"],"file_ids":["${second}"]}}]}`,
      `{"input":[{"role":"user","content":[{"type":"input_file","file_id":"${first}"}],"content":"x"}]}`.replace(
        'file-mine',
        'file-theirs',
      ),
    ]) {
      await expect(asks('responses', text)).rejects.toThrow();
    }
  }
});
