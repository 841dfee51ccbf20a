/** How good the alarms are (ISA-18.2): how many for each operator, floods, bad actors, answers, what is stale. */
import { html, query, setQuery } from '../core.js';
import { get } from '../api.js';
import { pageOf } from '../station.js';
import { alarms, deviceOf } from '../store.js';
import { Empty, Failed, Icon, Level, Loading, Segments, useAsked } from '../ui.js';
import { NOTHING, T, name, num, span, when } from '../words.js';

const DAYS = ['1', '7', '30', '90'];
const OPERATORS = ['1', '2', '3', '4'];
const MOST_STALE = 5;
const FLOODED = 0.01;

export function Performance() {
  const [days, operators] = [query('days') || '7', query('operators') || '1'];
  const asked = useAsked(() => get(`/alarms/kpis?days=${days}&operators=${operators}`), `kpis ${days} ${operators}`);
  const it = asked.data;
  return html`
    <div class="page-head"><h1>${T('kpi.title')}</h1>
      <${Segments} label=${T('kpi.days')} value=${days} onChange=${(it) => setQuery({ days: it })}
        options=${DAYS.map((n) => [n, T('kpi.last', { n })])} />
      <${Segments} label=${T('kpi.operators')} value=${operators} onChange=${(it) => setQuery({ operators: it })}
        options=${OPERATORS.map((n) => [n, T('kpi.people', { n })])} />
      <span class="grow" /><a class="button" href="/alarms"><${Icon} name="back" />${T('nav.alarms')}</a></div>
    ${asked.loading && html`<${Loading} rows=${5} height=${80} />`}
    ${asked.problem && html`<${Failed} problem=${asked.problem} retry=${asked.retry} />`}
    ${it && html`<div class="system" data-testid="kpis">
      <${Load} it=${it} /><${Answers} answers=${it.answers} /><${Floods} floods=${it.floods} />
      <${Actors} it=${it} /><${Stale} stale=${it.stale} />
    </div>`}
  `;
}

/** @param {{fine: boolean, children?: any}} props */
const Check = ({ fine, children }) => html`
  <li class=${fine ? '' : 'fails'}><${Icon} name=${fine ? 'yes' : 'no'} /><span>${children}</span></li>
`;

/** @param {number | null} s */
const time = (s) => (s === null ? NOTHING : span(s * 1000));

/** @param {number} share */
const percent = (share) => num(share * 100, 1);

/** How many, against what one person can bear. @param {{it: any}} props */
const Load = ({ it }) => html`
  <section class="panel" aria-label=${T('kpi.load')}>
    <header><h2>${T('kpi.load')}</h2><span class="muted small">${T('kpi.alarms', { n: num(it.alarms) })}</span></header>
    <ul class="checks">
      <${Check} fine=${it.a_period <= it.good}>
        ${T('kpi.rate', { n: num(it.a_period, 2), good: num(it.good), most: num(it.most) })}<//>
      <${Check} fine=${it.most_in_a_period <= it.flood * it.operators}>
        ${T('kpi.most', { n: num(it.most_in_a_period), limit: num(it.flood * it.operators) })}<//>
      <${Check} fine=${it.flood_share < FLOODED}>${T('kpi.flooded', { share: percent(it.flood_share) })}<//>
      <${Check} fine=${it.stale.length < MOST_STALE}>${T('kpi.stale.count', { n: num(it.stale.length) })}<//>
      <${Check} fine=${true}>${T('kpi.aside', { shelved: num(it.shelved), suppressed: num(it.suppressed) })}<//>
      ${it.cut && html`<${Check} fine=${false}>${T('kpi.cut')}<//>`}
    </ul>
    <dl class="facts">${it.days.map((day) => html`
      <dt key=${day.from} class="number">${when(day.from, 'minute')}</dt><dd class="number">${num(day.alarms)}</dd>`)}
    </dl>
  </section>
