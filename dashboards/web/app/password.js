/** A new password of one's own. */
import { html, useState } from './core.js';
import { post } from './api.js';
import { Field, Said, mistake, written } from './forms.js';
import { session } from './store.js';
import { T } from './words.js';

/** @param {{onDone?: () => void}} props */
export function NewPassword({ onDone }) {
  const [done, setDone] = useState('');
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const onSubmit = async (event) => {
    const form = event.target;
    const it = written(event);
    setProblem(null);
    setDone('');
    try {
      await post('/session/password', { old: it.old, new: it.fresh });
      form.reset();
      setDone(T('me.password.done'));
      onDone?.();
    } catch (wrong) {
      setProblem(wrong);
    }
  };
  const isOld = problem?.code === 'wrong_old_password';
  return html`
    <form class="col" onSubmit=${onSubmit}>
      <input class="only-reader" name="username" autocomplete="username" tabindex="-1" aria-hidden="true"
        value=${session.value.name} readonly />
      <${Field} label=${T('me.password.old')} name="old" type="password" required
        autocomplete="current-password" wrong=${isOld ? problem.detail : ''} />
      <${Field} label=${T('me.password.new')} name="fresh" type="password" required
        autocomplete="new-password" wrong=${mistake(problem, 'body.new')} />
      ${!isOld && html`<${Said} problem=${problem} fields=${['body.new']} />`}
      <div role="status" class="small">${done}</div>
      <div><button type="submit" class="button">${T('me.password.go')}</button></div>
    </form>
  `;
}
