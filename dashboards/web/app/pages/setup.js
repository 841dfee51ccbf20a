/** The very first administrator, with the one-time code that the server's own console shows. */
import { go, html, useState } from '../core.js';
import { post } from '../api.js';
import { Field, Said, mistake, written } from '../forms.js';
import { language, T } from '../words.js';

const FIELDS = ['body.name', 'body.full_name', 'body.password', 'body.code'];

export function Setup() {
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const [differs, setDiffers] = useState(false);
  const onSubmit = async (event) => {
    const { again, ...it } = written(event);
    setDiffers(again !== it.password);
    setProblem(null);
    if (again !== it.password) return;
    try {
      await post('/setup', { ...it, language: language.value });
      go('/');
    } catch (wrong) {
      setProblem(wrong);
    }
  };
  const code = problem?.code === 'wrong_setup_code' ? problem.detail : '';
  const field = (name) => mistake(problem, `body.${name}`);
  return html`
    <main class="login">
      <form class="panel" onSubmit=${onSubmit}>
        <h1>${T('setup.title')}</h1>
        <p class="muted">${T('setup.note')}</p>
        <${Field} label=${T('setup.code')} name="code" required autocomplete="off" wrong=${code || field('code')} />
        <${Field} label=${T('login.name')} name="name" required autocomplete="username" autocapitalize="none"
          wrong=${field('name')} />
        <${Field} label=${T('people.full_name')} name="full_name" required autocomplete="name"
          wrong=${field('full_name')} />
        <${Field} label=${T('login.password')} name="password" type="password" required autocomplete="new-password"
          wrong=${field('password')} />
        <${Field} label=${T('setup.again')} name="again" type="password" required autocomplete="new-password"
          wrong=${differs ? T('setup.differs') : ''} />
        ${!code && html`<${Said} problem=${problem} fields=${FIELDS} />`}
        <button type="submit" class="button primary">${T('setup.go')}</button>
      </form>
    </main>
  `;
}
