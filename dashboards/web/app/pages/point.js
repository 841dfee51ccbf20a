/** Level 4: one point of a device. Why should I believe this value? */
import { html, query, setQuery } from '../core.js';
import { get } from '../api.js';
import { LEVEL, limitsOf } from '../station.js';
import { deviceOf, loaded, read, snapshot } from '../store.js';
import { now } from '../time.js';
import { SPANS, Trend } from '../trend.js';
import { Age, Empty, Failed, Icon, Loading, Segments, Value, useAsked } from '../ui.js';
import { NOTHING, T, fully, name, num, say, show, span, toMs, unit } from '../words.js';

const AGAIN_MS = 2_000;
const LONG_MS = 604_800_000;

/** @param {{id: string, point: string}} props */
export function PointPage({ id, point: key }) {
  if (loaded.value === 'empty') return html`<${Loading} rows=${3} height=${120} />`;
  if (loaded.value !== 'full') return html`<${Failed} problem=${loaded.value} retry=${snapshot} />`;
  const device = deviceOf(id);
  const reading = device && read(device, key);
  if (!device || !reading) {
    return html`<${Empty} title=${T('point.unknown', { key })}>
      <a class="button" href=${device ? `/station/${id}` : '/'}>${T(device ? 'back.station' : 'back.overview')}</a>
        <//>`;
  }
  const { point, quality, why } = reading;
  const chosen = SPANS.find(([it]) => it === query('span')) || SPANS[1];
  return html`
    <div class="page-head">
      <a class="button quiet" href="/station/${id}"><${Icon} name="back" />${device.name}</a>
      <h1>${name(point.title)}</h1>
      <span class="code muted">${key}</span>
      <span class="grow" />
      <a class="button no-print" download href=${csv(id, key, chosen[1])}>${T('point.csv')}</a>
    </div>
    <div class="point">
      <section class="panel live" aria-label=${T('point.now')}>
        <header><h2>${T('point.now')}</h2><span class="grow" />
          <span class="tag ${quality === 2 ? '' : 'strong'}" data-testid="quality">
            <${Icon} name=${['no', 'warning', 'yes'][quality]} />${T(`quality.${quality}`)}</span></header>
        <div class="point-value ${quality === 2 ? '' : 'hatched'}"><${Value} reading=${reading} big=${true} /></div>
        ${quality !== 2 && html`<div class="outcome unknown"><${Icon} name="warning" />
          <div><b>${T('point.why')}</b><div data-testid="why">${say(why) || T('point.no_reason')}</div></div></div>`}
        <${Times} id=${id} reading=${reading} />
      </section>
      <section class="panel" aria-label=${T('trends.title')}>
        <header><h2>${T('trends.title')}</h2><span class="grow" />
          <${Segments} label=${T('trends.span')} value=${chosen[0]}
            options=${SPANS.map(([it]) => [it, T(`span.${it}`)])}
            onChange=${(it) => setQuery({ span: it })} /></header>
        ${
          point.kind === 'text' || point.kind === 'position'
            ? html`<${Empty} title=${T('trend.no_numbers')} />`
            : html`<${Trend} key=${key} device=${device} point=${key} spanMs=${chosen[1]} height=${340}
              lines=${linesOf(device, key)} />`}
      </section>
    </div>
  `;
}

/**
 * Device time and our time are asked for: the stream tells only how things are.
 * @param {{id: string, reading: any}} props
 */
function Times({ id, reading }) {
  const { point } = reading;
  const asked = useAsked(
    () => get(`/devices/${encodeURIComponent(id)}/latest?points=${encodeURIComponent(point.key)}`),
    `${id}/${point.key}`,
    AGAIN_MS,
  );
  if (asked.loading) return html`<${Loading} rows=${4} height=${24} />`;
  if (!asked.data) return html`<${Failed} problem=${asked.problem} retry=${asked.retry} />`;
  const [told] = asked.data.readings;
  const lateMs = (toMs(told.received_at) || 0) - (toMs(told.at) || 0);
  const figure = (it) => num(it, Math.min(point.digits, 3), Boolean(point.unit));
  const limit = (it) => (it === null ? NOTHING : `${figure(it)} ${unit(point.unit)}`);
  return html`
    <dl class="facts">
      <dt>${T('point.device_time')}</dt><dd class="number">${fully(told.at)}</dd>
      <dt>${T('point.our_time')}</dt>
      <dd class="number">${fully(told.received_at)}${told.at && Math.abs(lateMs) >= 1000 && html`
        <span class="muted small"> ${T('point.late', { age: span(Math.abs(lateMs)) })}</span>`}</dd>
      <dt>${T('point.age')}</dt><dd><${Age} atMs=${toMs(told.at)} /></dd>
      ${told.last_good_at && html`<dt>${T('point.last_good')}</dt>
        <dd>${show(point, told.last_good)} ${unit(point.unit)} <span class="muted small">
          ${span(now.value - (toMs(told.last_good_at) || 0))}</span></dd>`}
      <dt>${T('point.every')}</dt><dd>${T('point.every.text', { s: point.interval_s })}</dd>
      ${point.kind === 'number' && html`<dt>${T('point.range')}</dt><dd>${limit(point.low)} … ${limit(point.high)}
        </dd>`}
      ${point.labels.length > 0 && html`<dt>${T('point.labels')}</dt>
        <dd class="small">${point.labels.map((it) => name(it.title)).join(' · ')}</dd>`}
    </dl>
  `;
}

/** @param {any} device @param {string} key */
function linesOf(device, key) {
  if (key !== LEVEL) return [];
  const limits = limitsOf(device);
  return ['highHigh', 'start', 'stop', 'lowLow'].map((it) => ({
    value: limits[it],
    label: T(`limit.${it}`),
    far: it === 'highHigh' || it === 'lowLow',
  }));
}

/** Where the readings are as a table for spreadsheets. @param {string} id @param {string} key @param {number} spanMs */
function csv(id, key, spanMs) {
  const start = Math.round(Math.floor(now.value / 60_000) * 60_000 - Math.min(spanMs, LONG_MS));
  return `/api/v1/devices/${encodeURIComponent(id)}/series?points=${encodeURIComponent(key)}&from=${start}&format=csv`;
}
