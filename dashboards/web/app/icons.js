/** Our own icons, drawn on 24 × 24; no icon font, no emoji. */
import { html } from './core.js';

const PATHS = {
  overview: 'M4 20V9l8-5 8 5v11M8 20v-5M12 20v-8M16 20v-5M3 20h18',
  alarms: 'M6 16V11a6 6 0 0112 0v5l2 2H4zM10 21h4',
  rules: 'M5 4h14v16H5zM8 8h4M8 12h8M8 16h5M15 7l1.500 1.500L19 6',
  notices: 'M4 6h16v12H4zM4 7l8 6 8-6',
  system: 'M4 5h16v6H4zM4 13h16v6H4zM8 8h.01M8 16h.01M12 8h5M12 16h5',
  audit: 'M9 3h6v4H9zM9 5H6v16h12V5h-3M9 14l2 2 4-4',
  demo: 'M10 3h4M11 3v6l-5 9a2 2 0 002 3h8a2 2 0 002-3l-5-9V3M8 15h8',
  me: 'M12 4a4 4 0 100 8 4 4 0 000-8zM4 21c1-5 4-7 8-7s7 2 8 7',
  pending: 'M5 12h8M9 8v8M16 5h3v14h-3M3 5h6M3 19h6',
  people: 'M9 5a3.500 3.500 0 100 7 3.500 3.500 0 000-7zM2 20c1-4 3-6 7-6s6 2 7 6M16 5a3 3 0 010 6M18 14c2 1 3 3 4 6',
  sound: 'M4 10v4h4l6 5V5L8 10zM17 9a4 4 0 010 6M20 6a8 8 0 010 12',
  mute: 'M4 10v4h4l6 5V5L8 10zM17 9l5 6M22 9l-5 6',
  search: 'M10 4a6 6 0 100 12 6 6 0 000-12zM15 15l5 5',
  sun: 'M12 8a4 4 0 100 8 4 4 0 000-8zM12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M5 19l2-2M17 7l2-2',
  moon: 'M20 14A8 8 0 0110 4a8 8 0 1010 10z',
  back: 'M15 5l-7 7 7 7',
  yes: 'M5 13l4 4L19 7',
  no: 'M6 6l12 12M18 6L6 18',
  unknown: 'M9 9a3 3 0 114 3c-1 .6-1 1-1 2.500M12 18h.01',
  warning: 'M12 4L2.500 20h19zM12 10v5M12 17.500h.01',
  link: 'M4 12a12 12 0 0116 0M7 15.500a7 7 0 0110 0M10 19a3 3 0 014 0M4 4l16 16',
  clock: 'M12 4a8 8 0 100 16 8 8 0 000-16zM12 8v4l3 2',
  empty: 'M4 13l3-8h10l3 8v6H4zM4 13h5a3 3 0 006 0h5',
  lock: 'M6 11h12v9H6zM9 11V8a3 3 0 016 0v3',
  print: 'M7 8V4h10v4M7 17H4V8h16v9h-3M7 14h10v6H7z',
  leave: 'M14 4h5v16h-5M4 12h10M10 8l4 4-4 4',
  stop: 'M7 7h10v10H7z',
  start: 'M8 5l11 7-11 7z',
  bolt: 'M13 3L5 14h6l-1 7 8-11h-6z',
  filter: 'M4 6h16M7 12h10M10 18h4',
};

/** @param {{name: keyof typeof PATHS | string}} props */
export const Icon = ({ name }) => html`
  <svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d=${PATHS[name] || ''} /></svg>
`;
