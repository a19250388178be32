/**
 * What is handed to the provider of the model that is named, as it is: audio, images, moderations. Files, batches and
 * stored responses, which name none, are in `passthrough-objects.ts`.
 */
import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { RoutingError } from '../../datasets/index.ts';
import type { Caller } from '../callers.ts';
import type { GuardHit } from '../db/records.ts';
import { editMembers } from '../forward/edit-json.ts';
import type { Target } from '../forward/target.ts';
import type { Gateway } from '../gateway.ts';
import { accountOf } from '../held-objects.ts';
import { readBody } from './body.ts';
import { addedTags, enter } from './enter.ts';
import { FieldError } from './errors.ts';
import { type HeldBy, heldBy, heldElsewhere } from './held.ts';
import { readWishes } from './knobs.ts';
import { refuseTooManyParts } from './most-parts.ts';
import { beforeSending, pass } from './passthrough-answer.ts';
import { acceptOf, type Passage, type PassedSurface } from './passthrough-call.ts';
import { type FormField, formFields, formTypeOf, onlyField, withField } from './passthrough-form.ts';
import { objectRoutes } from './passthrough-objects.ts';
import { left, seenForm } from './passthrough-upload.ts';

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
      const { model } = value;
      const seen = async (caller: Caller) => {
        const guarded = { caller, surface: 'passed', json: value, text: bare, log: request.log } as const;
        const { text: passed, hits } = await gateway.governance.guards.before(guarded);
        const body = ({ upstreamModel }: Target) => editMembers(passed, { model: JSON.stringify(upstreamModel) });
        return { body, hits: [...hits, ...unreadIn(gateway, caller, surface)] };
      };
      const isStream = value.stream === true;
      const said = (caller: Caller) => (surface === 'images' ? saidIn(gateway, request, caller, isStream) : undefined);
      const held = (caller: Caller) => heldBy(gateway, 'passed', { text, json: value, caller });
      const type = 'application/json';
      const added = routing.tags;
      await passToModel({ gateway, request, reply, surface, path, model, added, type, seen, held, said });
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
        const fields = formFields(form, type);
        const { text: model } = onlyField(form, fields, 'model');
        const seen = async (caller: Caller) => {
          const { bytes, hits } = await seenFormOf(gateway, caller, form, type);
          const { field } = onlyField(bytes, bytes === form ? fields : formFields(bytes, type), 'model');
          return { body: ({ upstreamModel }: Target) => withField(bytes, field, upstreamModel), hits };
        };
        const streams = fields.some((field) => field.name === 'stream' && saysYes(form, field));
        const said = (caller: Caller) => saidIn(gateway, request, caller, streams);
        const added = addedTags(request);
        await passToModel({ gateway, request, reply, surface, path, model, added, type, seen, said });
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
  /** What is sent, as guardrails leave it. @throws GuardrailBlocked */
  readonly seen: (caller: Caller) => Promise<{ readonly body: Passage['body']; readonly hits: readonly GuardHit[] }>;
  /** What it refers to that a provider holds. */
  readonly held?: (caller: Caller) => Promise<HeldBy | undefined>;
  /** What looks at the answer, where somebody does. */
  readonly said?: (caller: Caller) => Passage['said'];
}

async function passToModel(passed: ToModel): Promise<void> {
  const { gateway, request, reply, surface, path, model, added, type, seen, held, said } = passed;
  const { models } = gateway.setup;
  const entered = enter(gateway, request, reply, { surface, requestedModel: model, isAuto: false, chars: 0, added });
  request.caller = entered.caller;
  if (models.autoOf(model) !== null) throw new FieldError('model', `${surface} is not routed: name a model`);
  const { id, alias, targets: all } = models.resolve(model, request.caller);
  const able = gateway.healthyFirst(all.filter(({ provider }) => provider.raw !== undefined));
  if (able.length === 0) throw new FieldError('model', `the provider of ${id} has no ${path} that could be passed on`);
  const holder = await held?.(entered.caller);
  const targets = able.filter(
    (one) => holder === undefined || accountOf(one.provider, one.credential) === holder.account,
  );
  if (targets.length === 0) throw heldElsewhere(holder!, id);
  const look = said?.(entered.caller);
  const passage = {
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
    metered: true,
    ...(look !== undefined && { said: look }),
  } as const;
  const { body, hits } = await beforeSending(passage, () => seen(entered.caller));
  await pass({ ...passage, body, hits });
}

/** Fields as words, and files where they are text. @returns the same bytes where nothing was changed */
async function seenFormOf(gateway: Gateway, caller: Caller, form: Buffer, type: string) {
  const look = gateway.governance.guards.upload(() => caller);
  if (look === null) return { bytes: form, hits: [] };
  const seen = await seenForm(Readable.from([form]), type, { look, word: 'model', folder: null });
  try {
    const bytes = (seen.body as () => Buffer)();
    return { bytes: look.holds && !bytes.equals(form) ? bytes : form, hits: seen.hits };
  } finally {
    await seen.close();
  }
}

/** What is spoken is no text, and of what is painted little is: nobody is asked for what may not pass. @throws GuardrailBlocked */
function unreadIn({ governance }: Gateway, caller: Caller, surface: PassedSurface): readonly GuardHit[] {
  const { guards } = governance;
  if (surface === 'audio') return guards.unreadAnswer(caller, 'what is spoken', false);
  return surface === 'images' ? guards.unreadAnswer(caller, 'pictures', true) : [];
}

const saysYes = (form: Buffer, { start, end }: FormField): boolean =>
  !/^(?:false|0|)$/i.test(form.toString('utf8', start, end).trim());

/**
 * A recording's words, which come back as JSON, text or subtitles; what is said of a picture, and that the picture itself
 * cannot be read. @throws FieldError for a stream that must be held back
 */
function saidIn({ governance }: Gateway, { log }: FastifyRequest, caller: Caller, streams: boolean): Passage['said'] {
  const { guards } = governance;
  if (streams && guards.holdsAnswers(caller)) {
    throw new FieldError('stream', 'under a guardrail of answers, ask for the answer as a whole');
  }
  if (streams || !guards.looksAtAnswers(caller)) return undefined;
  return (text) => guards.afterPassed({ caller, text, log });
}

async function readForm({ body }: FastifyRequest, limitMb: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let size = 0;
  const stream = body as Readable;
  for await (const piece of left(stream)) {
    size += piece.length;
    if (size > limitMb * 1024 * 1024) {
      // Its client hears why once it has sent all.
      stream.resume();
      throw new RoutingError('BODY_TOO_LARGE', 'the request body is too large');
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}
