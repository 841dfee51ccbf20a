/** A station on the overview: level in its band, an hour of it, flow, pumps, worst alarm, link. */
import { html, useEffect, useRef, useState } from './core.js';
import { FLOW, LEVEL, MODE, allPumps, isSilent, limitsOf, share } from './station.js';
import { deviceOf, good, lastGoodOf, read, standing, worstOf } from './store.js';
import { now } from './time.js';
import { trailOf } from './trail.js';
import { Age, Icon, Level, Value } from './ui.js';
import { NOTHING, T, say, show, span, unit } from './words.js';

const MOST_MS = 3_600_000; // an hour of the level, or as much as there is, but not less than
const LEAST_MS = 900_000;
const GAP_MS = 180_000;

/** @param {{device: any}} props */
export function StationCard({ device }) {
  const level = read(device, LEVEL);
  const flow = read(device, FLOW);
  const mode = read(device, MODE);
  const severity = worstOf(device.id);
  const silent = isSilent(device);
  return html`
    <a class="card live severity${severity} ${silent ? 'hatched' : ''}" href="/station/${device.id}"
      data-testid="station-${device.id}">
      <div class="card-head">
        ${severity > 0 && html`<${Level} level=${severity} />`}
        <b class="clip">${device.name}</b>
        <${LinkTag} device=${device} mode=${mode} />
      </div>
      <div class="card-body">
        <${Band} device=${device} />
        <div class="card-values">
          <div class="row wrap card-level"><${Value} reading=${level} big=${true} /></div>
          <${Spark} device=${device} />
          <div class="row card-foot">
            <span class="number nowrap">${flow && flow.quality !== 0 ? show(flow.point, flow.value) : NOTHING}${' '}
              <span class="muted small">${flow && unit(flow.point.unit)}</span></span>
            <span class="grow" />
            <${Pumps} device=${device} />
          </div>
        </div>
      </div>
      ${level && level.quality < 2 && level.why && html`
        <div class="small card-why clip" title=${say(level.why)}>${say(level.why)}</div>`}
    </a>
  `;
}

/** How the station is reached, or its mode when all is well, and how old the newest word of it is. */
function LinkTag({ device, mode }) {
  const link = read(device, 'link');
  const known = link && link.quality === 2 ? link.value : null;
  if (known === 'down') {
    const since = silentFor(device);
    return html`<span class="tag strong"><${Icon} name="link" />${T('card.down')}${since ? ` ${since}` : ''}</span>`;
  }
  return html`
    ${known === 'degraded' && html`<span class="tag">${show(link.point, known)}</span>`}
    <span class="small muted clip mode">${mode && mode.quality === 2 ? show(mode.point, mode.value) : ''}</span>
    <${Age} atMs=${lastGoodOf(device)} />
  `;
}

/** How long the level has had no good value. @param {any} device */
function silentFor(device) {
  const level = read(device, LEVEL);
  return level?.lastGoodAt ? span(now.value - level.lastGoodAt) : '';
}

/** The level in its band, with the limits from the station's own settings. @param {{device: any}} props */
export function Band({ device }) {
  const limits = limitsOf(device);
  const level = good(device, LEVEL);
  const worst = standing.value.find((it) => it.device === device.id && it.state !== 'returned' && LEVEL in it.facts);
  const top = (value) => `${(1 - share(limits, value)) * 100}%`;
  const { lowLow, stop, start, highHigh } = /** @type {any} */ (limits);
  const known = (value) => typeof value === 'number';
  return html`
    <div class="band level${worst?.severity || 0}" aria-hidden="true">
      ${known(stop) && known(start) && html`
        <span class="normal" style=${{ top: top(start), bottom: `${share(limits, stop) * 100}%` }} />
      `}
      ${known(highHigh) && html`<i class="limit far" style=${{ top: top(highHigh) }} />`}
      ${known(start) && html`<i class="limit" style=${{ top: top(start) }} />`}
      ${known(stop) && html`<i class="limit" style=${{ top: top(stop) }} />`}
      ${known(lowLow) && html`<i class="limit far" style=${{ top: top(lowLow) }} />`}
      ${level !== null && html`<u class="pointer" style=${{ top: top(level) }} />`}
    </div>
  `;
}

/**
 * An hour of the level, with the normal band behind it; asked for when it comes into sight.
 * @param {{device: any}} props
 */
function Spark({ device }) {
  const box = useRef(null);
  const [trail, setTrail] = useState(null);
  useEffect(() => {
    const watch = new IntersectionObserver((entries) => {
      if (!entries.some((it) => it.isIntersecting)) return;
      watch.disconnect();
      const it = deviceOf(device.id);
      if (it && it.plate.number.has(LEVEL)) setTrail(trailOf(it, LEVEL));
    });
    watch.observe(box.current);
    return () => watch.disconnect();
  }, [device.id]);
  void trail?.version.value;
  const limits = limitsOf(device);
  const y = (value) => 33 - share(limits, value) * 32;
  const band = typeof limits.start === 'number' && typeof limits.stop === 'number';
  return html`
    <svg class="spark" viewBox="0 0 120 34" preserveAspectRatio="none" aria-hidden="true" ref=${box}>
      ${band && html`<rect class="normal" x="0" width="120" y=${y(limits.start)}
        height=${Math.max(1, y(limits.stop) - y(limits.start))} />`}
      ${trail && html`<path class="line" vector-effect="non-scaling-stroke" d=${line(trail, y)} />`}
    </svg>
  `;
}

/** @param {any} trail @param {(value: number) => number} y */
function line({ times, values }, y) {
  const end = times[times.length - 1] || 0;
  const spanMs = Math.min(MOST_MS, Math.max(LEAST_MS, end - (times[0] || 0)));
  let text = '';
  let pen = false;
  for (let n = 0; n < times.length; n += 1) {
    if (n && times[n] - times[n - 1] > GAP_MS) pen = false;
    if (values[n] === null) pen = false;
    else {
      const x = 120 - ((end - times[n]) / spanMs) * 120;
      text += `${pen ? 'L' : 'M'}${x.toFixed(1)} ${y(values[n]).toFixed(1)}`;
      pen = true;
    }
  }
  return text;
}

/** The station's pumps as marks. @param {{device: any}} props */
export const Pumps = ({ device }) => html`
  <span class="row pumps">${allPumps(device).map((it) => html`<${Pump} key=${it.n} pump=${it} />`)}</span>
`;

/** @param {{pump: any}} props */
export const Pump = ({ pump }) => html`
  <span class="pump ${pump.kind}" role="img" title=${pump.text}
    aria-label="${T('pump.name', { n: pump.n })} ${pump.text}">
    <b aria-hidden="true">${pump.n}</b></span>
`;
