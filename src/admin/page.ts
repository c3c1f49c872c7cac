// The first page: is it healthy, where does a host go, what is wrong. HTML without a script, made at each request.
import type { Problem } from '#src/catalog/catalog.ts'
import { Html, html } from './html.ts'
import { style } from './style.ts'
import type { CertificateView, EndpointView, Explanation, RouteView, ServiceView, StatusView, Subject } from './subject.ts'

/** Rows that a table shows; it says how many more there are. */
const MAX_ROWS = 500
/** Endpoints that one row lists. */
const MAX_LISTED = 50
const REFRESH_SECONDS = 5

/** The whole of it, which renews itself. */
export function overviewPage(subject: Subject): string {
  const status = subject.status()
  const { ready, reasons } = subject.readiness()
  return page(status, html`<meta http-equiv="refresh" content="${REFRESH_SECONDS}">`, html`
${ready ? html`` : html`<p class="badge bad">not ready: ${reasons.join('; ')}</p>`}
<p><a href="/?url=">Where does a request go?</a></p>
${problemsTable(subject.problems())}
${statusTables(status)}
${routesTable(subject.routes())}
${servicesTable(subject.services())}
${certificatesTable(subject.certificates())}`)
}

/** The form that asks where a request goes, and the answer, or why there is none. It does not renew itself: somebody is typing. */
export function explainPage(status: StatusView, url: string, explanation: Explanation | string | undefined): string {
  return page(status, html``, html`
<form action="/" method="get"><input name="url" value="${url}" placeholder="http://a.example.org/path" aria-label="URL" autofocus><button>Explain</button></form>
<p><a href="/">Back to everything</a></p>
${explanation === undefined ? html`` : typeof explanation === 'string' ? html`<p class="badge bad">${explanation}</p>` : explained(explanation)}`)
}

function page(status: StatusView, head: Html, body: Html): string {
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">${head}<title>Serai: ${status.state}</title><style>${new Html(style)}</style></head>
<body><header><h1>Serai</h1><span class="badge ${stateColour[status.state]}">${status.state}</span>
<span class="dim">${status.version} · up ${duration(status.uptimeSeconds)} · revision ${status.revision}${status.complete ? '' : ' · not every catalog read yet'}</span></header>
${body}
<nav><a href="/api/status">status</a> · <a href="/api/routes">routes</a> · <a href="/api/services">services</a> · <a href="/api/problems">problems</a> · <a href="/api/certificates">certificates</a> · <a href="/metrics">metrics</a></nav>
</body></html>
`.text
}

const stateColour = { starting: 'warn', ready: 'good', 'lame duck': 'warn', draining: 'bad' } as const satisfies Readonly<Record<StatusView['state'], string>>

const endpointColour = {
  ready: 'good', 'slow start': 'good', failing: 'warn', pending: 'warn', ejected: 'bad', unhealthy: 'bad', leaving: '',
} as const satisfies Readonly<Record<EndpointView['state'], string>>

function explained({ summary, outcome, steps, problems }: Explanation): Html {
  const rows = steps.map(({ stage, name, ok, why }) => html`<tr><td>${stage}</td><td class="code">${name}</td><td><span class="badge ${ok ? 'good' : ''}">${ok ? 'yes' : 'no'}</span></td><td>${why}</td></tr>`)
  return html`<h2><span class="badge ${outcome === 'forwarded' ? 'good' : 'bad'}">${summary}</span></h2>
${table('Steps', ['stage', 'what', 'takes it', 'why'], rows)}
${problems.length === 0 ? html`` : problemsTable(problems)}`
}

function problemsTable(problems: readonly Problem[]): Html {
  return table('Problems', ['service', 'router', 'tag', 'reason', 'where'], problems.slice(0, MAX_ROWS).map(({ service, router, tag, reason, where }) =>
    html`<tr><td class="code">${service}</td><td>${router}</td><td class="code">${tag}</td><td>${reason}</td><td class="dim">${where}</td></tr>`), problems.length)
}

function statusTables({ workers, catalogs, listeners, config }: StatusView): Html {
  const catalogRows = catalogs.map(({ name, state, answer, ageSeconds, errors, problem = '' }) => html`<tr><td>${name}</td><td><span class="badge ${state === 'current' ? 'good' : 'warn'}">${state}</span></td><td><span class="badge ${
    answer === 'read' ? 'good' : answer === 'not allowed' ? 'bad' : 'warn'}">${answer}</span></td><td>${
    ageSeconds === null ? 'never' : `${duration(ageSeconds)} ago`}</td><td>${errors}</td><td>${problem}</td></tr>`)
  const workerRows = workers.map(({ id, state, revision, restarts, connections, exchanges }) => html`<tr><td>${id}</td><td><span class="badge ${state === 'running' ? 'good' : 'warn'}">${state}</span></td><td>${
    revision}</td><td>${connections}</td><td>${exchanges}</td><td>${restarts}</td></tr>`)
  return html`${table('Catalogs', ['name', 'state', 'answer', 'read', 'errors', 'problem'], catalogRows)}
