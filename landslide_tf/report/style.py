"""The style sheet of pages: light and dark, screen and print."""

STYLE = """\
:root {
  --paper: #fbfaf7; --raised: #ffffff; --ink: #22262b; --soft: #5d646d;
  --line: #ddd9d0; --accent: #b3261e; --stress: #fbeceb;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #16181b; --raised: #1f2226; --ink: #e7e5e0; --soft: #a5abb3;
    --line: #363b41; --accent: #ff8a80; --stress: #3a2422;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
}
main { max-width: 70rem; margin: 0 auto; padding: 2.5rem 1.25rem 5rem; }
h1 { font-size: clamp(1.6rem, 4vw, 2.3rem); line-height: 1.2; margin: 0 0 1rem;
  padding-left: .8rem; border-left: .35rem solid var(--accent); text-wrap: balance; }
h2 { font-size: 1.35rem; line-height: 1.3; margin: 3rem 0 .8rem; padding-bottom: .35rem;
  border-bottom: 1px solid var(--line); }
p { max-width: 46rem; margin: 0 0 1rem; }
a { color: var(--accent); }
nav ul { display: flex; flex-wrap: wrap; gap: .3rem 1.4rem; list-style: none;
  margin: 0 0 1.5rem; padding: 0; }
code { font: .88em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace;
  overflow-wrap: anywhere; }
pre { background: var(--raised); border: 1px solid var(--line); border-radius: .5rem;
  padding: .9rem 1rem; overflow-x: auto; margin: 0 0 1.5rem; }
pre code { overflow-wrap: normal; }
.scroll { overflow-x: auto; margin: 0 0 1.75rem; }
table { border-collapse: collapse; background: var(--raised); font-size: .94rem;
  font-variant-numeric: tabular-nums; border: 1px solid var(--line); }
caption { text-align: left; color: var(--soft); font-size: .9rem; padding: 0 0 .5rem; }
th, td { padding: .45rem .85rem; text-align: left; vertical-align: top; }
thead th { color: var(--soft); font-weight: 600; border-bottom: 2px solid var(--line);
  vertical-align: bottom; }
tbody tr + tr > * { border-top: 1px solid var(--line); }
tbody th { font-weight: 500; }
.number { text-align: right; white-space: nowrap; }
.strong > * { background: var(--stress); font-weight: 700; }
.numbers { display: grid; gap: .8rem; margin: 1.25rem 0 1.75rem;
  grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); }
.numbers > div { background: var(--raised); border: 1px solid var(--line);
  border-radius: .6rem; padding: .9rem 1.1rem; }
.numbers dt { color: var(--soft); font-size: .88rem; }
.numbers dd { margin: 0; font-size: 1.9rem; line-height: 1.25; font-weight: 650;
  font-variant-numeric: tabular-nums; }
.numbers dd.remark { font-size: .85rem; font-weight: 400; color: var(--soft); }
.charts { display: grid; gap: .8rem; margin: 0 0 2rem;
  grid-template-columns: repeat(auto-fill, minmax(18rem, 1fr)); }
.charts svg { background: var(--raised); border: 1px solid var(--line);
  border-radius: .5rem; font-size: 11px; fill: var(--soft); }
.charts .title { fill: var(--ink); font-size: 13px; font-weight: 600; }
.charts .end { text-anchor: end; } .charts .middle { text-anchor: middle; }
.charts path { stroke: var(--line); } .charts polyline { fill: none; stroke-width: 2; }
.charts .line-0 { stroke: #2a7fc9; fill: #2a7fc9; }
.charts .line-1 { stroke: var(--accent); fill: var(--accent); }
.charts .line-2 { stroke: #6a9a2d; fill: #6a9a2d; }
.charts g text { stroke: none; fill: var(--soft); }
figure { margin: 0 0 2rem; }
figure img { display: block; max-width: 100%; height: auto; background: #ffffff;
  border: 1px solid var(--line); border-radius: .5rem; padding: .4rem; }
figcaption { color: var(--soft); font-size: .9rem; margin-top: .5rem;
  max-width: 46rem; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
@media print {
  body { background: #fff; color: #000; font-size: 11pt; }
  h2, figure, tr { break-inside: avoid; }
}
"""
