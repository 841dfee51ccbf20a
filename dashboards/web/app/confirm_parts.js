/** What the confirmation dialog shows: the plan, the receipts as steps, and how it ended. */
import { html } from './core.js';
import { Icon, Loading, Value } from './ui.js';
import { FLOW, LEVEL, MODE, pumpOf, sayOf } from './station.js';
import { read, session } from './store.js';
import { T, clock, name, show, toMs, unit } from './words.js';

const STEPS = ['sent', 'acknowledged', 'confirmed'];
const NOW = [LEVEL, FLOW, MODE];
/** How an end is drawn: an icon, and a frame. */
const ENDS = {
  confirmed: ['yes', ''],
  acknowledged: ['yes', ''],
  refused: ['no', 'bad'],
  undelivered: ['no', 'bad'],
  rejected: ['no', 'bad'],
  expired: ['unknown', 'unknown'],
  cancelled: ['unknown', 'unknown'],
};

/**
 * What it will change: from what it is to what it shall be.
 * @param {any} device
 * @param {any} action
 * @param {any} args
 */
function change(device, action, args) {
  const { proof } = action;
  if (!proof) return name(action.title);
  const pump = /^pump(\d+)$/.exec(action.target);
  if (pump && typeof proof.becomes === 'boolean') {
    const to = T(proof.becomes ? 'pump.running' : 'pump.stopped');
    return `${T('pump.name', { n: pump[1] })}: ${pumpOf(device, Number(pump[1])).text} → ${to}`;
  }
  const reading = read(device, proof.point);
  if (!reading) return name(action.title);
  const becomes = String(proof.becomes).startsWith('$') ? args[String(proof.becomes).slice(1)] : proof.becomes;
  const from = reading.quality === 0 ? T('value.unknown') : show(reading.point, reading.value);
  return `${name(reading.point.title)}: ${from} → ${show(reading.point, becomes)} ${unit(reading.point.unit)}`;
}

/** @param {{device: any, action: any, prepared: any, args: any, given: any, loading: boolean}} props */
export function Plan({ device, action, prepared, args, given, loading }) {
  const who = session.value;
  const proof = action.proof && read(device, action.proof.point);
  return html`
    <dl class="facts">
      <dt>${T('confirm.will')}</dt>
      <dd data-testid="will">${given ? name(action.title) : change(device, action, args)}</dd>
      <dt>${T('confirm.now')}</dt>
      <dd class="row wrap">${NOW.filter((key) => read(device, key)).map((key) => html`
        <span><${Value} reading=${read(device, key)} /></span>
      `)}</dd>
      ${proof && html`<dt>${T('confirm.proof')}</dt>
        <dd>${T('confirm.proof.text', { point: name(proof.point.title), s: action.proof.within_s })}</dd>`}
      <dt>${T('confirm.audit')}</dt>
      <dd>${T('confirm.audit.text', { who: who.full_name || who.name, s: action.valid_s })}</dd>
    </dl>
    ${loading && html`<${Loading} rows=${2} height=${28} />`}
    ${!given && prepared && html`<${Checks} device=${device} prepared=${prepared} safety=${action.safety} />`}
  `;
}

/** @param {{device: any, prepared: any, safety: boolean}} props */
function Checks({ device, prepared, safety }) {
  const wrong = prepared.checks.filter((it) => !it.holds);
  return html`
    ${prepared.refusal && html`
      <div class="outcome bad" role="alert" data-testid="refusal"><${Icon} name="no" />
        <div><b>${T('confirm.refused')}</b><div>${sayOf(device, prepared.refusal)}</div></div></div>
    `}
    ${safety && html`<p class="small muted">${T('confirm.safety')}</p>`}
    ${prepared.checks.length > 0 && html`
      <details open=${wrong.length > 0}>
        <summary class="small">${
          wrong.length
            ? T('confirm.checks.wrong', { n: wrong.length, all: prepared.checks.length })
            : T('confirm.checks.fine', { n: prepared.checks.length })
        }</summary>
        <ul class="checks small">${prepared.checks.map((it) => html`
          <li class=${it.holds ? 'muted' : 'fails'}>
            <${Icon} name=${it.holds ? 'yes' : it.holds === null ? 'unknown' : 'no'} />
            <span>${it.holds ? '' : `${name(it.title)} · `}${sayOf(device, it.why)}</span>
          </li>
        `)}</ul>
      </details>
    `}
  `;
}

/** Sent, accepted by the device, shown by a reading: each with its time. @param {{record: any}} props */
export function Steps({ record }) {
  const reached = new Map(record.receipts.map((it) => [it.stage, it]));
  const next = STEPS.find((stage) => !reached.has(stage));
  return html`
    <ol class="steps" data-testid="steps" data-stage=${record.stage || 'given'}>
      ${STEPS.map((stage) => {
        const done = reached.get(stage);
        const waits = !record.final && stage === next;
        const look = done ? 'done' : record.final ? 'missed' : waits ? 'now' : '';
        return html`
          <li class=${look} key=${stage} aria-current=${waits ? 'step' : null}>
            ${T(`stage.${stage}`)}
            <div class="number">${done ? clock(toMs(done.at) || 0) : waits ? T('confirm.waiting') : ''}</div>
          </li>
        `;
      })}
    </ol>
  `;
}

/** How it ended, or what is being waited for, in plain words. @param {{device: any, record: any, action: any}} props */
export function Outcome({ device, record, action }) {
  const last = record.receipts[record.receipts.length - 1];
  const [icon, frame] = (record.final && ENDS[record.stage]) || ['clock', ''];
  const key = record.final ? `outcome.${record.stage}` : `outcome.wait.${record.stage || 'given'}`;
  return html`
    <div class="outcome ${frame}" role="status" aria-live="assertive" data-testid="outcome"
      data-stage=${record.final ? record.stage : 'waiting'}>
      <${Icon} name=${icon} />
      <div>
        <b>${T(key, { what: name(action.title) })}</b>
        ${record.final && last?.words && html`<div>${sayOf(device, last.words)}</div>`}
        ${record.final && record.stage === 'expired' && html`<div class="small">${T('outcome.expired.do')}</div>`}
      </div>
    </div>
  `;
}
