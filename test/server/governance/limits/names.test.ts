/** A limit for a name that nobody has: refused where it is made, told of where the configuration says it. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GatewayConfig } from '../../../../server/config/index.ts';
import { examineClients } from '../../../../server/doctor/configuration.ts';
import { NO_CHAINS } from '../../../../server/governance/limits/carry-over.ts';
import { missingIn, namesOf, unknownNames, unknownPlaces } from '../../../../server/governance/limits/names.ts';
import { limitsOver } from './hosts.ts';

const ID = '0f0f0f0f-1111-2222-3333-444444444444';
const [OVER, FIRST, NEXT] = ['a', 'b', 'c'].map((digit) => ID.replace(/4$/, digit)) as [string, string, string];
const names = namesOf(
  GatewayConfig.parse({
    keys: [{ name: 'web', key: 'x'.repeat(20), tenant: 'search', project: 'site' }],
    teams: { sales: {} },
  }),
  {
    ...NO_CHAINS,
    chains: [
      { id: ID, team: 'ops', name: 'bot', project: null, first: ID, isOver: false },
      { id: OVER, team: 'ops', name: 'gone', project: null, first: OVER, isOver: true },
      { id: FIRST, team: 'made', name: 'turned', project: null, first: FIRST, isOver: true },
      { id: NEXT, team: 'made', name: 'turned on', project: null, first: FIRST, isOver: false },
    ],
    places: [{ team: 'made', projects: ['launch'] }],
  },
);
const said = (whose: object) => unknownNames(whose, names).map(({ message }) => message);

describe('names', () => {
  test.each([
    [{}],
    [{ team: '*' }],
    [{ team: 'search', key: 'web', project: 'site' }],
    [{ team: 'sales' }],
    [{ team: 'default' }],
    [{ team: 'made', project: 'launch' }],
    [{ key: 'bot' }],
    [{ key: ID }],
    [{ team: 'ops', key: ID }],
    [{ key: '*', project: '*' }],
    [{ tag: 'anything' }],
  ])('%j is somebody', (whose) => expect(said(whose)).toEqual([]));

  test.each([
    [{ team: 'serach' }, 'there is no team "serach"; did you mean search?'],
    [{ key: 'wbe' }, 'there is no key "wbe"; did you mean web?'],
    [{ team: 'ops', key: 'web' }, 'there is no key "web" in ops; there are bot, gone'],
    [{ team: 'sales', key: 'something else' }, 'there is no key "something else" in sales'],
    [{ key: ID.replace('4', '5') }, `there is no key of the id ${ID.replace('4', '5')}`],
    [{ team: 'search', project: 'launch' }, 'there is no project "launch" in search; there is site'],
    [{ project: 'lunch' }, 'there is no project "lunch"; did you mean launch?'],
  ])('%j is nobody: %s', (whose, message) => expect(said(whose)).toEqual([message]));

  test('whatever is written, who is there is found and who is not is told of once a field', () => {
    const text = fc.oneof(fc.constantFrom('search', 'web', '*', 'launch', 'ops', ID), fc.string({ maxLength: 300 }));
    fc.assert(
      fc.property(fc.record({ team: text, key: text, project: text }, { requiredKeys: [] }), (whose) => {
        const found = unknownNames(whose, names);
        expect(new Set(found.map(({ field }) => field)).size).toBe(found.length);
        const { team } = whose;
        const isThere = team === undefined || team === '*' || names.teams.has(team);
        expect(found.some(({ field }) => field === 'team')).toBe(!isThere);
      }),
    );
  });
});

test.each<[object, string[]]>([
  [{}, []],
  [{ team: '*', key: '*' }, []],
  [{ team: 'search', key: 'web', project: 'site' }, []],
  [{ key: 'bot' }, []],
  [{ team: 'ops', key: ID }, []],
  // Its chain goes on.
  [{ key: FIRST }, []],
  [{ team: 'made', key: NEXT }, []],
  [{ key: 'turned' }, ['no key that works is called "turned"']],
  [{ key: 'gone' }, ['no key that works is called "gone"']],
  [{ key: OVER }, [`no key of the id ${OVER} works`]],
  [{ team: 'search', key: ID }, [`no key of the id ${ID} works`]],
  [{ team: 'serach', key: 'web' }, ['there is no team "serach"']],
  [{ team: 'ops', key: 'web' }, ['no key that works is called "web"']],
  [{ team: 'search', project: 'launch' }, ['there is no project "launch"']],
])('of whom a limit for %j is for is not there: %j', (whose, expected) =>
  expect(missingIn(names)(whose)).toEqual(expected),
);

test.each([
  [{ model: 'one/a' }, 0],
  [{ model: 'one/*' }, 0],
  [{ model: '*' }, 0],
  [{ model: 'local/whatever' }, 0],
  [{ provider: 'one' }, 0],
  [{ model: 'two/*' }, 1],
  [{ model: 'one/aa', provider: 'oen' }, 2],
])('%j: %i names of no model or provider', (whose, count) => {
  const places = { models: ['one/a'], providers: ['one', 'local'], openProviders: ['local'] };
  expect(unknownPlaces(whose, places)).toHaveLength(count);
});

test('doctor notes a limit of the configuration for a name that the configuration does not know', () => {
  const config = GatewayConfig.parse({
    keys: [{ name: 'web', key: 'x'.repeat(20), tenant: 'search' }],
    limits: {
      rates: [{ name: 'slow', key: 'wbe', requestsPerMinute: 1 }],
      budgets: [{ name: 'web', key: 'web', usd: 1 }],
    },
  });
  const notes = examineClients(config).filter(({ status }) => status === 'note');
  expect(notes).toEqual([
    expect.objectContaining({ name: 'rate slow', found: expect.stringContaining('did you mean web?') }),
  ]);
});

test('a limit of the configuration for nobody is told of at the start', async () => {
  const { limits, said } = limitsOver({
    budgets: [
      { name: 'slip', team: 'defualt', usd: 1 },
      { name: 'fine', team: 'default', usd: 1 },
    ],
  });
  await limits.start();
  await limits.stop();
  expect(said.map(({ message }) => message)).toEqual([
    'limit slip of the configuration bounds nobody yet: there is no team "defualt"; did you mean default?',
  ]);
});
