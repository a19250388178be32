/** A request → what the router looks at. The reading is in `request/`: one file per shape, one for the facts, one for the text. */
export type { Shape } from './request/conversation.ts';
export type { RequestFacts, ToolResults } from './request/facts.ts';
export { type RoutableRequest, type RoutingInput, readRequest } from './request/read.ts';
export { shapeOf } from './request/shape.ts';
export { type AgentStep, STEPS } from './request/steps.ts';
export { promptText } from './request/text.ts';
export { estimateTokens } from './request/tokens.ts';
