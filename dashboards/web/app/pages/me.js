/** The person who is signed in: what they may do, language, light, sound, password, and the way out. */
import { html, theme } from '../core.js';
import { get } from '../api.js';
import { Second } from '../me_second.js';
import { Sessions } from '../me_sessions.js';
import { Tokens } from '../me_tokens.js';
import { NewPassword } from '../password.js';
import { grantWords } from '../grants.js';
import { silence, soundState, unlock, unsilence, wanted } from '../sound.js';
import { areas, may, session, signOut } from '../store.js';
import { Icon, Segments } from '../ui.js';
import { LANGUAGES, T, fully, language, speak } from '../words.js';

export function Me() {
  const who = session.value;
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
      <section class="panel" aria-label=${T('me.password')}>
        <header><h2>${T('me.password')}</h2></header><${NewPassword} />
      </section>
      <${Second} /><${Sessions} />${may('tokens') && html`<${Tokens} />`}
    </div>
  `;
}

const isTold = (/** @type {string} */ right) => right !== 'self';

/** @param {{label: string, children?: any}} props */
const Choice = ({ label, children }) =>
  html`<div class="row wrap"><span class="grow muted">${label}</span>${children}</div>`;
