/** Who may sign in, and what they may do where. */
import { html, query, setQuery, useState } from '../core.js';
import { get } from '../api.js';
import { grantWords } from '../grants.js';
import { NewPerson, PersonDetail } from '../people_detail.js';
import { may } from '../store.js';
import { Empty, Failed, Icon, Loading, Search, useAsked } from '../ui.js';
import { NOTHING, T, when } from '../words.js';

export function People() {
  if (!may('roll')) return html`<${Failed} problem=${{ status: 403, detail: T('no.right.people') }} />`;
  return html`<${List} />`;
}

function List() {
  const asked = useAsked(() => get('/people'), 'people');
  const roles = useAsked(() => get('/roles'), 'roles');
  const [text, setText] = useState('');
  const [adding, setAdding] = useState(false);
  if (asked.loading || roles.loading) return html`<${Loading} rows=${6} height=${32} />`;
  const broken = asked.data && roles.data ? null : asked.problem || roles.problem;
  if (broken) return html`<${Failed} problem=${broken} retry=${asked.data ? roles.retry : asked.retry} />`;
  const { people } = asked.data;
  const wanted = text.trim().toLowerCase();
  const shown = people.filter((it) =>
    [it.name, it.full_name, ...it.grants.map(grantWords)].join(' ').toLowerCase().includes(wanted),
  );
  const chosen = people.find((it) => it.name === query('name'));
  const choose = (name) => setQuery({ name });
  const added = (it) => {
    setAdding(false);
    asked.retry();
    choose(it.name);
  };
  return html`
    <div class="page-head"><h1>${T('people.title')}</h1>
      <span class="muted">${T('people.count', { n: people.length })}</span><span class="grow" />
      <${Search} value=${text} label=${T('people.search')} onInput=${setText} />
      ${may('people') && html`<button type="button" class="button primary" data-testid="add-person"
        onClick=${() => setAdding(true)}>${T('people.add')}</button>`}
    </div>
    <div class="people ${chosen ? 'split' : ''}">
      <section class="panel" aria-label=${T('people.title')}>
        ${shown.length ? html`<${Table} people=${shown} chosen=${chosen?.name} onChoose=${choose} />` : html`
          <${Empty} title=${T('people.none')} />`}
      </section>
      ${chosen && html`<${PersonDetail} key=${chosen.name} person=${chosen} roles=${roles.data.roles}
        onChanged=${asked.retry} onClose=${() => choose(null)} />`}
    </div>
    ${adding && html`<${NewPerson} onDone=${added} onClose=${() => setAdding(false)} />`}
  `;
}

/** @param {{people: any[], chosen?: string, onChoose: (name: string) => void}} props */
const Table = ({ people, chosen, onChoose }) => html`
  <div class="scroll" tabindex="0" role="region" aria-label=${T('people.title')}>
    <table class="table pick">
      <thead><tr><th scope="col">${T('people.name')}</th><th scope="col">${T('people.full_name')}</th>
        <th scope="col">${T('people.grants')}</th><th scope="col">${T('second.short')}</th>
        <th scope="col">${T('people.password_set')}</th></tr></thead>
      <tbody>${people.map((it) => html`
        <tr key=${it.name} aria-selected=${it.name === chosen} onClick=${() => onChoose(it.name)}
          data-testid="person-${it.name}">
          <td><button type="button" class="button quiet" onClick=${() => onChoose(it.name)}>${it.name}</button></td>
          <td>${it.full_name} ${it.disabled && html`<span class="tag">${T('people.disabled')}</span>`}</td>
          <td>${it.grants.map((one) => html`<span class="tag" key=${one.role + one.area}>${grantWords(one)}</span> `)}
            ${!it.grants.length && html`<span class="muted">${T('grants.none')}</span>`}</td>
          <td>${it.second ? html`<${Icon} name="yes" />` : NOTHING}</td>
          <td class="number nowrap">${it.password_set ? when(it.password_set, 'minute') : NOTHING}
            ${it.must_change && html` <span class="small muted">${T('people.must_change')}</span>`}</td></tr>
      `)}</tbody>
    </table>
  </div>
`;
