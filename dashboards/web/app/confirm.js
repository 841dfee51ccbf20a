/**
 * The one dialog for everything that may harm: prepare → type the station's name → receipts, live, to the proof.
 * A command is done only when a reading shows it; every other end has its own words.
 */
import { html, signal, useEffect, useRef, useState } from './core.js';
import { get, newKey, post } from './api.js';
import { Dialog } from './dialog.js';
import { isLive, link } from './link.js';
import { Outcome, Plan, Steps } from './confirm_parts.js';
import { commands, session } from './store.js';
import { now, present } from './time.js';
import { T, name, num, span, toMs, unit } from './words.js';

const VALID_MS = 60_000; // what was checked is believed for so long
const RECHECK_MS = 5_000;
const FOLLOW_MS = 2_000; // asked for so often when the stream does not tell

/** What somebody is being asked to confirm; null: nothing. */
const asked = signal(/** @type {{device: any, action: any} | null} */ (null));

/** Ask the person before a command is given. @param {any} device @param {any} action as in its nameplate */
export const confirmFirst = (device, action) => {
  asked.value = { device, action };
};

/** To stand once in the page. */
export const ConfirmDialog = () =>
  asked.value && session.value && html`<${Confirm} ...${asked.value} onClose=${() => (asked.value = null)} />`;

/** @param {{device: any, action: any, onClose: () => void}} props */
function Confirm({ device, action, onClose }) {
  const [args, setArgs] = useState(/** @type {Record<string, any>} */ ({}));
  const [prepared, setPrepared] = useState(null);
  const [typed, setTyped] = useState('');
  const [because, setBecause] = useState('');
  const [problem, setProblem] = useState(null);
  const [given, setGiven] = useState(null);
  const [sending, setSending] = useState(false);
  // Given, and no answer came. Asking again is then always right: by its key it stays one command, and what the station
  // says by now (it may already be running) is no ground to refuse it.
  const [lost, setLost] = useState(false);
  const key = useRef(newKey());
  const opened = useRef(present());
  const busy = useRef(false);
  const complete = action.args.every((arg) => args[arg.key] !== undefined);
  const wish = { device: device.id, action: action.key, args };
  const expired = !given && now.value - opened.current > VALID_MS;

  useEffect(() => {
    if (given || sending || lost || expired || !complete) return undefined;
    let over = false;
    const check = () =>
      post('/commands/prepare', wish).then(
        (told) => over || (setPrepared(told), setProblem(null)),
        (wrong) => over || (setPrepared(null), setProblem(wrong)),
      );
    check();
    const timer = setInterval(check, RECHECK_MS);
    return () => {
      over = true;
      clearInterval(timer);
    };
  }, [given, sending, lost, expired, JSON.stringify(args)]);

  const record = useFollowed(given);
  const matches = prepared && typed.trim() === prepared.confirm;
  const ready = matches && complete && (lost || !prepared.refusal) && isLive.value && !expired && !sending;

  const give = async () => {
    if (busy.current || !ready) return;
    busy.current = true; // a double click is one command; and so is another try, by its key
    setSending(true);
    setProblem(null);
    try {
      const order = { ...wish, because, confirm: typed.trim() };
      setGiven(await post('/commands', order, { 'Idempotency-Key': key.current }));
    } catch (wrong) {
      const refused = wrong;
      if (refused.command) setGiven(refused.command);
      else {
        setProblem(refused);
        setLost(refused.status === 0);
        opened.current = present(); // for so long it may be asked for again without another look at the station
      }
    } finally {
      busy.current = false;
      setSending(false);
    }
  };
  const again = () => {
    opened.current = present();
    setLost(false);
    setTyped('');
    setPrepared(null);
    setProblem(null);
    setArgs({ ...args });
  };
  const onSubmit = (event) => {
    event.preventDefault();
    give();
  };

  const footer = record
    ? html`<${FollowButtons} record=${record} action=${action} onClose=${onClose} />`
    : html`
        <button type="button" class="button" onClick=${onClose}>${T('cancel')}</button>
        ${
          expired
            ? html`<button type="button" class="button primary" onClick=${again}>${T('confirm.check_again')}</button>`
            : html`<button type="submit" form="confirm-form" class="button danger" data-testid="give"
              disabled=${!ready}>
              ${sending ? T('confirm.giving') : T('confirm.give', { what: name(action.title) })}
            </button>`}
      `;

  return html`
    <${Dialog} title="${name(action.title)} — ${device.name}" onClose=${onClose} footer=${footer} testid="confirm">
      <form id="confirm-form" class="col" onSubmit=${onSubmit}>
        ${
          !record && !lost &&
          action.args.map((arg) => html`
          <${ArgField} key=${arg.key} arg=${arg} onChange=${(it) => setArgs({ ...args, [arg.key]: it })} />
        `)
        }
        <${Plan} device=${device} action=${action} prepared=${prepared} args=${args} given=${record}
          loading=${complete && !prepared && !problem} />
        ${!record && prepared && html`
          <label class="field">${T('confirm.because')}
            <input value=${because} maxlength="500" autocomplete="off"
              onInput=${(event) => setBecause(event.target.value)} /></label>
          <label class="field">${T('confirm.type', { name: prepared.confirm })}
            <input data-first="1" data-testid="name" value=${typed} autocomplete="off" spellcheck=${false}
              aria-describedby="confirm-note" onInput=${(event) => setTyped(event.target.value)} /></label>
        `}
        <div id="confirm-note" role="status" class="small">
          ${expired && T('confirm.expired')}
          ${!record && !isLive.value && T('no.stream', { age: span(link.value.ageMs) })}
        </div>
        ${problem && html`
          <div class="outcome unknown" role="alert"><div><b>${problem.title}</b><div>${problem.detail}</div>
            ${problem.status === 0 && html`<div>${T('confirm.safe_again')}</div>`}</div></div>
        `}
        ${record && html`<${Steps} record=${record} /><${Outcome} device=${device} record=${record} action=${action}
          />`}
      </form>
    <//>
  `;
}

