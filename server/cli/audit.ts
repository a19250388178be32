/** `pointsman audit`: who changed what, newest first. */
import { Command } from 'commander';
import type { AuditEntry } from '../governance/access/audit.ts';
import { type AdminOptions, WHERE_HELP, withAccess, withAdmin } from './admin-access.ts';
import { given, momentOf, tableOf } from './admin-text.ts';
import { wholeNumber } from './numbers.ts';

const HELP = `
Every change of keys, teams, budgets, rates and policies, and every sign-in, with who
did it. Rows are never changed. An admin sees all of them, a manager those of the team.

Examples
  pointsman audit
  pointsman audit --team search --limit 200
  pointsman audit --json | jq 'select(.action == "key.revoke")'     one entry a line
${WHERE_HELP}`;

interface Options extends AdminOptions {
  readonly team?: string;
  readonly limit: number;
}

type Told = Omit<AuditEntry, 'at'> & { readonly at: string };

const PAGE = 500;

export const auditCommand = (): Command =>
  withAdmin(new Command('audit'))
    .description('Shows who changed what, newest first.')
    .option('--team <team>', 'only of this team')
    .option('--limit <n>', 'how many entries at most', wholeNumber(1, 1_000_000), 50)
    .addHelpText('after', HELP)
    .action(show);

async function show(options: Options): Promise<void> {
  const { team, limit, json } = options;
  const entries = await withAccess(options, async (access) => {
    const found: Told[] = [];
    let cursor: string | null = null;
    do {
      const page = { limit: String(Math.min(PAGE, limit - found.length)) };
      const query = new URLSearchParams(
        given({ ...page, team, cursor: cursor ?? undefined }) as Record<string, string>,
      );
      const answer: { entries: Told[]; next: string | null } = await access.call('GET', `/v1/admin/audit?${query}`);
      found.push(...answer.entries);
      cursor = answer.next;
    } while (cursor !== null && found.length < limit);
    return found;
  });
  if (json) for (const entry of entries) console.log(JSON.stringify(entry));
  else if (entries.length === 0) console.log('Nothing was changed yet.');
  else {
    console.log(
      tableOf(
        ['WHEN (UTC)', 'WHO', 'WHAT', 'TEAM', 'SUBJECT', 'DETAILS'],
        entries.map(({ at, actor, actorKind, action, team, subject, details }) => [
          momentOf(at),
          actor === actorKind ? actor : `${actor} (${actorKind})`,
          action,
          team ?? '-',
          subject,
          shortened(JSON.stringify(details)),
        ]),
      ),
    );
  }
}

const MOST_CHARS = 80;
const shortened = (text: string): string => (text.length <= MOST_CHARS ? text : `${text.slice(0, MOST_CHARS - 1)}…`);
