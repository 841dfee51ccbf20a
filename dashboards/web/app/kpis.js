/** The numbers above the overview; each leads to the list behind it. */
import { html, withQuery } from './core.js';
import { FLOW, POWER, allPumps, isAbove, isSilent } from './station.js';
import { GOOD, good, read } from './store.js';
import { NOTHING, T, num, unit } from './words.js';

/**
 * Sum of a point over the stations where it is good, and how many those are.
 * @param {any[]} stations
 * @param {string} key
 */
function sum(stations, key) {
  const values = stations.map((it) => good(it, key)).filter((it) => typeof it === 'number');
  const measured = stations.find((it) => it.plate.number.has(key));
  const symbol = measured ? read(measured, key)?.point.unit : '';
  return { total: values.reduce((a, b) => a + b, 0), count: values.length, symbol };
}

/** The share of all points that are good, in percent. @param {any[]} stations */
function goodShare(stations) {
  let all = 0;
  let fine = 0;
  for (const { plate, state } of stations) {
    all += plate.points.length;
    for (const quality of state.value?.q || []) fine += quality === GOOD ? 1 : 0;
  }
  return all ? (100 * fine) / all : null;
}

/** @param {{stations: any[]}} props */
export function Kpis({ stations }) {
  const flow = sum(stations, FLOW);
  const power = sum(stations, POWER);
  const pumps = stations.flatMap(allPumps);
  const running = pumps.filter((it) => it.kind === 'running').length;
  const faults = pumps.filter((it) => it.kind === 'fault').length;
  const above = stations.filter(isAbove).length;
  const silent = stations.filter(isSilent).length;
  const share = goodShare(stations);
  const missing = stations.length - flow.count;
  const perVolume = num((power.total / flow.total) * 1000, 1);
  const specific = flow.total > 0 && power.count ? T('kpi.specific', { value: perVolume }) : T('kpi.no_flow');
  return html`
    <div class="kpis">
      <${Kpi} id="flow" title=${T('kpi.flow')} value=${flow.count ? num(flow.total) : NOTHING} unit=${unit(flow.symbol)}
        note=${missing ? T('kpi.without', { n: missing }) : T('kpi.all_in')} show="" />
      <${Kpi} id="pumps" title=${T('kpi.pumps')} value=${String(running)} unit=${`/ ${pumps.length}`}
        note=${faults ? T('kpi.faults', { n: faults }) : T('kpi.no_faults')} show=${faults ? 'fault' : 'running'}
          odd=${faults > 0} />
      <${Kpi} id="above" title=${T('kpi.above')} value=${String(above)} unit=${T('kpi.stations', { n: above })}
        note=${T('kpi.above.note')} show="above" odd=${above > 0} />
      <${Kpi} id="power" title=${T('kpi.power')} value=${power.count ? num(power.total) : NOTHING}
        unit=${unit(power.symbol)}
        note=${specific} show="" />
      <${Kpi} id="good" title=${T('kpi.good')} value=${share === null ? NOTHING : num(Math.floor(share))} unit="%"
        note=${silent ? T('kpi.silent', { n: silent }) : T('kpi.no_silent')} show="silent" odd=${silent > 0} />
    </div>
  `;
}

/**
 * @param {{id: string, title: string, value: string, unit: string, note: string, show: string, odd?: boolean}} props
 */
const Kpi = ({ id, title, value, unit: symbol, note, show, odd }) => html`
  <a class="panel kpi kpi-${id} live" href=${withQuery({ show })} data-testid="kpi-${id}">
    <h3>${title}</h3>
    <div class="value">${value}<small>${symbol}</small></div>
    <div class="small ${odd ? 'strong' : 'muted'}">${note}</div>
  </a>
`;
