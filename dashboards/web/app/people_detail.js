/** One person: name, language, password, what they may, their sessions; and the form that adds somebody. */
import { html, useState } from './core.js';
import { end, get, patch, post, put } from './api.js';
import { Dialog } from './dialog.js';
import { Field, Said, Select, mistake, written } from './forms.js';
import { GrantsEditor, grantWords } from './grants.js';
import { SessionTable } from './me_sessions.js';
import { may } from './store.js';
import { Failed, Loading, useAsked } from './ui.js';
import { LANGUAGES, T, fully, language } from './words.js';

const FIELDS = ['body.name', 'body.full_name', 'body.password', 'body.subject'];
/** @type {[string, string][]} */
const languages = () => LANGUAGES.map((it) => [it, T(`language.${it}`)]);

/** @param {{person: any, roles: any, onChanged: () => void, onClose: () => void}} props */
export function PersonDetail({ person, roles, onChanged, onClose }) {
  return html`
    <section class="panel col" aria-label=${person.full_name} data-testid="person">
      <header><h2>${person.full_name}</h2><span class="muted code">${person.name}</span><span class="grow" />
        <button type="button" class="button quiet" onClick=${onClose}>${T('form.close')}</button></header>
      <p class="small muted">${T('people.since', { at: fully(person.created) })}</p>
      ${may('permissions') ? html`<${Grants} person=${person} roles=${roles} onChanged=${onChanged} />` : html`
        <div><h3>${T('people.grants')}</h3>${person.grants.map((it) => html`
          <span class="tag" key=${it.role + it.area}>${grantWords(it)}</span> `)}
          ${!person.grants.length && html`<span class="muted">${T('grants.none')}</span>`}
          <p class="small muted">${T('grants.by')}</p></div>`}
      ${may('people') && html`<${About} person=${person} onChanged=${onChanged} />`}
      <${TheirSessions} person=${person} onChanged=${onChanged} />
    </section>
  `;
}

/** @param {{person: any, roles: any, onChanged: () => void}} props */
function Grants({ person, roles, onChanged }) {
  const [grants, setGrants] = useState(person.grants);
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const [done, setDone] = useState(false);
  const save = async () => {
    setProblem(null);
    setDone(false);
    try {
      const told = grants.map(({ role, area }) => ({ role, area }));
      setGrants((await put(`/people/${person.name}/grants`, { grants: told })).grants);
      setDone(true);
      onChanged();
    } catch (wrong) {
      setProblem(wrong);
    }
  };
  return html`
    <div class="col"><h3>${T('people.grants')}</h3>
      <${GrantsEditor} grants=${grants} roles=${roles} onChange=${(it) => (setDone(false), setGrants(it))} />
      <${Said} problem=${problem} />
      <div class="row"><button type="button" class="button primary" data-testid="save-grants" onClick=${save}>
        ${T('grants.save')}</button><span role="status" class="small">${done ? T('form.saved') : ''}</span></div>
    </div>
  `;
}

/** @param {{person: any, onChanged: () => void}} props */
function About({ person, onChanged }) {
  const [speaks, setSpeaks] = useState(person.language);
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const [done, setDone] = useState(false);
  const change = async (what, form) => {
    setProblem(null);
    setDone(false);
    try {
      await patch(`/people/${person.name}`, what);
      form?.reset();
      setDone(true);
      onChanged();
    } catch (wrong) {
      setProblem(wrong);
    }
  };
  const onSubmit = (event) => {
    const form = event.target;
    const { full_name, password, subject } = written(event);
    const wanted = { full_name, password, subject, language: speaks };
    const same = { ...person, password: '' };
    change(Object.fromEntries(Object.entries(wanted).filter(([key, value]) => value !== same[key])), form);
  };
  return html`
    <form class="col" onSubmit=${onSubmit}><h3>${T('people.about')}</h3>
      <${Field} label=${T('people.full_name')} name="full_name" required defaultValue=${person.full_name}
        wrong=${mistake(problem, 'body.full_name')} />
      <${Select} label=${T('me.language')} name="speaks" value=${speaks} options=${languages()} onChange=${setSpeaks} />
      <${Field} label=${T('people.subject')} name="subject" defaultValue=${person.subject} autocomplete="off"
        wrong=${mistake(problem, 'body.subject')} />
      <${Field} label=${T('people.new_password')} name="password" type="password" autocomplete="new-password"
        wrong=${mistake(problem, 'body.password')} />
      <${Said} problem=${problem} fields=${FIELDS} />
      <div class="row wrap"><button type="submit" class="button primary">${T('form.save')}</button>
        <button type="button" class="button ${person.disabled ? '' : 'danger'}" data-testid="disable"
          onClick=${() => change({ disabled: !person.disabled })}>
          ${T(person.disabled ? 'people.enable' : 'people.disable')}</button>
        <span role="status" class="small">${done ? T('form.saved') : ''}</span></div>
    </form>
  `;
}

