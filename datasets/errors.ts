/**
 * Every code we throw, with what it means. The server maps each to an HTTP status
 * (`server/api/errors.ts`), so a code without one does not compile.
 */
export const ERROR_CODES = [
  // data
  'INVALID_ROW', // a row does not fit its schema
  'MALFORMED_JSON', // a line or body is not JSON
  'TRUNCATED_FILE', // a compressed file ends early or is damaged
  'DUPLICATE_ROW', // the same prompt, or (prompt, model), twice
  'UNKNOWN_PROMPT', // an outcome whose prompt is not there
  'MISSING_FILE', // a file or folder that should be there is not
  'WRONG_FORMAT', // a file is not of the format that is read there, or a pickle, which is never read
  'WRONG_CHECKSUM', // a file is not, byte for byte, the one that was fetched before
  'EVALUATION_ONLY', // a dataset from which nothing may be learned
  'EMPTY_TABLE', // no outcomes where some are needed
  'UNDEFINED_METRIC', // a metric has no value on this input
  // routing
  'NO_CANDIDATE', // no candidate model is left after the filters
  'UNKNOWN_MODEL', // a model id that nothing here answers to
  'INVALID_REQUEST', // a request that does not fit its schema
  'ARTIFACT_MISSING', // no router artifact at that place
  'ARTIFACT_DAMAGED', // content does not match its hash or format
  'ARTIFACT_UNTRUSTED', // not signed by this gateway's key, or an ONNX file that could read or run other things
  'ARTIFACT_MISMATCH', // encoder and heads do not belong together
  'INVALID_CONFIG', // configuration or command-line option out of range
  // serving
  'BODY_TOO_LARGE',
  'FORBIDDEN_ORIGIN', // Host or Origin that a local gateway does not accept
  'UNAUTHORIZED',
  'FORBIDDEN', // a scope that this client key does not have
  'FORBIDDEN_MODEL', // a model that this client key may not use
  'NOT_FOUND',
  'CONFLICT', // the same id again with other content, or a state that does not allow it
  'LIMIT_REACHED', // no more of these are taken
  'RATE_LIMITED', // more requests or tokens a minute than the key, team or model may have
  'BUDGET_EXCEEDED', // a budget in USD is spent
  'POLICY_REFUSED', // a rule of the policy in force leaves no place where this may be answered
  'GUARDRAIL_BLOCKED', // a guardrail found in the prompt or the answer what must not pass
  'UPSTREAM_ERROR', // provider answered with an error
  'UPSTREAM_TIMEOUT', // provider did not answer in time
  'UPSTREAM_INVALID', // provider answered something that is not its protocol
  'UPSTREAM_CLOSED', // provider ended a stream early
  'PROVIDER_NOT_CONFIGURED', // no key or base URL for this provider
  'EGRESS_REFUSED', // a request names an address that may not be fetched from
  'EGRESS_FAILED', // what a request names could not be fetched
  'DATABASE_LOCKED', // another process owns the embedded database
  'DATABASE_UNAVAILABLE',
  'RECORD_DAMAGED', // what the database holds of a decision cannot be read
  'SHUTTING_DOWN',
  'INTERNAL',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** Every error we throw. Branch on `code`; the message is for people and says what to do next. */
export class RoutingError extends Error {
  override readonly name = 'RoutingError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