/**
 * When waiting is over: what has been sent must be shown within its proof's time.
 * @param {any} record
 * @param {any} action
 */
function endOf(record, action) {
  const deadline = toMs(record.deadline) || 0;
  const sent = toMs(record.receipts.find((it) => it.stage === 'sent')?.at);
  return sent && action.proof ? Math.min(deadline, sent + action.proof.within_s * 1000) : deadline;
}

/** @param {{record: any, action: any, onClose: () => void}} props */
function FollowButtons({ record, action, onClose }) {
  const [asking, setAsking] = useState(false);
  if (record.final) {
    return html`<button type="button" class="button primary" data-first="1" data-testid="done" onClick=${onClose}>
      ${T('close')}</button>`;
  }
  const left = Math.max(0, endOf(record, action) - now.value);
  const stop = () => {
    setAsking(true);
    post(`/commands/${record.id}/cancel`).catch(() => {}); // it was over already: the receipts say how
  };
  return html`
    <span class="grow small muted number" data-testid="left">${T('confirm.left', { age: span(left) })}</span>
    <button type="button" class="button" data-testid="stop-waiting" disabled=${asking} onClick=${stop}>
      ${T('confirm.stop_waiting')}</button>
    <button type="button" class="button" onClick=${onClose}>${T('confirm.hide')}</button>
  `;
}

/**
 * An argument's field; what cannot be used is not told on.
 * @param {{arg: any, onChange: (value: any) => void}} props
 */
function ArgField({ arg, onChange }) {
  const change = (event) => {
    const number = Number(event.target.value);
    const fits = event.target.value !== '' && event.target.validity.valid && Number.isFinite(number);
    onChange(fits ? number : undefined);
  };
  const label = `${name(arg.title)} ${arg.unit && `(${unit(arg.unit)})`}`;
  if (arg.choices?.length) {
    return html`<label class="field">${label}
      <select onChange=${(event) => onChange(event.target.value || undefined)}>
        <option value=""></option>
        ${arg.choices.map((it) => html`<option value=${it}>${it}</option>`)}
      </select></label>`;
  }
  const range = { low: num(arg.low, 0, Boolean(arg.unit)), high: num(arg.high, 0, Boolean(arg.unit)) };
  return html`<label class="field">${label} ${T('confirm.range', range)}
    <input type="number" inputmode="decimal" step="any" required min=${arg.low} max=${arg.high} data-first="1"
      data-testid="arg-${arg.key}" onInput=${change} /></label>`;
}

/** A command as the stream tells it; asked for when the stream is silent. @param {any} given */
function useFollowed(given) {
  const [polled, setPolled] = useState(null);
  const told = given && commands.value.get(given.id);
  const known = [told, polled, given].filter(Boolean);
  const record = known.find((it) => it.final) || known.sort((a, b) => b.receipts.length - a.receipts.length)[0] || null;
  const over = !record || record.final;
  useEffect(() => {
    if (over) return undefined;
    const timer = setInterval(() => get(`/commands/${given.id}`).then(setPolled, () => {}), FOLLOW_MS);
    return () => clearInterval(timer);
  }, [over]);
  return record;
}
