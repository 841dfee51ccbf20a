/** A pump: how it does, its numbers, and its buttons. A button that is off says why. */
import { html } from './core.js';
import { Pump } from './card.js';
import { confirmFirst } from './confirm.js';
import { actionOf, notNow, whyDead } from './station.js';
import { commands, may, read } from './store.js';
import { Value } from './ui.js';
import { T, name } from './words.js';

const NUMBERS = ['current', 'speed', 'winding_temperature', 'vibration', 'run_hours', 'start_in'];
const SHOWN = 4;
const VERBS = /** @type {('start' | 'stop' | 'reset')[]} */ (['start', 'stop', 'reset']);

/** @param {{device: any, pump: any, off: string}} props */
export function Faceplate({ device, pump, off }) {
  const part = `pump${pump.n}`;
  const fault = read(device, `${part}.fault`);
  const numbers = NUMBERS.map((it) => read(device, `${part}.${it}`))
    .filter(Boolean)
    .slice(0, SHOWN + 1);
  const underWay = [...commands.value.values()].find(
    (it) => !it.final && it.device === device.id && it.action.startsWith(`${part}.`),
  );
  const verbs = VERBS.map((verb) => ({
    verb,
    action: actionOf(device, `${part}.${verb}`),
    why: notNow(device, pump, verb),
  })).filter((it) => it.action && (it.verb !== 'reset' || !it.why));
  const speed = actionOf(device, `${part}.set_speed`);
  const start = verbs.find((it) => it.verb === 'start');
  return html`
    <article class="faceplate live ${whyDead(device) ? 'hatched' : ''}" data-testid=${part}
      aria-label="${T('pump.name', { n: pump.n })} ${pump.text}">
      <div class="row">
        <${Pump} pump=${pump} />
        <b class="grow">${pump.text}</b>
        ${fault && fault.quality === 2 && fault.value !== 'none' && html`<span class="tag strong">
          <${Value} reading=${fault} /></span>`}
      </div>
      <dl class="numbers">${numbers.map((it) => html`
        <div key=${it.point.key}>
          <dt class="small muted">${T(`pump.${it.point.key.split('.')[1]}`)}</dt>
          <dd><${Value} reading=${it} href="/point/${device.id}/${it.point.key}" /></dd>
        </div>
      `)}</dl>
      ${may('command') && html`
        <div class="row wrap no-print">
          ${verbs.map(({ verb, action, why }) => html`
            <button type="button" class="button" key=${verb} data-testid="${part}-${verb}"
              aria-label="${T(`pump.${verb}`)}… ${T('pump.name', { n: pump.n })}"
              disabled=${Boolean(off || why)} title=${off || why || null} onClick=${() => confirmFirst(device, action)}>
              ${T(`pump.${verb}`)}…</button>
          `)}
          ${speed && html`
            <button type="button" class="button quiet" disabled=${Boolean(off)} title=${off || null}
              data-testid="${part}-speed" aria-label="${T('pump.set_speed')}… ${T('pump.name', { n: pump.n })}"
              onClick=${() => confirmFirst(device, speed)}>
              ${T('pump.set_speed')}…</button>
          `}
        </div>
        ${!off && start?.why && pump.kind !== 'running' && html`<p class="small muted">
          ${T('pump.no_start')}: ${start.why}</p>`}
      `}
      ${underWay && html`<p class="small strong" role="status">${name(actionOf(device, underWay.action)?.title)}:
        ${' '}${T(`stage.${underWay.stage || 'given'}`)}</p>`}
    </article>
  `;
}
