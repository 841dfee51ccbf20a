/** Something that is told once, to be kept: with a button that copies it, also where the clipboard's API is missing. */
import { html, useRef, useState } from './core.js';
import { T } from './words.js';

/** @param {{label: string, text: string, rows?: number, testid?: string}} props */
export function Once({ label, text, rows = 1, testid }) {
  const box = useRef(/** @type {HTMLTextAreaElement | null} */ (null));
  const [done, setDone] = useState(false);
  const copy = () => {
    box.current?.select();
    setDone(document.execCommand('copy')); // plain http on a county's LAN has nothing newer
  };
  return html`
    <label class="field">${label}
      <textarea ref=${box} class="code" readonly rows=${rows} data-testid=${testid} value=${text}></textarea></label>
    <div class="row"><button type="button" class="button" onClick=${copy}>${T('once.copy')}</button>
      <span class="small muted" role="status">${done ? T('once.copied') : T('once.note')}</span></div>
  `;
}
