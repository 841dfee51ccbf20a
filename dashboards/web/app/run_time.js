/** How long each pump ran and how often it was started, day by day: what a report begins with. */
import { html } from './core.js';
import { get } from './api.js';
import { pumpsOf } from './station.js';
import { now } from './time.js';
import { Failed, Loading, useAsked } from './ui.js';
import { T, clock, dayStart, num } from './words.js';

const DAYS = 7;
const DAY_MS = 86_400_000;
const AGAIN_MS = 60_000;

/** @param {{device: any}} props a station that has pumps */
export function RunTime({ device }) {
  const pumps = pumpsOf(device);
  const days = Array.from({ length: DAYS }, (_, n) => dayStart(clock(now.value - n * DAY_MS, 'day')));
  const points = pumps.map((n) => `pump${n}.running`).join(',');
  const path = `/devices/${encodeURIComponent(device.id)}/states?by=day&points=${points}&from=${days[DAYS - 1]}`;
  const asked = useAsked(() => get(path), path, AGAIN_MS);
  return html`
    <section class="panel" aria-label=${T('runtime.title')}>
      <header><h2>${T('runtime.title')}</h2><span class="muted small">${T('runtime.note')}</span></header>
      ${asked.loading && html`<${Loading} rows=${2} height=${32} />`}
      ${asked.problem && html`<${Failed} problem=${asked.problem} retry=${asked.retry} />`}
      ${asked.data && html`<div class="scroll" tabindex="0" role="region" aria-label=${T('runtime.title')}>
        <table class="table">
          <thead><tr><th scope="col">${T('runtime.day')}</th>
            ${pumps.map((n) => html`<th key=${n} scope="col" class="right">${T('runtime.pump', { n })}</th>`)}
          </tr></thead>
          <tbody>${days.map((day) => html`
            <tr key=${day}><td class="number nowrap">${clock(Number(day), 'day')}</td>
              ${asked.data.series.map((it) => html`<td key=${it.point} class="number right nowrap">
                ${cell(it, Number(day))}</td>`)}</tr>
          `)}</tbody>
        </table></div>`}
    </section>
  `;
}

/** Hours and starts of one pump on one day; nothing where nothing is known. */
function cell(it, day) {
  const rows = it.start_ms.flatMap((ms, n) => (ms === day ? [n] : []));
  if (!rows.length) return '';
  const ran = rows.find((n) => it.value[n] === true);
  const [hours, starts] = ran === undefined ? [0, 0] : [it.held_s[ran] / 3600, it.entered[ran]];
  return T('runtime.cell', { h: num(hours, 1), n: num(starts) });
}
