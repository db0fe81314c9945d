/** A description of a page that is whole, for tests that damage it. */

export type Json = Record<string, any>; // a description is damaged here in every place: types would be in the way

/** What readMeta takes: a description with every field of a page. */
export function sound(): Json {
  const model = {
    name: "vae", label: "VAE", colour: "#CC79A7", marker: "D", k: 2, encoder: true, generates: true, spread: 1, sigma: 0.1, prior: "N(0, I)",
    mean: [0, 0], axes: [[1, 0], [0, 1]], scale: [1, 0.5], raw_mean: [0, 0], raw_scale: [1, 0.5], carries: [0.8, 0.2], rate: [2, 0.01],
    collapsed: [false, true], check: [0.5, -1],
  };
  return {
    schema: 2, program: "lowerbound 0.1.0", title: "digits", verdict: ["It is well."], footnote: "Nats.", source: { name: "digits", train: 10, test: 4 },
    shape: [1, 2, 2], shown: 4, k: 2, classes: ["<img src=x onerror=alert(1)>", "1"], images: { encoding: "raw", sheets: 0, columns: 0 },
    models: [model, { ...model, name: "pca", rate: null, spread: 0, sigma: null }], table: { header: ["model", "MSE"], rows: [["VAE", "0.1"]] }, facts: [["seed", "0"]],
    histories: { vae: { step: [1, 2], loss: [3, null], reconstruction: null, kl: [1, 1], sigma: null } },
    spectrum: { fractions: [0, 0.9], mean: [0, 0, 0, 0], total: 2 }, sweep: { vae: [[2, 0.1, null]] },
    findings: [{ model: "vae", name: "collapse", certainty: "sure", evidence: "0.01 nats", try: "less", panel: "dimensions" }],
    film: { vae: { steps: [0], epochs: [0], elbo_or_loss: [1], images: [0, 1], shown_images: 1, encoding: "raw", samples: 25 } },
    posterior: [{ image: 1, model: "vae", steps: [0], phi_mean: [[0, 0]], phi_log_spread: [[0]], elbo: [-3], encoder_mean: [0, 0], encoder_spread: [1], encoder_elbo: -2, best_elbo: -1 }],
    left_out: [{ panel: "film", reason: "none was kept" }],
  };
}
