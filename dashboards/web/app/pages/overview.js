/** Level 1: the whole water system on one grey page. Colour appears only where something is abnormal. */
import { html, query, setQuery, withQuery } from '../core.js';
import { Kpis } from '../kpis.js';
import { StationCard } from '../card.js';
import { isAbove, isSilent, isStation, nameOf, pumpOf, pumpsOf, townOf } from '../station.js';
import { areas, deviceOf, devices, loaded, session, site, snapshot, standing, unseen, worstOf } from '../store.js';
import { now } from '../time.js';
import { AlarmItem, Empty, Failed, Icon, Level, Loading, Search, Segments } from '../ui.js';
import { T, fully, name, when } from '../words.js';

const FIRST = 96; // cards that are drawn before somebody asks for all
const ACTIONS = 8;

/** @type {Record<string, (device: any) => boolean>} */
const SHOWN = {
  all: () => true,
  abnormal: (device) => worstOf(device.id) > 0 || isSilent(device) || isAbove(device) || hasFault(device),
  above: isAbove,
  silent: isSilent,
  running: (device) => pumpsOf(device).some((n) => pumpOf(device, n).kind === 'running'),
  fault: (device) => hasFault(device),
};

/** @param {any} device */
const hasFault = (device) => pumpsOf(device).some((n) => pumpOf(device, n).kind === 'fault');

export function Overview() {
  if (loaded.value === 'empty') return html`<${Loading} rows=${6} height=${96} />`;
  if (loaded.value !== 'full') return html`<${Failed} problem=${loaded.value} retry=${snapshot} />`;
  const stations = devices.value.filter(isStation);
  const show = SHOWN[query('show')] ? query('show') : 'all';
  const wanted = query('q').trim().toLowerCase();
  const town = query('town');
  const found = stations.filter(
    (it) =>
      SHOWN[show](it) &&
      (!town || townOf(areas.value, it.area).town?.code === town) &&
      (!wanted || it.name.toLowerCase().includes(wanted) || it.id.includes(wanted)),
  );
  const few = query('all') ? found : found.slice(0, FIRST);
  return html`
    <div class="page-head">
      <h1>${T('overview.title')}</h1>
      <span class="muted">${T('overview.count', { n: stations.length })}</span>
      <span class="grow" />
      <button type="button" class="button no-print not-phone" onClick=${() => print()}>
        <${Icon} name="print" />${T('overview.print')}</button>
    </div>
    <p class="only-print small">${name(site.value.name)} · ${fully(now.value)} · ${session.value?.full_name}</p>
    <${Kpis} stations=${stations} />
    <div class="overview">
      <div>
        <${Filters} stations=${stations} show=${show} town=${town} />
        ${!stations.length && html`<${Empty} title=${T('overview.none')}>${T('overview.none.next')}<//>`}
        ${stations.length > 0 && !found.length && html`
          <${Empty} icon="filter" title=${T('overview.nothing')}>
            <a class="button" href=${withQuery({ show: '', q: '', town: '' })}>${T('overview.show_all')}</a><//>
        `}
        ${groups(few).map(([area, its]) => html`
          <section key=${area?.code || ''} class="town">
            <h2>${area ? area.name : T('overview.no_area')} <span class="muted small">${its.length}</span></h2>
            <div class="cards">${its.map((it) => html`<${StationCard} key=${it.id} device=${it} />`)}</div>
          </section>
        `)}
        ${few.length < found.length && html`
          <button type="button" class="button" onClick=${() => setQuery({ all: 1 })}>
            ${T('overview.more', { n: found.length - few.length })}</button>
        `}
      </div>
      <${NeedsAction} />
    </div>
    <${PrintedAlarms} />
  `;
}

/** By town; towns and stations keep their places. @param {any[]} stations @returns {[any, any[]][]} */
function groups(stations) {
  const order = areas.value;
  const told = new Map();
  for (const it of stations) {
    const { town } = townOf(order, it.area);
    const code = town?.code || '';
    if (!told.has(code)) told.set(code, [town, []]);
    told.get(code)[1].push(it);
  }
  const rank = (town) => (town ? order.findIndex((it) => it.code === town.code) : order.length);
  return [...told.values()].sort((a, b) => rank(a[0]) - rank(b[0]));
}

/** @param {{stations: any[], show: string, town: string}} props */
function Filters({ stations, show, town }) {
  const towns = groups(stations)
    .map(([area]) => area)
    .filter(Boolean);
  const abnormal = stations.filter(SHOWN.abnormal).length;
  const options = /** @type {[string, string][]} */ ([
    ['all', T('show.all')],
    ['abnormal', T('show.abnormal', { n: abnormal })],
  ]);
  if (!['all', 'abnormal'].includes(show)) options.push([show, T(`show.${show}`)]);
  return html`
    <div class="filters no-print">
      <${Segments} label=${T('show.label')} value=${show} options=${options}
        onChange=${(it) => setQuery({ show: it === 'all' ? '' : it })} />
      <select aria-label=${T('overview.town')} value=${town}
        onChange=${(event) => setQuery({ town: event.target.value })}>
        <option value="">${T('overview.all_towns')}</option>
        ${towns.map((it) => html`<option key=${it.code} value=${it.code} selected=${it.code === town}>${it.name}
          </option>`)}
      </select>
      <${Search} value=${query('q')} label=${T('overview.search')} onInput=${(q) => setQuery({ q })} />
    </div>
  `;
}

/** On paper: every alarm that stands, seen or not. */
const PrintedAlarms = () => html`
  <section class="only-print printed" data-testid="printed-alarms">
    <h2>${T('overview.standing')} ${standing.value.length || ''}</h2>
    ${!standing.value.length && html`<p>${T('alarms.none')}</p>`}
    <table class="table"><tbody>${standing.value.map((it) => html`
      <tr key=${it.id}><td><${Level} level=${it.severity} /></td><td class="number nowrap">${when(it.raised_at)}</td>
        <td>${nameOf(deviceOf(it.device), it.device)}</td><td>${name(it.say)}</td>
        <td>${T(`alarm.state.${it.state}`)}</td></tr>
    `)}</tbody></table>
  </section>
`;

function NeedsAction() {
  const list = unseen.value;
  return html`
    <aside class="panel needs no-print" aria-label=${T('overview.needs')}>
      <header><h2>${T('overview.needs')}</h2><span class="muted small number">${list.length || ''}</span>
        <span class="grow" /><a class="button" href="/alarms">${T('overview.alarms')}</a></header>
      ${list.slice(0, ACTIONS).map((it) => html`
        <${AlarmItem} key=${it.id} alarm=${it} source=${nameOf(deviceOf(it.device), it.device)} />
      `)}
      ${list.length > ACTIONS && html`<a class="small" href="/alarms?state=unseen">
        ${T('overview.more', { n: list.length - ACTIONS })}</a>`}
      ${!list.length && html`<${Empty} icon="yes" title=${T('alarms.calm')} />`}
    </aside>
  `;
}
