// Timbres of a page without a server: named, mixed on the sphere, or random, as in
// audiogen/engine/latents.py. The engine has no parameter for these; the timbre map needs no latents.

export class MixedTimbres {
  // description: of the preset, with the latents of its timbres; player: of engine.js.
  constructor(description, player) {
    this.names = description.timbres.map(({ name }) => name);
    this.latents = description.latents;
    this.spread = description.spread; // whether random latents are spread as the timbres
    this.player = player;
    this.added = new Map(); // text: index
  }

  // Number of a timbre in the engine, which learns it if it is a mix or a random one.
  index(text) {
    const named = this.names.indexOf(text);
    if (named >= 0 || text === null) return Math.max(0, named);
    if (!this.added.has(text)) this.added.set(text, this.player.addTimbre(this.latent(text)));
    return this.added.get(text);
  }

  latent(text) {
    const known = this.latents[this.names.indexOf(text)];
    if (known?.length) return known;
    if (!this.latents[0]?.length) throw new Error(`timbre '${text}' not found`);
    const random = /^random(?::(\d{1,20}))?$/.exec(text);
    if (random) return randomLatent(Number(random[1] ?? 0), this.latents, this.spread);
    if (!/[+:]/.test(text)) throw new Error(`timbre '${text}' not found`);
    let mixed = null;
    let total = 0;
    for (const part of text.split("+")) {
      const [, name, number] = /^(.*?)(?::([\d.]+))?$/.exec(part.trim());
      const weight = Number(number ?? 1);
      if (!(weight > 0)) throw new Error(`timbre '${text}': a weight must be a number above 0`);
      total += weight;
      mixed = mixed ? mix(mixed, this.latent(name), weight / total) : this.latent(name);
    }
    return mixed;
  }
}

const norm = (z) => Math.sqrt(z.reduce((sum, x) => sum + x * x, 0));

// Spherical interpolation, at radius sqrt(latent size).
function mix(first, second, amount) {
  const [a, b] = [first, second].map((z) => z.map((x) => x / norm(z)));
  const radius = Math.sqrt(a.length);
  const angle = Math.acos(Math.min(1, Math.max(-1, a.reduce((sum, x, i) => sum + x * b[i], 0))));
  if (angle < 1e-6) return a.map((x) => x * radius);
  const [p, q] = [Math.sin((1 - amount) * angle), Math.sin(amount * angle)].map((x) => x / Math.sin(angle));
  return a.map((x, i) => (p * x + q * b[i]) * radius);
}

// A random latent on the sphere, with the mean and the covariance of the timbres' latents if it is
// spread as they are. Not the one that Python draws from the same seed: NumPy's generator of normal
// numbers is not in browsers.
function randomLatent(seed, latents, spread) {
  const size = latents[0].length;
  const onSphere = (z) => z.map((x) => (x / norm(z)) * Math.sqrt(size));
  let state = seed >>> 0;
  const uniform = () => {
    // mulberry32, public domain
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 2 ** 32;
  };
  const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  if (!spread || latents.length < 2) return onSphere(Array.from({ length: size }, normal));
  const known = latents.map(onSphere);
  const mean = known[0].map((_, i) => known.reduce((sum, z) => sum + z[i], 0) / known.length);
  const weights = known.map(() => normal() / Math.sqrt(known.length - 1));
  return onSphere(mean.map((m, i) => m + known.reduce((sum, z, k) => sum + weights[k] * (z[i] - m), 0)));
}
