/**
 * The filter language of the command line, of which the page's rows are one more subject. The grammar and its meaning
 * are those of tracer-wire's `filter` module; both pass the vectors in `tracer-user/wire/testdata/filter.json`.
 */

type Several<T> = readonly (T | null | undefined)[];

/** What a key leads to. A field that a subject does not have gives nothing; some have several values. */
export type Field<S> =
  | { readonly text: (subject: S) => Several<string>; readonly known?: readonly string[] }
  | { readonly number: (subject: S) => Several<number | bigint> }
  | { readonly flag: (subject: S) => Several<boolean> };

export type Fields<S> = Readonly<Record<string, Field<S>>>;

export type Filter<S> = (subject: S) => boolean;

/** A filter that cannot be read. */
export interface FilterProblem {
  /** The part that cannot be read. */
  readonly token: string;
  /** Why, and what would do. */
  readonly reason: string;
}

/** A term as it was written: `key` and `values` without their quotes, or one value without a key. */
interface Token {
  readonly text: string;
  readonly negated: boolean;
  readonly key: string | undefined;
  /** Each as its parts between unquoted stars. */
  readonly values: readonly Value[];
}

type Value = readonly string[];

/** Raised while reading, so that the grammar's parts need not hand it through. */
class Unreadable extends Error {
  constructor(
    readonly token: string,
    readonly reason: string,
  ) {
    super(reason);
  }
}

/** Reads a filter. An empty one fits every subject. */
export function parseFilter<S>(text: string, fields: Fields<S>): Filter<S> | FilterProblem {
  try {
    const terms = new Reader(text).tokens().map((token) => term(token, fields));
    return (subject) => terms.every((fits) => fits(subject));
  } catch (error) {
    if (error instanceof Unreadable) return { token: error.token, reason: error.reason };
    throw error;
  }
}

function term<S>(token: Token, fields: Fields<S>): Filter<S> {
  const test = token.key === undefined ? anywhere(token, fields) : keyed(token, token.key, fields);
  return (subject) => test(subject) !== token.negated;
}

function anywhere<S>({ values }: Token, fields: Fields<S>): Filter<S> {
  const wanted = plain(values[0] ?? []).toLowerCase();
  const texts = Object.values(fields).flatMap((field) => ("text" in field ? [field.text] : []));
  return (subject) => {
    for (const get of texts) {
      for (const text of get(subject)) if (text?.toLowerCase().includes(wanted)) return true;
    }
    return false;
  };
}

function keyed<S>(token: Token, key: string, fields: Fields<S>): Filter<S> {
  const field = Object.hasOwn(fields, key) ? fields[key] : undefined;
  if (!field) {
    throw new Unreadable(
      token.text,
      `no field is called "${key}"; put text that holds a colon in quotes, or use one of: ${Object.keys(fields).join(" ")}`,
    );
  }
  if (token.values.some((value) => plain(value) === "")) {
    throw new Unreadable(token.text, `a value is missing; "${key}:*" asks whether there is one`);
  }
  const any = token.values.some((value) => value.length === 2 && plain(value) === "*");
  if ("text" in field) {
    const { known } = field;
    for (const value of known ? token.values : []) {
      if (!known?.some((name) => like(name, value))) {
        throw new Unreadable(
          token.text,
          `no ${key} is called "${plain(value)}"; use some of: ${known?.join(" ")}`,
        );
      }
    }
    return (subject) => {
      for (const text of field.text(subject)) {
        if (text === null || text === undefined) continue;
        for (const value of token.values) if (like(text, value)) return true;
      }
      return false;
    };
  }
  if ("flag" in field) {
    const wanted = any ? [true, false] : token.values.map((value) => truth(token, key, plain(value)));
    return (subject) => present(field.flag(subject)).some((flag) => wanted.includes(flag));
  }
  const tests = any ? [() => true] : token.values.map((value) => comparison(token, key, plain(value)));
  return (subject) => {
    for (const number of field.number(subject)) {
      if (number === null || number === undefined) continue;
      for (const test of tests) if (test(number)) return true;
    }
    return false;
  };
}

function present<T>(values: Several<T>): T[] {
  return values.filter((value) => value !== null && value !== undefined) as T[];
}

function plain(value: Value): string {
  return value.join("*");
}

