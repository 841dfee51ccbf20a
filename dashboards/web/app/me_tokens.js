/** Keys for programs: what they may, until when; made with lesser grants than one's own, told once, ended at once. */
import { html, useState } from './core.js';
import { end, get, post } from './api.js';
import { Once } from './copy.js';
import { Field, Said, mistake, written } from './forms.js';
import { grantWords } from './grants.js';
import { session } from './store.js';
import { Failed, Loading, useAsked } from './ui.js';
import { NOTHING, T, when } from './words.js';

const DAYS = 90;

export function Tokens() {
  const asked = useAsked(() => get('/tokens'), 'tokens');
  const [made, setMade] = useState(/** @type {any} */ (null));
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const close = (id) => end(`/tokens/${id}`).then(asked.retry, setProblem);
  const onMade = (told) => {
    setMade(told);
    asked.retry();
  };
  return html`
    <section class="panel wide col" aria-label=${T('tokens.title')}>
      <header><h2>${T('tokens.title')}</h2><span class="muted small">${T('tokens.note')}</span></header>
      ${asked.loading && html`<${Loading} rows=${2} />`}
      ${asked.problem && html`<${Failed} problem=${asked.problem} retry=${asked.retry} />`}
      <${Said} problem=${problem} />
      ${asked.data?.tokens.length > 0 && html`<${Table} tokens=${asked.data.tokens} onEnd=${close} />`}
      ${made && html`<${Once} label=${T('tokens.made', { title: made.title })} text=${made.token} testid="token" />`}
      <${NewToken} onMade=${onMade} />
    </section>
  `;
}

/** @param {{tokens: any[], onEnd: (id: string) => void}} props */
const Table = ({ tokens, onEnd }) => html`
  <div class="scroll short" tabindex="0" role="region" aria-label=${T('tokens.title')}>
    <table class="table">
      <thead><tr><th scope="col">${T('tokens.for')}</th><th scope="col">${T('me.may')}</th>
        <th scope="col">${T('tokens.until')}</th><th scope="col">${T('tokens.used')}</th>
        <th scope="col"><span class="only-reader">${T('sessions.do')}</span></th></tr></thead>
      <tbody>${tokens.map((it) => html`
        <tr key=${it.id}><td>${it.title}</td><td>${it.grants.map(grantWords).join(' · ')}</td>
          <td class="number nowrap">${when(it.expires, 'minute')}</td>
          <td class="number nowrap">${it.last_used ? when(it.last_used, 'minute') : NOTHING}</td>
          <td class="right"><button type="button" class="button" onClick=${() => onEnd(it.id)}>
            ${T('tokens.end')}</button></td></tr>
      `)}</tbody>
    </table>
  </div>
`;

/** @param {{onMade: (told: any) => void}} props */
function NewToken({ onMade }) {
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const onSubmit = async (event) => {
    const form = event.target;
    const it = written(event);
    setProblem(null);
    const grants = session.value.grants
      .filter((_, n) => it[`grant-${n}`])
      .map(({ role, area }) => ({ role: it.only_look ? 'viewer' : role, area }));
    try {
      onMade(await post('/tokens', { title: it.title, days: Number(it.days), grants }));
      form.reset();
    } catch (wrong) {
      setProblem(wrong);
    }
  };
  return html`
    <form class="row wrap end" onSubmit=${onSubmit} aria-label=${T('tokens.new')}>
      <${Field} label=${T('tokens.for')} name="title" required maxlength="100"
        wrong=${mistake(problem, 'body.title')} />
      <${Field} label=${T('tokens.days')} name="days" type="number" required min="1" max="365" defaultValue=${DAYS}
        wrong=${mistake(problem, 'body.days')} />
      <fieldset class="choices-in-line"><legend class="small muted">${T('me.may')}</legend>
        ${session.value.grants.map((it, n) => html`
          <label key=${n}><input type="checkbox" name="grant-${n}" defaultChecked /> ${grantWords(it)}</label>`)}
        <label><input type="checkbox" name="only_look" defaultChecked /> ${T('tokens.only_look')}</label>
      </fieldset>
      <button type="submit" class="button">${T('tokens.make')}</button>
      <${Said} problem=${problem} fields=${['body.title', 'body.days']} />
    </form>
  `;
}
