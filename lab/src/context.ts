/** What the panels are given: the run's numbers, its images, its models, and the state they share. Types alone. */

export type Shape = readonly [channels: number, height: number, width: number];

/** A model as the page's JSON tells of it; arrays of K numbers belong to the K codes. */
export interface ModelMeta {
  readonly name: string;
  readonly label: string;
  readonly colour: string;
  readonly marker: string;
  readonly k: number;
  readonly encoder: boolean;
  /** Whether it was made to sample from its prior. */
  readonly generates: boolean;
  /** S, how many standard deviations q has for an image: 1, K, or 0 where codes are points; told where `rate` does not tell. */
  readonly spread: number;
  readonly sigma: number | null;
  readonly prior: string;
  readonly mean: readonly number[];
  /** Principal axes of the codes, one a row, the one that carries most first. */
  readonly axes: readonly (readonly number[])[];
  /** Standard deviation of the codes along each axis. */
  readonly scale: readonly number[];
  readonly raw_mean: readonly number[];
  readonly raw_scale: readonly number[];
  /** Share of the codes' variance in each raw dimension. */
  readonly carries: readonly number[];
  /** KL of each raw dimension in nats; null without a posterior. */
  readonly rate: readonly number[] | null;
  readonly collapsed: readonly boolean[];
  /** A code whose decoded image is stored too, so that the page can check itself. */
  readonly check: readonly number[];
}

export interface ImagesMeta {
  readonly encoding: "raw" | "webp";
  readonly sheets: number;
  readonly columns: number;
}

export interface History {
  readonly step: readonly number[];
  readonly loss: readonly (number | null)[];
  readonly reconstruction: readonly (number | null)[] | null;
  readonly kl: readonly (number | null)[] | null;
  readonly sigma: readonly (number | null)[] | null;
}

export interface Spectrum {
  /** Share of variance kept by the first 0, 1, ... M components. */
  readonly fractions: readonly number[];
  readonly mean: readonly number[];
  readonly total: number;
}

export interface Finding {
  readonly model: string;
  readonly name: string;
  readonly certainty: string;
  readonly evidence: string;
  readonly try: string;
  readonly panel: string;
}

export interface FilmMeta {
  readonly steps: readonly number[];
  readonly epochs: readonly number[];
  readonly elbo_or_loss: readonly (number | null)[];
  /** Which of the shown images the film follows. */
  readonly images: readonly number[];
  /** How many of them have their reconstructions kept: the first F'. */
  readonly shown_images: number;
  readonly encoding: "raw" | "webp";
  readonly columns?: number;
  readonly samples?: number;
}

export interface PosteriorMeta {
  readonly image: number;
  readonly model: string;
  readonly steps: readonly number[];
  /** One row of K means for every step. */
  readonly phi_mean: readonly (readonly number[])[];
  readonly phi_log_spread: readonly (readonly number[])[];
  readonly elbo: readonly number[];
  readonly encoder_mean: readonly number[];
  readonly encoder_spread: readonly number[];
  readonly encoder_elbo: number;
  readonly best_elbo: number;
}

export interface Meta {
  readonly schema: 2;
  readonly program: string;
  readonly title: string;
  readonly verdict: readonly string[];
  readonly footnote: string;
  readonly source: { readonly name: string; readonly train: number; readonly test: number };
  readonly shape: Shape;
  readonly shown: number;
  readonly k: number;
  readonly classes: readonly string[] | null;
  readonly images: ImagesMeta;
  readonly models: readonly ModelMeta[];
  readonly table: { readonly header: readonly string[]; readonly rows: readonly (readonly string[])[] };
  readonly facts: readonly (readonly [name: string, value: string])[];
  readonly histories: Readonly<Record<string, History>>;
  readonly spectrum: Spectrum | null;
  /** Of each model, rows of K, squared error per pixel, and its standard error. */
  readonly sweep: Readonly<Record<string, readonly (readonly [number, number, number | null])[]>> | null;
  readonly findings: readonly Finding[] | null;
  readonly film: Readonly<Record<string, FilmMeta>> | null;
  readonly posterior: readonly PosteriorMeta[];
  readonly left_out: readonly { readonly panel: string; readonly reason: string }[];
}

