/**
 * Messages between a client and a host that both speak it: only what must change is changed, in the text itself, so
 * that fields we have never heard of, the order of blocks, cache marks and large numbers come through.
 */
import { editItems, editMembers, memberText, withoutMember } from '../../forward/edit-json.ts';
import { isObject } from '../../forward/usage.ts';
import type { Maker } from '../conversation.ts';
import type { Frame, PassOptions, WriteTarget } from '../protocol.ts';
import { sealedFromText, sealedToText } from '../sealed.ts';
import { thinkingFields, traitsOf } from './claude.ts';
import { readReasoning } from './request-read.ts';

type Fields = Readonly<Record<string, unknown>>;

export interface PassRequestOptions {
  readonly target: WriteTarget;
  readonly stream: boolean;
  readonly routed: boolean;
}

export function passMessagesRequest(
  text: string,
  json: Fields,
  { target, stream, routed }: PassRequestOptions,
): string {
  const edits: Record<string, string> = { model: JSON.stringify(target.model) };
  if ((json.stream === true) !== stream) edits.stream = String(stream);
  const maker = target.dialect.maker ?? 'anthropic';
  let messages = json.messages;
  if (holdsForeign(messages, maker)) {
    edits.messages = withoutForeign(memberText(text, 'messages')!, maker);
    messages = JSON.parse(edits.messages);
    if (budgeted(json.thinking) && lacksThinking(messages)) edits.thinking = '{"type":"disabled"}';
  }
  if (!routed) return editMembers(text, edits);
  if (!traitsOf(target.model).systemMessages && holdsSystem(messages)) {
    Object.assign(edits, systemFirst(memberText(text, 'system'), edits.messages ?? memberText(text, 'messages')!));
  }
  const removed = adapt(text, json, messages, target, edits);
  return removed.reduce(withoutMember, editMembers(text, edits));
}

/**
 * What the chosen model would refuse, and its client, which named none, could not know to phrase otherwise.
 * @returns members to take out
 */
function adapt(
  text: string,
  json: Fields,
  messages: unknown,
  target: WriteTarget,
  edits: Record<string, string>,
): string[] {
  const removed = target.sampling ? [] : SAMPLING.filter((field) => json[field] !== undefined);
  const { maxOutputTokens: bound } = target;
  const asked = typeof json.max_tokens === 'number' ? json.max_tokens : 0;
  if (bound !== undefined && asked > bound) edits.max_tokens = String(bound);
  const { thinking, effort } = expected(json, messages, target, Math.min(asked, bound ?? asked));
  if (isObject(json.thinking) && edits.thinking === undefined && !understands(json.thinking, target)) {
    if (thinking === undefined) removed.push('thinking');
    else edits.thinking = JSON.stringify(thinking);
  }
  const config = json.output_config;
  if (isObject(config) && config.effort != null && config.effort !== effort) {
    const member = memberText(text, 'output_config')!;
    const kept =
      effort === undefined ? withoutMember(member, 'effort') : editMembers(member, { effort: JSON.stringify(effort) });
    if (kept === '{}') removed.push('output_config');
    else edits.output_config = kept;
  }
  return removed;
}

const SAMPLING = ['temperature', 'top_p', 'top_k'];

function expected(json: Fields, messages: unknown, target: WriteTarget, maxTokens: number) {
  const traits = traitsOf(target.model);
  const forced = isObject(json.tool_choice) && (json.tool_choice.type === 'any' || json.tool_choice.type === 'tool');
  const impossible = (forced && traits.forcedToolEndsThinking) || (!traits.adaptive && lacksThinking(messages));
  return thinkingFields(readReasoning(json), target, maxTokens, impossible);
}

/** The form is one that the model takes. */
function understands(
  { type, budget_tokens: budget }: Fields,
  { model, reasoning, maxOutputTokens }: WriteTarget,
): boolean {
  const traits = traitsOf(model);
  if (!reasoning) return false;
  if (type === 'enabled') return traits.budgets && !(Number(budget) >= (maxOutputTokens ?? Number.POSITIVE_INFINITY));
  if (type === 'disabled') return traits.off === 'disabled';
  return type === 'adaptive' ? traits.adaptive : type === traits.off;
}

/** Reasoning of another maker came to the client wrapped, or unsigned; Anthropic refuses what it did not sign. */
function isForeign(block: unknown, maker: Maker): boolean {
  const seal = sealText(block);
  if (seal === undefined) return false;
  if (seal === '') return maker === 'anthropic';
  // What is not wrapped is Anthropic's own.
  return sealedFromText(seal, 'anthropic').by !== maker;
}

function sealText(block: unknown): string | undefined {
  if (!isObject(block)) return undefined;
  const seal =
    block.type === 'thinking' ? (block.signature ?? '') : block.type === 'redacted_thinking' ? block.data : undefined;
  return typeof seal === 'string' ? seal : undefined;
}

const contentOf = (message: unknown): readonly unknown[] =>
  isObject(message) && Array.isArray(message.content) ? message.content : [];

/** Foreign to this host, or its own, which clients hold wrapped. */
const isSealedElsewise = (block: unknown, maker: Maker): boolean =>
  isForeign(block, maker) || (maker !== 'anthropic' && (sealText(block) ?? '') !== '');

