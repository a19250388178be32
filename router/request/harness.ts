/**
 * What a harness puts into a person's turn, and the words by which its own requests are known: lists, so that a new
 * client is a new line. Where each is seen stands beside it; all were looked up in public captures of these clients'
 * traffic, 2026-11.
 */

/** Blocks that no person writes. They are taken out wherever they stand. */
export const HARNESS_BLOCKS: readonly string[] = [
  // Claude Code: reminders in user turns, the echo of slash and shell commands, hooks, what the IDE shows.
  'system-reminder',
  'command-name',
  'command-message',
  'local-command-caveat',
  'local-command-stdout',
  'local-command-stderr',
  'bash-stdout',
  'bash-stderr',
  'task-notification',
  'user-prompt-submit-hook',
  'session-start-hook',
  'ide_opened_file',
  'ide_selection',
  'ide_diagnostics',
  'new-diagnostics',
  // Codex: the user messages before the first one of the person, and notices between turns.
  'environment_context',
  'user_instructions',
  'permissions instructions',
  'collaboration_mode',
  'multi_agent_mode',
  'skills_instructions',
  'apps_instructions',
  'plugins_instructions',
  'recommended_plugins',
  'codex_internal_context',
  'subagent_notification',
  'turn_aborted',
  'user_shell_command',
  // Cursor, beside its `user_query`.
  'additional_data',
  'open_and_recently_viewed_files',
  'system_reminder',
  'agent_transcripts',
  'attached_files',
  'project_layout',
  'agent_skills',
  'cursor_rules',
  // Cline and its kin.
  'environment_details',
];

/** Blocks with names that a person might use too: a turn is the harness's only if there is nothing else in it. Cursor. */
export const AMBIGUOUS_BLOCKS: readonly string[] = [
  'user_info',
  'user_rules',
  'rules',
  'git_status',
  'project_context',
  'timestamp',
  'linter_errors',
  'terminal_state',
  'current_file',
  'image_files',
  'mcp_file_system',
  'hooks_context',
  'communication',
];

/** Cursor: what the person typed, when this is there; all around it is the harness's. */
export const ASKED_BLOCK = 'user_query';

/** Claude Code: what the person typed behind a slash command. The block goes, its content stays. */
export const TYPED_BLOCK = 'command-args';

/** Codex: a turn that begins so is a project's instructions, up to the mark or all of it. */
export const INSTRUCTIONS = { start: '# AGENTS.md instructions', end: '</INSTRUCTIONS>' };

/** Codex in an IDE or the desktop app: a turn that begins so is the person's only behind the mark. */
export const IDE_CONTEXT = {
  starts: ['# Context from my IDE setup:', '# Files mentioned by the user:'],
  request: '## My request for Codex:',
};

/** Turns that a client writes for the person. Claude Code. */
export const NOTICES: ReadonlySet<string> = new Set([
  '[Request interrupted by user]',
  '[Request interrupted by user for tool use]',
]);

/** Beginnings of system prompts of sub-agents: Claude Code's built-in ones, and OpenCode's, which share the wording. */
export const SUBAGENT_PROMPTS: readonly string[] = [
  'You are an agent for Claude Code',
  'You are a file search specialist',
  'You are a status line setup agent for Claude Code',
  'You are the Claude guide agent',
];

/** Claude Code appends this to the prompt of every sub-agent, a team's own ones too. */
export const SUBAGENT_NOTE = 'Agent threads always have their cwd reset';

/** Claude Code's planning sub-agent. */
export const PLANNER_PROMPTS: readonly string[] = ['You are a software architect and planning specialist'];

/** Claude Code and OpenCode: a reminder in the user's turn while plan mode is on. Codex: a developer message; the last one holds. */
export const PLAN_REMINDER = /<system-reminder>\s{0,20}(?:Plan mode is active|Plan mode still active|# Plan Mode)/;
export const PLAN_OVER = /<system-reminder>\s{0,20}(?:## )?(?:You have exited plan mode|Exited Plan Mode)/i;
/** Tools by which a plan is put to the person; once it is approved, what follows is work. Claude Code, Gemini CLI, OpenCode. */
export const PLAN_EXITS: ReadonlySet<string> = new Set(['ExitPlanMode', 'exit_plan_mode', 'plan_exit']);
export const MODE_BLOCK = '<collaboration_mode>';
export const PLAN_MODE = /^\s{0,20}# (?:Collaboration Mode: Plan|Plan Mode)/;

/** Beginnings of a system prompt of a request for a title or a summary: Claude Code (three versions), OpenCode, Crush. */
export const SUMMARY_PROMPTS: readonly string[] = [
  'Generate a concise, sentence-case title',
  'Analyze if this message indicates a new conversation topic',
  'Summarize this coding conversation',
  'You are a title generator',
  'You will generate a short title based on the first message',
  'You are a helpful AI assistant tasked with summarizing conversations',
];

/**
 * Words near the beginning of a last turn that asks for a summary of the conversation or a title: Claude Code's compaction
 * (whole, recent part, continued), Codex's, Claude Code's and Open WebUI's titles.
 */
export const SUMMARY_REQUESTS: readonly RegExp[] = [
  /\bYour task is to create a detailed summary of (?:the|this|our) (?:RECENT portion of the )?conversation\b/,
  /\bYou are performing a CONTEXT CHECKPOINT COMPACTION\b/,
  /^\W{0,20}(?:Task:\s{0,20})?(?:Please )?(?:write|generate|create|provide) an? [\w ,-]{0,40}title\b[^\n]{0,60}\b(?:conversation|chat|thread|session)\b/i,
  /^\W{0,20}(?:please |now |can you |could you ){0,2}(?:summari[sz]e|compact|condense|recap|create a (?:detailed )?summary of) (?:this|the|our) (?:whole |entire |above |previous )?(?:conversation|chat|dialogue|discussion|session)\b/i,
];
