/** A dialog: focus goes in and stays in, Esc closes, focus goes back to where it was. */
import { html, useEffect, useRef } from './core.js';

const STOPS =
  'a[href], button:not([disabled]), input:not([disabled]), select:not([disabled]), textarea, [tabindex="0"]';

/**
 * @param {{title: string, onClose: () => void, footer: any, children?: any, testid?: string}} props
 */
export function Dialog({ title, onClose, footer, children, testid }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const before = useRef(document.activeElement);
  const seen = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    // Its content changes while it is open. Whoever has lost the keyboard gets it back, at the field that comes first.
    const first = /** @type {HTMLElement | null} */ (box.current?.querySelector('[data-first]'));
    const here = document.activeElement;
    const isLost = !box.current?.contains(here);
    if (isLost || (here === box.current && first !== seen.current)) (first || box.current)?.focus();
    seen.current = first;
  });
  useEffect(
    () => () => {
      const to = before.current;
      if (to instanceof HTMLElement && to.isConnected) to.focus();
    },
    [],
  );

  const onKeyDown = (event) => {
    if (event.key === 'Escape') {
      event.stopPropagation();
      onClose();
    }
    if (event.key !== 'Tab' || !box.current) return;
    const stops = [...box.current.querySelectorAll(STOPS)].filter((it) => it.getClientRects().length);
    if (!stops.length) return event.preventDefault();
    const last = stops.length - 1;
    const here = stops.indexOf(/** @type {Element} */ (document.activeElement));
    if (event.shiftKey ? here <= 0 : here === last || here < 0) {
      event.preventDefault();
      /** @type {HTMLElement} */ (stops[event.shiftKey ? last : 0]).focus();
    }
  };

  return html`
    <div class="shade">
      <section
        class="dialog" role="dialog" aria-modal="true" aria-labelledby="dialog-title" ref=${box} tabindex="-1"
        data-testid=${testid} onKeyDown=${onKeyDown}
      >
        <header id="dialog-title">${title}</header>
        <div class="body">${children}</div>
        <footer>${footer}</footer>
      </section>
    </div>
  `;
}
