/** Numbers in words and signs that a reader expects: three digits that count, a real minus, thousands apart. */

const shorts: Intl.NumberFormat[] = []; // by digits after the point: to make one takes longer than to use it

/** Three digits that count; no more zeros than needed: 0.0123, 1,230, −4.5. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return "none";
  const size = Math.abs(value);
  const digits = size === 0 ? 0 : Math.floor(Math.log10(size));
  if (size !== 0 && (digits < -4 || digits > 8)) return signed(value.toExponential(1).replace("e-", "e−").replace("e+", "e"));
  const places = Math.max(0, 2 - digits);
  return signed((shorts[places] ??= new Intl.NumberFormat("en", { maximumFractionDigits: places })).format(Number(value.toPrecision(3))));
}

/** A fixed number of digits after the point, thousands apart. */
export function fixed(value: number, digits: number): string {
  if (!Number.isFinite(value)) return "none";
  return signed(value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
}

/** "1 to 9 of 10,000": which of many are shown. */
export function someOf(first: number, last: number, all: number): string {
  return `${fixed(first, 0)} to ${fixed(last, 0)} of ${fixed(all, 0)}`;
}

/** "1 step", "2 steps", "1,000 steps". */
export function counted(count: number, noun: string): string {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

const signed = (text: string): string => text.replace(/^-(?=0(?:\.0*)?$)/, "").replace(/^-/, "−");
