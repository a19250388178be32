/** A whole answer ↔ the events it would have come in: so that each protocol needs to be read and written in one form only. */
import type { Answer, AnswerBlock, AnswerEvent, FinishReason, ToolCallBlock } from './conversation.ts';

/** @throws Error when the events hold no `finish`: half an answer is none */
export function collect(events: Iterable<AnswerEvent>): Answer {
  const blocks: AnswerBlock[] = [];
  const calls = new Map<number, number>();
  let id: string | null = null;
  let usage: Answer['usage'] = null;
  let finish: FinishReason | undefined;
  let stopSequence: string | undefined;
  const append = (type: 'text' | 'thinking' | 'refusal', text: string) => {
    const last = blocks.at(-1);
    if (last?.type === type && !(last.type === 'thinking' && last.sealed)) {
      blocks[blocks.length - 1] = { ...last, text: last.text + text };
    } else blocks.push({ type, text });
  };
  for (const event of events) {
    if (event.type === 'start') id = event.id;
    else if (event.type === 'text' || event.type === 'thinking' || event.type === 'refusal') {
      append(event.type, event.text);
    } else if (event.type === 'sealed') {
      const last = blocks.at(-1);
      if (last?.type === 'thinking' && !last.sealed && !event.redacted) {
        blocks[blocks.length - 1] = { ...last, sealed: event.sealed };
      } else blocks.push({ type: 'thinking', text: '', sealed: event.sealed, redacted: event.redacted });
    } else if (event.type === 'tool_call') {
      calls.set(event.index, blocks.length);
      const { id: callId, name, sealed } = event;
      blocks.push({ type: 'tool_call', id: callId, name, arguments: '', ...(sealed && { sealed }) });
    } else if (event.type === 'tool_arguments') {
      const at = calls.get(event.index);
      if (at === undefined) continue;
      const call = blocks[at] as ToolCallBlock;
      blocks[at] = { ...call, arguments: call.arguments + event.json };
    } else if (event.type === 'finish') ({ reason: finish, stopSequence } = event);
    else if (event.type === 'usage') usage = event.usage;
  }
  if (finish === undefined) throw new Error('collect: the events hold no finish');
  return { id, blocks, finish, ...(stopSequence !== undefined && { stopSequence }), usage };
}

/** The events of a whole answer, each block in one piece. */
export function eventsOf(answer: Answer): AnswerEvent[] {
  const events: AnswerEvent[] = [{ type: 'start', id: answer.id }];
  let index = 0;
  for (const block of answer.blocks) {
    if (block.type === 'tool_call') {
      const { id, name, sealed } = block;
      events.push({ type: 'tool_call', index, id, name, ...(sealed && { sealed }) });
      if (block.arguments !== '') events.push({ type: 'tool_arguments', index, json: block.arguments });
      index++;
    } else if (block.type === 'thinking') {
      if (block.text !== '' || !block.sealed) events.push({ type: 'thinking', text: block.text });
      if (block.sealed) events.push({ type: 'sealed', sealed: block.sealed, redacted: block.redacted });
    } else events.push({ type: block.type, text: block.text });
  }
  const { finish: reason, stopSequence, usage } = answer;
  events.push({ type: 'finish', reason, ...(stopSequence !== undefined && { stopSequence }) });
  if (usage !== null) events.push({ type: 'usage', usage });
  return events;
}

/** Characters of an answer: stands in for tokens where no usage was reported. */
export function charsOf(events: Iterable<AnswerEvent>): number {
  let chars = 0;
  for (const event of events) {
    if (event.type === 'text' || event.type === 'thinking' || event.type === 'refusal') chars += event.text.length;
    else if (event.type === 'tool_call') chars += event.name.length;
    else if (event.type === 'tool_arguments') chars += event.json.length;
    else if (event.type === 'other') chars += event.chars;
  }
  return chars;
}
