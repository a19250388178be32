/** Writes prompt and answer down where the team has chosen so: as they are, or with personal data and secrets masked. */

import { readRequest } from '../../router/request.ts';
import type { Afterwork, Finished } from '../afterwards.ts';
import type { Store } from '../db/store.ts';
import { type TeamSource, teamOf } from '../teams.ts';
import { redact } from './redact.ts';

/** Longest text kept of either; the router itself reads less of a prompt. */
const MOST_CHARS = 100_000;

export const keepText = (gateway: TeamSource & { readonly store: Pick<Store, 'record'> }): Afterwork => ({
  name: 'keep text',
  wants: ({ routed }, { tenant }) => routed && keepsText(teamOf(gateway, tenant).privacy),
  async run({ record, caller, surface, json, answer }: Finished) {
    // As the team wants it now: it may have changed its mind while the answer was made.
    const { privacy } = teamOf(gateway, caller.tenant);
    if (!keepsText(privacy)) return;
    const kept = (text: string) =>
      privacy === 'redacted' ? redact(text.slice(0, MOST_CHARS)).text : text.slice(0, MOST_CHARS);
    const said = answer?.blocks.flatMap((block) => (block.type === 'text' ? [block.text] : [])).join('\n');
    gateway.store.record({
      text: {
        decisionId: record.id,
        createdAt: record.createdAt,
        redacted: privacy === 'redacted',
        prompt: kept(readRequest(json, surface).text),
        answer: said === undefined ? null : kept(said),
      },
    });
  },
});

const keepsText = (mode: string): boolean => mode === 'redacted' || mode === 'text';
