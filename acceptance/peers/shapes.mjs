// The shape of an answer: which fields it has and how each is written. Two nodes that agree here can be read by the
// same client, whatever their values.

const DATA = /^0x([0-9a-f]{2})*$/;
const QUANTITY = /^0x(0|[1-9a-f][0-9a-f]*)$/;

function word(text) {
  if (DATA.test(text)) {
    const bytes = (text.length - 2) / 2;
    if (bytes === 20) return "address";
    if (bytes === 32) return "hash";
    if (bytes === 8) return "8 bytes";
    if (bytes === 256) return "bloom";
    if (QUANTITY.test(text)) return "quantity";
    return "bytes";
  }
  return QUANTITY.test(text) ? "quantity" : "text";
}

/** Paths of an answer -> how the value there is written. */
export function shape(value, at = "", found = new Map()) {
  if (value === null || value === undefined) found.set(at, "null");
  else if (Array.isArray(value)) {
    if (value.length === 0) found.set(`${at}[]`, "empty");
    for (const item of value) shape(item, `${at}[]`, found);
  } else if (typeof value === "object") {
    for (const [name, field] of Object.entries(value)) shape(field, at ? `${at}.${name}` : name, found);
  } else if (typeof value === "string") found.set(at, word(value));
  else found.set(at, typeof value);
  return found;
}

/** Fields that only one side has or writes, with the reason. `null` fits every type. */
const ALLOWED = new Map(Object.entries({
  "eth_getBlockByNumber.totalDifficulty": "only older Ethereum nodes and Filecoin's have it",
  "eth_getBlockByNumber.blobGasUsed": "no blobs on Filecoin",
  "eth_getBlockByNumber.excessBlobGas": "no blobs on Filecoin",
  "eth_getBlockByNumber.withdrawals": "no withdrawals on Filecoin",
  "eth_getBlockByNumber.withdrawals[]": "no withdrawals on Filecoin",
  "eth_getBlockByNumber.withdrawalsRoot": "no withdrawals on Filecoin",
  "eth_getBlockByNumber.parentBeaconBlockRoot": "no beacon chain on Filecoin",
  "eth_getBlockByNumber.requestsHash": "no execution requests on Filecoin",
  "eth_getTransactionReceipt.root": "Filecoin's receipts have the field, empty",
  "eth_getTransactionReceipt.blobGasPrice": "no blobs on Filecoin",
  "eth_getTransactionReceipt.blobGasUsed": "no blobs on Filecoin",
  "eth_getTransactionReceipt.logs[].blockTimestamp": "not in Filecoin's logs",
  "eth_getLogs[].blockTimestamp": "not in Filecoin's logs",
  "eth_getTransactionByHash.blockTimestamp": "not in Filecoin's transactions",
  "eth_feeHistory.baseFeePerBlobGas[]": "no blobs on Filecoin",
  "eth_feeHistory.blobGasUsedRatio[]": "no blobs on Filecoin",
}));

/** Differences between two answers of one method that no reason excuses. */
export function differences(method, ours, theirs) {
  const [mine, other] = [shape(ours), shape(theirs)];
  const name = (path) => (path ? `${method}${path.startsWith("[") ? "" : "."}${path}` : method);
  const wrong = [];
  for (const path of new Set([...mine.keys(), ...other.keys()])) {
    const [a, b] = [mine.get(path), other.get(path)];
    if (a === b || ALLOWED.has(name(path))) continue;
    if ((a === "null" || b === "null") && a && b) continue;
    wrong.push(`${name(path)}: ${a ?? "absent"} here, ${b ?? "absent"} in anvil`);
  }
  return wrong;
}
