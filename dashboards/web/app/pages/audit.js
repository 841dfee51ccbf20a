/** The ledger for the auditor: who, what, when, where-from, before and after; filter, move by keyboard, export. */
import { html, query, setQuery, useEffect, useRef, useState } from '../core.js';
import { get } from '../api.js';
import { AuditDetail, kindName, whatOf, whereFrom } from '../audit_entry.js';
import { arrow, useKeys } from '../keys.js';
import { deviceOf, devices, may } from '../store.js';
import { Empty, Failed, Loading, useAsked } from '../ui.js';
import { T, dayStart, num, when } from '../words.js';

const PAGE = 100;
const KINDS = [
  'command',
  'receipt',
  'alarm',
  'login',
  'person',
  'token',
  'identity',
  'device',
  'area',
  'registry',
  'clock',
  'notice',
  'hub',
];
const DAY_MS = 86_400_000;

/** What is asked for, as the API takes it; days are the county's. */
function filters() {
  const asked = new URLSearchParams();
  for (const key of ['kind', 'person', 'device']) if (query(key)) asked.set(key, query(key));
  const [from, to] = [dayStart(query('from')), dayStart(query('to'))];
  if (from !== null) asked.set('from', new Date(from).toISOString());
  if (to !== null) asked.set('to', new Date(to + DAY_MS).toISOString());
  return asked.toString();
}

/** The entries that have come, and ways to ask for the newest and for what was earlier. @param {string} asked */
function usePages(asked) {
  const [pages, setPages] = useState({ entries: /** @type {any[]} */ ([]), next: null, ready: false });
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const take = async (before) => {
    setBusy(true);
    setProblem(null);
    try {
      const told = await get(`/audit?limit=${PAGE}&${asked}` + (before === undefined ? '' : `&before=${before}`));
      setPages((it) => ({
        entries: before === undefined ? told.entries : [...it.entries, ...told.entries],
        next: told.next,
        ready: true,
      }));
    } catch (wrong) {
      setProblem(wrong);
    }
    setBusy(false);
  };
  useEffect(() => void take(), []);
  return { ...pages, problem, busy, newest: () => take(), earlier: () => take(pages.next) };
}

export function Audit() {
  if (!may('audit')) {
    return html`<div class="page-head"><h1>${T('audit.title')}</h1></div>
      <${Failed} problem=${{ status: 403, detail: T('no.right.audit') }} />`;
  }
  const asked = filters();
  return html`
    <div class="page-head ${query('id') ? 'chosen' : ''}">
      <h1>${T('audit.title')}</h1><${Filters} /><span class="grow" />
      <a class="button no-print" data-testid="lines" download="audit.jsonl" href="/api/v1/audit/lines?${asked}">
        ${T('audit.export')}</a>
    </div>
    <${Tip} />
    <${Entries} key=${asked} asked=${asked} />
  `;
}

/** The last entry, to be noted where nobody can write who can write the ledger. */
function Tip() {
  const { data } = useAsked(() => get('/audit/tip'), 'tip');
  return html`<p class="small muted audit-tip">${data && T('audit.tip', { n: num(data.seq) })} <span class="code"
    data-testid="tip">${data?.tip}</span></p>`;
}

function Filters() {
  const change = (key) => (event) => setQuery({ [key]: event.target.value.trim(), id: '' });
  return html`
    <select aria-label=${T('audit.kind')} value=${query('kind')} onChange=${change('kind')}>
      <option value="">${T('audit.kind.all')}</option>
      ${KINDS.map((it) => html`<option key=${it} value=${it} selected=${it === query('kind')}>
        ${kindName(it)}</option>`)}
    </select>
    <select aria-label=${T('alarm.source')} value=${query('device')} onChange=${change('device')}>
      <option value="">${T('history.all')}</option>
      ${devices.value.map((it) => html`<option key=${it.id} value=${it.id} selected=${it.id === query('device')}>
        ${it.name}</option>`)}
    </select>
    <input class="audit-person" type="search" data-search="1" aria-label=${T('audit.person')}
      placeholder=${T('audit.person')} value=${query('person')} onChange=${change('person')} />
    <label class="audit-day">${T('audit.from')}
      <input type="date" value=${query('from')} onChange=${change('from')} /></label>
    <label class="audit-day">${T('audit.to')}
      <input type="date" value=${query('to')} onChange=${change('to')} /></label>
  `;
}

