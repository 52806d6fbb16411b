// How forms present the fields they know, in this order. Any other field of the schema comes after
// them, under "More settings", labelled by its name.

export const TRANSFER = {
  id: { main: true, first: true, placeholder: "shop" },
  source: { main: true, placeholder: "80" },
  target: { main: true, placeholder: "198.19.0.2:8080" },
  name: { main: true },
  clients: { main: true, label: "Client pool", placeholder: "198.18.0.0/24", wide: true },
  multiplier: { main: true },
  sample_percent: { main: true, label: "Sampling, %" },
  ramp_s: { main: true, label: "Gradual start, s" },
  sessions_per_second: { main: true, label: "New sessions per second" },
  protocol: { main: true, label: "Transport" },
  ack: { label: "Acknowledge answers" },
  tls: { label: "TLS" },
  mss: { label: "Maximum segment size" },
  paused: { main: true, label: "Start paused" },
};

export const REPLAY = {
  transfers: { label: "Transfer" },
  speed: {},
  idle_ms: { label: "Longest silence, ms" },
  repeats: { label: "Times" },
  fast: { label: "No pace" },
};

/** Sliders over chosen steps; the ends of a slider are the bounds of its field. */
export const SLIDERS = {
  multiplier: {
    label: "Multiplier", unit: "×",
    steps: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 20, 30, 50, 100, 200, 500],
  },
  sample_percent: {
    label: "Sampling", unit: "%",
    steps: [0.1, 0.5, 1, 2, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90, 95],
  },
};
