/** Devices that dialled in and are none of the house yet, and the form that adopts one. */
import { html, useState } from '../core.js';
import { get, post } from '../api.js';
import { Dialog } from '../dialog.js';
import { Field, Said, Select, mistake, written } from '../forms.js';
import { areaOptions } from '../grants.js';
import { devices, may } from '../store.js';
import { Empty, Failed, Loading, useAsked } from '../ui.js';
import { T, num, when } from '../words.js';

const AGAIN_MS = 5_000;
const FIELDS = ['id', 'name', 'kind', 'address', 'profile', 'area', 'settings'];

export function Pending() {
  if (!may('commission')) return html`<${Failed} problem=${{ status: 403, detail: T('no.right.commission') }} />`;
  return html`<${List} />`;
}

function List() {
  const asked = useAsked(() => get('/pending'), 'pending', AGAIN_MS);
  const [chosen, setChosen] = useState(/** @type {any} */ (null));
  const done = () => {
    setChosen(null);
    asked.retry();
  };
  return html`
    <div class="page-head"><h1>${T('pending.title')}</h1><span class="muted">${T('pending.note')}</span>
      <span class="grow" /><button type="button" class="button" onClick=${() => setChosen({ address: '' })}>
        ${T('pending.other')}</button></div>
    <section class="panel" aria-label=${T('pending.title')}>
      ${asked.loading && html`<${Loading} rows=${3} height=${32} />`}
      ${asked.problem && html`<${Failed} problem=${asked.problem} retry=${asked.retry} />`}
      ${asked.data && (asked.data.pending.length ? html`
        <${Table} strangers=${asked.data.pending} onChoose=${setChosen} />` : html`
        <${Empty} icon="yes" title=${T('pending.none')} />`)}
    </section>
    ${chosen && html`<${Adopt} stranger=${chosen} onDone=${done} onClose=${() => setChosen(null)} />`}
  `;
}

/** @param {{strangers: any[], onChoose: (it: any) => void}} props */
const Table = ({ strangers, onChoose }) => html`
  <div class="scroll" tabindex="0" role="region" aria-label=${T('pending.title')}>
    <table class="table">
      <thead><tr><th scope="col">${T('pending.address')}</th><th scope="col">${T('sessions.from')}</th>
        <th scope="col">${T('pending.first')}</th><th scope="col">${T('sessions.seen')}</th>
        <th scope="col">${T('pending.times')}</th><th scope="col">${T('puzzles.bytes')}</th>
        <th scope="col"><span class="only-reader">${T('sessions.do')}</span></th></tr></thead>
      <tbody>${strangers.map((it) => html`
        <tr key=${it.address}><td class="code">${it.address}</td><td class="code">${it.peer}</td>
          <td class="number nowrap">${when(it.first, 'minute')}</td>
          <td class="number nowrap">${when(it.last)}</td><td class="number">${num(it.times)}</td>
          <td class="code bytes">${it.raw}</td>
          <td class="right"><button type="button" class="button" onClick=${() => onChoose(it)}>
            ${T('pending.adopt')}</button></td></tr>
      `)}</tbody>
    </table>
  </div>
`;

/** Kinds or profiles that are in use, to choose from. @param {'kind' | 'profile'} what @returns {string[]} */
const known = (what) => [...new Set(devices.value.map((it) => it[what]))].filter(Boolean).sort();

/** @param {{stranger: any, onDone: () => void, onClose: () => void}} props */
function Adopt({ stranger, onDone, onClose }) {
  const [area, setArea] = useState('');
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const [wrong, setWrong] = useState('');
  const send = async (path, event) => {
    const it = written(event);
    setProblem(null);
    setWrong('');
    const settings = read(it.settings);
    if (!settings) return setWrong(T('pending.settings.wrong'));
    try {
      await post(path, { ...it, area, settings });
      onDone();
    } catch (told) {
      setProblem(told);
    }
  };
  const said = (name) => mistake(problem, `body.${name}`);
  const footer = html`<button type="button" class="button" onClick=${onClose}>${T('form.cancel')}</button>
    <button type="submit" form="adopt" class="button primary">${T('pending.adopt')}</button>`;
  return html`
    <${Dialog} title=${T('pending.adopt.title')} onClose=${onClose} footer=${footer} testid="adopt">
      <form id="adopt" class="col" onSubmit=${(event) => send('/devices', event)}>
        <${Field} label=${T('pending.address')} name="address" required defaultValue=${stranger.address}
          wrong=${said('address')} />
        <${Field} label=${T('pending.id')} name="id" required data-first="1" autocapitalize="none"
          wrong=${said('id')} />
        <${Field} label=${T('pending.name')} name="name" required wrong=${said('name')} />
        <${Field} label=${T('pending.kind')} name="kind" required list="kinds" defaultValue=${known('kind')[0] || ''}
          wrong=${said('kind')} />
        <${Field} label=${T('pending.profile')} name="profile" list="profiles" wrong=${said('profile')} />
        <${Select} label=${T('grants.area')} name="area" value=${area} onChange=${setArea}
          options=${[['', T('pending.nowhere')], ...areaOptions()]} />
        <${Field} label=${T('pending.settings')} name="settings" defaultValue="{}" class="code"
          wrong=${wrong || said('settings')} />
        <datalist id="kinds">${known('kind').map((it) => html`<option key=${it} value=${it} />`)}</datalist>
        <datalist id="profiles">${known('profile').map((it) => html`<option key=${it} value=${it} />`)}</datalist>
        <${Said} problem=${problem} fields=${FIELDS.map((it) => `body.${it}`)} />
      </form>
    <//>
  `;
}

/** What is written, as an object; null when it is none. @param {string} text */
function read(text) {
  try {
    const it = JSON.parse(text || '{}');
    return it && typeof it === 'object' && !Array.isArray(it) ? it : null;
  } catch {
    return null;
  }
}