${table('Workers', ['id', 'state', 'revision', 'connections', 'exchanges', 'restarts'], workerRows)}
<p class="dim">Listeners: ${listeners.map(({ name, address }) => `${name} on ${address}`).join(', ') || 'none'}. Config: ${config.source}.</p>
${config.problem === undefined ? html`` : html`<p class="badge bad">The newest config is not in force: ${config.problem}</p>`}`
}

function routesTable(routes: readonly RouteView[]): Html {
  const rows = routes.slice(0, MAX_ROWS).map(({ host, path, kind, service, router, refuse, endpoints }) => html`<tr><td class="code">${host || 'any host'}</td><td class="code">${kind === 'exact' ? '=' : ''}${path}</td><td class="code">${
    service}${router === 'default' ? '' : html` <span class="dim">${router}</span>`}</td><td>${refuse === '' ? listed(endpoints.map((address) => html`<code>${address}</code>`)) : html`<span class="badge bad">503: ${refuse}</span>`}</td></tr>`)
  return table('Routes', ['host', 'path', 'service', 'endpoints'], rows, routes.length)
}

function certificatesTable(certificates: readonly CertificateView[]): Html {
  if (certificates.length === 0) return html``
  const rows = certificates.slice(0, MAX_ROWS).map(({ names, state, daysLeft, issuer, file, default: isDefault }) => html`<tr><td>${listed(names.map((name) => html`<code>${name}</code>`))}${
    isDefault ? html` <span class="dim">default</span>` : html``}</td><td><span class="badge ${state === 'good' ? 'good' : 'bad'}">${state}</span></td><td>${daysLeft ?? ''}</td><td>${issuer}</td><td class="dim">${file}</td></tr>`)
  return table('Certificates', ['names', 'state', 'days left', 'issuer', 'file'], rows, certificates.length)
}

function servicesTable(services: readonly ServiceView[]): Html {
  const rows = services.slice(0, MAX_ROWS).map(({ key, scheme, unverified, balance, endpoints }) => html`<tr><td class="code">${key}</td><td>${scheme}${unverified === true ? ' (not verified)' : ''}, ${balance}</td><td>${listed(endpoints.map(endpoint))}</td></tr>`)
  return table('Services', ['service', 'how', 'endpoints'], rows, services.length)
}

function endpoint({ address, weight, state, why, since, inFlight }: EndpointView): Html {
  const details = [...(weight === 100 ? [] : [`weight ${weight}`]), ...(inFlight ? [`${inFlight} in flight`] : []), ...(why === '' ? [] : [why]), `since ${since}`]
  return html`<code>${address}</code> <span class="badge ${endpointColour[state]}">${state}</span> <span class="dim">${details.join(', ')}</span>`
}

function listed(items: readonly Html[]): Html {
  if (items.length === 0) return html`<span class="badge bad">none</span>`
  const more = items.length > MAX_LISTED ? html`<li class="dim">and ${items.length - MAX_LISTED} more</li>` : html``
  return html`<ul>${items.slice(0, MAX_LISTED).map((item) => html`<li>${item}</li>`)}${more}</ul>`
}

function table(title: string, heads: readonly string[], rows: readonly Html[], total = rows.length): Html {
  if (total === 0) return html`<h2>${title} <small>none</small></h2>`
  const more = total > rows.length ? html`<p class="dim">and ${total - rows.length} more, in the JSON below</p>` : html``
  return html`<h2>${title} <small>${total}</small></h2><div class="scroll"><table><thead><tr>${heads.map((head) => html`<th>${head}</th>`)}</tr></thead><tbody>${rows}</tbody></table></div>${more}`
}

function duration(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`
}
