/** Keys that move in a list wherever the focus is. */
import { useLayoutEffect } from './core.js';

const WRITES = 'input, select, textarea, [role=dialog]';
const PRESSES = 'button, a, summary';

/** Hear keys, unless somebody writes or presses something. @param {(event: KeyboardEvent) => void} onKey */
export function useKeys(onKey) {
  // Before the page is painted: a key pressed on what one sees must not meet the page of before.
  useLayoutEffect(() => {
    const heard = (event) => {
      const on = event.target instanceof Element ? event.target : document.body;
      if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || on.closest(WRITES)) return;
      if (event.key === ' ' && on.closest(PRESSES)) return;
      onKey(event);
    };
    document.addEventListener('keydown', heard);
    return () => document.removeEventListener('keydown', heard);
  });
}

/** Which of `count` rows the key goes to from row `at` (-1: none); null: it is no arrow, or there is no such row. */
export function arrow(event, at, count) {
  const to = event.key === 'ArrowDown' ? at + 1 : event.key === 'ArrowUp' ? Math.max(0, at - 1) : null;
  return to !== null && to < count ? to : null;
}
