/** Style of the HTML report. Colours are Okabe–Ito's, told apart by most colour-blind readers; lighter in the dark. */
export const STYLE_SHEET = `
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --line: #d8dee4; --paper: #ffffff; --band: #f4f6f8; --warn: #a40e26;
  --s0: #0072b2; --s1: #c2410c; --s2: #00805a; --s3: #a2498a; --s4: #8a6100; --s5: #2f6f8f; --s6: #5b5bb5; --s7: #6b7280; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --soft: #9aa4ae; --line: #333c45; --paper: #14181c; --band: #1d2329; --warn: #ff8f8f;
  --s0: #6cb8ee; --s1: #ff9a5c; --s2: #4fcf9f; --s3: #e29bcb; --s4: #e0b64a; --s5: #86c5de; --s6: #aaa8f5; --s7: #a8b0ba; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 940px; margin: 0 auto; padding: 24px 16px 64px; }
h1 { font-size: 1.6rem; margin: 0 0 8px; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 36px 0 8px; }
.verdict { font-size: 1.1rem; margin: 0 0 12px; }
.facts, details ul { color: var(--soft); font-size: .9rem; padding-left: 20px; overflow-wrap: anywhere; }
.warning { margin: 12px 0; padding: 8px 12px; border-left: 4px solid var(--warn); background: var(--band); }
figure { margin: 8px 0; }
figcaption, p { color: var(--ink); }
figcaption { color: var(--soft); font-size: .9rem; }
svg { display: block; width: 100%; height: auto; }
.narrow { display: none; }
@media (max-width: 620px) { .wide { display: none; } .narrow { display: block; } }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; }
table { border-collapse: collapse; width: 100%; font-size: .86rem; font-variant-numeric: tabular-nums; }
th, td { padding: 6px 10px; text-align: right; white-space: nowrap; border-top: 1px solid var(--line); }
/* Many columns: intervals stand below their value, so that no column is cut off unseen. */
.many th, .many td { padding: 6px; }
.many tbody th { white-space: normal; min-width: 104px; overflow-wrap: anywhere; }
thead th { white-space: normal; vertical-align: bottom; }
.many td small { display: block; }
.hint { display: none; color: var(--soft); font-size: .8rem; margin: 0 0 4px; }
@media (max-width: 940px) { .hint { display: block; } }
thead th { border-top: 0; background: var(--band); font-weight: 600; }
th:first-child { text-align: left; position: sticky; left: 0; background: var(--paper); font-weight: 400; }
thead th:first-child { background: var(--band); }
tr.learned th { font-weight: 700; }
small { color: var(--soft); }
.below { display: block; color: var(--warn); font-weight: 600; font-size: .75rem; }
details { margin: 8px 0; }
summary { cursor: pointer; }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
svg .tick { fill: var(--soft); font-size: 11px; }
svg .axis { fill: var(--soft); }
svg .grid { stroke: var(--line); }
svg .zero { stroke: var(--ink); stroke-width: 1.5; }
svg .model { fill: var(--soft); opacity: .55; }
.series { --c: var(--ink); }
.ref { --c: var(--soft); }
${Array.from({ length: 8 }, (_, k) => `.s${k} { --c: var(--s${k}); }`).join(' ')}
.series .line { fill: none; stroke: var(--c); stroke-width: 1.6; stroke-linejoin: round; }
.series.learned .line { stroke-width: 2.6; }
.series .mark { fill: var(--c); }
.series .stroke { fill: none; stroke: var(--c); stroke-width: 2; }
.series .whisker { stroke: var(--c); stroke-width: 2.4; }
.series .leader { stroke: var(--c); stroke-width: .7; opacity: .6; }
.series .label { fill: var(--c); }
.series.learned .label { font-weight: 700; }
.series .band { fill: var(--c); opacity: .13; }
svg .ideal { stroke: var(--soft); stroke-dasharray: 4 4; }
svg .hit { fill: transparent; stroke: none; cursor: help; }
svg .hit.shown { stroke: var(--ink); stroke-width: 1.5; }
.tip { position: absolute; z-index: 2; max-width: min(340px, 92vw); padding: 8px 10px; border: 1px solid var(--line); border-radius: 6px;
  background: var(--paper); color: var(--ink); font-size: .82rem; line-height: 1.4; box-shadow: 0 4px 14px rgb(0 0 0 / .25); pointer-events: none; overflow-wrap: anywhere; }
.tip[hidden] { display: none; }
.red { border-left-width: 6px; }
.red strong { color: var(--warn); }
.note { margin: 8px 0; padding: 4px 12px; border-left: 4px solid var(--line); color: var(--soft); font-size: .9rem; }
.plain { padding-left: 20px; }
.plain li { margin: 2px 0; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(230px, 1fr)); gap: 16px; }
.plots figure { margin: 0; }
pre { margin: 8px 0; padding: 10px 12px; background: var(--band); border-radius: 6px; overflow-x: auto; font-size: .86rem; }
.worse { color: var(--warn); font-weight: 600; }
.regretted { padding-left: 28px; font-size: .9rem; overflow-wrap: anywhere; }
.regretted li { margin: 10px 0; }
.regretted blockquote { margin: 4px 0; padding: 4px 10px; border-left: 3px solid var(--line); color: var(--soft); }
.scroll + .scroll { margin-top: 12px; }
@media print { .wide { display: block; } .narrow, .hint { display: none; } }
`;