/** @param {{asked: string}} props */
function Entries({ asked }) {
  const { ready, entries, next, problem, busy, newest, earlier } = usePages(asked);
  const list = useRef(/** @type {HTMLElement | null} */ (null));
  const chosen = entries.find((it) => String(it.seq) === query('id')) || null;
  useKeys((event) => {
    const to = arrow(event, chosen ? entries.indexOf(chosen) : -1, entries.length);
    if (to === null) return;
    setQuery({ id: entries[to].seq });
    list.current?.focus();
    event.preventDefault();
  });
  useEffect(() => {
    list.current?.querySelector('[aria-selected=true]')?.scrollIntoView({ block: 'nearest' });
  }, [chosen?.seq]);
  if (!ready) return problem ? html`<${Failed} problem=${problem} retry=${newest} />` : html`<${Loading} rows=${8} />`;
  const more = html`<button type="button" class="button quiet more no-print" data-testid="earlier" disabled=${busy}
    onClick=${earlier}>${T('history.earlier')}</button>`;
  return html`
    <div class="alarms ${chosen ? 'chosen' : ''}">
      <div class="panel alarm-list">
        ${entries.length === 0 && html`<${Empty} title=${T(next === null ? 'audit.none' : 'audit.none_yet')} />`}
        ${entries.length > 0 && html`<div class="scroll" tabindex="0" role="region" aria-label=${T('audit.title')}
          ref=${list} data-testid="audit-list"><${Table} entries=${entries} chosen=${chosen} /></div>`}
        ${problem && html`<${Failed} problem=${problem} retry=${earlier} />`}
        ${next !== null && !problem && more}
        <p class="small muted not-phone keys">${T('audit.keys')}</p>
      </div>
      <aside class="panel alarm-aside" aria-label=${T('audit.entry')}>
        ${
          chosen
            ? html`<${AuditDetail} key=${chosen.seq} entry=${chosen} />`
            : html`<${Empty} icon="audit" title=${T('audit.choose')} />`}
      </aside>
    </div>
  `;
}

/** @param {{entries: any[], chosen: any}} props */
const Table = ({ entries, chosen }) => html`
  <table class="table pick audit-table">
    <thead><tr>
      <th scope="col" class="right">${T('audit.number')}</th><th scope="col">${T('alarm.time')}</th>
      <th scope="col">${T('audit.kind')}</th><th scope="col">${T('audit.person')}</th>
      <th scope="col">${T('history.what')}</th><th scope="col">${T('alarm.source')}</th>
      <th scope="col">${T('audit.origin')}</th>
    </tr></thead>
    <tbody>${entries.map((it) => html`<${Row} key=${it.seq} entry=${it} isChosen=${it === chosen} />`)}</tbody>
  </table>
`;

/** @param {{entry: any, isChosen: boolean}} props */
const Row = ({ entry, isChosen }) => html`
  <tr aria-selected=${isChosen} data-testid="audit-row" data-seq=${entry.seq}
    onClick=${() => setQuery({ id: entry.seq })}>
    <td class="number right">${entry.seq}</td>
    <td class="number nowrap">${when(entry.at)}</td>
    <td class="nowrap">${kindName(entry.kind)}</td>
    <td class="who">${entry.by}</td>
    <td class="what">${whatOf(entry)}</td>
    <td class="nowrap">${entry.device && (deviceOf(entry.device)?.name || entry.device)}</td>
    <td class="number">${whereFrom(entry.origin)}</td>
  </tr>
`;
