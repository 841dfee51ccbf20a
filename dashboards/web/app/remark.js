/** A line for those who come after, written into an alarm's life. */
import { html, useState } from './core.js';
import { post } from './api.js';
import { Icon } from './ui.js';
import { T } from './words.js';

/** @param {{alarm: any, off: string}} props `off`: why this person may not */
export function Remark({ alarm, off }) {
  const [note, setNote] = useState('');
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  const onSubmit = (event) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    post(`/alarms/${alarm.id}/remark`, { note })
      .then(() => setNote(''), setProblem) // what could not be written stays in the field
      .finally(() => setBusy(false));
  };
  if (off) return null;
  return html`
    <form class="col no-print" data-testid="remark" onSubmit=${onSubmit}>
      <label class="field">${T('remark.field')}
        <input required maxlength="500" autocomplete="off" value=${note} data-testid="remark-note"
          onInput=${(event) => setNote(event.target.value)} /></label>
      ${problem && html`<div class="outcome unknown" role="alert"><${Icon} name="warning" />
        <div><b>${problem.title}</b><div>${problem.detail}</div></div></div>`}
      <div class="row"><button type="submit" class="button" disabled=${busy || !note.trim()}>
        ${T('remark.give')}</button></div>
    </form>
  `;
}