/** Whether a text is made of the parts, in their order, with anything between them. */
function like(text: string, [first = "", ...rest]: Value): boolean {
  const last = rest.pop();
  if (last === undefined) return text === first;
  if (!text.startsWith(first) || !text.endsWith(last) || text.length < first.length + last.length)
    return false;
  let left = text.slice(first.length, text.length - last.length);
  // The leftmost place for each part leaves the most room for the next.
  return rest.every((part) => {
    const at = left.indexOf(part);
    if (at >= 0) left = left.slice(at + part.length);
    return at >= 0;
  });
}

function truth(token: Token, key: string, value: string): boolean {
  if (value !== "true" && value !== "false") throw new Unreadable(token.text, `"${key}" is true or false`);
  return value === "true";
}

const UNITS: Readonly<Record<string, bigint>> = {
  "": 1n,
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
};
/** The range of the 64-bit numbers that are compared with. */
const [LEAST, MOST] = [-(2n ** 63n), 2n ** 63n - 1n];

function comparison(token: Token, key: string, value: string): (number: number | bigint) => boolean {
  const withUnits = key.endsWith("_ns");
  const [, sign = "", digits, unit = ""] = value.match(/^(>=|<=|>|<|)(-?\d+)(.*)$/s) ?? [];
  const factor = unit === "" || withUnits ? UNITS[unit] : undefined;
  const whole = digits === undefined ? undefined : BigInt(digits);
  if (whole === undefined || factor === undefined || whole < LEAST || whole > MOST) {
    const form = withUnits
      ? "a whole number, with a unit (ns us ms s) if you like, and > >= < or <= before it"
      : "a whole number, and > >= < or <= before it if you like";
    throw new Unreadable(token.text, `"${key}" is compared with ${form}`);
  }
  const exact = whole * factor;
  // Among numbers a comparison is many times faster than with a bigint, and as exact for one that a number holds.
  const wanted = Number.isSafeInteger(Number(exact)) ? Number(exact) : exact;
  switch (sign) {
    case ">":
      return (number) => number > wanted;
    case ">=":
      return (number) => number >= wanted;
    case "<":
      return (number) => number < wanted;
    case "<=":
      return (number) => number <= wanted;
    default:
      // A comparison of a number with a bigint is exact; `===` would tell the types apart.
      return (number) => !(number < wanted) && !(number > wanted);
  }
}

/** Splits a filter into its terms. */
class Reader {
  readonly #chars: readonly string[];
  #at = 0;

  constructor(text: string) {
    this.#chars = [...text];
  }

  tokens(): Token[] {
    const tokens: Token[] = [];
    for (;;) {
      while (isSpace(this.#peek())) this.#at += 1;
      if (this.#peek() === undefined) return tokens;
      tokens.push(this.#token());
    }
  }

  #peek(): string | undefined {
    return this.#chars[this.#at];
  }

  #token(): Token {
    const start = this.#at;
    while (this.#peek() !== undefined && !isSpace(this.#peek())) this.#at += 1;
    const text = this.#chars.slice(start, this.#at).join("");
    this.#at = start;
    const negated = this.#peek() === "-";
    if (negated) this.#at += 1;
    const begin = this.#at;
    const values: string[][] = [];
    let value = [""];
    let key: string | undefined;
    const add = (part: string) => value.push((value.pop() ?? "") + part);
    for (let c = this.#peek(); c !== undefined && !isSpace(c); c = this.#peek()) {
      this.#at += 1;
      if (c === '"') add(this.#quoted(text));
      else if (c === ":" && key === undefined) {
        key = plain(value);
        value = [""];
      } else if (c === "," && key !== undefined) {
        values.push(value);
        value = [""];
      } else if (c === "*" && key !== undefined) value.push("");
      else add(c);
    }
    if (this.#at === begin) {
      throw new Unreadable(text, "nothing follows the minus sign; put it in quotes to look for it");
    }
    values.push(value);
    return { text, negated, key, values };
  }

  /** Reads up to the closing quote; \" and \\ stand for themselves. */
  #quoted(token: string): string {
    let into = "";
    for (;;) {
      let c = this.#peek();
      this.#at += 1;
      if (c === '"') return into;
      if (c === "\\") {
        c = this.#peek();
        this.#at += 1;
      }
      if (c === undefined) throw new Unreadable(token, "a closing quote is missing");
      into += c;
    }
  }
}

function isSpace(c: string | undefined): boolean {
  return c !== undefined && /^\s$/.test(c);
}
