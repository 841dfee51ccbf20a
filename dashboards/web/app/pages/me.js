/** The person who is signed in: what they may do, language, light, sound, password, and the way out. */
import { html, theme, useState } from '../core.js';
import { end, get, post } from '../api.js';
import { silence, soundState, unlock, unsilence, wanted } from '../sound.js';
import { areas, leave, session } from '../store.js';
import { Icon, Segments } from '../ui.js';
import { LANGUAGES, T, fully, language, speak } from '../words.js';

export function Me() {
  const who = session.value;
  const signOut = () => end('/session').then(leave, leave);
  return html`
    <div class="page-head"><h1>${who.full_name || who.name}</h1><span class="muted">${who.name}</span><span
      class="grow" />
      <button type="button" class="button" data-testid="sign-out" onClick=${signOut}><${Icon} name="leave" />
        ${T('me.out')}</button></div>
    <div class="me">
      <section class="panel" aria-label=${T('me.screen')}>
        <header><h2>${T('me.screen')}</h2></header>
        <div class="col">
          <${Choice} label=${T('me.language')}><${Segments} label=${T('me.language')} value=${language.value}
            options=${LANGUAGES.map((it) => [it, T(`language.${it}`)])} onChange=${(it) => speak(it, get)} /><//>
          <${Choice} label=${T('me.light')}><${Segments} label=${T('me.light')} value=${theme.value}
            options=${['day', 'night'].map((it) => [it, T(`theme.${it}`)])}
            onChange=${(it) => (theme.value = it)} /><//>
          <${Choice} label=${T('me.sound')}><${Segments} label=${T('me.sound')} value=${wanted.value ? 'on' : 'off'}
            options=${['on', 'off'].map((it) => [it, T(`sound.${it}`)])}
            onChange=${(it) => {
              wanted.value = it === 'on';
              unlock();
            }} /><//>
          ${soundState() === 'on' && html`<button type="button" class="button" onClick=${silence}>
            ${T('sound.silence')}</button>`}
          ${soundState() === 'silent' && html`<button type="button" class="button" onClick=${unsilence}>
            ${T('sound.unsilence')}</button>`}
        </div>
      </section>
      <section class="panel" aria-label=${T('me.rights')}>
        <header><h2>${T('me.rights')}</h2></header>
        <dl class="facts">
          <dt>${T('me.roles')}</dt><dd>${who.grants.map(grantWords).join(' · ')}</dd>
          <dt>${T('me.may')}</dt><dd>${who.rights.filter(isTold).map((it) => T(`right.${it}`)).join(' · ')}</dd>
          <dt>${T('me.until')}</dt><dd class="number">${fully(who.expires)}</dd>
        </dl>
      </section>
      <${Password} />
    </div>
  `;
}

const isTold = (/** @type {string} */ right) => right !== 'self';

/** "water operator (East Town)". @param {{role: string, area: string}} it */
const grantWords = (it) =>
  T(`role.${it.role}`) + (it.area ? ` (${areas.value.find((one) => one.code === it.area)?.name || it.area})` : '');

/** @param {{label: string, children?: any}} props */
const Choice = ({ label, children }) =>
  html`<div class="row wrap"><span class="grow muted">${label}</span>${children}</div>`;

function Password() {
  const [done, setDone] = useState('');
  const [problem, setProblem] = useState(null);
  const onSubmit = async (event) => {
    event.preventDefault();
    const form = event.target;
    setProblem(null);
    setDone('');
    try {
      await post('/session/password', { old: form.old.value, new: form.fresh.value });
      form.reset();
      setDone(T('me.password.done'));
    } catch (wrong) {
      setProblem(wrong);
    }
  };
  const mistakes = problem?.mistakes?.map((it) => it.what).join('; ');
  const isOld = problem?.code === 'wrong_old_password';
  const isNew = Boolean(mistakes);
  return html`
    <section class="panel" aria-label=${T('me.password')}>
      <header><h2>${T('me.password')}</h2></header>
      <form class="col" onSubmit=${onSubmit}>
        <input class="only-reader" name="username" autocomplete="username" tabindex="-1" aria-hidden="true"
          value=${session.value.name} readonly />
        <label class="field">${T('me.password.old')}<input name="old" type="password" required
          autocomplete="current-password" aria-invalid=${isOld} aria-describedby="old-wrong" />
          <span id="old-wrong" role="alert" class="strong">${isOld && problem.detail}</span></label>
        <label class="field">${T('me.password.new')}<input name="fresh" type="password" required minlength="10"
          autocomplete="new-password" aria-invalid=${isNew} aria-describedby="new-wrong" />
          <span id="new-wrong" role="alert" class="strong">${isNew && mistakes}</span></label>
        <div role="status" class="small">${problem && !isOld && !isNew ? `${problem.title}: ${problem.detail}` : done}
        </div>
        <div><button type="submit" class="button">${T('me.password.go')}</button></div>
      </form>
    </section>
  `;
}
