/** Google's Gemini API: whole responses, and streams of them, with a signature on the call. */
import { z } from 'zod';
import { google } from '../../../../server/providers/google.ts';
import { halves, json, must, STORY, type Step, sse, stream, type TrueUpstream, USED } from './story.ts';

const SIGNATURE = 'CpcBAdHtim9thoughtSignatureOfGemini==';
/** Google's documented stand-in for calls of another model. */
const STAND_IN = 'skip_thought_signature_validator';
const MODEL = 'gemini-3-flash-preview';

const Part = z.union([
  z.strictObject({ text: z.string(), thought: z.boolean().optional(), thoughtSignature: z.string().optional() }),
  z.strictObject({
    functionCall: z.strictObject({ id: z.string().optional(), name: z.string(), args: z.looseObject({}) }),
    thoughtSignature: z.string().optional(),
  }),
  z.strictObject({
    functionResponse: z.strictObject({ id: z.string().optional(), name: z.string(), response: z.looseObject({}) }),
  }),
]);
const Request = z.strictObject({
  contents: z.array(z.strictObject({ role: z.enum(['user', 'model']), parts: z.array(Part).min(1) })).min(1),
  systemInstruction: z
    .strictObject({ role: z.string().optional(), parts: z.array(z.strictObject({ text: z.string() })) })
    .optional(),
  tools: z
    .array(
      z.strictObject({
        functionDeclarations: z.array(
          z.strictObject({
            name: z.string(),
            description: z.string().optional(),
            parameters: z.looseObject({}).optional(),
            parametersJsonSchema: z.looseObject({}).optional(),
          }),
        ),
      }),
    )
    .optional(),
  toolConfig: z.looseObject({}).optional(),
  generationConfig: z
    .strictObject({
      maxOutputTokens: z.number().optional(),
      temperature: z.number().optional(),
      topP: z.number().optional(),
      responseMimeType: z.string().optional(),
      responseJsonSchema: z.looseObject({}).optional(),
      thinkingConfig: z
        .strictObject({
          includeThoughts: z.boolean().optional(),
          thinkingLevel: z.enum(['LOW', 'MEDIUM', 'HIGH']).optional(),
        })
        .optional(),
    })
    .optional(),
});

const usageMetadata = (thoughts: number) => ({
  promptTokenCount: USED.input,
  cachedContentTokenCount: USED.cached,
  candidatesTokenCount: USED.output - thoughts,
  ...(thoughts > 0 && { thoughtsTokenCount: thoughts }),
  totalTokenCount: USED.input + USED.output,
  promptTokensDetails: [{ modality: 'TEXT', tokenCount: USED.input }],
});

const frame = (parts: unknown[], finish: string | undefined, thoughts: number) => ({
  candidates: [{ content: { role: 'model', parts }, index: 0, ...(finish && { finishReason: finish }) }],
  usageMetadata: usageMetadata(thoughts),
  modelVersion: MODEL,
  responseId: 'resp-of-google',
});

export const geminiUpstream: TrueUpstream = {
  protocol: 'gemini',
  kind: google,
  model: MODEL,
  basePath: '/v1beta',
  seal: SIGNATURE,
  cached: USED.cached,
  read({ url, body }) {
    const action = /^\/v1beta\/models\/gemini-3-flash-preview:(\w+)(\?alt=sse)?$/.exec(url);
    must(action, `POST ${url}`);
    const { contents, tools } = Request.parse(body);
    let role = '';
    const called: string[] = [];
    for (const content of contents) {
      role = content.role;
      for (const part of content.parts) {
        if ('functionCall' in part) called.push(part.functionCall.name);
        if ('functionResponse' in part)
          must(called.includes(part.functionResponse.name), 'a response without its call');
        const signature = 'functionResponse' in part ? undefined : part.thoughtSignature;
        must(
          signature === undefined || signature === SIGNATURE || signature === STAND_IN,
          'Corrupted thought signature.',
        );
      }
    }
    must(contents[0]!.role === 'user' && role === 'user', 'contents must begin and end with the user');
    const lastParts = contents.at(-1)!.parts;
    const returns = lastParts.some((part) => 'functionResponse' in part);
    if (returns) {
      const call = contents.flatMap(({ parts }) => parts).findLast((part) => 'functionCall' in part);
      must(call && 'thoughtSignature' in call && call.thoughtSignature, 'Function call is missing a thought_signature');
    }
    const step: Step = returns ? 'report' : JSON.stringify(lastParts).includes(STORY.question) ? 'call' : 'greet';
    if (step !== 'greet')
      must(
        tools?.[0]?.functionDeclarations.some(({ name }) => name === STORY.tool.name),
        'no tools',
      );
    must(action[1] === 'generateContent' || action[2] !== undefined, 'a stream without alt=sse');
    return { step, stream: action[1] === 'streamGenerateContent' };
  },
  answer(step, streams, response) {
    const text = { greet: STORY.greeted, call: STORY.plan, report: STORY.report }[step];
    const thought = { text: STORY.thought, thought: true };
    // Gemini names no id.
    const call = { functionCall: { name: STORY.tool.name, args: STORY.call }, thoughtSignature: SIGNATURE };
    const thoughts = step === 'call' ? 10 : 0;
    if (!streams) {
      json(response, frame(step === 'call' ? [thought, { text }, call] : [{ text }], 'STOP', thoughts));
      return;
    }
    const [a, b] = halves(text);
    const frames = [
      ...(step === 'call' ? [frame([thought], undefined, thoughts)] : []),
      frame([{ text: a }], undefined, thoughts),
      frame([{ text: b }], step === 'call' ? undefined : 'STOP', thoughts),
      ...(step === 'call' ? [frame([call], 'STOP', thoughts)] : []),
    ];
    stream(
      response,
      frames.map((one) => sse(one)),
    );
  },
  refuse(status, message, response) {
    const name = status === 400 ? 'INVALID_ARGUMENT' : status === 429 ? 'RESOURCE_EXHAUSTED' : 'UNAVAILABLE';
    json(response, { error: { code: status, message, status: name } }, status);
  },
};
