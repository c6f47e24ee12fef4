// Numbers, sizes and times as people read them: the same words that the server writes.

import { say } from "./texts.js";

const SIZES = ["B", "kB", "MB", "GB", "TB", "PB"];
const UNITS = [[86400, 3600, "d", "h"], [3600, 60, "h", "min"], [60, 1, "min", "s"]];

/** 12,345 */
export function number(value) {
  return Math.round(value).toLocaleString(document.documentElement.lang);
}

/** 1.4 MB */
export function size(bytes) {
  let unit = 0;
  while (bytes >= 1000 && unit < SIZES.length - 1) {
    bytes /= 1000;
    unit += 1;
  }
  return `${bytes.toFixed(unit && bytes < 100 ? 1 : 0)} ${SIZES[unit]}`;
}

/** 4.2 s, 3 min 5 s, 2 h 10 min */
export function duration(seconds) {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const [unit, below, name, lesser] = UNITS.find(([one]) => seconds >= one);
  const rest = Math.floor((seconds % unit) / below);
  return `${Math.floor(seconds / unit)} ${name}${rest ? ` ${rest} ${lesser}` : ""}`;
}

/** A duration without decimals, for what is left: about 3 min. */
export function rough(seconds) {
  return seconds < 60 ? `${Math.max(1, Math.round(seconds))} s` : duration(seconds);
}

/** 12.5 a second, 3.1 a minute, 40 an hour */
export function rate(perSecond) {
  for (const [seconds, name] of [[1, "second"], [60, "minute"]]) {
    const value = perSecond * seconds;
    if (value >= 1) return say(`rate.${name}`, { count: value < 10 ? value.toFixed(1) : number(value) });
  }
  return say("rate.hour", { count: (perSecond * 3600).toFixed(1) });
}

/** 64 % */
export function percent(part, whole) {
  return whole ? `${Math.floor((100 * part) / whole)} %` : "0 %";
}
