/** One point over time, drawn by uPlot: history first, then live; limits as lines; drag to look closer. */
import { ASSETS, effect, html, theme, useEffect, useRef, useState } from './core.js';
import { get } from './api.js';
import { plotOptions, stored, toColumns } from './trend_plot.js';
import { deviceOf, read } from './store.js';
import { present } from './time.js';
import { Failed } from './ui.js';
import { T, language, name, show, unit, zone } from './words.js';

export const SPANS = /** @type {[string, number][]} */ ([
  ['15m', 900_000],
  ['1h', 3_600_000],
  ['6h', 21_600_000],
  ['24h', 86_400_000],
  ['7d', 604_800_000],
]);
const REFRESH_MS = 300_000;

/** @type {Promise<any> | null} */
let loading = null;
/** uPlot, the first time that a page needs it. */
function uplot() {
  loading ||= new Promise((done, fail) => {
    const sheet = document.createElement('link');
    sheet.rel = 'stylesheet';
    sheet.href = `${ASSETS}/vendor/uplot.css`;
    const script = document.createElement('script');
    script.src = `${ASSETS}/vendor/uplot.js`;
    script.onload = () => done(window.uPlot);
    script.onerror = fail;
    document.head.append(sheet, script);
  });
  return loading;
}

/**
 * @param {{device: any, point: string, spanMs: number, height?: number, sync?: string,
 *   lines?: {value: number | null, label: string, far?: boolean}[]}} props
 */
export function Trend({ device, point: key, spanMs, height = 220, sync, lines = [] }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const readout = useRef(/** @type {HTMLElement | null} */ (null));
  const chart = useRef(null);
  const [columns, setColumns] = useState(null);
  const [problem, setProblem] = useState(null);
  const [round, setRound] = useState(0);
  const { point } = read(device, key);
  const drawn = lines.filter((it) => typeof it.value === 'number');
  const place = `${device.id}/${key}/${spanMs}`;

  useEffect(() => {
    let over = false;
    const start = Math.round(present() - spanMs);
    const width = box.current?.clientWidth || 800;
    const asked = `points=${encodeURIComponent(key)}&from=${start}&width=${Math.max(100, Math.round(width))}`;
    get(`/devices/${encodeURIComponent(device.id)}/series?${asked}`).then(
      (told) => over || (setProblem(null), setColumns({ place, ...toColumns(told, point.interval_s) })),
      (wrong) => over || setProblem(wrong),
    );
    const timer = setTimeout(() => setRound(round + 1), REFRESH_MS);
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [place, round]);

  const ready = columns?.place === place;
  const looks = [ready && columns, theme.value, language.value, zone.value, height, JSON.stringify(drawn)];
  useEffect(() => {
    if (!ready || !box.current) return undefined;
    let over = false;
    let stop = () => {};
    uplot().then((uPlot) => {
      if (over || !box.current) return;
      const it = new uPlot(
        plotOptions(uPlot, {
          width: box.current.clientWidth,
          height,
          point,
          lines: drawn,
          columns,
          sync,
          readout: readout.current,
        }),
        columns.data,
        box.current,
      );
      chart.current = it;
      stop = follow(it, device.id, key, columns, spanMs);
    });
    const resize = () => chart.current?.setSize({ width: box.current?.clientWidth || 300, height });
    const watch = new ResizeObserver(resize);
    watch.observe(box.current);
    return () => {
      over = true;
      watch.disconnect();
      stop();
      chart.current?.destroy();
      chart.current = null;
    };
  }, looks);

  if (problem) return html`<${Failed} problem=${problem} retry=${() => setRound(round + 1)} />`;
  return html`
    <div class="trend-head"><h3><a href="/point/${device.id}/${key}">${name(point.title)}</a></h3><div ref=${readout}>
      </div></div>
    <div class="trend" ref=${box} role="img" data-testid="trend" data-point=${key} data-ready=${ready}
      style=${{ minHeight: `${height}px` }} aria-label=${summary(point, ready ? columns : null)}>
      ${ready && !columns.data[0].length && html`<p class="trend-empty muted">${T('trend.empty')}</p>`}
    </div>
  `;
}

/** What the curve says, for those who cannot see it. @param {any} point @param {any} columns */
function summary(point, columns) {
  const values = columns ? columns.data[1].filter((it) => it !== null) : [];
  if (!values.length) return name(point.title);
  const low = values.reduce((a, b) => Math.min(a, b));
  const high = values.reduce((a, b) => Math.max(a, b));
  return T('trend.summary', {
    point: name(point.title),
    low: show(point, low),
    high: show(point, high),
    unit: unit(point.unit),
  });
}

/**
 * Let the chart grow with live values and run with the clock, unless somebody has looked closer.
 * @returns {() => void} to stop it
 */
function follow(chart, id, key, columns, spanMs = 0) {
  const { data } = columns;
  const run = () => {
    const end = present() / 1000;
    if (!chart.zoomed) chart.setScale('x', { min: end - spanMs / 1000, max: end });
  };
  const unlisten = effect(() => {
    const device = deviceOf(id);
    const reading = device && read(device, key);
    const at = reading?.atMs ? reading.atMs / 1000 : 0;
    if (!reading || at <= (data[0][data[0].length - 1] || 0)) return;
    const value = reading.quality === 0 ? null : stored(columns.codes, reading.value);
    data[0].push(at);
    for (let n = 1; n < data.length; n += 1) data[n].push(value);
    chart.setData(data, false);
  });
  run();
  const timer = setInterval(run, 1000);
  return () => {
    unlisten();
    clearInterval(timer);
  };
}
