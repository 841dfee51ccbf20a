/** What of the alarms is shown: which state, level and town; of their history, which station. It is in the address. */
import { html, query, setQuery } from './core.js';
import { townOf } from './station.js';
import { areas, deviceOf, devices, isUnseen, shelved, standing, suppressed } from './store.js';
import { Segments } from './ui.js';
import { T } from './words.js';

const STATES = ['standing', 'unseen', 'active', 'shelved', 'suppressed', 'history'];

/** Which of STATES is shown. */
export const stateNow = () => (STATES.includes(query('state')) ? query('state') : 'standing');

/** Lists of those that call nobody. */
const ASIDE = { shelved, suppressed };

/** Of which alarms the list is. */
export const listed = () => (ASIDE[stateNow()] || standing).value;

/** Whether it is to be shown. @param {any} alarm */
export function isWanted(alarm) {
  const state = stateNow();
  const device = deviceOf(alarm.device);
  const town = query('town');
  return (
    (state !== 'unseen' || isUnseen(alarm)) &&
    (state !== 'active' || alarm.state !== 'returned') &&
    (!query('p') || alarm.severity === Number(query('p'))) &&
    (!town || (device && townOf(areas.value, device.area).town?.code === town))
  );
}

/** Why the list is empty: nothing is wrong, or nothing is what was asked for. */
export function whyEmpty() {
  if (listed().length && (query('p') || query('town'))) return T('alarms.nothing');
  if (stateNow() === 'unseen') return T('alarms.calm');
  if (ASIDE[stateNow()]) return T(`alarms.none_${stateNow()}`);
  return T(standing.value.length ? 'alarms.nothing' : 'alarms.none');
}

/** @param {string} state */
const label = (state) =>
  T(`alarms.${state}`) + (ASIDE[state]?.value.length ? ` ${ASIDE[state].value.length}` : '');

export function AlarmFilters() {
  const state = stateNow();
  const change = (told) => setQuery({ ...told, id: '' });
  return html`
    <${Segments} label=${T('alarms.state')} value=${state} options=${STATES.map((it) => [it, label(it)])}
      onChange=${(it) => change({ state: it === 'standing' ? '' : it })} />
    ${state === 'history' ? html`<${StationFilter} />` : html`<${StandingFilters} change=${change} />`}
  `;
}

/** The history can be asked for one station. */
const StationFilter = () => html`
  <select aria-label=${T('alarm.source')} value=${query('device')}
    onChange=${(event) => setQuery({ device: event.target.value })}>
    <option value="">${T('history.all')}</option>
    ${devices.value.map((it) => html`<option key=${it.id} value=${it.id} selected=${it.id === query('device')}>
      ${it.name}</option>`)}
  </select>
`;

/** @param {{change: (told: any) => void}} props */
function StandingFilters({ change }) {
  const towns = areas.value.filter((it) => areas.value.some((up) => up.code === it.parent && !up.parent));
  return html`
    <${Segments} label=${T('alarms.level')} value=${query('p') || '0'}
      options=${[['0', T('alarms.all_levels')], ...['1', '2', '3', '4'].map((it) => [it, T(`level.${it}`)])]}
      onChange=${(it) => change({ p: it === '0' ? '' : it })} />
    <select aria-label=${T('overview.town')} value=${query('town')}
      onChange=${(event) => change({ town: event.target.value })}>
      <option value="">${T('overview.all_towns')}</option>
      ${towns.map((it) => html`<option key=${it.code} value=${it.code} selected=${it.code === query('town')}>
        ${it.name}</option>`)}
    </select>
  `;
}
