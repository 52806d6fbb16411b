// Numbers for people to read. Everything takes SI units.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const PREFIXES = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];

/** Three significant figures: 7, 4.2, 980, 12.3 k, 4.56 M. Whole up to 9,999. */
export function figures(value, integer = false) {
  if (Math.abs(value) < 9999.5) {
    return integer || Math.abs(value) >= 99.95 || value === 0 ? whole.format(value) : value.toFixed(1);
  }
  const [size, prefix] = PREFIXES.find(([least]) => Math.abs(value) >= least * 0.99995);
  const shown = value / size;
  return `${shown.toFixed(shown < 9.995 ? 2 : shown < 99.95 ? 1 : 0)} ${prefix}`;
}

export const count = (value) => figures(value, true);

/** 12 sessions reset, and how many of them the target may still hold. */
export const resets = (done) => {
  const doubt = done.unconfirmed ? ` (${count(done.unconfirmed)} not confirmed)` : "";
  return `${count(done.sessions_reset)} sessions reset${doubt}`;
};

export const exact = (value) => whole.format(value);

export const perSecond = (value) => `${figures(value)}/s`;

const unit = (value, name) => {
  const shown = figures(value);
  return /\d$/.test(shown) ? `${shown} ${name}` : shown + name;
};

export const bits = (bytesPerSecond) => unit(bytesPerSecond * 8, "bit/s");

export const bytes = (value) => (value < 9999.5 ? `${whole.format(value)} B` : unit(value, "B"));

/** 1 frame, 2 frames. */
export const many = (value, name) => `${count(value)} ${name}${value === 1 ? "" : "s"}`;

/** 850 µs, 12.3 ms, 1.25 s. */
export function time(seconds) {
  const [size, name] = seconds < 0.9995e-3 ? [1e-6, "µs"] : seconds < 0.9995 ? [1e-3, "ms"] : [1, "s"];
  const shown = seconds / size;
  const isWhole = shown >= 99.95 || (name === "µs" && shown >= 9.95);
  return `${shown.toFixed(isWhole ? 0 : shown >= 9.995 ? 1 : 2)} ${name}`;
}

/** 12 s, 3 min 20 s, 4 h 5 min, 3 d 4 h. */
export function duration(seconds) {
  const steps = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const at = steps.findIndex(([size]) => seconds >= size);
  if (at < 0) return `${seconds.toFixed(1)} s`;
  const [size, name] = steps[at];
  const first = `${Math.floor(seconds / size)} ${name}`;
  if (at === steps.length - 1) return first;
  const [small, unitName] = steps[at + 1];
  const rest = Math.floor((seconds % size) / small);
  return rest ? `${first} ${rest} ${unitName}` : first;
}

export const percent = (share) => `${(share * 100).toFixed(share < 0.0995 ? 1 : 0)} %`;

export const ratio = (value) => `${value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0)} ×`;

/** end_target_refused, drop_mirror_not_sampled and fin_wait in words. */
export const words = (name) => name.replace(/^(end|drop_mirror|drop_test)_/, "").replaceAll("_", " ");
