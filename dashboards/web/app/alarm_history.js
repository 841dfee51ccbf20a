/** What alarms were: every change of every alarm, newest first, page by page. Nothing ever leaves this list. */
import { html, query, useEffect, useState } from './core.js';
import { happened } from './alarm_words.js';
import { get } from './api.js';
import { pageOf } from './station.js';
import { alarms, deviceOf } from './store.js';
import { Empty, Failed, Level, Loading } from './ui.js';
import { T, name, show, unit, when } from './words.js';

const PAGE = 50;

/** @param {string} device '' for all @param {number} [before] number of the oldest that is here already */
const ask = (device, before) =>
  get(
    `/alarms/history?limit=${PAGE}${device && `&device=${encodeURIComponent(device)}`}` +
      (before === undefined ? '' : `&before=${before}`),
  );

/** What stands, in a word that changes when any alarm does. @param {Map<string, any>} all */
const signature = (all) =>
  [...all.values()]
    .map((it) => `${it.id} ${it.state} ${it.count} ${it.remarks} ${it.shelved?.until} ${it.suppressed?.at}`)
    .join();

/** What has been fetched of it, and ways to fetch the newest and what was earlier. @param {string} device */
function usePages(device) {
  const [pages, setPages] = useState({ changes: /** @type {any[]} */ ([]), next: null, asked: null });
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const take = async (before) => {
    const asked = signature(alarms.peek());
    setBusy(true);
    setProblem(null);
    try {
      const told = await ask(device, before);
      setPages((it) =>
        before === undefined
          ? { changes: told.changes, next: told.next, asked }
          : { ...it, changes: [...it.changes, ...told.changes], next: told.next },
      );
    } catch (wrong) {
      setProblem(wrong);
    }
    setBusy(false);
  };
  useEffect(() => void take(), []);
  const ready = pages.asked !== null;
  return {
    ready,
    changes: pages.changes,
    problem,
    busy,
    isOld: ready && pages.asked !== signature(alarms.value), // something has happened since
    newest: () => take(),
    earlier: pages.next === null ? null : () => take(pages.next),
  };
}

/** Of all stations, or of the one in the address. */
export const AlarmHistory = () => html`<${Past} key=${query('device')} device=${query('device')} />`;

/** @param {{device: string}} props */
function Past({ device }) {
  const { ready, changes, problem, busy, isOld, newest, earlier } = usePages(device);
  if (!ready) return problem ? html`<${Failed} problem=${problem} retry=${newest} />` : html`<${Loading} rows=${8} />`;
  return html`
    <div class="panel alarm-list" data-testid="alarm-history">
      ${isOld && html`<button type="button" class="button fresh no-print" disabled=${busy} onClick=${newest}>
        ${T('history.newest')}</button>`}
      ${changes.length === 0 && html`<${Empty} icon="yes" title=${T('history.none')} />`}
      ${changes.length > 0 && html`<div class="scroll" tabindex="0" role="region" aria-label=${T('alarms.history')}>
        <table class="table alarm-table past">
          <thead><tr>
            <th scope="col">${T('alarm.level')}</th><th scope="col">${T('alarm.time')}</th>
            <th scope="col">${T('alarm.source')}</th><th scope="col">${T('alarm.message')}</th>
            <th scope="col" class="right">${T('alarm.fact')}</th><th scope="col">${T('history.what')}</th>
          </tr></thead>
          <tbody>${changes.map((it) => html`<${Change} key=${it.number} change=${it} />`)}</tbody>
        </table></div>`}
      ${problem && html`<${Failed} problem=${problem} retry=${earlier || newest} />`}
      ${earlier && html`<button type="button" class="button quiet more no-print" data-testid="earlier"
        disabled=${busy} onClick=${earlier}>${T('history.earlier')}</button>`}
    </div>
  `;
}

/** @param {{change: any}} props */
function Change({ change }) {
  const device = deviceOf(change.device);
  const [key, value] = Object.entries(change.facts)[0] || ['', null];
  const point = device?.plate.points[device.plate.number.get(key)];
  return html`
    <tr data-testid="past-row" data-event=${change.event}>
      <td><${Level} level=${change.severity} /></td>
      <td class="number nowrap">${when(change.at)}</td>
      <td class="nowrap"><a href=${pageOf(device, change.device)}>${device?.name || change.device}</a></td>
      <td class="message">${name(change.say)}</td>
      <td class="number nowrap right">${point ? `${show(point, value)} ${unit(point.unit)}` : ''}</td>
      <td>${happened(change)}${change.note && `: ${change.note}`}</td>
    </tr>
  `;
}
