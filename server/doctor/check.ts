/** What one look at an installation found, for people and for programs. */
import { RoutingError } from '../../datasets/index.ts';

export type Area = 'configuration' | 'data' | 'router' | 'providers' | 'models' | 'clients';

export interface Check {
  readonly area: Area;
  /** What was looked at. */
  readonly name: string;
  /** `off`: not in use, and nothing wrong with that. */
  readonly status: 'ok' | 'note' | 'off' | 'problem';
  readonly found: string;
  /** What to do about it; every problem has one. */
  readonly mend?: string;
}

export interface Problem extends Check {
  readonly status: 'problem';
  readonly mend: string;
}

export const ok = (area: Area, name: string, found: string): Check => ({ area, name, status: 'ok', found });
export const note = (area: Area, name: string, found: string): Check => ({ area, name, status: 'note', found });
export const off = (area: Area, name: string, found: string): Check => ({ area, name, status: 'off', found });
export const problem = (area: Area, name: string, found: string, mend: string): Problem => ({
  area,
  name,
  status: 'problem',
  found,
  mend,
});

/** An error's own words; a stack tells an operator nothing. */
export const wordsOf = (error: unknown): string => {
  if (error instanceof RoutingError) return error.message;
  const { message, code } = error as { message?: string; code?: unknown };
  return (message || String(code ?? error)).split('\n')[0]!.slice(0, 300);
};
