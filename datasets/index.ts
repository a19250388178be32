/** What happened: prompts × candidate models × outcomes. Imports nothing of ours. */
export * from './catalog/candidate.ts';
export * from './catalog/catalog.ts';
export * from './catalog/scores.ts';
export * from './errors.ts';
export * from './evaluation-only.ts';
export * from './folder.ts';
export * from './import/index.ts';
export * from './language.ts';
export * from './near-duplicates.ts';
export * from './outcome-columns.ts';
export * from './outcome-table.ts';
export * from './random.ts';
export * from './read-jsonl.ts';
export * from './schema.ts';
export * from './splits.ts';
export * from './summary.ts';
