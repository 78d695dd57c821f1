// The table that every measurement prints: figures beside those of others and their bars; and the same as one line of JSON.

const round = (v) => (typeof v === "number" ? Number(v.toPrecision(4)) : null);
const text = (v) => (typeof v === "number" ? v.toPrecision(3) : "-");

/** One over the other, where both are there. */
export const over = (a, b) => (a && b ? a / b : undefined);

/** Rows of the measurement `bench`. */
export class Table {
  constructor(bench) {
    this.bench = bench;
    this.rows = [];
  }

  /** `bar` is a list of [compare, limit]; `at` is what is compared, and is undefined where it could not be measured. */
  add({ what, unit, value, peers = {}, ratio, at = ratio ?? value, bar, reason = "not measured" }) {
    const shown = at !== undefined && Number.isFinite(at) && bar !== undefined;
    const [sign, limit] = bar ?? [];
    const known = Object.fromEntries(Object.entries(peers).filter(([, v]) => v).map(([name, v]) => [name, round(v)]));
    const holds = shown ? (sign === ">=" ? at >= limit : at <= limit) : null;
    const skipped = shown ? null : reason;
    this.rows.push({ what, unit, ours: round(value), peers: known, ratio: round(ratio), bar: bar ? bar.join(" ") : null, holds, skipped });
  }

  /** For a reader. */
  print() {
    for (const r of this.rows) {
      const peers = Object.entries(r.peers).map(([name, v]) => `${name} ${text(v)}`).join(", ") || "-";
      const holds = r.holds === null ? r.skipped : r.holds ? "holds" : "MISSED";
      console.log(`${r.what.padEnd(50)} ${text(r.ours).padStart(8)} ${r.unit.padEnd(10)} ${peers.padEnd(28)} ${text(r.ratio).padStart(7)} ${(r.bar ?? "-").padEnd(8)} ${holds}`);
    }
  }

  /** With `--json` as one line of JSON, which is the last that is printed. The status is 1 if a bar is missed. */
  end(json) {
    if (json === "--json") console.log(JSON.stringify({ bench: this.bench, rows: this.rows }));
    process.exitCode = this.rows.some((r) => r.holds === false) ? 1 : 0;
  }
}
