/** Signing in. Its button is also the click that lets the browser sound alarms. */
import { html, theme, useEffect, useRef, useState } from '../core.js';
import { get, post } from '../api.js';
import { unlock } from '../sound.js';
import { begin, site } from '../store.js';
import { Icon } from '../ui.js';
import { LANGUAGES, T, language, name, speak } from '../words.js';

export function Login() {
  const [who, setWho] = useState('');
  const [password, setPassword] = useState('');
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const first = useRef(/** @type {HTMLInputElement | null} */ (null));
  useEffect(() => first.current?.focus(), []);
  const { users = [] } = site.value;

  const signIn = async (user, secret) => {
    setBusy(true);
    setProblem(null);
    unlock();
    try {
      const told = await post('/session', { name: user.trim(), password: secret });
      begin(told, true);
    } catch (wrong) {
      setProblem(wrong);
      setBusy(false);
    }
  };
  const onSubmit = (event) => {
    event.preventDefault();
    if (!busy) signIn(who, password);
  };

  return html`
    <main class="login">
      <form class="panel" onSubmit=${onSubmit}>
        <div class="login-mark"><${Icon} name="overview" /></div>
        <h1>${name(site.value.name)}</h1>
        <p class="muted">${T('brand')}</p>
        <label class="field">${T('login.name')}
          <input ref=${first} name="username" autocomplete="username" autocapitalize="none" required value=${who}
            onInput=${(event) => setWho(event.target.value)} /></label>
        <label class="field">${T('login.password')}
          <input name="password" type="password" autocomplete="current-password" required value=${password}
            onInput=${(event) => setPassword(event.target.value)} /></label>
        <div role="alert">${problem && html`<div class="outcome bad"><${Icon} name="warning" />
          <div><b>${problem.title}</b><div>${problem.detail}</div></div></div>`}</div>
        <button type="submit" class="button primary" disabled=${busy}>${T(busy ? 'login.busy' : 'login.go')}</button>
        ${users.length > 0 && html`
          <div class="login-demo">
            <h2>${T('login.demo')}</h2><p class="small muted">${T('login.demo.note')}</p>
            <div class="choices">${users.map((it) => html`
              <button type="button" class="button" key=${it.name} disabled=${busy} data-testid="demo-${it.name}"
                onClick=${() => signIn(it.name, it.password)}>
                <span><b>${it.name}</b> <span class="small muted">
                  ${it.full_name}</span></span>
              </button>
            `)}</div>
          </div>
        `}
        <div class="row login-foot">
          ${LANGUAGES.map((it) => html`
            <button type="button" class="button quiet" key=${it} lang=${it} aria-pressed=${language.value === it}
              onClick=${() => speak(it, get)}>${T(`language.${it}`)}</button>
          `)}
          <span class="grow" />
          <button type="button" class="button quiet square"
            aria-label=${T(theme.value === 'day' ? 'theme.night' : 'theme.day')}
            onClick=${() => (theme.value = theme.value === 'day' ? 'night' : 'day')}>
            <${Icon} name=${theme.value === 'day' ? 'moon' : 'sun'} /></button>
        </div>
      </form>
    </main>
  `;
}
