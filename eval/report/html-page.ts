/** The frame of every HTML report: one file, no network, light and dark, wide and narrow. */
import { STYLE_SHEET } from './style-sheet.ts';
import { escapeHtml } from './svg.ts';

/**
 * @param body   HTML below the heading
 * @param styles rules beside those that all reports share
 * @param script inline; the page must be whole without it
 */
export function htmlPage(title: string, body: string, { styles = '', script = '' } = {}): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${STYLE_SHEET}${styles}</style>
</head>
<body>
<main>
<h1>${escapeHtml(title)}</h1>
${body.trim()}
</main>
${script === '' ? '' : `<script>${script}</script>\n`}</body>
</html>
`;
}
