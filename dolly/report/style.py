"""The report's style sheet: light, readable on a phone and on paper, without external fonts or files."""

STYLE = """
:root { --ink: #1d2935; --soft: #52616f; --line: #dfe5ea; --blue: #1f5f99; --bad: #a8322f; --good: #22734d }
* { box-sizing: border-box }
body { margin: 0; background: #f5f7f9; color: var(--ink); line-height: 1.5;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", Verdana, sans-serif; font-size: 15px }
header, main, footer { max-width: 60rem; margin: 0 auto; padding: 0 1.25rem }
header { padding-top: 2.25rem }
h1 { font-size: 1.9rem; margin: 0; letter-spacing: -.01em; overflow-wrap: anywhere }
h2 { font-size: 1.25rem; margin: 0 0 .5rem }
h3 { font-size: 1rem; margin: 1.5rem 0 .4rem }
p { margin: .35rem 0 .8rem; max-width: 46rem }
header p, .note, figcaption, caption, footer { color: var(--soft) }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .3rem 1rem; margin: .8rem 0 1.2rem; padding: 0 }
a { color: var(--blue); text-decoration: none } a:hover, a:focus { text-decoration: underline }
section { background: #fff; border: 1px solid var(--line); border-radius: 10px; padding: 1.25rem 1.4rem;
  margin: 0 0 1.1rem }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr)); gap: .7rem; margin: 0 0 1.1rem }
.tiles div { background: #fff; border: 1px solid var(--line); border-radius: 10px; padding: .8rem 1rem }
.tiles dt { color: var(--soft); font-size: .82rem }
.tiles dd { margin: 0; font-size: 1.4rem; font-weight: 650; font-variant-numeric: tabular-nums }
.tiles small { display: block; font-size: .78rem; font-weight: 400; color: var(--soft) }
.good, .bad { border-left: 4px solid; padding: .45rem .8rem; border-radius: 4px; max-width: none }
.good { border-color: var(--good); background: #eef7f1 } .bad { border-color: var(--bad); background: #fcefee }
figure { margin: .8rem 0 1.2rem } figure svg { width: 100%; height: auto; display: block }
svg * { stroke-linejoin: round; stroke-linecap: butt }
figcaption, caption { font-size: .86rem; text-align: left } caption { padding-bottom: .35rem }
.scroll { overflow-x: auto; margin: .6rem 0 1.1rem }
table { border-collapse: collapse; width: 100%; font-size: .86rem }
th, td { padding: .34rem .9rem .34rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line);
  min-width: 3.2rem }
thead th { color: var(--soft); font-weight: 600; border-bottom: 2px solid #c3ccd5 }
tbody th { font-weight: 500 } tr > :last-child { padding-right: 0 }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
.long { overflow-wrap: anywhere; min-width: 12rem }
.more td { color: var(--soft); font-style: italic }
footer { padding-bottom: 2.5rem; font-size: .86rem }
@media print {
  body { background: #fff; font-size: 10.5pt } nav { display: none }
  header, main, footer { max-width: none; padding: 0 }
  section { border: 0; border-radius: 0; padding: 0; margin-bottom: 1.6rem } .scroll { overflow: visible }
  figure, tr, .tiles div { break-inside: avoid } h2, h3, caption { break-after: avoid }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact }
}
"""
