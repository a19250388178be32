/** Upstreams by protocol, and one of them on loopback. */
import { createServer, type RequestListener } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { ProtocolName } from '../../../../server/protocols/index.ts';
import { httpProvider } from '../../../../server/providers/http-provider.ts';
import type { Provider } from '../../../../server/providers/index.ts';
import { Transport } from '../../../../server/providers/transport.ts';
import { anthropicUpstream } from './anthropic.ts';
import { chatUpstream } from './chat.ts';
import { cohereUpstream } from './cohere.ts';
import { converseUpstream } from './converse.ts';
import { geminiUpstream } from './gemini.ts';
import { responsesUpstream } from './responses.ts';
import type { Step, TrueUpstream } from './story.ts';

export { STORY, type Step, type TrueUpstream, USED } from './story.ts';

export const UPSTREAMS: readonly TrueUpstream[] = [
  chatUpstream,
  responsesUpstream,
  anthropicUpstream,
  geminiUpstream,
  converseUpstream,
  cohereUpstream,
];

export interface RunningUpstream {
  readonly protocol: ProtocolName;
  readonly upstream: TrueUpstream;
  /** Where its own SDK would be pointed. */
  readonly url: string;
  readonly provider: Provider;
  /** `provider/model`. */
  readonly modelId: string;
  readonly received: {
    readonly url: string;
    readonly headers: Readonly<Record<string, unknown>>;
    readonly body: string;
    readonly step: Step | null;
  }[];
  /** Why requests were refused. */
  readonly refusals: string[];
  /** Set to answer everything with an error. */
  down: number | null;
  close(): Promise<void>;
}

/** @param http2 for the AWS client, which speaks nothing else to Bedrock */
export async function run(upstream: TrueUpstream, http2 = false): Promise<RunningUpstream> {
  const received: RunningUpstream['received'] = [];
  const refusals: string[] = [];
  const listener: RequestListener = async (request, response) => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const body = Buffer.concat(pieces).toString();
    const url = request.url ?? '';
    let step: Step | null = null;
    try {
      const asked = upstream.read({ url, body: JSON.parse(body) });
      step = asked.step;
      if (running.down !== null) upstream.refuse(running.down, 'try again later', response);
      else upstream.answer(asked.step, asked.stream, response);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      refusals.push(`${why}\n${body}`);
      upstream.refuse(400, why, response);
    }
    received.push({ url, headers: request.headers, body, step });
  };
  const server = http2 ? createHttp2Server(listener as never) : createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${upstream.basePath}`;
  const { kind, protocol, model } = upstream;
  // MiniMax's two protocols lie under different paths, which its kind knows.
  const baseUrl = kind.path === undefined ? url : new URL(url).origin;
  const running: RunningUpstream = {
    protocol,
    upstream,
    url,
    provider: httpProvider(kind, {
      baseUrl,
      keys: [{ id: '', weight: 1, key: 'key-of-the-provider' }],
      settings: { region: 'eu-central-1' },
      transport: new Transport(),
    }),
    modelId: `${kind.name}/${model}`,
    received,
    refusals,
    down: null,
    close: async () => {
      if ('closeAllConnections' in server) server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  return running;
}
