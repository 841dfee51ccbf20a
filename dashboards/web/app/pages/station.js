/** Level 2 and 3: one station. What exactly, and what can be done: mimic, pumps, trends, alarms, commands. */
import { html, query, setQuery } from '../core.js';
import { ConfirmDialog, confirmFirst } from '../confirm.js';
import { Equipment } from '../equipment.js';
import { Faceplate } from '../faceplate.js';
import { Mimic } from '../mimic.js';
import {
  FLOW,
  LEVEL,
  MODE,
  POWER,
  actionOf,
  allPumps,
  isStation,
  limitsOf,
  pumpsOf,
  townOf,
  whyDead,
} from '../station.js';
import { RunTime } from '../run_time.js';
import { AllPoints, AlarmsHere, CommandsHere } from '../station_panels.js';
import { areas, deviceOf, lastGoodOf, loaded, may, read, snapshot, worstOf } from '../store.js';
import { SPANS, Trend } from '../trend.js';
import { Age, Empty, Failed, Icon, Level, Loading, Segments, Value } from '../ui.js';
import { now } from '../time.js';
import { T, name, show, span } from '../words.js';
import { whyNoCommands } from '../rights.js';

const SETTINGS = ['start_level', 'stop_level', 'low_low_level', 'high_high_level', 'duty_order', 'rotation'];
const TRENDS = [LEVEL, FLOW, POWER];

/** @param {{id: string}} props */
export function Station({ id }) {
  if (loaded.value === 'empty') return html`<${Loading} rows=${3} height=${180} />`;
  if (loaded.value !== 'full') return html`<${Failed} problem=${loaded.value} retry=${snapshot} />`;
  const device = deviceOf(id);
  if (!device) {
    return html`<${Empty} title=${T('station.unknown', { id })}><a class="button" href="/">${T('back.overview')}</a>
      <//>`;
  }
  return html`
    <${Head} device=${device} />
    <${Dead} device=${device} />
    <div class="station">
      <div class="col">
        ${isStation(device) && html`
          <section class="panel mimic-panel ${whyDead(device) ? 'hatched' : ''}" aria-label=${T('mimic.title')}>
            <${Mimic} device=${device} /></section>`}
        <${PumpsPanel} device=${device} />
        <${SettingsPanel} device=${device} />
      </div>
      <div class="col">
        <${Trends} device=${device} />
        <${AlarmsHere} device=${device} />
        <${CommandsHere} device=${device} />
        ${pumpsOf(device).length > 0 && html`<${RunTime} device=${device} />`}
      </div>
    </div>
    <div class="col"><${AllPoints} device=${device} /><${Equipment} device=${device} /></div>
    <${ConfirmDialog} />
  `;
}

/** @param {{device: any}} props */
function Head({ device }) {
  const mode = read(device, MODE);
  const link = read(device, 'link');
  const severity = worstOf(device.id);
  const { town, area } = townOf(areas.value, device.area);
  const off = whyNoCommands(device);
  const modes = may('command')
    ? ['station.go_manual', 'station.go_auto'].map((it) => actionOf(device, it)).filter(Boolean)
    : [];
  const other = modes.filter((it) => it.proof?.becomes !== mode?.value);
  return html`
    <div class="page-head">
      <a class="button quiet" href="/"><${Icon} name="back" />${T('nav.overview')}</a>
      <h1>${device.name}</h1>
      ${severity > 0 && html`<${Level} level=${severity} />`}
      ${mode && html`<span class="tag">${mode.quality === 2 ? show(mode.point, mode.value) : T('value.unknown')}
        </span>`}
      ${link && link.value !== 'up' && html`<span class="tag strong"><${Icon} name="link" />
        ${show(link.point, link.value)}</span>`}
      <${Age} atMs=${lastGoodOf(device)} />
      <span class="muted small">${[town, area]
        .filter((it, n, all) => it && it !== all[n - 1])
        .map((it) => it.name)
        .join(' · ')}</span>
      <span class="grow" />
      ${other.map((action) => html`
        <button type="button" class="button" key=${action.key} disabled=${Boolean(off)} title=${off || null}
          data-testid=${action.key} onClick=${() => confirmFirst(device, action)}>${name(action.title)}…</button>
      `)}
      <a class="button no-print not-phone" href="/rules?device=${device.id}">${T('nav.rules')}</a>
      <button type="button" class="button no-print not-phone" onClick=${() => print()} aria-label=${T('print')}>
        <${Icon} name="print" /></button>
    </div>
  `;
}

