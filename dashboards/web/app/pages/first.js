/** What somebody has to do before they may do anything else: choose a password, set up a second factor. */
import { html } from '../core.js';
import { get } from '../api.js';
import { NewPassword } from '../password.js';
import { SecondSetup } from '../second.js';
import { begin, leave, session, signOut } from '../store.js';
import { T } from '../words.js';

export function First() {
  const [what] = session.value.must;
  const next = () => get('/session').then((who) => begin(who, true), leave);
  return html`
    <main class="login" data-testid="must-${what}">
      <section class="panel first" aria-label=${T(`must.${what}`)}>
        <h1>${T(`must.${what}`)}</h1>
        <p class="muted">${T(`must.${what}.why`)}</p>
        ${what === 'password' ? html`<${NewPassword} onDone=${next} />` : html`<${SecondSetup} onDone=${next} />`}
        <div><button type="button" class="button quiet" onClick=${signOut}>${T('me.out')}</button></div>
      </section>
    </main>
  `;
}
