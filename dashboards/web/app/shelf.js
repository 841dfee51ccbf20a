/** Putting an alarm aside for a time, with the reason, and taking it back. */
import { html, useState } from './core.js';
import { post } from './api.js';
import { Icon } from './ui.js';
import { T, span, when } from './words.js';

const MINUTES = [30, 60, 240, 480, 1440]; // a day is the most that the hub takes

/** Who has put it aside, until when, and why. @param {{shelved: any}} props */
export const Shelved = ({ shelved }) => html`
  <div class="outcome" data-testid="shelved"><${Icon} name="clock" /><div>
    <b>${T('shelf.until', { until: when(shelved.until, 'minute'), who: shelved.by })}</b>
    <div>${shelved.note}</div></div></div>
`;

/** @param {{alarm: any, off: string, onMoved: () => void}} props `onMoved`: it is on another list now */
export function Shelf({ alarm, off, onMoved }) {
  const [open, setOpen] = useState(false);
  const [minutes, setMinutes] = useState(60);
  const [note, setNote] = useState('');
  const [problem, setProblem] = useState(null);
  const ask = (what, body) => {
    const moves = Boolean(alarm.shelved) === (what === 'unshelve'); // another end of a shelving moves it nowhere
    setProblem(null);
    post(`/alarms/${alarm.id}/${what}`, body).then(() => (moves ? onMoved() : setOpen(false)), setProblem);
  };
  const onSubmit = (event) => {
    event.preventDefault();
    ask('shelve', { minutes, note });
  };
  return html`
    ${problem && html`<div class="outcome unknown" role="alert"><${Icon} name="warning" />
      <div><b>${problem.title}</b><div>${problem.detail}</div></div></div>`}
    <div class="row wrap no-print">
      ${!open && html`<button type="button" class="button quiet" data-testid="shelve" disabled=${Boolean(off)}
        title=${off || null} onClick=${() => setOpen(true)}>
        ${T(alarm.shelved ? 'shelf.longer' : 'shelf.open')}</button>`}
      ${alarm.shelved && html`<button type="button" class="button" data-testid="unshelve" disabled=${Boolean(off)}
        title=${off || null} onClick=${() => ask('unshelve', { note: '' })}>${T('shelf.end')}</button>`}
    </div>
    ${open && html`
      <form class="col no-print" data-testid="shelf" onSubmit=${onSubmit}>
        <p class="small muted">${T('shelf.means')}</p>
        <label class="field">${T('shelf.for')}
          <select value=${minutes} onChange=${(event) => setMinutes(Number(event.target.value))}>
            ${MINUTES.map((it) => html`<option key=${it} value=${it} selected=${it === minutes}>
              ${it < 60 ? span(it * 60_000) : T('shelf.hours', { n: it / 60 })}</option>`)}
          </select></label>
        <label class="field">${T('shelf.why')}
          <input required maxlength="500" autocomplete="off" value=${note} data-testid="shelf-why"
            onInput=${(event) => setNote(event.target.value)} /></label>
        <div class="row">
          <button type="submit" class="button primary" data-testid="shelf-give"
            disabled=${!note.trim() || Boolean(off)}>${T('shelf.give')}</button>
          <button type="button" class="button" onClick=${() => setOpen(false)}>${T('cancel')}</button>
        </div>
      </form>
    `}
  `;
}
