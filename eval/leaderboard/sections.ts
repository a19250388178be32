/** The leader board in words: targets first, then the ranking, source by source, then the other tasks. */
import { DASH, decimals, interval, percent, signedPercent, whole } from '../report/format.ts';
import type { BoardRow, SourceBoard } from './board.ts';
import type { LeaderBoard } from './rank.ts';
import { type BoardTable, cell, estimate, type Section } from './section.ts';
import type { Target } from './targets.ts';
import { adaptedSection, curveSection, onboardingSection, pairSection, unseenSection } from './task-sections.ts';

export function sectionsOf(board: LeaderBoard): Section[] {
  return [
    ...(board.targets.length > 0 ? [targetSection(board)] : []),
    ...(board.ranks.length > 0 ? [rankSection(board)] : []),
    ...board.boards.map((b) => sourceSection(b, board)),
    ...(board.curves.length > 0 ? [curveSection(board)] : []),
    ...(board.unseen ? [unseenSection(board.unseen, board)] : []),
    ...(board.adapted ? [adaptedSection(board.adapted.summary, board.adapted.benchmarks.length)] : []),
    ...board.onboarding.map(onboardingSection),
    ...(board.routellm ? board.routellm.parts.map((part) => pairSection(part, board.ours)) : []),
  ];
}

function targetSection({ targets, ours }: LeaderBoard): Section {
  const shown = (target: Target, x: number | null): string => {
    if (x === null) return DASH;
    if (target.unit === 'apgr') return decimals(x, 3);
    if (target.unit === 'score') return decimals(x);
    if (target.unit === 'rank') return String(Math.round(100 * x) / 100);
    return target.unit === 'points' ? signedPercent(x, 2) : percent(x);
  };
  return {
    title: 'Targets',
    notes: [
      `What ${ours} is to reach. “met” and “missed” go by the estimate; with “(sure)” the whole 95 % interval agrees.`,
    ],
    tables: [
      {
        name: 'Targets',
        head: ['target', 'wanted', 'found', 'verdict', ''],
        rows: targets.map((t) => [
          cell(t.name),
          cell(t.wanted),
          { text: shown(t, t.found.value), small: interval(t.found, (x) => shown(t, x)) },
          cell(`${t.met ? 'met' : 'MISSED'}${t.sure ? ' (sure)' : ''}`),
          cell(t.note ?? ''),
        ]),
      },
    ],
  };
}

function rankSection({ ranks, boards }: LeaderBoard): Section {
  return {
    title: 'Mean rank over the sources',
    notes: [
      'Rank by AIQ in domain among the methods that took part everywhere; lead: mean over sources of AIQ − zero.',
    ],
    tables: [
      {
        name: 'Mean rank',
        head: ['method', 'mean rank', ...boards.map((b) => b.source), 'mean lead, %'],
        rows: ranks.map((r) => [
          cell(r.name),
          cell(r.meanRank.toFixed(2)),
          ...r.ranks.map((rank) => cell(String(rank))),
          cell(signedPercent(r.meanLead, 2)),
        ]),
      },
    ],
  };
}

/** Analyses under which our lead has the other sign than on the board: then there is nothing to claim. */
function signTurns(b: SourceBoard, ours: string): string[] {
  const lead = b.rows.find(({ name }) => name === ours)?.minusZero.value ?? null;
  if (lead === null || lead === 0) return [];
  return b.sensitivity
    .filter((s) => s.lead.value !== null && Math.sign(s.lead.value) === -Math.sign(lead))
    .map(({ analysis }) => `the lead of ${ours} changes sign with ${analysis}: claim nothing`);
}

function sourceSection(b: SourceBoard, { ours, replicates }: LeaderBoard): Section {
  const misbehaved = b.controls.filter((c) => !c.behaved);
  return {
    title: `${b.source}, in domain`,
    source: b,
    notes: [
      `${whole(b.prompts)} prompts in ${whole(b.groups)} groups, ${b.modelIds.length} models${b.pool.shipped ? '' : ' (pool by rule, in no file)'}; ` +
        `${b.splits} ${b.splits === 1 ? 'group split' : 'group splits'}, ${whole(b.trainPrompts)} training and ${whole(b.testPrompts)} test prompts each; costs by ${b.costBasis}.`,
      `Encoder fitted on ${b.encoderFittedOn}.`,
      `Intervals: 95 %, ${whole(replicates)} resamples of groups and of splits together. The cascade’s judge is simulated: it sees the true outcome and errs on one answer in ten.`,
      ...b.controls.map(
        (c) =>
          `${c.name} ${c.behaved ? 'behaved' : 'DID NOT BEHAVE'}: expected that it ${c.expected}; found ${signedPercent(c.found.value, 2)} ${interval(c.found, (x) => signedPercent(x, 2))} %.`,
      ),
      ...b.sensitivity.map(
        ({ analysis, lead }) =>
          `Lead of ${ours} with ${analysis}: ${signedPercent(lead.value, 2)} ${interval(lead, (x) => signedPercent(x, 2))} %.`,
      ),
      ...b.unfit.map(({ name, reason }) => `${name} is left out: ${reason}.`),
    ],
    warnings: [
      ...misbehaved.map((c) => `${c.name} did not behave: this board does not measure skill alone`),
      ...signTurns(b, ours),
      ...b.suspects.map((name) => `${name} recovers more of the gap than anybody honest could: look for a leak`),
    ],
    tables: [standingsTable(b, ours), calibrationTable(b)],
  };
}

function standingsTable(b: SourceBoard, ours: string): BoardTable {
  return {
    name: `Standings on ${b.source}`,
    head: ['', 'AIQ, %', '− zero', 'gap, %', '− best method', 'sd over splits', 'differs from zero, %'],
    rows: b.rows.map((row) => [
      cell(label(row, ours)),
      estimate(row.aiq, percent),
      estimate(row.minusZero, signedPercent),
      estimate(row.gap, signedPercent, 1),
      row.role === 'method' ? estimate(row.behindBest, signedPercent) : cell(''),
      cell(percent(row.sdOverSplits, 2)),
      cell(percent(row.differsFromZero, 0)),
    ]),
    classes: b.rows.map((row) => (row.role === 'method' ? 'learned' : row.role)),
  };
}

function calibrationTable(b: SourceBoard): BoardTable {
  const rows = b.rows.filter((row) => row.calibration !== null && row.role !== 'control');
  return {
    name: `Calibration on ${b.source}`,
    head: [
      'calibration',
      'error, mean of models, %',
      'worst model',
      'Brier',
      '− mean-quality’s',
      'excess log loss',
      'chosen: predicted, %',
      'observed, %',
    ],
    rows: rows.map(({ name, calibration: c }) => [
      cell(name),
      cell(percent(c!.meanError)),
      estimate(c!.worstError, percent, 1),
      cell(decimals(c!.brier)),
      estimate(c!.brierMinusMean, decimals, 4),
      cell(decimals(c!.excessLogLoss)),
      cell(percent(c!.chosenPredicted)),
      cell(percent(c!.chosenObserved)),
    ]),
    classes: rows.map((row) => (row.role === 'method' ? 'learned' : row.role)),
  };
}

const label = (row: BoardRow, ours: string): string =>
  `${row.rank === null ? '' : `${row.rank}. `}${row.name}${row.name === ours ? ' (ours)' : ''}`;
