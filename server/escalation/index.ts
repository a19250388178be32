/** A cheap answer first, checked, and up the ranked list only when the check fails (README.md). */
export { CHECK_FAILED } from './escalate.ts';
export { type Checked, type CheckedRequest, forwardChecked } from './forward-checked.ts';
