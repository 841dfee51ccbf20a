/** How a trend looks: the columns that uPlot draws, and its options. No state. */
import { T, clock, name, show, unit, zone } from './words.js';

const GAP_INTERVALS = 4; // silence of so many intervals is a gap in the line
const LEAST_GAP_S = 15;

/**
 * What the API told, as uPlot's columns: [seconds, value] or, in buckets, [seconds, mean, min, max]; gaps are null.
 * @param {any} told of GET /devices/…/series
 * @param {number} intervalS expected between readings
 */
export function toColumns(told, intervalS) {
  const it = told.series[0];
  const buckets = told.step_ms !== null;
  const times = buckets ? it.start_ms : it.at_ms;
  const shift = buckets ? told.step_ms / 2 : 0;
  const sources = buckets ? [it.mean, it.min, it.max] : [it.value.map((v, n) => (it.quality[n] ? v : null))];
  const quietMs = Math.max(GAP_INTERVALS * intervalS, LEAST_GAP_S) * 1000 + (told.step_ms || 0);
  const data = [[], ...sources.map(() => [])];
  for (let n = 0; n < times.length; n += 1) {
    if (n && times[n] - times[n - 1] > quietMs) {
      data[0].push((times[n - 1] + 1 + shift) / 1000);
      for (let k = 0; k < sources.length; k += 1) data[k + 1].push(null);
    }
    data[0].push((times[n] + shift) / 1000);
    for (let k = 0; k < sources.length; k += 1) data[k + 1].push(sources[k][n]);
  }
  return { data, buckets, codes: it.codes || {} };
}

/** @param {string} token */
const colour = (token) => getComputedStyle(document.documentElement).getPropertyValue(token).trim();

/**
 * @param {any} uPlot
 * @param {{width: number, height: number, point: any, lines: any[], columns: any, sync?: string,
 *   readout: HTMLElement | null}} how
 */
export function plotOptions(uPlot, { width, height, point, lines, columns, sync, readout }) {
  const { buckets, codes } = columns;
  const ink = colour('--ink-2');
  const font = `12px ${colour('--font')}`;
  const axis = {
    stroke: ink,
    font,
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { stroke: colour('--line'), size: 5 },
  };
  const pen = { stroke: colour('--proc-on'), width: 1.6, points: { show: false }, spanGaps: false };
  const told = (_chart, value) =>
    value === null || value === undefined ? '' : `${inWords(point, codes, value)} ${unit(point.unit)}`;
  const edge = { stroke: 'transparent', points: { show: false }, value: told };
  return {
    width,
    height,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone.value),
    cursor: { drag: { x: true, y: false, uni: 10 }, points: { size: 7 }, ...(sync ? { sync: { key: sync } } : {}) },
    scales: {
      x: { time: true },
      y: { range: (_c, low, high) => range(low, high, lines, point) },
    },
    axes: [
      { ...axis, size: 30, values: (_c, marks, _i = 0, _s = 0, step = 0) => marks.map((s) => mark(s, step)) },
      { ...axis, size: 56, values: (_c, marks) => marks.map((it) => axisMark(point, codes, it)) },
    ],
    series: [
      { label: T('alarm.time'), value: (_c, s) => (s === null ? '' : `${clock(s * 1000, 'day')} ${clock(s * 1000)}`) },
      { ...pen, label: name(point.title), value: told },
      ...(buckets
        ? [
            { ...edge, label: '↓' },
            { ...edge, label: '↑' },
          ]
        : []),
    ],
    bands: buckets ? [{ series: [3, 2], fill: colour('--norm') }] : [],
    legend: { show: true, mount: (_c, table) => readout?.replaceChildren(table) },
    hooks: {
      drawClear: [(chart) => limits(chart, lines)],
      draw: [(chart) => limitNames(chart, lines, font)],
      setSelect: [(chart) => chart.select.width > 0 && (chart.zoomed = true)],
      ready: [(chart) => chart.over.addEventListener('dblclick', () => (chart.zoomed = false))],
    },
  };
}

/**
 * Room for the values and for the limits.
 * @param {any} low
 * @param {any} high
 * @param {any[]} lines
 * @param {any} point
 */
function range(low, high, lines, point) {
  const all = [low, high, ...lines.map((it) => it.value)].filter((it) => typeof it === 'number' && Number.isFinite(it));
  if (!all.length) return [0, 1];
  const [least, most] = [Math.min(...all), Math.max(...all)];
  const room = (most - least) * 0.08 || Math.max(1, Math.abs(most)) * 0.05;
  return [least >= 0 && least - room < 0 && point.unit !== 'm' ? 0 : least - room, most + room];
}

/** A mark of the time axis. @param {number} seconds @param {number} step between marks */
function mark(seconds, step) {
  const text = clock(seconds * 1000, step < 60 ? 'second' : 'minute');
  return step >= 86_400 || text === '00:00' ? clock(seconds * 1000, 'day').slice(5) : text;
}

/**
 * A stored number as people know it: an enum's code is its label.
 * @param {any} point
 * @param {any} codes
 * @param {any} value
 */
function inWords(point, codes, value) {
  if (point.kind === 'bool') return show(point, value >= 0.5);
  return point.kind === 'number' ? show(point, value) : show(point, codes[Math.round(value)] ?? null);
}

/** A mark of the value axis. @param {any} point @param {any} codes @param {number} value */
function axisMark(point, codes, value) {
  if (point.kind === 'number') return String(Math.round(value * 1000) / 1000);
  return Number.isInteger(value) && (point.kind !== 'bool' || value === 0 || value === 1)
    ? inWords(point, codes, value)
    : '';
}

/** A live value as it is stored. @param {any} codes @param {any} value */
export function stored(codes, value) {
  if (typeof value !== 'string') return value === null ? null : Number(value);
  const found = Object.keys(codes).find((code) => codes[code] === value);
  return found === undefined ? null : Number(found);
}

/**
 * For each limit that is in sight, with a saved context: its place in device pixels.
 * @param {any} chart
 * @param {any[]} lines
 * @param {(line: any, y: number, ratio: number) => void} draw
 */
function eachLimit(chart, lines, draw) {
  const { ctx, bbox } = chart;
  ctx.save();
  for (const line of lines) {
    const y = Math.round(chart.valToPos(line.value, 'y', true));
    if (y >= bbox.top && y <= bbox.top + bbox.height) draw(line, y, devicePixelRatio || 1);
  }
  ctx.restore();
}

/** Limits, behind the curve. @param {any} chart @param {any[]} lines */
function limits(chart, lines) {
  const { ctx, bbox } = chart;
  eachLimit(chart, lines, (line, y, ratio) => {
    ctx.strokeStyle = colour('--ink-3');
    ctx.setLineDash(line.far ? [] : [6 * ratio, 4 * ratio]);
    ctx.lineWidth = (line.far ? 1.6 : 1) * ratio;
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
  });
}

/** Their names, before everything, with a halo: no curve or grid strikes them through. */
function limitNames(chart, lines, font) {
  const { ctx, bbox } = chart;
  eachLimit(chart, lines, (line, y, ratio) => {
    ctx.font = font.replace('12px', `${11 * ratio}px`);
    ctx.textAlign = 'right';
    ctx.textBaseline = 'bottom';
    ctx.lineJoin = 'round';
    ctx.lineWidth = 4 * ratio;
    ctx.strokeStyle = colour('--panel');
    ctx.fillStyle = colour('--ink-2');
    const place = [line.label, bbox.left + bbox.width - 4 * ratio, y - 2 * ratio];
    ctx.strokeText(...place);
    ctx.fillText(...place);
  });
}
