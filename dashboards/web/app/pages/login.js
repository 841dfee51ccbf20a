/** Signing in. Its button is also the click that lets the browser sound alarms. */
import { html, query, theme, useEffect, useRef, useState } from '../core.js';
import { get, post } from '../api.js';
import { unlock } from '../sound.js';
import { begin, site } from '../store.js';
import { Icon } from '../ui.js';
import { LANGUAGES, T, language, name, speak } from '../words.js';

const OUTSIDE = ['unknown', 'failed', 'refused', 'late'];

export function Login() {
  const [who, setWho] = useState('');
  const [password, setPassword] = useState('');
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const [code, setCode] = useState(/** @type {string | null} */ (null)); // null: it is not asked for
  const [waitS, setWaitS] = useState(0);
  const first = useRef(/** @type {HTMLInputElement | null} */ (null));
  const second = useRef(/** @type {HTMLInputElement | null} */ (null));
  useEffect(() => first.current?.focus(), []);
  useEffect(() => second.current?.focus(), [code === null]);
  useEffect(() => {
    if (waitS <= 0) return;
    const timer = setTimeout(() => setWaitS(waitS - 1), 1000);
    return () => clearTimeout(timer);
  }, [waitS]);
  const { users = [], openid } = site.value;
  const outside = query('openid');

  const signIn = async (user, secret) => {
    setBusy(true);
    setProblem(null);
    unlock();
    try {
      const told = await post('/session', { name: user.trim(), password: secret, code: (code || '').trim() });
      begin(told, true);
    } catch (wrong) {
      setBusy(false);
      setWaitS(wrong.code === 'slow_down' ? Math.ceil(wrong.args.wait_s) : 0);
      if (wrong.code === 'code_needed') return void setCode('');
      setProblem(wrong);
      if (wrong.code === 'wrong_code') setCode('');
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
        ${code !== null && html`<label class="field">${T('login.code')}
          <input ref=${second} name="code" autocomplete="one-time-code" inputmode="numeric" required value=${code}
            onInput=${(event) => setCode(event.target.value)} /></label>`}
        <div role="alert">${!problem && outside && html`<div class="outcome bad"><${Icon} name="warning" />
          <div>${T(`login.openid.${OUTSIDE.includes(outside) ? outside : 'failed'}`)}</div></div>`}
          ${problem && html`<div class="outcome bad"><${Icon} name="warning" />
          <div><b>${problem.title}</b><div>${problem.detail}</div></div></div>`}</div>
        <button type="submit" class="button primary" disabled=${busy || waitS > 0}>
          ${waitS > 0 ? T('login.wait', { n: waitS }) : T(busy ? 'login.busy' : 'login.go')}</button>
        ${openid && html`<a class="button" data-native="1" href="/api/v1/openid">
          ${T('login.openid', { where: name(openid) })}</a>`}
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