/** @param {{person: any, onChanged: () => void}} props */
function TheirSessions({ person, onChanged }) {
  const asked = useAsked(() => get(`/people/${person.name}/sessions`), person.name);
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const stop = (what) =>
    end(`/people/${person.name}/${what}`).then(() => {
      asked.retry();
      onChanged();
    }, setProblem);
  return html`
    <div class="col"><h3>${T('sessions.title')}</h3>
      ${asked.loading && html`<${Loading} rows=${1} />`}
      ${asked.problem && html`<${Failed} problem=${asked.problem} retry=${asked.retry} />`}
      ${asked.data && (asked.data.sessions.length ? html`<${SessionTable} sessions=${asked.data.sessions} />` : html`
        <p class="muted">${T('sessions.none')}</p>`)}
      <${Said} problem=${problem} />
      ${may('permissions') && html`<div class="row wrap">
        <button type="button" class="button danger" disabled=${!asked.data?.sessions.length}
          onClick=${() => stop('sessions')}>${T('sessions.end_all')}</button>
        <button type="button" class="button" disabled=${!person.second} onClick=${() => stop('second')}>
          ${T('second.take')}</button></div>`}
    </div>
  `;
}

/** @param {{onDone: (it: any) => void, onClose: () => void}} props */
export function NewPerson({ onDone, onClose }) {
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const [speaks, setSpeaks] = useState(language.value);
  const onSubmit = async (event) => {
    const { speaks: _, ...it } = written(event);
    setProblem(null);
    try {
      onDone(await post('/people', { ...it, language: speaks }));
    } catch (wrong) {
      setProblem(wrong);
    }
  };
  const footer = html`<button type="button" class="button" onClick=${onClose}>${T('form.cancel')}</button>
    <button type="submit" form="new-person" class="button primary">${T('people.add.go')}</button>`;
  const taken = problem?.code === 'name_is_taken' ? problem.detail : '';
  return html`
    <${Dialog} title=${T('people.add')} onClose=${onClose} footer=${footer} testid="new-person">
      <form id="new-person" class="col" onSubmit=${onSubmit}>
        <p class="muted small">${T('people.add.note')}</p>
        <${Field} label=${T('people.name')} name="name" required autocomplete="off" autocapitalize="none" data-first="1"
          wrong=${taken || mistake(problem, 'body.name')} />
        <${Field} label=${T('people.full_name')} name="full_name" required autocomplete="off"
          wrong=${mistake(problem, 'body.full_name')} />
        <${Select} label=${T('me.language')} name="speaks" value=${speaks} options=${languages()}
          onChange=${setSpeaks} />
        <${Field} label=${T('people.first_password')} name="password" type="password" required
          autocomplete="new-password" wrong=${mistake(problem, 'body.password')} />
        <${Field} label=${T('people.subject')} name="subject" autocomplete="off"
          wrong=${mistake(problem, 'body.subject')} />
        ${!taken && html`<${Said} problem=${problem} fields=${FIELDS} />`}
      </form>
    <//>
  `;
}
