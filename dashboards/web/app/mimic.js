/** The station drawn: forebay with its limits, pumps, outlet. Grey; a thick line is water that moves. */
import { html, phone } from './core.js';
import { FLOW, LEVEL, OUTER, PRESSURE, RACK, allPumps, limitsOf, share } from './station.js';
import { good, read, standing } from './store.js';
import { NOTHING, T, name, num, say, show, unit } from './words.js';

/** Where things stand, wide and narrow; the narrow one is for a phone held upright. */
const WIDE = {
  width: 820,
  tank: [24, 168],
  manifold: 292,
  pump: 352,
  header: 560,
  end: 676,
  basin: [676, 120],
  step: 76,
};
const NARROW = { width: 372, tank: [8, 100], manifold: 184, pump: 216, header: 356, end: 356, basin: null, step: 70 };
const TOP = 54;
const RADIUS = 23;
const LABEL_GAP = 15;

/** @param {{device: any}} props */
export function Mimic({ device }) {
  const place = phone.value ? NARROW : WIDE;
  const pumps = allPumps(device);
  const bottom = TOP + Math.max(2, pumps.length) * place.step + 10;
  const outletY = phone.value ? bottom + 44 : TOP + (pumps.length * place.step) / 2 - 6;
  const height = phone.value ? bottom + 96 : bottom + 18;
  const yOf = (n) => TOP + 28 + n * place.step;
  const running = pumps.map((it, n) => (it.kind === 'running' ? yOf(n) : null)).filter((it) => it !== null);
  const moves = running.length > 0;
  const heavy = (on) => (on ? 'pipe on' : 'pipe');
  return html`
    <svg class="mimic live" viewBox="0 0 ${place.width} ${height}" role="group" aria-label=${T('mimic.title')}>
      <${Forebay} device=${device} place=${place} bottom=${bottom} />
      <path class="pipe feed" d="M${place.tank[0] + place.tank[1]} ${bottom - 16}H${place.manifold}V${yOf(0)}" />
      <path class="pipe feed" d="M${place.manifold} ${bottom - 16}V${yOf(pumps.length - 1)}" />
      <path class="pipe" d="M${place.header} ${yOf(0)}V${phone.value ? outletY : yOf(pumps.length - 1)}" />
      ${moves && html`
        <path class="pipe on" d="M${place.header} ${Math.min(...running, outletY)}V${Math.max(...running, outletY)}" />
      `}
      <path class=${heavy(moves)}
        d=${phone.value ? `M${place.header} ${outletY}H14` : `M${place.header} ${outletY}H${place.end}`} />
      <${Outlet} device=${device} place=${place} y=${outletY} bottom=${bottom} />
      ${pumps.map((pump, n) => html`
        <g key=${pump.n}>
          <path class="pipe feed" d="M${place.manifold} ${yOf(n)}H${place.pump - RADIUS}" />
          <path class=${heavy(pump.kind === 'running')} d="M${place.pump + RADIUS} ${yOf(n)}H${place.header}" />
          <${PumpMark} device=${device} pump=${pump} x=${place.pump} y=${yOf(n)} />
        </g>
      `)}
      <${LimitNames} device=${device} place=${place} bottom=${bottom} />
    </svg>
  `;
}

/** @param {{device: any, pump: any, x: number, y: number}} props */
function PumpMark({ device, pump, x, y }) {
  const speed = read(device, `pump${pump.n}.speed`);
  const current = read(device, `pump${pump.n}.current`);
  const beside =
    pump.kind === 'running'
      ? (phone.value ? [current] : [current, speed]).filter((it) => it && it.quality === 2).map((it) => plain(it))
      : [];
  return html`
    <g class="mimic-pump ${pump.kind}">
      <circle cx=${x} cy=${y} r=${RADIUS} />
      ${pump.kind === 'fault' && html`<circle class="mark" cx=${x} cy=${y} r=${RADIUS - 5} />`}
      <text class="digit" x=${x} y=${y + 5} text-anchor="middle">${pump.n}#</text>
      <text x=${x + RADIUS + 10} y=${y - 9}>${[pump.text, ...beside].join(' · ')}</text>
    </g>
  `;
}

/** Where a level is drawn. @param {any} limits @param {number} bottom @returns {(value: number) => number} */
const scale = (limits, bottom) => (value) => bottom - share(limits, value) * (bottom - TOP - 4);

/**
 * The names of the limits, drawn after the pipes that they stand on.
 * @param {{device: any, place: any, bottom: number}} props
 */
function LimitNames({ device, place, bottom }) {
  const [left, width] = place.tank;
  const limits = limitsOf(device);
  return limitLabels(limits, scale(limits, bottom)).map((it) => html`
    <text key=${it.key} class="soft" x=${left + width + 6} y=${it.textY + 4}>${T(`limit.${it.key}`)}${' '}
      ${num(it.value, 2)}</text>
  `);
}

