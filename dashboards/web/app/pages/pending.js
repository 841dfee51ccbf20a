/** Devices that dialled in and are none of the house yet, and the form that adopts one. */
import { html, useState } from '../core.js';
import { get, post } from '../api.js';
import { DeviceForm, usualKind } from '../device_form.js';
import { may } from '../store.js';
import { Empty, Failed, Loading, useAsked } from '../ui.js';
import { T, num, when } from '../words.js';

const AGAIN_MS = 5_000;

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
    ${chosen && html`<${DeviceForm} title=${T('pending.adopt.title')} verb=${T('pending.adopt')} testid="adopt"
      isNew=${true} before=${{ address: chosen.address, kind: usualKind() }} send=${(row) => post('/devices', row)}
      onDone=${done} onClose=${() => setChosen(null)} />`}
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