/** Nothing comes from this station: why, since when, and what that means. @param {{device: any}} props */
function Dead({ device }) {
  const why = whyDead(device);
  const at = lastGoodOf(device);
  return html`<div role="status">${why && html`
    <div class="outcome unknown station-dead" data-testid="dead"><${Icon} name="link" />
      <div><b>${T('dead.title', { why })}</b>
        <div>${at ? T('dead.since', { age: span(now.value - at) }) : ''} ${may('command') ? T('dead.off') : ''}</div>
      </div></div>`}</div>`;
}

/** @param {{device: any}} props */
function PumpsPanel({ device }) {
  const pumps = allPumps(device);
  const off = whyNoCommands(device);
  return html`
    <section class="panel" aria-label=${T('pumps.title')}>
      <header><h2>${T('pumps.title')}</h2><span class="small muted">${off || T('pumps.note')}</span></header>
      ${!pumps.length && html`<${Empty} title=${T('pumps.none')} />`}
      <div class="faceplates of${pumps.length}">${pumps.map((it) => html`<${Faceplate} key=${it.n} device=${device}
        pump=${it} off=${off} />`)}</div>
    </section>
  `;
}

/** @param {{device: any}} props */
function SettingsPanel({ device }) {
  const off = whyNoCommands(device);
  const known = SETTINGS.map((it) => ({
    reading: read(device, `setting.${it}`),
    action: actionOf(device, `setting.set_${it}`),
  }));
  const there = known.filter((it) => it.reading);
  if (!there.length) return null;
  return html`
    <section class="panel" aria-label=${T('settings.title')}>
      <header><h2>${T('settings.title')}</h2><span class="small muted">${off}</span></header>
      <ul class="settings live ${whyDead(device) ? 'hatched' : ''}">${there.map(({ reading, action }) => html`
        <li key=${reading.point.key}>
          <span class="small muted">${name(reading.point.title)}</span>
          <${Value} reading=${reading} href="/point/${device.id}/${reading.point.key}" />
          ${action && may('command') && html`
            <button type="button" class="button" disabled=${Boolean(off)} title=${off || null}
              aria-label="${T('change')}… ${name(reading.point.title)}" onClick=${() => confirmFirst(device, action)}>
                ${T('change')}…</button>
          `}
        </li>
      `)}</ul>
    </section>
  `;
}

/** @param {{device: any}} props */
function Trends({ device }) {
  const span = SPANS.find(([it]) => it === query('span')) || SPANS[1];
  const limits = limitsOf(device);
  const lines = ['highHigh', 'start', 'stop', 'lowLow'].map((it) => ({
    value: limits[it],
    label: T(`limit.${it}`),
    far: it === 'highHigh' || it === 'lowLow',
  }));
  const there = TRENDS.filter((it) => device.plate.number.has(it));
  return html`
    <section class="panel" aria-label=${T('trends.title')}>
      <header>
        <h2>${T('trends.title')}</h2><span class="grow" />
        <${Segments} label=${T('trends.span')} value=${span[0]} onChange=${(it) => setQuery({ span: it })}
          options=${SPANS.map(([it]) => [it, T(`span.${it}`)])} />
      </header>
      ${there.map((key, n) => html`
        <${Trend} key=${key} device=${device} point=${key} spanMs=${span[1]} height=${n ? 120 : 210} sync=${device.id}
          lines=${n ? [] : lines} />
      `)}
    </section>
  `;
}
