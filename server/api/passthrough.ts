/**
 * What is handed to the provider of the model that is named, as it is: audio, images, moderations. Files, batches and
 * stored responses, which name none, are in `passthrough-objects.ts`.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { RoutingError } from '../../datasets/index.ts';
import { editMembers } from '../forward/edit-json.ts';
import type { Target } from '../forward/target.ts';
import type { Gateway } from '../gateway.ts';
import { readBody } from './body.ts';
import { addedTags, enter } from './enter.ts';
import { FieldError } from './errors.ts';
import { readWishes } from './knobs.ts';
import { refuseTooManyParts } from './most-parts.ts';
import { pass } from './passthrough-answer.ts';
import { acceptOf, type PassedSurface } from './passthrough-call.ts';
import { formFields, formTypeOf, onlyField, withField } from './passthrough-form.ts';
import { objectRoutes } from './passthrough-objects.ts';

const JSON_PATHS: Readonly<Record<string, PassedSurface>> = {
  '/audio/speech': 'audio',
  '/images/generations': 'images',
  '/moderations': 'moderations',
};

const FORM_PATHS: Readonly<Record<string, PassedSurface>> = {
  '/audio/transcriptions': 'audio',
  '/audio/translations': 'audio',
};

const Body = z.looseObject({ model: z.string('name a model, provider/model').min(1) });

export function passThroughRoutes(app: FastifyInstance, gateway: Gateway): void {
  for (const [path, surface] of Object.entries(JSON_PATHS)) {
    app.post(`/v1${path}`, async (request, reply) => {
      const { text, value } = readBody(Body, request.body);
      refuseTooManyParts(value);
      const { text: bare, routing } = readWishes(text, value, request.headers, null);
      const body = ({ upstreamModel }: Target, seen: string) =>
        editMembers(seen, { model: JSON.stringify(upstreamModel) });
      const { model } = value;
      const type = 'application/json';
      const words = { json: value, text: bare };
      await passToModel({ gateway, request, reply, surface, path, model, added: routing.tags, type, body, words });
      return reply;
    });
  }
  // Forms are read here only: anywhere else they are refused, as ever.
  app.register(async (scope) => {
    scope.addContentTypeParser(/^multipart\/form-data\b/i, (_, payload, done) => done(null, payload));
    for (const [path, surface] of Object.entries(FORM_PATHS)) {
      scope.post(`/v1${path}`, async (request, reply) => {
        const type = formTypeOf(request);
        const form = await readForm(request, gateway.config.bodyLimitMb);
        const { field, text } = onlyField(form, formFields(form, type), 'model');
        const body = ({ upstreamModel }: Target) => withField(form, field, upstreamModel);
        const added = addedTags(request);
        await passToModel({ gateway, request, reply, surface, path, model: text, added, type, body });
        return reply;
      });
    }
    // In a scope of its own: its hook is for these alone.
    scope.register(async (inner) => objectRoutes(inner, gateway));
  });
}

interface ToModel {
  readonly gateway: Gateway;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly surface: PassedSurface;
  readonly path: string;
  /** As the client named it. */
  readonly model: string;
  /** Tags that the client added. */
  readonly added: readonly string[] | undefined;
  readonly type: string;
  /** What guardrails look at; absent for forms, which are read no further. */
  readonly words?: { readonly json: z.infer<typeof Body>; readonly text: string };
  /** @param seen the text, as guardrails leave it */
  readonly body: (target: Target, seen: string) => string | Uint8Array;
}

async function passToModel(passed: ToModel): Promise<void> {
  const { gateway, request, reply, surface, path, model, added, type, body, words } = passed;
  const { models } = gateway.setup;
  const entered = enter(gateway, request, reply, { surface, requestedModel: model, isAuto: false, chars: 0, added });
  request.caller = entered.caller;
  if (models.autoOf(model) !== null) throw new FieldError('model', `${surface} is not routed: name a model`);
  const { id, alias, targets: all } = models.resolve(model, request.caller);
  const targets = gateway.healthyFirst(all.filter(({ provider }) => provider.raw !== undefined));
  if (targets.length === 0)
    throw new FieldError('model', `the provider of ${id} has no ${path} that could be passed on`);
  const { guards } = gateway.governance;
  const guarded = words && { ...words, caller: entered.caller, surface: 'passed' as const, log: request.log };
  const seen = guarded === undefined ? '' : (await guards.before(guarded)).text;
  await pass({
    gateway,
    request,
    reply,
    surface,
    entrant: entered.entrant,
    targets,
    requestedModel: model,
    alias,
    method: 'POST',
    path,
    headers: { 'content-type': type, ...acceptOf(request) },
    body: (target) => body(target, seen),
    metered: true,
  });
}

async function readForm({ body }: FastifyRequest, limitMb: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of body as AsyncIterable<Buffer>) {
    size += piece.length;
    if (size > limitMb * 1024 * 1024) throw new RoutingError('BODY_TOO_LARGE', 'the request body is too large');
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}
