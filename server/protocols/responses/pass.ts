/**
 * Requests and answers that stay within the Responses protocol: the client's and the host's own bytes, but for the
 * model's name and for seals that are not OpenAI's own.
 */
import { editItems, editMembers, memberText, withoutMember } from '../../forward/edit-json.ts';
import { isObject } from '../../forward/usage.ts';
import type { Maker } from '../conversation.ts';
import type { Frame, PassOptions, WriteTarget } from '../protocol.ts';
import { itemForHost, writeSeal } from './seals.ts';

type Json = Readonly<Record<string, unknown>>;

export interface PassRequestOptions {
  readonly target: WriteTarget;
  readonly routed: boolean;
}

/**
 * Taken out besides: reasoning that another maker sealed, which this host would refuse; and, where the router chose
 * the model, settings that this one does not take.
 */
export function passRequest(text: string, json: Json, { target, routed }: PassRequestOptions): string {
  const edits: Record<string, string> = { model: JSON.stringify(target.model) };
  const unfit = routed && !target.reasoning;
  const { input, include } = json;
  if (Array.isArray(input)) {
    const maker = target.dialect.maker ?? 'openai';
    const fates = input.map((item) =>
      unfit && isObject(item) && item.type === 'reasoning' ? null : itemForHost(item, maker),
    );
    if (fates.some((fate) => fate !== 'same')) {
      edits.input = editItems(memberText(text, 'input')!, (item, i) => reseal(item, fates[i]!));
    }
  }
  if (unfit && Array.isArray(include)) {
    edits.include = JSON.stringify(include.filter((what) => what !== 'reasoning.encrypted_content'));
  }
  let passed = editMembers(text, edits);
  if (unfit && 'reasoning' in json) passed = withoutMember(passed, 'reasoning');
  if (routed && !target.sampling) {
    for (const field of ['temperature', 'top_p']) if (field in json) passed = withoutMember(passed, field);
  }
  return passed;
}

function reseal(item: string, fate: ReturnType<typeof itemForHost>): string | null {
  if (fate === 'same' || fate === null) return fate && item;
  const { id, encrypted_content: encrypted } = fate;
  const edits = { encrypted_content: JSON.stringify(encrypted), ...(id !== undefined && { id: JSON.stringify(id) }) };
  return editMembers(item, edits);
}

export function passAnswer(text: string, modelId: string, maker?: Maker): string {
  const passed = editMembers(text, { model: JSON.stringify(modelId) });
  return isWrapped(maker, text) ? withWrappedOutput(passed, maker) : passed;
}

/** The model's name is in the `response` of those events that carry one. */
export function passFrame({ event, data }: Frame, { modelId, maker }: Pick<PassOptions, 'modelId' | 'maker'>): string {
  // Cheap for the many small pieces: only a frame that may hold a response or a seal is looked into.
  const response = data.startsWith('{') && data.includes('"response"') ? memberText(data, 'response') : undefined;
  const edits: Record<string, string> = {};
  if (response?.startsWith('{')) edits.response = passAnswer(response, modelId, maker);
  if (isWrapped(maker, data)) {
    const item = memberText(data, 'item');
    if (item?.startsWith('{')) edits.item = withWrappedSeal(item, maker);
  }
  const passed = Object.keys(edits).length === 0 ? data : editMembers(data, edits);
  return `${event === '' ? '' : `event: ${event}\n`}data: ${passed.replaceAll('\n', '\ndata: ')}\n\n`;
}

/** Another maker's seals go to the client wrapped, so that they are known for whose they are when they come back. */
const isWrapped = (maker: Maker | undefined, text: string): maker is Maker =>
  maker !== undefined && maker !== 'openai' && text.startsWith('{') && text.includes('"encrypted_content"');

function withWrappedOutput(response: string, maker: Maker): string {
  const output = memberText(response, 'output');
  if (!output?.startsWith('[')) return response;
  return editMembers(response, { output: editItems(output, (item) => withWrappedSeal(item, maker)) });
}

function withWrappedSeal(text: string, maker: Maker): string {
  const item: unknown = JSON.parse(text);
  if (!isObject(item) || item.type !== 'reasoning') return text;
  const { id, encrypted_content: data } = item;
  if (typeof data !== 'string' || data === '') return text;
  const seal = writeSeal({ by: maker, data, ...(typeof id === 'string' && { id }) });
  return editMembers(text, { encrypted_content: JSON.stringify(seal) });
}