export interface Encoded {
  /** n*K */
  readonly mean: Float32Array;
  /** n*S standard deviations of q, S = 1 or K; null where the encoder gives a point. */
  readonly spread: Float32Array | null;
}

export interface Model {
  readonly about: ModelMeta;
  /** N*K codes of the shown images. */
  readonly codes: Float32Array;
  /** N*S standard deviations of q(z|x), S = 1 or K; null where a code is a point. */
  readonly spread: Float32Array | null;
  /** N squared errors per pixel; NaN where none was measured. */
  readonly errors: Float32Array;
  /** n*K numbers to n*P pixels. Rejects with an Error whose message is fit to be shown. */
  decode(z: Float32Array, n: number): Promise<Float32Array>;
  /** n*P pixels in [0, 1] to codes; null where the page holds no encoder. */
  readonly encode: ((x: Float32Array, n: number) => Promise<Encoded>) | null;
}

export interface ImageStore {
  readonly count: number;
  readonly shape: Shape;
  /** Pixels of one image: C*H*W. */
  readonly size: number;
  /** The P pixels of image i in [0, 1], in the order channel, row, column. */
  pixels(i: number): Float32Array;
  /** Draw P numbers of x, from `offset` on; what is outside [0, 1] is cut. The canvas gets the image's own size. */
  draw(canvas: HTMLCanvasElement, x: ArrayLike<number>, offset?: number): void;
  drawImage(canvas: HTMLCanvasElement, i: number): void;
}

export type Value = string | number | boolean | readonly number[];

/** What the reader chose, kept in the address so that a view can be sent. The fallback's type is the value's type. */
export interface State {
  get(key: string, fallback: number): number;
  get(key: string, fallback: string): string;
  get(key: string, fallback: boolean): boolean;
  get(key: string, fallback: readonly number[]): readonly number[];
  /** Null forgets the key. Listeners are called at once, the address follows a moment later. */
  set(key: string, value: Value | null): void;
  /** Called after each change of the key; gives back what ends that. */
  on(key: string, listener: () => void): () => void;
  /** True while listeners hear of an address that somebody else changed: every key in it is meant as it is. */
  readonly sent: boolean;
}

export type Scheme = "system" | "light" | "dark";
export type Token = "paper" | "ink" | "quiet" | "line" | "accent" | "card" | "sunken" | "warn" | "reconstruction" | "kl";

export interface Theme {
  readonly dark: boolean;
  readonly scheme: Scheme;
  choose(scheme: Scheme): void;
  /** Called when light turns dark or back: a canvas is drawn again. */
  on(listener: () => void): () => void;
  /** A colour of style.css as it is now, for canvases: "rgb(...)". */
  colour(token: Token): string;
  /** Of a class, by its label; 65535 (none) is quiet. */
  classColour(label: number): string;
  classMarker(label: number): string;
  /** A model's colour, made to stand out on the paper of now. */
  modelColour(model: ModelMeta): string;
  /** Whether the reader asked for less motion: jump instead of gliding. */
  readonly still: boolean;
}

/** Where files that are dropped on the page go. */
export interface Drops {
  /** From now on they go to this taker, null where what was dropped is no file; one that came before goes there at once. */
  give(taker: (file: File | null) => void): void;
}

export interface Context {
  readonly meta: Meta;
  readonly images: ImageStore;
  /** N labels, 65535 where an image has none; null without classes. */
  readonly labels: Uint16Array | null;
  readonly models: readonly Model[];
  readonly state: State;
  readonly theme: Theme;
  /** Whether this browser can decode; where not, live parts say so (layout's `notLive`). */
  readonly live: boolean;
  readonly drops: Drops;
  asset(name: string): Promise<ArrayBuffer>;
}

export interface Panel {
  readonly id: string;
  readonly title: string;
  /** Two sentences: what am I looking at. */
  readonly about: string;
  /** Null, or why it cannot be shown for this run. */
  unfit(meta: Meta): string | null;
  mount(root: HTMLElement, context: Context): void;
}

export const NO_LABEL = 65535;
