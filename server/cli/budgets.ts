/** `pointsman budgets`: budgets in USD, and rates a minute, are made, listed with what is used of them, changed and removed. */
import { Command, Option } from 'commander';
import { RoutingError } from '../../datasets/errors.ts';
import type { LimitUse, LimitView } from '../governance/limits/views.ts';
import { type AdminAccess, type AdminOptions, WHERE_HELP, withAccess, withAdmin } from './admin-access.ts';
import { given, list, momentOf, plain, tableOf } from './admin-text.ts';
import { number, positive } from './numbers.ts';

const HELP = `
A budget is USD at list price for a day or a month of UTC; what a request may cost
is set aside before it is called, so that requests side by side cannot overspend.
From --soft-share of it on "auto" chooses cheaper models; when it is spent, requests
are refused (429) until the period begins anew. A rate is requests or tokens a minute.

Whom it is for: --team, --project, --key, --model, --provider, --tag; of several all
must hold, none means all requests together. * counts each team, key, project or tag
by itself.

Examples
  pointsman budgets create company --usd 5000
  pointsman budgets create each-team --team '*' --usd 500
  pointsman budgets create web --team search --key web --usd 5 --period day
  pointsman budgets create web --team search --key web --requests-per-minute 60
  pointsman budgets list
  pointsman budgets update company --usd 8000
  pointsman budgets remove each-team
${WHERE_HELP}`;

interface Terms extends AdminOptions {
  readonly usd?: number;
  readonly period?: 'day' | 'month';
  readonly softShare?: number;
  readonly softDial?: number;
  readonly notifyAt?: string[];
  readonly requestsPerMinute?: number;
  readonly tokensPerMinute?: number;
}

interface CreateOptions extends Terms {
  readonly team?: string;
  readonly project?: string;
  readonly key?: string;
  readonly model?: string;
  readonly provider?: string;
  readonly tag?: string;
  readonly unknownOk?: boolean;
}

export function budgetsCommand(): Command {
  const command = new Command('budgets')
    .description('Makes and administers budgets in USD and rates a minute.')
    .addHelpText('after', HELP);
  withTerms(withAdmin(command.command('create')))
    .description('makes a budget (--usd) or a rate (--requests-per-minute, --tokens-per-minute)')
    .argument('<name>', 'what messages and reports call it')
    .option('--team <team>', 'requests of this team; * for each by itself')
    .option('--project <project>', 'requests of this project')
    .option('--key <name>', 'requests with the key of this name; * for each by itself')
    .option('--model <pattern>', 'requests to these models, * standing for anything')
    .option('--provider <name>', 'requests to this provider')
    .option('--tag <tag>', 'requests with this tag')
    .option('--unknown-ok', 'also for a team, project or key that is to be made later')
    .action(create);
  withAdmin(command.command('list'))
    .description('lists budgets and rates, with what is used')
    .option('--team <team>', 'only of this team')
    .action(listThem);
  withTerms(withAdmin(command.command('update')))
    .description('changes how much there is; what is not named stays')
    .argument('<limit>', 'its id or its name')
    .option('--name <name>', 'another name')
    .action(update);
  withAdmin(command.command('remove'))
    .description('removes a budget or a rate')
    .argument('<limit>', 'its id or its name')
    .action(remove);
  return command;
}

const withTerms = (command: Command): Command =>
  command
    .option('--usd <usd>', 'what may be spent in a period, USD', number)
    .addOption(new Option('--period <period>', 'a day or a month of UTC (default: month)').choices(['day', 'month']))
    .option('--soft-share <share>', 'from this share on auto chooses cheaper, in (0, 1] (default: 0.8)', number)
    .option('--soft-dial <dial>', 'the highest dial that auto may have then, 0 … 10 (default: 2)', number)
    .option('--notify-at <percents>', 'percent at which the webhook is told (default: 50,80,100)', list)
    .option('--requests-per-minute <n>', 'requests a minute', positive)
    .option('--tokens-per-minute <n>', 'tokens a minute, of prompts and answers', positive);

function termsOf({ usd, period, softShare, softDial, notifyAt, requestsPerMinute, tokensPerMinute }: Terms) {
  const budget = given({ usd, period, softShare, softDial, notifyAt: notifyAt?.map(number) });
  const rate = given({ requestsPerMinute, tokensPerMinute });
  if (Object.keys(budget).length > 0 && Object.keys(rate).length > 0) {
    throw new RoutingError('INVALID_REQUEST', 'a budget has --usd, a rate requests or tokens a minute: make two');
  }
  return { budget, rate };
}

async function create(name: string, options: CreateOptions): Promise<void> {
  const { team, project, key, model, provider, tag, json, unknownOk } = options;
  const { budget, rate } = termsOf(options);
  if (budget.usd === undefined && Object.keys(rate).length === 0) {
    throw new RoutingError('INVALID_REQUEST', 'say how much: --usd, or --requests-per-minute, --tokens-per-minute');
  }
  const whose = given({ team, project, key, model, provider, tag });
  const kind = budget.usd === undefined ? 'rate' : 'budget';
  const allowed = unknownOk === true ? { allowUnknown: true } : {};
  const made = await withAccess(options, (access) =>
    access.call<LimitView>('POST', '/v1/admin/limits', {
      ...{ kind, name, ...whose, ...budget, ...rate, ...allowed },
    }),
  );
  for (const warning of made.warnings ?? []) console.error(`note: ${plain(warning)}`);
  tell(made, json, 'made');
}

