/** The alarm list: filter, move by keyboard, acknowledge. It does not jump under the pointer. */
import { html, query, setQuery, useEffect, useRef, useState } from '../core.js';
import { post } from '../api.js';
import { AlarmDetail } from '../alarm_detail.js';
import { AlarmFilters, isWanted, listed, stateNow, whyEmpty } from '../alarm_filters.js';
import { AlarmHistory } from '../alarm_history.js';
import { arrow, useKeys } from '../keys.js';
import { whyNoAcknowledge } from '../rights.js';
import { deviceOf, isUnseen, loaded, snapshot } from '../store.js';
import { Empty, Failed, Icon, Level, Loading } from '../ui.js';
import { NOTHING, T, name, show, unit, when } from '../words.js';

const AT_ONCE = 100;

/** What stands, in an order that waits while somebody points at it or moves in it; and how many are new since. */
function useSteadyOrder() {
  const held = useRef(false);
  const [order, setOrder] = useState(/** @type {string[]} */ ([]));
  const wanted = listed().filter(isWanted);
  const ids = wanted.map((it) => it.id);
  const known = new Set(order);
  const fresh = ids.filter((it) => !known.has(it)).length;
  const settle = () => setOrder(ids);
  useEffect(() => {
    if (!held.current) settle();
  }, [ids.join()]);
  const byId = new Map(wanted.map((it) => [it.id, it]));
  const rows = (order.length ? order : ids).map((it) => byId.get(it)).filter(Boolean);
  return { rows, fresh: held.current ? fresh : 0, settle, hold: (it) => (held.current = it) };
}

export function Alarms() {
  if (loaded.value === 'empty') return html`<${Loading} rows=${8} height=${36} />`;
  if (loaded.value !== 'full') return html`<${Failed} problem=${loaded.value} retry=${snapshot} />`;
  if (stateNow() !== 'history') return html`<${Standing} key=${stateNow()} />`;
  return html`
    <div class="page-head"><h1>${T('alarms.title')}</h1><${AlarmFilters} /><span class="grow" /><${ToKpis} /></div>
    <${AlarmHistory} />
  `;
}

const ToKpis = () => html`<a class="button no-print not-phone" href="/alarms/kpis">${T('kpi.title')}</a>`;

function Standing() {
  const { rows, fresh, settle, hold } = useSteadyOrder();
  const [problem, setProblem] = useState(null);
  const list = useRef(/** @type {HTMLElement | null} */ (null));
  const chosen = rows.find((it) => it.id === query('id')) || null;
  const off = whyNoAcknowledge();
  const bulk = rows.filter((it) => isUnseen(it) && !it.shelved && !it.suppressed && it.severity >= 3).slice(0, AT_ONCE);

  /** It leaves this list; the one after it is chosen. @param {any} alarm */
  const goOn = (alarm) => {
    const at = rows.indexOf(alarm);
    setQuery({ id: (rows[at + 1] || rows[at - 1])?.id });
  };
  const acknowledge = (alarm) => {
    if (!alarm || !isUnseen(alarm) || off) return;
    setProblem(null);
    const over = alarm.state === 'returned' && !alarm.shelved;
    post(`/alarms/${alarm.id}/acknowledge`, { note: '' }).then(() => over && goOn(alarm), setProblem);
  };
  const acknowledgeAll = () => {
    setProblem(null);
    post('/alarms/acknowledge', { ids: bulk.map((it) => it.id), note: '' }).then(settle, setProblem);
  };
  useKeys((event) => {
    const at = rows.findIndex((it) => it.id === chosen?.id);
    const to = arrow(event, at, rows.length);
    if (to !== null) {
      setQuery({ id: rows[to].id });
      list.current?.focus(); // from here on the order waits
    } else if (event.key === ' ' && chosen) acknowledge(chosen);
    else return;
    event.preventDefault();
  });
  useEffect(() => {
    list.current?.querySelector('[aria-selected=true]')?.scrollIntoView({ block: 'nearest' });
  }, [chosen?.id]);

  return html`
    <div class="page-head ${chosen ? 'chosen' : ''}">
      <h1>${T('alarms.title')}</h1>
      <${AlarmFilters} />
      <span class="grow" />
      ${bulk.length > 0 && html`
        <button type="button" class="button no-print" data-testid="ack-all" disabled=${Boolean(off)}
          title=${off || null}
          onClick=${acknowledgeAll}>${T('alarms.ack_low', { n: bulk.length })}</button>
      `}
      <${ToKpis} />
    </div>
    ${off && html`<p class="small muted">${off}</p>`}
    ${problem && html`<div class="outcome unknown" role="alert"><${Icon} name="warning" />
      <div><b>${problem.title}</b><div>${problem.detail}</div></div></div>`}
    <div class="alarms ${chosen ? 'chosen' : ''}">
      <div class="panel alarm-list" onMouseEnter=${() => hold(true)} onMouseLeave=${() => (hold(false), settle())}
        onFocusIn=${() => hold(true)} onFocusOut=${() => hold(false)}>
        ${fresh > 0 && html`<button type="button" class="button primary fresh" onClick=${settle}>
          ${T('alarms.fresh', { n: fresh })}</button>`}
        ${
          rows.length === 0
            ? html`<${Empty} icon="yes" title=${whyEmpty()} />`
            : html`<div class="scroll" tabindex="0" role="region" aria-label=${T('alarms.list')} ref=${list}
              data-testid="alarm-list"><${Rows} rows=${rows} chosen=${chosen} /></div>`}
        <p class="small muted not-phone keys">${T('alarms.keys')}</p>
      </div>
      <aside class="panel alarm-aside" aria-label=${T('alarm.title')}>
        ${
          chosen
            ? html`<${AlarmDetail} key=${chosen.id} alarm=${chosen} off=${off}
              onAcknowledge=${() => acknowledge(chosen)} onMoved=${() => goOn(chosen)} />`
            : html`<${Empty} icon="alarms" title=${T('alarms.choose')} />`}
      </aside>
    </div>
  `;
}

