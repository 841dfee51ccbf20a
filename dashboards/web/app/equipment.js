/** For who commissions: what stands behind a device, another controller, taking it out of service, its secret. */
import { html, go, useState } from './core.js';
import { get, patch, post } from './api.js';
import { Once } from './copy.js';
import { DeviceForm } from './device_form.js';
import { Dialog } from './dialog.js';
import { Field, Said, mistake, written } from './forms.js';
import { mayWith } from './store.js';
import { Failed, Loading, useAsked } from './ui.js';
import { NOTHING, T, when } from './words.js';

/** @param {{device: any}} props */
export function Equipment({ device }) {
  return mayWith('commission', device) ? html`<${Panel} key=${device.id} device=${device} />` : null;
}

/** @param {{device: any}} props */
function Panel({ device }) {
  const path = `/devices/${encodeURIComponent(device.id)}`;
  const asked = useAsked(() => get(`${path}/row`), device.id);
  const [doing, setDoing] = useState('');
  const over = () => setDoing('');
  const row = asked.data;
  const replaced = () => {
    over();
    asked.retry();
  };
  return html`
    <section class="panel col" aria-label=${T('equipment.title')} data-testid="equipment">
      <header><h2>${T('equipment.title')}</h2><span class="grow" />
        ${row && !row.file && html`
          <button type="button" class="button" onClick=${() => setDoing('replace')}>${T('equipment.replace')}…</button>
          <button type="button" class="button" onClick=${() => setDoing('retire')}>${T('equipment.retire')}…</button>`}
      </header>
      ${asked.loading && html`<${Loading} rows=${1} />`}
      ${asked.problem && html`<${Failed} problem=${asked.problem} retry=${asked.retry} />`}
      ${row && html`
        <dl class="facts">
          <dt>${T('pending.address')}</dt><dd class="code">${row.address}</dd>
          <dt>${T('pending.profile')}</dt><dd class="code">${row.profile || NOTHING}</dd>
          <dt>${T('equipment.from')}</dt><dd>${row.file
            ? T('equipment.file', { file: row.file })
            : T('equipment.by_hand')}</dd>
        </dl>
        <${Secret} path=${path} name=${device.name} />
      `}
      ${doing === 'replace' && html`<${DeviceForm} title=${T('equipment.replace.title', { name: device.name })}
        verb=${T('equipment.replace')} before=${row} testid="replace" onDone=${replaced} onClose=${over}
        send=${(it) => patch(path, it)}><p class="small muted">${T('equipment.replace.note')}</p><//>`}
      ${doing === 'retire' && html`<${Retire} path=${path} device=${device} onClose=${over} />`}
    </section>
  `;
}

/** @param {{path: string, device: any, onClose: () => void}} props */
function Retire({ path, device, onClose }) {
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const onSubmit = (event) => post(`${path}/retire`, written(event)).then(() => go('/'), setProblem);
  const wrong = problem?.code === 'wrong_confirmation' ? problem.detail : mistake(problem, 'body.confirm');
  const footer = html`<button type="button" class="button" onClick=${onClose}>${T('form.cancel')}</button>
    <button type="submit" form="retire" class="button danger">${T('equipment.retire')}</button>`;
  return html`
    <${Dialog} title=${T('equipment.retire.title', { name: device.name })} onClose=${onClose} footer=${footer}
      testid="retire">
      <form id="retire" class="col" onSubmit=${onSubmit}>
        <p>${T('equipment.retire.note')}</p>
        <${Field} label=${T('equipment.retire.confirm', { name: device.name })} name="confirm" required data-first="1"
          autocomplete="off" wrong=${wrong} />
        <${Field} label=${T('equipment.because')} name="because" maxlength="500" />
        ${!wrong && html`<${Said} problem=${problem} />`}
      </form>
    <//>
  `;
}

/** The secret that the terminal says when it dials in; nothing where the house connects. @param {any} props */
function Secret({ path, name }) {
  const asked = useAsked(() => get(`${path}/secret`), path);
  const [made, setMade] = useState('');
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  if (asked.loading) return html`<${Loading} rows=${1} />`;
  if (asked.problem) return html`<${Failed} problem=${asked.problem} retry=${asked.retry} />`;
  const { speaker, devices, secrets } = asked.data;
  if (!speaker) return null;
  const ask = (what, body) => async (event) => {
    event.preventDefault();
    setProblem(null);
    setMade('');
    try {
      setMade((await post(`${path}/${what}`, body(event))).text || '');
      asked.retry();
    } catch (wrong) {
      setProblem(wrong);
    }
  };
  const days = (event) => ({ overlap_days: Number(written(event).overlap_days) });
  const ending = (what) => ask('secret/end', () => ({ what }));
  return html`
    <div class="col" data-testid="secret-part"><h3>${T('secret.title')}</h3>
      <p class="small muted">${T(secrets.length ? 'secret.note' : 'secret.none')}
        ${devices.length > 1 ? ` ${T('secret.shared', { n: devices.length, ids: devices.join(', ') })}` : ''}</p>
      ${secrets.length > 0 && html`<ul class="plain">${secrets.map((it) => html`
        <li key=${it.made_at + it.named}>${T(it.named ? 'secret.name_alone' : 'secret.made', { at: when(it.made_at) })}
          ${it.until ? ` · ${T('secret.until', { at: when(it.until) })}` : ''}
          ${' · '}${it.heard_at ? T('secret.heard', { at: when(it.heard_at) }) : T('secret.unheard')}</li>`)}</ul>`}
      ${made && html`<${Once} label=${T('secret.text', { name })} text=${made} testid="secret-text" />`}
      <${Said} problem=${problem} />
      <form class="row wrap end" onSubmit=${ask('secret', days)}>
        <${Field} label=${T('secret.overlap')} name="overlap_days" type="number" required min="0" max="90"
          defaultValue="7" wrong=${mistake(problem, 'body.overlap_days')} />
        <button type="submit" class="button">${T('secret.renew')}</button>
        ${secrets.length > 1 && html`<button type="button" class="button" onClick=${ending('old')}
          disabled=${!secrets[0].heard_at} title=${secrets[0].heard_at ? null : T('secret.not_yet')}>
          ${T('secret.end_old')}</button>`}
        ${secrets.length > 0 && html`<button type="button" class="button danger" onClick=${ending('all')}>
          ${T('secret.end_all')}</button>`}
      </form>
    </div>
  `;
}
