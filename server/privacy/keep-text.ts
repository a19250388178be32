/** Writes prompt and answer down where the team has chosen so: as they are, or with personal data and secrets masked. */

import { readRequest } from '../../router/request.ts';
import type { Afterwork, Finished } from '../afterwards.ts';
import type { Store } from '../db/store.ts';
import { type TeamSource, teamOf } from '../teams.ts';
import { redactInPieces } from './redact-pieces.ts';

/** Longest text kept of either; the router itself reads less of a prompt. */
const MOST_CHARS = 100_000;

export const keepText = (gateway: TeamSource & { readonly store: Pick<Store, 'record'> }): Afterwork => ({
  name: 'keep text',
  wants: ({ routed }, { tenant }) => routed && keepsText(teamOf(gateway, tenant).privacy),
  async run({ record, caller, surface, json, answer }: Finished) {
    // As the team wants it now: it may have changed its mind while the answer was made.
    const { privacy } = teamOf(gateway, caller.tenant);
    if (!keepsText(privacy)) return;
    const kept = async (text: string) => {
      const cut = text.slice(0, MOST_CHARS);
      return privacy === 'redacted' ? (await redactInPieces(cut)).text : cut;
    };
    const said = answer?.blocks.flatMap((block) => (block.type === 'text' ? [block.text] : [])).join('\n');
    const prompt = await kept(readRequest(json, surface).text);
    const told = said === undefined ? null : await kept(said);
    gateway.store.record({
      text: {
        decisionId: record.id,
        createdAt: record.createdAt,
        redacted: privacy === 'redacted',
        prompt,
        answer: told,
      },
    });
  },
});

const keepsText = (mode: string): boolean => mode === 'redacted' || mode === 'text';
