/** Sessions: from where, with what, and when last seen; a desk that was left open can be closed from here. */
import { html, useState } from './core.js';
import { end, get } from './api.js';
import { Said } from './forms.js';
import { Failed, Loading, useAsked } from './ui.js';
import { T, when } from './words.js';

export function Sessions() {
  const asked = useAsked(() => get('/sessions'), 'sessions');
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  // Their rows stay until the list is here anew, and must not be pressed again.
  const [ending, setEnding] = useState(/** @type {string[]} */ ([]));
  const close = (id) => {
    setEnding((them) => [...them, id]);
    setProblem(null);
    end(`/sessions/${id}`)
      .catch((wrong) => {
        if (wrong.status === 404) return; // it had ended already
        setProblem(wrong);
        setEnding((them) => them.filter((it) => it !== id));
      })
      .then(asked.retry);
  };
  return html`
    <section class="panel wide" aria-label=${T('sessions.title')}>
      <header><h2>${T('sessions.title')}</h2></header>
      ${asked.loading && html`<${Loading} rows=${2} />`}
      ${asked.problem && html`<${Failed} problem=${asked.problem} retry=${asked.retry} />`}
      <${Said} problem=${problem} />
      ${asked.data && html`<${SessionTable} sessions=${asked.data.sessions} onEnd=${close}
        ending=${ending} />`}
    </section>
  `;
}

/** @param {{sessions: any[], onEnd?: (id: string) => void, ending?: string[]}} props `ending`: those being ended */
export const SessionTable = ({ sessions, onEnd, ending = [] }) => html`
  <div class="scroll short" tabindex="0" role="region" aria-label=${T('sessions.title')}>
    <table class="table">
      <thead><tr><th scope="col">${T('sessions.since')}</th><th scope="col">${T('sessions.seen')}</th>
        <th scope="col">${T('sessions.from')}</th><th scope="col">${T('sessions.way')}</th>
        <th scope="col"><span class="only-reader">${T('sessions.do')}</span></th></tr></thead>
      <tbody>${sessions.map((it) => html`
        <tr key=${it.id}><td class="number nowrap">${when(it.created, 'minute')}</td>
          <td class="number nowrap">${when(it.seen, 'minute')}</td>
          <td><span class="code">${it.address}</span> <span class="small muted">${it.agent}</span></td>
          <td>${T(`way.${it.way || 'password'}`)}</td>
          <td class="right">${
            it.this
              ? html`<span class="tag">${T('sessions.this')}</span>`
              : onEnd && html`<button type="button" class="button" disabled=${ending.includes(it.id)}
                  onClick=${() => onEnd(it.id)}>
                  ${T('sessions.end')}</button>`
          }</td></tr>
      `)}</tbody>
    </table>
  </div>
`;
