// The shape of an answer: which fields it has and how each is written. Two nodes that agree here can be read by the
// same client, whatever their values.

const DATA = /^0x([0-9a-f]{2})*$/;
const QUANTITY = /^0x(0|[1-9a-f][0-9a-f]*)$/;

const SIZES = new Map([[20, "address"], [32, "hash"], [256, "bloom"]]);

function word(text, at) {
  // Both halves of a signature are quantities, which as a rule have 32 bytes, but need not.
  if (/(^|\.)[rs]$/.test(at)) return QUANTITY.test(text) ? "quantity" : "text";
  const size = DATA.test(text) ? SIZES.get((text.length - 2) / 2) : undefined;
  if (size) return size;
  if (QUANTITY.test(text)) return "quantity";
  return DATA.test(text) ? "bytes" : "text";
}

/** Paths of an answer -> how the value there is written. */
export function shape(value, at = "", found = new Map()) {
  if (value === null || value === undefined) found.set(at, "null");
  else if (Array.isArray(value)) {
    if (value.length === 0) found.set(`${at}[]`, "empty");
    for (const item of value) shape(item, `${at}[]`, found);
  } else if (typeof value === "object") {
    for (const [name, field] of Object.entries(value)) shape(field, at ? `${at}.${name}` : name, found);
  } else if (typeof value === "string") found.set(at, word(value, at));
  else found.set(at, typeof value);
  return found;
}

/** Fields that only one side has, with the reason. */
const ALLOWED = new Map(Object.entries({
  baseFeePerBlobGas: "no blobs on Filecoin",
  blobGasPrice: "no blobs on Filecoin",
  blobGasUsed: "no blobs on Filecoin",
  blobGasUsedRatio: "no blobs on Filecoin",
  blockTimestamp: "an addition of some Ethereum nodes; a client takes the block's",
  excessBlobGas: "no blobs on Filecoin",
  parentBeaconBlockRoot: "no beacon chain under Filecoin",
  requestsHash: "no execution requests on Filecoin",
  root: "Filecoin's receipts have it, as Ethereum's first ones had",
  withdrawals: "no withdrawals on Filecoin",
  withdrawalsRoot: "no withdrawals on Filecoin",
}));

/** Compares answers of two nodes, method by method. */
export class Comparison {
  #wrong = new Set();
  #excused = new Set();

  /** Notes how `ours` differs in shape from `theirs`. Where one side has null, the other may have anything. */
  add(method, ours, theirs) {
    const [mine, other] = [shape(ours), shape(theirs)];
    for (const path of new Set([...mine.keys(), ...other.keys()])) {
      const [a, b] = [mine.get(path), other.get(path)];
      if (a === b || (a && b && (a === "null" || b === "null"))) continue;
      const field = path.replaceAll("[]", "").split(".").at(-1);
      if ((!a || !b) && ALLOWED.has(field)) this.#excused.add(field);
      else this.#wrong.add(`${method} ${path}: ${a ?? "absent"} here, ${b ?? "absent"} there`);
    }
  }

  /** What no reason excuses, and reasons that excuse nothing. */
  differences() {
    const unused = [...ALLOWED.keys()].filter((field) => !this.#excused.has(field));
    return [...this.#wrong, ...unused.map((field) => `${field}: excused, but both have it or neither`)];
  }
}