/** @param {{device: any, place: any, bottom: number}} props */
function Forebay({ device, place, bottom }) {
  const [left, width] = place.tank;
  const limits = limitsOf(device);
  const level = read(device, LEVEL);
  const rack = read(device, RACK);
  const yOf = scale(limits, bottom);
  const known = level && level.quality !== 0 && typeof level.value === 'number';
  const alarm = standing.value.find((it) => it.device === device.id && it.state !== 'returned' && LEVEL in it.facts);
  return html`
    <text class="title" x=${left} y="22">${level ? name(level.point.title) : ''}</text>
    ${rack && rack.quality === 2 && html`
      <text class="soft" x=${left} y="40">${name(rack.point.title)} ${plain(rack)}</text>
    `}
    ${known && html`<rect class="water" x=${left} y=${yOf(level.value)} width=${width}
      height=${bottom - yOf(level.value)} />`}
    <path class="wall" d="M${left} ${TOP}V${bottom}H${left + width}V${TOP}" />
    ${limitLabels(limits, yOf).map((it) => html`
      <path key=${it.key} class="limit ${it.far ? 'far' : ''}" d="M${left} ${it.y}H${left + width}" />
    `)}
    <${Box} reading=${level} x=${left + 12} y=${known ? Math.min(bottom - 40, yOf(level.value) + 8) : bottom - 62}
      width=${width - 24} level=${alarm?.severity || 0}
      href="/point/${device.id}/${LEVEL}" />
  `;
}

/** Limits with room between their names, from the top. @param {any} limits @param {(value: number) => number} yOf */
function limitLabels(limits, yOf) {
  const known = ['highHigh', 'start', 'stop', 'lowLow']
    .filter((key) => typeof limits[key] === 'number')
    .map((key) => ({
      key,
      value: limits[key],
      y: yOf(limits[key]),
      textY: 0,
      far: key === 'highHigh' || key === 'lowLow',
    }))
    .sort((a, b) => a.y - b.y);
  known.forEach((it, n) => {
    it.textY = n ? Math.max(it.y, known[n - 1].textY + LABEL_GAP) : it.y;
  });
  return known;
}

/** @param {{device: any, place: any, y: number, bottom: number}} props */
function Outlet({ device, place, y, bottom }) {
  const outer = read(device, OUTER);
  const pressure = read(device, PRESSURE);
  const moves = (good(device, FLOW) || 0) > 0;
  const told = pressure && pressure.quality === 2 ? [name(pressure.point.title), plain(pressure)] : [];
  if (!place.basin) {
    return html`
      <path class="arrow ${moves ? 'on' : ''}" d="M18 ${y - 9}l-16 9 16 9z" />
      <${Box} reading=${read(device, FLOW)} x=${40} y=${y - 40} width=${120} href="/point/${device.id}/${FLOW}" />
      <text class="soft" x="40" y=${y + 20}>${told.join(' ')}</text>
      ${outer && html`<text x="40" y=${y + 40}>${name(outer.point.title)} ${plain(outer)}</text>`}
    `;
  }
  const [left, width] = place.basin;
  return html`
    <${Box} reading=${read(device, FLOW)} x=${place.header + 8} y=${y - 42} width=${100}
      href="/point/${device.id}/${FLOW}" />
    <path class="arrow ${moves ? 'on' : ''}" d="M${place.end - 18} ${y - 9}l16 9 -16 9z" />
    <text class="soft" x=${place.header + 10} y=${y + 22}>${told[0]}</text>
    <text class="soft" x=${place.header + 10} y=${y + 39}>${told[1]}</text>
    ${outer && outer.quality !== 0 && html`
      <rect class="water" x=${left} y=${TOP + 34} width=${width} height=${bottom - TOP - 34} />`}
    <path class="wall" d="M${left} ${TOP}V${y - 8} M${left} ${y + 8}V${bottom}H${left + width}" />
    <text class="title" x=${left} y="22">${outer ? name(outer.point.title) : ''}</text>
    <${Box} reading=${outer} x=${left + 12} y=${bottom - 62} width=${width - 24} href="/point/${device.id}/${OUTER}" />
  `;
}

/** A value with its unit, as text. @param {any} reading */
const plain = ({ point, value, quality }) => `${quality ? show(point, value) : NOTHING} ${unit(point.unit)}`;

/**
 * A value in a box.
 * @param {{reading: any, x: number, y: number, width: number, level?: number, href: string}} props
 */
function Box({ reading, x, y, width, level = 0, href }) {
  if (!reading) return null;
  const bad = reading.quality === 0 || reading.value === null;
  const why = reading.quality === 2 ? '' : say(reading.why);
  return html`
    <a href=${href} class="box level${level} ${reading.quality === 2 ? '' : 'doubtful'}">
      <title>${[name(reading.point.title), why].filter(Boolean).join(' · ')}</title>
      <rect x=${x} y=${y} width=${width} height="30" rx="5" />
      <text class="value" x=${x + width / 2} y=${y + 21} text-anchor="middle">
        ${bad ? NOTHING : show(reading.point, reading.value)} <tspan class="unit">${unit(reading.point.unit)}</tspan>
      </text>
    </a>
  `;
}
