/** What is paid for later, where the configuration lets it pass under a budget: counted once, when its end is first seen. */
import { expect, test } from 'vitest';
import { httpProvider } from '../../../../server/providers/http-provider.ts';
import { openai } from '../../../../server/providers/openai.ts';
import { openAiCompatibleKind } from '../../../../server/providers/openai-compatible.ts';
import { Transport } from '../../../../server/providers/transport.ts';
import { candidate, gatewayOver, jsonOf } from '../../fakes.ts';
import { openAiHost } from '../../passthrough-upstream.ts';

test('an answer made in the background is charged once, when its end is first seen', async () => {
  const host = await openAiHost('one');
  const made = { id: 'resp_later', object: 'response', created_at: 1, model: 'small', background: true };
  const item = {
    ...{ type: 'message', id: 'msg_later', role: 'assistant', status: 'completed' },
    content: [{ type: 'output_text', text: 'fine', annotations: [] }],
  };
  const usage = { input_tokens: 100, output_tokens: 500, total_tokens: 600 };
  let isDone = false;
  host.script = (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    const end = isDone ? { status: 'completed', output: [item], usage } : { status: 'queued', output: [], usage: null };
    response.end(JSON.stringify({ ...made, ...end }));
    return true;
  };
  const provider = httpProvider(
    { ...openAiCompatibleKind('one'), protocols: openai.protocols },
    { name: 'one', baseUrl: host.url, keys: [{ id: '', weight: 1, key: 'secret' }], transport: new Transport() },
  );
  // USD 1 000 and 2 000 per million tokens.
  const gateway = await gatewayOver([candidate('one/small', 1000)], {
    providers: new Map([['one', provider]]),
    config: { limits: { allowUnmetered: true, budgets: [{ name: 'all', usd: 50, period: 'month' }] } },
  });
  try {
    const spent = () => gateway.gateway.governance.limits.used.find(({ measure }) => measure === 'usd')?.spent ?? 0;
    const response = await fetch(`${gateway.url}/v1/responses`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'one/small', input: 'hello', background: true, max_output_tokens: 500 }),
    });
    expect(response.status).toBe(200);
    const get = async () => (await jsonOf(fetch(`${gateway.url}/v1/responses/resp_later`))).status;
    expect(await get()).toBe('queued');
    const before = spent();
    isDone = true;
    expect(await get()).toBe('completed');
    // 100 · 0.001 + 500 · 0.002
    expect(spent() - before).toBeCloseTo(1.1, 9);
    expect(await get()).toBe('completed');
    expect(spent() - before).toBeCloseTo(1.1, 9);
  } finally {
    await gateway.close();
    await host.close();
  }
});
