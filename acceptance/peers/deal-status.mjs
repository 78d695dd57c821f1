// The contract's artifact: linking, settings, and how its deployed code is recognised.

/** Init code that uses the library at this address. */
export const initCode = (artifact, library) => link(artifact, artifact.bytecode, library);

/** Settings with which `owner` may do everything. */
export const settings = (owner) => ({
  admin: owner,
  adminDelay: 3 * 86400,
  aggregator: owner,
  pauser: owner,
  submitter: owner,
  restricted: false,
  requestDeposit: 0n,
  maxOpenRequests: 1000n,
});

/** Whether `code` is the contract's, whatever its settings. */
export function isDeployed(artifact, code, library) {
  const wanted = link(artifact, artifact.deployedBytecode, library);
  const bare = (text) => {
    let left = text.toLowerCase();
    for (const { start, length } of artifact.immutables) {
      const at = 2 + 2 * start;
      left = left.slice(0, at) + "0".repeat(2 * length) + left.slice(at + 2 * length);
    }
    return left;
  };
  return bare(code) === bare(wanted);
}

function link(artifact, code, library) {
  return code.replaceAll(artifact.library.placeholder, library.slice(2).toLowerCase());
}
