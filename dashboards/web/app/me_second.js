/** One's second factor: on or off, codes that are left, setting it up and ending it. */
import { html, useState } from './core.js';
import { get, post } from './api.js';
import { Field, Said, written } from './forms.js';
import { SecondSetup } from './second.js';
import { Failed, Icon, Loading, useAsked } from './ui.js';
import { T } from './words.js';

export function Second() {
  const asked = useAsked(() => get('/session/second'), 'second');
  const [doing, setDoing] = useState('');
  const done = () => {
    setDoing('');
    asked.retry();
  };
  return html`
    <section class="panel" aria-label=${T('second.title')}>
      <header><h2>${T('second.title')}</h2></header>
      ${asked.loading && html`<${Loading} rows=${1} />`}
      ${asked.problem && html`<${Failed} problem=${asked.problem} retry=${asked.retry} />`}
      ${asked.data && html`
        <p class="row"><${Icon} name=${asked.data.on ? 'yes' : 'no'} />
          ${asked.data.on ? T('second.on', { n: asked.data.recovery_left }) : T('second.off')}</p>
        ${doing === '' && html`<div class="row wrap">
          <button type="button" class="button" onClick=${() => setDoing('set')}>
            ${T(asked.data.on ? 'second.again' : 'second.set')}</button>
          ${asked.data.on && !asked.data.wanted && html`
            <button type="button" class="button quiet" onClick=${() => setDoing('end')}>${T('second.end')}</button>`}
        </div>`}
        ${doing === 'set' && html`<${SecondSetup} onDone=${done} />`}
        ${doing === 'end' && html`<${End} onDone=${done} />`}
      `}
    </section>
  `;
}

/** @param {{onDone: () => void}} props */
function End({ onDone }) {
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const onSubmit = (event) => post('/session/second/end', written(event)).then(onDone, setProblem);
  return html`
    <form class="col" onSubmit=${onSubmit}>
      <${Field} label=${T('second.password')} name="password" type="password" required
        autocomplete="current-password" />
      <${Said} problem=${problem} />
      <div class="row"><button type="submit" class="button danger">${T('second.end')}</button>
        <button type="button" class="button quiet" onClick=${onDone}>${T('form.cancel')}</button></div>
    </form>
  `;
}
