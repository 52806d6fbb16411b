// What every page shows: counters as events, once a second, and a slower round of questions. Nothing is asked while
// the page is hidden, and the slow round waits for its answers before it begins anew.

import { ask, listen, Problem } from "./client.js";

const KEEP_S = 125;
const WINDOW_S = 60;
const ROUND_MS = 2000;
const AGAIN_MS = 1000;
const MORE = ["/workers", "/latency", "/sessions/summary", "/captures", "/replays"]; // for pages that want them

export class Feed {
  /** `changed()` is called after each piece of news. */
  constructor(changed) {
    Object.assign(this, { changed, link: "connecting", detail: "", samples: [], latencies: [], wanted: new Set() });
    Object.assign(this, { status: null, workers: null, transfers: null, summary: null, captures: null, replays: null, loads: new Map() });
    this.hidden = () => (document.hidden ? this.#pause() : this.#run());
  }

  start() {
    document.addEventListener("visibilitychange", this.hidden);
    this.hidden();
  }

  stop() {
    document.removeEventListener("visibilitychange", this.hidden);
    this.#pause();
  }

  /** The newest counters; null before the first. */
  get newest() {
    return this.samples.at(-1) ?? null;
  }

  /** How much `read(sample)` grew per second, over at least `span` seconds or all that is known. */
  rate(read, span = 1) {
    const last = this.newest;
    if (!last || this.samples.length < 2) return 0;
    const first = this.samples.findLast((sample) => last.at - sample.at >= span - 0.2) ?? this.samples[0];
    return Math.max(0, (read(last) - read(first)) / (last.at - first.at));
  }

  /** `[at, value]`, oldest first: growth per second of `read(sample)`, or the value itself with `plain`. */
  series(read, plain = false) {
    const found = this.samples.map((sample) => [sample.at, read(sample)]);
    if (plain) return found;
    return found.slice(1).map(([at, value], i) => [at, Math.max(0, (value - found[i][1]) / (at - found[i][0]))]);
  }

  /** Asks for everything now, after a change of ours. */
  async refresh() {
    await this.#round();
  }

  /** Answer times of the last minute, over `transfer` or all: `{target, production}`, maps from bound to count. */
  answerTimes(transfer) {
    const last = this.latencies.at(-1);
    if (!last) return null;
    const first = this.latencies[0] === last ? null : this.latencies[0];
    const side = (name) => {
      const found = new Map();
      for (const [id, times] of Object.entries(last[name])) {
        if (transfer && id !== transfer) continue;
        const before = new Map(first?.[name][id]?.buckets);
        for (const [bound, n] of times.buckets) {
          found.set(bound, (found.get(bound) ?? 0) + Math.max(0, n - (before.get(bound) ?? 0)));
        }
      }
      return found;
    };
    return { target: side("target"), production: side("production") };
  }

  #run() {
    if (this.control) return;
    this.control = new AbortController();
    this.#follow(this.control.signal);
    this.#ask(this.control.signal);
  }

  #pause() {
    this.control?.abort();
    this.control = null;
  }

  async #follow(signal) {
    while (!signal.aborted) {
      try {
        await listen("/counters/stream?interval=1", (name, data) => this.#event(name, data), signal);
      } catch (error) {
        if (signal.aborted) return;
        this.#news(error instanceof Problem && error.status ? "down" : "unreachable", error.message);
      }
      await later(AGAIN_MS, signal);
    }
  }

  #event(name, data) {
    if (name === "down") return this.#news("down", data.detail);
    const before = this.newest;
    if (before && data.totals.loops < before.totals.loops) {
      this.samples = []; // another engine, which counts from nothing
      this.latencies = [];
      this.loads.clear();
    }
    this.samples.push(data);
    while (data.at - this.samples[0].at > KEEP_S) this.samples.shift();
    this.#news("live", "");
  }

  #news(link, detail) {
    Object.assign(this, { link, detail });
    this.changed();
  }

  async #ask(signal) {
    while (!signal.aborted) {
      if (this.link === "live") await this.#round(signal).catch(() => {}); // the stream says what is wrong
      await later(this.link === "live" ? ROUND_MS : AGAIN_MS / 4, signal);
    }
  }

  async #round(signal) {
    const get = (path) => ask("GET", path, { signal });
    const status = await get("/appliance"); // alone: a token that is not accepted any more fails once
    const more = MORE.map((path) => (this.wanted.has(path) ? get(path).catch(notNow) : null));
    const [transfers, workers, latency, summary, captures, replays] = await Promise.all([get("/transfers"), ...more]);
    const at = performance.now() / 1000;
    Object.assign(this, { status, transfers: transfers.items, summary: summary ?? this.summary });
    Object.assign(this, { captures: captures ?? this.captures, replays: replays?.items ?? this.replays });
    if (workers) this.#load(workers.items, at);
    if (latency) {
      this.latencies.push({ at, ...latency });
      while (at - this.latencies[0].at > WINDOW_S && this.latencies.length > 2) this.latencies.shift();
    }
    this.changed();
  }

  /** CPU time per second of each worker since the round before. */
  #load(workers, at) {
    for (const worker of workers) {
      const before = this.loads.get(worker.worker);
      const load = before && at > before.at ? (worker.cpu_s - before.cpu_s) / (at - before.at) : null;
      this.loads.set(worker.worker, { at, cpu_s: worker.cpu_s, load });
    }
    this.workers = workers;
  }
}

/** The least bound that `share` of all counted times do not exceed; null: nothing was counted. */
export function percentile(buckets, share) {
  const total = [...buckets.values()].reduce((sum, n) => sum + n, 0);
  let below = 0;
  for (const bound of [...buckets.keys()].sort((a, b) => a - b)) {
    below += buckets.get(bound);
    if (total && below >= share * total) return bound;
  }
  return null;
}

/** What the engine cannot say at this moment is left as it was. */
function notNow(problem) {
  if (problem.status !== 503) throw problem;
  return null;
}

function later(milliseconds, signal) {
  return new Promise((done) => {
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), done()), { once: true });
  });
}