`;

/** @param {{answers: any[]}} props */
const Answers = ({ answers }) => html`
  <section class="panel" aria-label=${T('kpi.answers')}>
    <header><h2>${T('kpi.answers')}</h2></header>
    <div class="scroll" tabindex="0" role="region" aria-label=${T('kpi.answers')}><table class="table">
      <thead><tr><th scope="col">${T('alarm.level')}</th><th scope="col" class="right">${T('kpi.count')}</th>
        <th scope="col" class="right">${T('kpi.acked')}</th><th scope="col" class="right">${T('kpi.in_time')}</th>
        <th scope="col" class="right">${T('kpi.median')}</th></tr></thead>
      <tbody>${answers.map((it) => html`
        <tr key=${it.severity}><td><${Level} level=${it.severity} /></td><td class="number right">${num(it.alarms)}</td>
          <td class="number right">${num(it.acknowledged)}</td>
          <td class="number right nowrap">${num(it.in_time)} (${span(it.within_s * 1000)})</td>
          <td class="number right nowrap">${time(it.median_s)}</td></tr>`)}</tbody>
    </table></div>
  </section>
`;

/** @param {{floods: any[]}} props */
const Floods = ({ floods }) => html`
  <section class="panel" aria-label=${T('kpi.floods')}>
    <header><h2>${T('kpi.floods')}</h2></header>
    ${!floods.length && html`<${Empty} icon="yes" title=${T('kpi.floods.none')} />`}
    <dl class="facts">${floods.map((it) => html`
      <dt key=${it.start} class="number">${when(it.start, 'minute')} – ${when(it.end, 'minute')}</dt>
      <dd class="number">${T('kpi.alarms', { n: num(it.alarms) })}</dd>`)}</dl>
  </section>
`;

/** @param {{it: any}} props */
const Actors = ({ it }) => html`
  <section class="panel wide" aria-label=${T('kpi.actors')}>
    <header><h2>${T('kpi.actors')}</h2>
      <span class="muted small">${T('kpi.actors.share', { share: percent(it.actors_share) })}</span></header>
    ${!it.actors.length && html`<${Empty} icon="yes" title=${T('alarms.calm')} />`}
    ${it.actors.length > 0 && html`
      <div class="scroll" tabindex="0" role="region" aria-label=${T('kpi.actors')}>
        <table class="table" data-testid="actors">
          <thead><tr><th scope="col">${T('alarm.level')}</th><th scope="col">${T('alarm.source')}</th>
            <th scope="col">${T('alarm.rule')}</th><th scope="col" class="right">${T('kpi.count')}</th>
            <th scope="col" class="right">${T('kpi.came_back')}</th>
            <th scope="col" class="right">${T('kpi.chattered')}</th>
            <th scope="col" class="right">${T('kpi.fleeting')}</th>
            <th scope="col" class="right">${T('alarm.lasted')}</th>
          </tr></thead>
          <tbody>${it.actors.map((one) => html`
            <tr key=${`${one.device} ${one.rule}`}><td><${Level} level=${one.severity} /></td>
              <td><a href=${pageOf(deviceOf(one.device), one.device)}>
                ${deviceOf(one.device)?.name || one.device}</a></td>
              <td><a href="/rules?rule=${encodeURIComponent(one.rule)}">${one.rule}</a></td>
              <td class="number right">${num(one.alarms)}</td><td class="number right">${num(one.came_back)}</td>
              <td class="number right">${num(one.chattered)}</td><td class="number right">${num(one.fleeting)}</td>
              <td class="number right nowrap">${time(one.lasted_s)}</td></tr>`)}
          </tbody>
        </table>
      </div>`}
  </section>
`;

/** What has stood for longer than a day. @param {{stale: string[]}} props */
const Stale = ({ stale }) => html`
  <section class="panel wide" aria-label=${T('kpi.stale')}>
    <header><h2>${T('kpi.stale')}</h2></header>
    ${!stale.length && html`<${Empty} icon="yes" title=${T('kpi.stale.none')} />`}
    <ul class="checks">${stale.map((id) => alarms.value.get(id)).filter(Boolean).map((it) => html`
      <li key=${it.id}><${Level} level=${it.severity} /><a href="/alarms?id=${it.id}">
        ${deviceOf(it.device)?.name || it.device}: ${name(it.say)} · ${when(it.raised_at, 'minute')}</a></li>`)}</ul>
  </section>
`;
