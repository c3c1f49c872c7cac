// The look of the first page, for light and dark screens; its hash stands in the content policy.

export const style = `
:root { color-scheme: light dark; --ink: #1b1f24; --dim: #59636e; --line: #d8dee4; --paper: #fff; --wash: #f3f5f8;
  --good: #116329; --warn: #7d4e00; --bad: #b3131f; --goodwash: #dcf5e3; --warnwash: #fff3cf; --badwash: #ffe6e4; --link: #0950b0 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --dim: #9aa4af; --line: #333a43; --paper: #12161b; --wash: #1a2027;
  --good: #7ee2a0; --warn: #f0c560; --bad: #ff9b93; --goodwash: #123321; --warnwash: #37290b; --badwash: #43191a; --link: #86b8ff } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1.5rem; max-width: 76rem; font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper) }
a { color: var(--link) }
header { display: flex; flex-wrap: wrap; gap: .5rem 1.25rem; align-items: baseline }
h1 { font-size: 1.5rem; margin: 0 }
h2 { font-size: 1.05rem; margin: 2rem 0 .5rem }
h2 small, .dim { color: var(--dim); font-weight: normal }
.badge { display: inline-block; padding: 0 .6em; border-radius: 1em; white-space: nowrap; background: var(--wash) }
h2 .badge, p.badge { white-space: normal }
.good { color: var(--good); background: var(--goodwash) }
.warn { color: var(--warn); background: var(--warnwash) }
.bad { color: var(--bad); background: var(--badwash) }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .35rem .75rem; border-top: 1px solid var(--line); overflow-wrap: anywhere }
thead th { border-top: 0; background: var(--wash); font-weight: 600; white-space: nowrap }
code, td.code { font: 13px/1.6 ui-monospace, monospace }
ul { margin: 0; padding: 0; list-style: none }
form { display: flex; gap: .5rem; margin: 1rem 0 }
input { flex: 1; max-width: 40rem; font: inherit; padding: .35rem .6rem; color: inherit; background: var(--wash); border: 1px solid var(--line); border-radius: 6px }
button { font: inherit; padding: .35rem 1rem; color: inherit; background: var(--wash); border: 1px solid var(--line); border-radius: 6px }
nav { margin-top: 2rem; color: var(--dim) }
`