async function listThem(options: AdminOptions & { readonly team?: string }): Promise<void> {
  const limits = await withAccess(options, (access) => allLimits(access, options.team));
  if (options.json) console.log(JSON.stringify(limits, null, 2));
  else if (limits.length === 0)
    console.log(
      'There is no budget and no rate, so nothing bounds what is spent. One for everybody together:\n' +
        '\n  pointsman budgets create everything --usd 100 --period month',
    );
  else {
    console.log(tableOf(['NAME', 'FOR', 'LIMIT', 'USED', 'LEFT', 'BEGINS ANEW', 'ID'], limits.flatMap(rowsOf)));
    for (const { name, warnings = [] } of limits) {
      for (const warning of warnings) console.log(plain(`warning: ${name} bounds nobody: ${warning}`));
    }
  }
}

async function update(which: string, options: Terms & { readonly name?: string }): Promise<void> {
  const { budget, rate } = termsOf(options);
  const changes = { ...given({ name: options.name }), ...budget, ...rate };
  if (Object.keys(changes).length === 0) throw new RoutingError('INVALID_REQUEST', 'say what changes, e.g. --usd 100');
  await withAccess(options, async (access) => {
    const { id } = await limitNamed(access, which, Object.keys(rate).length > 0 ? 'rate' : 'budget');
    const changed = await access.call<LimitView>('PATCH', `/v1/admin/limits/${encodeURIComponent(id)}`, changes);
    tell(changed, options.json, 'changed');
  });
}

async function remove(which: string, options: AdminOptions): Promise<void> {
  await withAccess(options, async (access) => {
    const limit = await limitNamed(access, which);
    const answer = await access.call('DELETE', `/v1/admin/limits/${encodeURIComponent(limit.id)}`);
    if (options.json) console.log(JSON.stringify(answer, null, 2));
    else console.log(`${limit.kind === 'budget' ? 'Budget' : 'Rate'} ${limit.name} is removed`);
  });
}

function tell(limit: LimitView, json: boolean | undefined, done: string): void {
  if (json) {
    console.log(JSON.stringify(limit, null, 2));
    return;
  }
  const what = limit.kind === 'budget' ? 'Budget' : 'Rate';
  console.log(`${what} ${limit.name} is ${done}: ${amountOf(limit)} for ${whoseOf(limit)}`);
}

const allLimits = async (access: AdminAccess, team?: string): Promise<readonly LimitView[]> => {
  const query = team === undefined ? '' : `?${new URLSearchParams({ team })}`;
  return (await access.call<{ limits: readonly LimitView[] }>('GET', `/v1/admin/limits${query}`)).limits;
};

/** @param meant what it is, where a budget and a rate have one name */
async function limitNamed(access: AdminAccess, which: string, meant?: LimitView['kind']): Promise<LimitView> {
  const limits = await allLimits(access);
  const named = limits.filter(({ id, name }) => id === which || name === which);
  const likely = named.length > 1 ? named.filter(({ kind }) => kind === meant) : named;
  if (likely.length === 1) return likely[0]!;
  if (named.length === 0) {
    throw new RoutingError('NOT_FOUND', `there is no limit ${which}; pointsman budgets list shows all`);
  }
  const ids = named.map((limit) => `${limit.id} (${limit.kind} for ${whoseOf(limit)})`).join(', ');
  throw new RoutingError('INVALID_REQUEST', `several limits are called ${which}: give the id, one of ${ids}`);
}

const WHOSE = ['team', 'project', 'key', 'model', 'provider', 'tag'] as const;

const whoseOf = (limit: LimitView): string =>
  WHOSE.flatMap((one) => (limit[one] === undefined ? [] : [`${one} ${limit[one]}`])).join(', ') || 'all requests';

function amountOf(limit: LimitView): string {
  if (limit.kind === 'budget') return `${usdOf(limit.usd)} a ${limit.period}`;
  const { requestsPerMinute, tokensPerMinute } = limit;
  return [
    ...(requestsPerMinute === undefined ? [] : [`${requestsPerMinute} requests a minute`]),
    ...(tokensPerMinute === undefined ? [] : [`${tokensPerMinute} tokens a minute`]),
  ].join(', ');
}

/** One line a limit; one that counts each team, key … by itself has one for each of them. */
function rowsOf(limit: LimitView): string[][] {
  const first = [limit.name, whoseOf(limit), amountOf(limit)];
  if (limit.use.length === 0) {
    // One that counts each by itself has no line before somebody comes.
    const isOne = limit.kind === 'budget' && WHOSE.every((one) => limit[one] !== '*');
    return [[...first, ...(isOne ? [`${usdOf(0)} (0 %)`, usdOf(limit.usd)] : ['-', '-']), '-', limit.id]];
  }
  return limit.use.map((use, i) => [
    ...(i === 0 ? first : ['', '', '']),
    `${usedOf(use)}${use.subject === null ? '' : ` by ${use.subject}`}`,
    amountUsed(use, use.remaining),
    momentOf(use.endsAt),
    i === 0 ? limit.id : '',
  ]);
}

const usedOf = (use: LimitUse): string =>
  `${amountUsed(use, use.used)} (${Math.round((100 * use.used) / use.cap)} %)${use.reserved > LEAST ? ` + ${amountUsed(use, use.reserved)} set aside` : ''}`;

/** Less is what adding and taking away left over. */
const LEAST = 1e-9;

const amountUsed = ({ measure }: LimitUse, value: number): string =>
  measure === 'usd' ? usdOf(value) : `${Math.round(value)} ${measure}`;

/** To the cent, and below a dollar to what tells it from its neighbours. */
function usdOf(usd: number): string {
  if (usd < LEAST) return '0.00 USD';
  return `${usd >= 1 ? usd.toFixed(2) : usd.toFixed(2) === String(usd) ? usd.toFixed(2) : Number(usd.toPrecision(3))} USD`;
}
