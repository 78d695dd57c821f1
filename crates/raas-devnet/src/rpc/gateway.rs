//! The methods of a public gateway: everything else is -32601 there.

use super::{RpcError, filters};

/// `Filecoin.*` methods that a gateway forwards.
const NATIVE: &[&str] = &[
    "ChainGetBlock",
    "ChainGetEvents",
    "ChainGetFinalizedTipSet",
    "ChainGetGenesis",
    "ChainGetMessagesInTipset",
    "ChainGetParentMessages",
    "ChainGetParentReceipts",
    "ChainGetPath",
    "ChainGetTipSet",
    "ChainGetTipSetAfterHeight",
    "ChainGetTipSetByHeight",
    "ChainHasObj",
    "ChainHead",
    "ChainNotify",
    "ChainReadObj",
    "Discover",
    "F3GetCertificate",
    "F3GetLatestCertificate",
    "F3GetPowerTableByInstance",
    "GasEstimateGasPremium",
    "GasEstimateMessageGas",
    "GetActorEventsRaw",
    "MpoolGetNonce",
    "MpoolPending",
    "MpoolPush",
    "StateAccountKey",
    "StateCall",
    "StateDealProviderCollateralBounds",
    "StateDecodeParams",
    "StateGetActor",
    "StateGetAllocation",
    "StateGetAllocationForPendingDeal",
    "StateGetAllocations",
    "StateGetClaim",
    "StateGetClaims",
    "StateGetNetworkParams",
    "StateListMiners",
    "StateLookupID",
    "StateMarketBalance",
    "StateMarketStorageDeal",
    "StateMinerDeadlines",
    "StateMinerInfo",
    "StateMinerPower",
    "StateMinerProvingDeadline",
    "StateMinerSectorCount",
    "StateNetworkName",
    "StateNetworkVersion",
    "StateReadState",
    "StateReplay",
    "StateSearchMsg",
    "StateSectorGetInfo",
    "StateVerifiedClientStatus",
    "StateWaitMsg",
    "SubscribeActorEventsRaw",
    "Version",
    "WalletBalance",
];

/// Whether a gateway forwards the `Filecoin.*` method with this name.
pub(super) fn lists(name: &str) -> bool {
    NATIVE.binary_search(&name).is_ok()
}

/// Refuses what a gateway does not have.
pub(super) fn check(method: &str, socket: bool) -> Result<(), RpcError> {
    if let Some(name) = method.strip_prefix("Filecoin.") {
        return if lists(name) { Ok(()) } else { Err(RpcError::unknown_method(method)) };
    }
    // A connection remembers filters and subscriptions.
    let stateful = filters::handles(method) || ["eth_subscribe", "eth_unsubscribe"].contains(&method);
    if stateful && !socket {
        return Err(RpcError::other("stateful methods are only available on websocket connections"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_leaves_out_what_gateways_leave_out() {
        assert!(NATIVE.is_sorted());
        assert_eq!(NATIVE.len(), 56, "the list of a gateway, method by method");
        let served: Vec<&str> = super::super::native::methods().collect();
        let missing: Vec<_> = NATIVE.iter().filter(|name| !served.contains(name)).collect();
        assert_eq!(missing, Vec::<&&str>::new(), "all of them are served");
        for absent in [
            "StateMarketDeals",
            "StateMarketParticipants",
            "StateMinerFaults",
            "StateMinerRecoveries",
            "StateMinerPartitions",
            "StateMinerSectors",
            "StateMinerActiveSectors",
            "StateSectorPartition",
            "StateSectorExpiration",
            "StateSectorPreCommitInfo",
            "StateGetAllClaims",
            "StateGetAllAllocations",
            "StateMarketProposalPending",
            "StateEncodeParams",
            "StateComputeDataCID",
            "F3IsRunning",
            "F3GetManifest",
            "F3GetProgress",
            "F3GetECPowerTable",
            "ChainGetMessage",
            "ChainGetBlockMessages",
            "MpoolSelect",
            "WalletSign",
        ] {
            let error = check(&format!("Filecoin.{absent}"), true).expect_err(absent);
            assert_eq!(error.code, -32601);
        }
        assert!(check("Filecoin.ChainReadObj", false).is_ok());
        assert!(check("eth_newFilter", true).is_ok());
        assert!(check("eth_newFilter", false).is_err());
        assert!(check("eth_getLogs", false).is_ok());
    }
}
