/** One alarm: what it is, what to do about it, and its life so far. */
import { html, phone, setQuery } from './core.js';
import { happened, told } from './alarm_words.js';
import { get } from './api.js';
import { Remark } from './remark.js';
import { Shelf, Shelved } from './shelf.js';
import { pageOf } from './station.js';
import { deviceOf, isUnseen } from './store.js';
import { now } from './time.js';
import { Failed, Icon, Level, Loading, useAsked } from './ui.js';
import { T, fully, name, show, span, toMs, unit, when } from './words.js';

/** @param {{alarm: any, off: string, onAcknowledge: () => void, onMoved: () => void}} props */
export function AlarmDetail({ alarm, off, onAcknowledge, onMoved }) {
  const device = deviceOf(alarm.device);
  const advice = name(alarm.do);
  const over = alarm.state === 'returned' || alarm.state === 'normal'; // what is shelved may be normal
  const lasted = (toMs(over ? alarm.returned_at : now.value) || 0) - (toMs(alarm.raised_at) || 0);
  return html`
    ${phone.value && html`<button type="button" class="button quiet" onClick=${() => setQuery({ id: '' })}>
      <${Icon} name="back" />${T('alarms.back')}</button>`}
    <header class="whole"><${Level} level=${alarm.severity} /><h2 class="grow">${name(alarm.say)}</h2></header>
    <dl class="facts">
      <dt>${T('alarm.source')}</dt>
      <dd><a href=${pageOf(device, alarm.device)}>${device?.name || alarm.device}</a></dd>
      ${Object.entries(alarm.facts).map(([key, value]) => {
        const point = device?.plate.points[device.plate.number.get(key)];
        return html`<dt key=${key}>${point ? name(point.title) : key}</dt>
          <dd class="number">${point ? `${show(point, value)} ${unit(point.unit)}` : String(value)}</dd>`;
      })}
      <dt>${T('alarm.rule')}</dt>
      <dd><a href="/rules?rule=${encodeURIComponent(alarm.rule)}">${alarm.rule}</a></dd>
      <dt>${T('alarm.raised')}</dt><dd class="number">${fully(alarm.raised_at)}</dd>
      ${over && html`<dt>${T('alarm.returned')}</dt><dd class="number">${fully(alarm.returned_at)}</dd>`}
      <dt>${T('alarm.lasted')}</dt><dd>${span(lasted)}</dd>
      <dt>${T('alarm.state')}</dt>
      <dd>${T(`alarm.state.${alarm.state}`)}
        ${alarm.acknowledged_by && ` · ${alarm.acknowledged_by} ${when(alarm.acknowledged_at, 'minute')}`}</dd>
      ${alarm.count > 1 && html`<dt>${T('alarm.count')}</dt><dd>${T('alarm.count.text', { n: alarm.count })}</dd>`}
      ${alarm.chatters && html`<dt>${T('alarm.chatters')}</dt><dd>${T('alarm.chatters.text')}</dd>`}
    </dl>
    ${alarm.shelved && html`<${Shelved} shelved=${alarm.shelved} />`}
    ${alarm.suppressed && html`<${Suppressed} suppressed=${alarm.suppressed} />`}
    ${advice && html`<h3>${T('alarm.do')}</h3><${Advice} text=${advice} />`}
    <div class="row wrap no-print">
      <button type="button" class="button primary" data-testid="ack" disabled=${!isUnseen(alarm) || Boolean(off)}
        title=${off || null} onClick=${onAcknowledge}>${T(isUnseen(alarm) ? 'alarm.ack' : 'alarm.acked')}</button>
      <a class="button" href=${pageOf(device, alarm.device)}>
        ${T(device?.kind.endsWith('_area') ? 'alarm.go_area' : 'alarm.go')}</a>
    </div>
    <${Shelf} key=${alarm.id} alarm=${alarm} off=${off} onMoved=${onMoved} />
    <h3>${T('alarm.life')}</h3>
    <${Life} alarm=${alarm} />
    <${Remark} key=${`remark ${alarm.id}`} alarm=${alarm} off=${off} />
  `;
}

/** What explains it. @param {{suppressed: {at: string, say: any}}} props */
const Suppressed = ({ suppressed }) => html`
  <div class="outcome" data-testid="suppressed"><${Icon} name="link" /><div>
    <b>${T('alarm.suppressed', { since: when(suppressed.at, 'minute') })}</b>
    <div>${name(suppressed.say)}</div></div></div>
`;

/** Advice with its numbered steps each on a line: 1 …; 2 … or ①…；②…。 @param {{text: string}} props */
function Advice({ text }) {
  const parts = text
    .replace(/[①-⑨]/g, '\n$&')
    .replace(/([.:;]) ([1-9]) (?=\D)/g, '$1\n$2 ')
    .split('\n');
  return html`<div class="advice">${parts.map((it) => html`<p>${it.trim()}</p>`)}</div>`;
}

/** @param {{alarm: any}} props */
function Life({ alarm }) {
  const { data, problem, loading, retry } = useAsked(
    () => get(`/alarms/${alarm.id}`),
    `${alarm.id} ${alarm.state} ${alarm.count} ${alarm.remarks} ${alarm.shelved?.until} ${alarm.suppressed?.at}`);
  if (loading) return html`<${Loading} rows=${2} height=${24} />`;
  if (problem) return html`<${Failed} problem=${problem} retry=${retry} />`;
  const lines = [
    ...data.changes.map((it) => ({ at: it.at, text: happened(it) + (it.note && `: ${it.note}`) })),
    ...data.notices.map((it) => ({ at: it.at, text: told(it) })),
  ].sort((a, b) => (toMs(a.at) || 0) - (toMs(b.at) || 0));
  return html`
    <ol class="history">${lines.map((it, n) => html`
      <li key=${n}><span class="number small muted nowrap">${when(it.at)}</span>
        <span class="grow">${it.text}</span></li>
    `)}</ol>
  `;
}