/** @param {{rows: any[], chosen: any}} props */
const Rows = ({ rows, chosen }) => html`
  <table class="table pick alarm-table">
    <thead><tr>
      <th scope="col">${T('alarm.level')}</th><th scope="col">${T('alarm.time')}</th><th scope="col">
        ${T('alarm.source')}</th>
      <th scope="col">${T('alarm.message')}</th><th scope="col" class="right">${T('alarm.fact')}</th>
      <th scope="col">${T('alarm.state')}</th><th scope="col" class="right">${T('alarm.count')}</th>
    </tr></thead>
    <tbody>${rows.map((it) => html`<${Row} key=${it.id} alarm=${it} chosen=${it.id === chosen?.id} />`)}</tbody>
  </table>
`;

/** @param {{alarm: any, chosen: boolean}} props */
function Row({ alarm, chosen }) {
  const device = deviceOf(alarm.device);
  const [key, value] = Object.entries(alarm.facts)[0] || ['', null];
  const point = device?.plate.points[device.plate.number.get(key)];
  return html`
    <tr class=${alarm.state} aria-selected=${chosen} data-testid="alarm-row" data-id=${alarm.id}
      onClick=${() => setQuery({ id: alarm.id })}>
      <td class=${isUnseen(alarm) ? 'unseen' : ''}><${Level} level=${alarm.severity} /></td>
      <td class="number nowrap">${when(alarm.raised_at)}</td>
      <td class="nowrap">${device?.name || alarm.device}</td>
      <td class="message">${name(alarm.say)}</td>
      <td class="number nowrap right">${point ? `${show(point, value)} ${unit(point.unit)}` : NOTHING}</td>
      <td><span class="tag ${alarm.state === 'unacknowledged' ? 'strong' : ''}">${T(`alarm.state.${alarm.state}`)}
        </span>${alarm.shelved && html` <span class="small muted nowrap">
          ${T('shelf.back', { until: when(alarm.shelved.until, 'minute') })}</span>`}${
          alarm.suppressed && html` <span class="small muted">${name(alarm.suppressed.say)}</span>`}</td>
      <td class="number right">${alarm.chatters && html`<span class="tag" data-testid="chatters">
        ${T('alarm.chatters')}</span> `}${alarm.count > 1 ? `×${alarm.count}` : ''}</td>
    </tr>
  `;
}
