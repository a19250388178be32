/** Requests and streams in the shapes that Anthropic's API and its agents really use; the words are ours. */

/** A coding agent in the middle of a tool loop: marked system and tools, reminders, signed thinking, a beta field. */
export const AGENT_REQUEST = {
  model: 'claude-sonnet-4-5',
  max_tokens: 32000,
  stream: true,
  system: [
    { type: 'text', text: 'You help with a code base on the command line.', cache_control: { type: 'ephemeral' } },
    { type: 'text', text: 'Working directory: /srv/app', cache_control: { type: 'ephemeral', ttl: '1h' } },
  ],
  tools: [
    {
      name: 'Read',
      description: 'Reads a file.',
      input_schema: {
        type: 'object',
        properties: { file_path: { type: 'string' }, limit: { type: 'number' } },
        required: ['file_path'],
        additionalProperties: false,
      },
    },
    { name: 'Bash', description: 'Runs a command.', input_schema: { type: 'object', properties: {} } },
  ],
  thinking: { type: 'enabled', budget_tokens: 10000 },
  metadata: { user_id: 'user_ab12_session_cd34' },
  context_management: { edits: [{ type: 'clear_thinking_20251015', keep: 'all' }] },
  messages: [
    {
      role: 'user',
      content: [
        { type: 'text', text: '<system-reminder>\nThe branch is clean.\n</system-reminder>' },
        { type: 'text', text: 'Why does the build fail?' },
      ],
    },
    {
      role: 'assistant',
      content: [
        { type: 'thinking', thinking: 'The log comes first.', signature: 'EqoBCkYIBxgC' },
        { type: 'redacted_thinking', data: 'EmwKAhgBEgy3va' },
        { type: 'text', text: 'I look at the log.' },
        { type: 'tool_use', id: 'toolu_01A', name: 'Read', input: { file_path: '/srv/app/build.log', limit: 50 } },
        { type: 'tool_use', id: 'toolu_01B', name: 'Bash', input: {} },
      ],
    },
    {
      role: 'user',
      content: [
        {
          type: 'tool_result',
          tool_use_id: 'toolu_01A',
          content: [
            { type: 'text', text: 'error TS2345' },
            { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'iVBORw0KGgo=' } },
          ],
        },
        { type: 'tool_result', tool_use_id: 'toolu_01B', content: [{ type: 'text', text: 'exit 1' }], is_error: true },
        {
          type: 'text',
          text: '<system-reminder>\nThe todo list is empty.\n</system-reminder>',
          cache_control: { type: 'ephemeral' },
        },
      ],
    },
  ],
};

/** A stream of the API itself: thinking with its signature, text, two calls of which one has no arguments. */
export const STREAM = [
  [
    'message_start',
    '{"type":"message_start","message":{"id":"msg_01XYZ","type":"message","role":"assistant","model":"claude-sonnet-4-5-20250929","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":12,"cache_creation_input_tokens":100,"cache_read_input_tokens":2000,"cache_creation":{"ephemeral_5m_input_tokens":100,"ephemeral_1h_input_tokens":0},"output_tokens":1,"service_tier":"standard"}}}',
  ],
  [
    'content_block_start',
    '{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}',
  ],
  ['ping', '{"type": "ping"}'],
  [
    'content_block_delta',
    '{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Let me "}}',
  ],
  [
    'content_block_delta',
    '{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"see."}}',
  ],
  [
    'content_block_delta',
    '{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"EqoBsig=="}}',
  ],
  ['content_block_stop', '{"type":"content_block_stop","index":0}'],
  ['content_block_start', '{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}'],
  ['content_block_delta', '{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Looking"}}'],
  ['content_block_stop', '{"type":"content_block_stop","index":1}'],
  [
    'content_block_start',
    '{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_01","name":"Read","input":{}}}',
  ],
  [
    'content_block_delta',
    '{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":""}}',
  ],
  [
    'content_block_delta',
    '{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\\"path\\": \\"a"}}',
  ],
  [
    'content_block_delta',
    '{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":".ts\\"}"}}',
  ],
  ['content_block_stop', '{"type":"content_block_stop","index":2}'],
  [
    'content_block_start',
    '{"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"toolu_02","name":"Now","input":{}}}',
  ],
  ['content_block_stop', '{"type":"content_block_stop","index":3}'],
  [
    'message_delta',
    '{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":89,"output_tokens_details":{"thinking_tokens":40}}}',
  ],
  ['message_stop', '{"type":"message_stop"}'],
].map(([event, data]) => ({ event: event!, data: data! }));