const holdsForeign = (messages: unknown, maker: Maker): boolean =>
  Array.isArray(messages) && messages.some((message) => contentOf(message).some((b) => isSealedElsewise(b, maker)));

function withoutForeign(messages: string, maker: Maker): string {
  return editItems(messages, (message) => {
    const content = contentOf(JSON.parse(message));
    if (!content.some((block) => isSealedElsewise(block, maker))) return message;
    // An empty message is refused; its neighbours, then of one role, are read as one.
    if (content.every((block) => isForeign(block, maker))) return null;
    const kept = editItems(memberText(message, 'content')!, (block, i) =>
      isForeign(content[i], maker)
        ? null
        : withSeal(block, content[i], (seal) => sealedFromText(seal, 'anthropic').data),
    );
    return editMembers(message, { content: kept });
  });
}

const isSystem = (message: unknown) => isObject(message) && message.role === 'system';
const holdsSystem = (messages: unknown) => Array.isArray(messages) && messages.some(isSystem);

/** System messages in mid-conversation moved to the end of the system prompt, for models that take none there. */
function systemFirst(system: string | undefined, messages: string): { system: string; messages: string } {
  const blocks = system === undefined || system === 'null' ? [] : blockTexts(system);
  const rest = editItems(messages, (message) => {
    if (!isSystem(JSON.parse(message))) return message;
    blocks.push(...blockTexts(memberText(message, 'content')!));
    return null;
  });
  return { system: `[${blocks.join(',')}]`, messages: rest };
}

/** @param content a text, or a list of blocks */
function blockTexts(content: string): string[] {
  if (!content.startsWith('[')) return content === '""' ? [] : [`{"type":"text","text":${content}}`];
  const texts: string[] = [];
  editItems(content, (item) => {
    texts.push(item);
    return item;
  });
  return texts;
}

const budgeted = (thinking: unknown) => isObject(thinking) && thinking.type === 'enabled';

/** The last assistant message calls tools and does not begin with what was thought for that. */
function lacksThinking(messages: unknown): boolean {
  if (!Array.isArray(messages)) return false;
  const content = contentOf(messages.findLast((message) => isObject(message) && message.role === 'assistant'));
  return content.some((block) => isObject(block) && block.type === 'tool_use') && sealText(content[0]) === undefined;
}

/** A block's text with its seal, if it has one, put another way. */
function withSeal(text: string, block: unknown, edit: (seal: string) => string): string {
  const seal = sealText(block);
  if (seal === undefined || seal === '') return text;
  const field = isObject(block) && block.type === 'thinking' ? 'signature' : 'data';
  return editMembers(text, { [field]: JSON.stringify(edit(seal)) });
}

/** Another maker's seals go to the client wrapped, so that they are known for whose they are when they come back. */
const wrapping = (maker: Maker | undefined) =>
  maker === undefined || maker === 'anthropic'
    ? undefined
    : (data: string) => sealedToText({ by: maker, data }, 'anthropic');

export function passMessagesAnswer(text: string, modelId: string, maker?: Maker): string {
  const edits: Record<string, string> = { model: JSON.stringify(modelId) };
  const wrap = wrapping(maker);
  const content = wrap && memberText(text, 'content');
  if (wrap && content?.startsWith('['))
    edits.content = editItems(content, (block) => withSeal(block, parsed(block), wrap));
  return editMembers(text, edits);
}

/** A frame as a whole server-sent event; only `message_start` names a model. */
export function passMessagesFrame(
  { event, data }: Frame,
  { modelId, maker }: Pick<PassOptions, 'modelId' | 'maker'>,
): string {
  const unnamed = event === '';
  // The official client passes over an event without a name, which some hosts send.
  const payload: unknown = unnamed || event === 'message_start' ? parsed(data) : undefined;
  const type = isObject(payload) && typeof payload.type === 'string' ? payload.type : event;
  const named = isObject(payload) && type === 'message_start' ? withModel(data, modelId) : data;
  const text = withWrappedSeal(named, wrapping(maker));
  const name = unnamed ? type : event;
  const lines = text.split('\n').map((line) => `data: ${line}\n`);
  return `${name === '' ? '' : `event: ${name}\n`}${lines.join('')}\n`;
}

/** A signature comes in a delta of its own; what the maker hid, with the start of its block. */
function withWrappedSeal(data: string, wrap: ((seal: string) => string) | undefined): string {
  if (wrap === undefined || !/"signature|"redacted_thinking"/.test(data)) return data;
  const frame = parsed(data);
  if (!isObject(frame)) return data;
  const { delta, content_block: block } = frame;
  if (isObject(delta) && delta.type === 'signature_delta' && typeof delta.signature === 'string') {
    const signature = JSON.stringify(wrap(delta.signature));
    return editMembers(data, { delta: editMembers(memberText(data, 'delta')!, { signature }) });
  }
  if (!isObject(block)) return data;
  return editMembers(data, { content_block: withSeal(memberText(data, 'content_block')!, block, wrap) });
}

function withModel(data: string, modelId: string): string {
  const message = memberText(data, 'message');
  if (message === undefined || !message.startsWith('{')) return data;
  return editMembers(data, { message: editMembers(message, { model: JSON.stringify(modelId) }) });
}

function parsed(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    return undefined;
  }
}
