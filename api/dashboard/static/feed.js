// The data of every page: counters as events, once a second, and a slower round of requests. A hidden page
// asks for nothing, and a round waits for all its answers before the next one starts.

import { ask, listen, Problem } from "./client.js";

const KEEP_S = 125;
const WINDOW_S = 60;
const ROUND_MS = 2000;
const AGAIN_MS = 1000;
// Only for pages that want them.
const MORE = ["/workers", "/latency", "/sessions/summary", "/captures", "/replays"];

export class Feed {
  /** Calls `changed()` after every update. */
  constructor(changed) {
    Object.assign(this, { changed, link: "connecting", detail: "", wanted: new Set() });
    Object.assign(this, { samples: [], latencies: [], loads: new Map() });
    Object.assign(this, { status: null, workers: null, transfers: null, summary: null });
    Object.assign(this, { captures: null, replays: null });
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

  /** The latest counters; null until there are some. */
  get newest() {
    return this.samples.at(-1) ?? null;
  }

  /** Growth of `read(sample)` per second, over the last `span` seconds or as many as there are. */
  rate(read, span = 1) {
    const last = this.newest;
    if (!last || this.samples.length < 2) return 0;
    const first = this.samples.findLast((sample) => last.at - sample.at >= span - 0.2) ?? this.samples[0];
    return Math.max(0, (read(last) - read(first)) / (last.at - first.at));
  }

  /** `[at, value]`, oldest first: growth of `read(sample)` per second; with `plain` the value itself. */
  series(read, plain = false) {
    const found = this.samples.map((sample) => [sample.at, read(sample)]);
    if (plain) return found;
    const growth = ([at, value], [before, old]) => [at, Math.max(0, (value - old) / (at - before))];
    return found.slice(1).map((each, i) => growth(each, found[i]));
  }

  /** Asks for everything at once, after a change of ours. */
  async refresh() {
    await this.#round();
  }

  /** Answer times of the last minute, of `transfer` or all: `{target, production}`, by bound. */
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
      this.samples = []; // a new engine, which counts from zero
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
      if (this.link === "live") await this.#round(signal).catch(() => {}); // the stream reports what is wrong
      await later(this.link === "live" ? ROUND_MS : AGAIN_MS / 4, signal);
    }
  }

  async #round(signal) {
    const get = (path) => ask("GET", path, { signal });
    const status = await get("/appliance"); // first and alone, so that a revoked token fails only once
    const more = MORE.map((path) => (this.wanted.has(path) ? get(path).catch(notNow) : null));
    const answers = await Promise.all([get("/transfers"), ...more]);
    const [transfers, workers, latency, summary, captures, replays] = answers;
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

  /** CPU time per second of each worker, since the last round. */
  #load(workers, at) {
    for (const worker of workers) {
      const before = this.loads.get(worker.worker);
      const load = before && at > before.at ? (worker.cpu_s - before.cpu_s) / (at - before.at) : null;
      this.loads.set(worker.worker, { at, cpu_s: worker.cpu_s, load });
    }
    this.workers = workers;
  }
}

/** The smallest bound that `share` of the counted times do not exceed; null if none were counted. */
export function percentile(buckets, share) {
  const total = [...buckets.values()].reduce((sum, n) => sum + n, 0);
  let below = 0;
  for (const bound of [...buckets.keys()].sort((a, b) => a - b)) {
    below += buckets.get(bound);
    if (total && below >= share * total) return bound;
  }
  return null;
}

/** What the engine cannot answer right now stays as it was. */
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
