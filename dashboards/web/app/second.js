/** Setting up a second factor: the password once more, a picture for the phone, a code of it, codes for its loss. */
import { html, useState } from './core.js';
import { post } from './api.js';
import { Once } from './copy.js';
import { Field, Said, written } from './forms.js';
import { session } from './store.js';
import { T } from './words.js';

/** @param {{onDone: () => void}} props called when the recovery codes have been kept */
export function SecondSetup({ onDone }) {
  const [begun, setBegun] = useState(/** @type {any} */ (null));
  const [codes, setCodes] = useState(/** @type {string[]} */ ([]));
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const send = (path, then) => async (event) => {
    setProblem(null);
    try {
      then(await post(path, written(event)));
    } catch (wrong) {
      setProblem(wrong);
    }
  };
  if (codes.length) {
    return html`<div class="col">
      <p>${T('second.codes.note')}</p>
      <${Once} label=${T('second.codes')} text=${codes.join('\n')} rows=${5} testid="recovery-codes" />
      <div><button type="button" class="button primary" onClick=${onDone}>${T('second.kept')}</button></div></div>`;
  }
  if (begun) {
    const wrong = problem?.code === 'wrong_new_code' ? problem.detail : '';
    const confirmed = (told) => setCodes(told.recovery_codes);
    return html`<form key="code" class="col" onSubmit=${send('/session/second/confirm', confirmed)}>
      <p>${T('second.scan')}</p>
      <img class="qr" alt=${T('second.picture')} src="data:image/svg+xml,${encodeURIComponent(begun.picture)}" />
      <p class="small muted">${T('second.by_hand')} <span class="code" data-testid="secret">${begun.secret}</span></p>
      <${Field} label=${T('second.code')} name="code" wrong=${wrong} required inputmode="numeric"
        autocomplete="one-time-code" data-first="1" />
      ${!wrong && html`<${Said} problem=${problem} />`}
      <div><button type="submit" class="button primary">${T('second.confirm')}</button></div>
    </form>`;
  }
  const wrong = problem?.code === 'wrong_old_password' ? problem.detail : '';
  return html`<form key="password" class="col" onSubmit=${send('/session/second', setBegun)}>
    <p>${T('second.why')}</p>
    <input class="only-reader" name="username" autocomplete="username" tabindex="-1" aria-hidden="true"
      value=${session.value.name} readonly disabled />
    <${Field} label=${T('second.password')} name="password" type="password" wrong=${wrong} required
      autocomplete="current-password" />
    ${!wrong && html`<${Said} problem=${problem} />`}
    <div><button type="submit" class="button">${T('second.begin')}</button></div>
  </form>`;
}
