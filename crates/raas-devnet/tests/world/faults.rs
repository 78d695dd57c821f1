//! Faults take effect when deadlines close, recoveries with a proof, the 42-day termination in silence.

use crate::network::{BOOST, CURIO, Network};
use raas_core::ids::SectorNumber;
use raas_devnet::{
    codec::{from_cbor, to_cbor},
    ledger::Fact,
    world::{Command, FAULT_MAX_AGE, Sectors},
};
use serde_json::json;

const ALL: Sectors = Sectors { provider: BOOST, sectors: None };

/// A proven sector with one deal, and the last epoch of its next deadline.
fn proven(network: &mut Network) -> (raas_core::ids::DealId, SectorNumber, i64) {
    let (deal, sector) = network.active(BOOST, 1);
    network.advance(3 * 2_880);
    let count = network.ask("Filecoin.StateMinerSectorCount", json!(["f01000", null]));
    assert_eq!(count, json!({ "Live": 1, "Active": 1, "Faulty": 0 }));
    let place = network.ask("Filecoin.StateSectorPartition", json!(["f01000", sector, null]));
    let now = network.ask("Filecoin.StateMinerProvingDeadline", json!(["f01000", null]));
    let period = now["PeriodStart"].as_i64().unwrap();
    let mut close = period + (place["Deadline"].as_i64().unwrap() + 1) * 60 - 1;
    while close <= network.clock() {
        close += 2_880;
    }
    (deal, sector, close)
}

fn status(network: &mut Network, sector: SectorNumber) -> u8 {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let (exit, ret) = network.actor_call("t01000", "GenerateSectorLocation", &to_cbor(&(sector.0,)).unwrap());
    assert_eq!(exit, 0);
    let bytes = STANDARD.decode(ret.as_str().unwrap()).unwrap();
    let (status, aux): (u8, serde_bytes::ByteBuf) = from_cbor(&bytes).unwrap();
    let params = to_cbor(&(sector.0, status, &aux)).unwrap();
    assert_eq!(network.actor_call("t01000", "ValidateSectorStatus", &params), (0, json!("9Q==")), "true");
    let wrong = to_cbor(&(sector.0, (status + 1) % 3, &aux)).unwrap();
    assert_eq!(network.actor_call("t01000", "ValidateSectorStatus", &wrong), (0, json!("9A==")), "false");
    status
}

#[test]
fn a_fault_takes_effect_when_its_deadline_closes() {
    let mut network = Network::new();
    let (deal, sector, close) = proven(&mut network);
    network.apply(Command::Fault(ALL));
    network.advance_to(close);
    assert_eq!(network.ask("Filecoin.StateMinerFaults", json!(["f01000", null])), json!([0]), "none yet");
    assert_eq!(status(&mut network, sector), 1);
    network.advance_to(close + 1);
    assert_eq!(network.ask("Filecoin.StateMinerFaults", json!(["f01000", null])), json!([0, 1]), "sector 0");
    let count = network.ask("Filecoin.StateMinerSectorCount", json!(["f01000", null]));
    assert_eq!(count, json!({ "Live": 1, "Active": 0, "Faulty": 1 }));
    let expiration = network.ask("Filecoin.StateSectorExpiration", json!(["f01000", sector, null]));
    assert_eq!(expiration["Early"], close + FAULT_MAX_AGE);
    assert_eq!(status(&mut network, sector), 2);
    let power = network.ask("Filecoin.StateMinerPower", json!(["f01000", null]));
    assert_eq!(power["MinerPower"]["RawBytePower"], "0");
    // The market knows nothing of it.
    let shown = network.ask("Filecoin.StateMarketStorageDeal", json!([deal, null]));
    assert_eq!(shown["State"]["SlashEpoch"], -1);
}

#[test]
fn a_recovery_takes_effect_with_the_next_good_proof_and_resets_the_clock() {
    let mut network = Network::new();
    let (deal, sector, close) = proven(&mut network);
    network.apply(Command::Fault(ALL));
    network.advance_to(close + 10_000);
    network.apply(Command::Recover(Sectors { provider: BOOST, sectors: Some(vec![sector]) }));
    network.advance(2);
    assert_eq!(network.ask("Filecoin.StateMinerRecoveries", json!(["f01000", null])), json!([0, 1]));
    assert_eq!(
        network.ask("Filecoin.StateMinerFaults", json!(["f01000", null])),
        json!([0, 1]),
        "still faulty"
    );
    network.advance(2 * 2_880);
    assert_eq!(network.ask("Filecoin.StateMinerFaults", json!(["f01000", null])), json!([0]));
    assert_eq!(status(&mut network, sector), 1);
    // 42 days after the first fault nothing happens, since it was recovered in between.
    network.advance_to(close + FAULT_MAX_AGE + 10);
    assert_eq!(network.getter("GetDealActivation", deal).0, 0);
    let faults = network.facts().iter().filter(|fact| matches!(fact, Fact::Faulted { .. })).count();
    let recovered = network.facts().iter().filter(|fact| matches!(fact, Fact::Recovered { .. })).count();
    assert_eq!((faults, recovered), (1, 1));
}

#[test]
fn a_recovery_before_the_deadline_is_no_fault_at_all() {
    let mut network = Network::new();
    let (_, _, close) = proven(&mut network);
    network.apply(Command::Fault(ALL));
    network.apply(Command::Recover(ALL));
    network.advance_to(close + 2_880);
    assert!(!network.facts().iter().any(|fact| matches!(fact, Fact::Faulted { .. })));
}

#[test]
fn forty_two_days_of_fault_end_in_a_termination_without_any_event() {
    let mut network = Network::new();
    let (deal, sector, close) = proven(&mut network);
    network.apply(Command::Fault(ALL));
    let end = close + FAULT_MAX_AGE;
    network.advance_to(end);
    assert_eq!(network.getter("GetDealActivation", deal).0, 0, "the last tipset that shows it");
    network.advance_to(end + 1);
    assert_eq!(network.getter("GetDealActivation", deal).0, 32);
    assert_eq!(status(&mut network, sector), 0);
    network.advance(10);
    for from in [close, end - 1_000] {
        assert!(network.event_types(from, from + 1_005).is_empty());
    }
    let by_cron = |fact: &&&Fact| matches!(fact, Fact::Terminated { by_cron: true, .. });
    assert_eq!(network.facts().iter().filter(by_cron).count(), 1);
}

#[test]
fn a_failed_recovery_does_not_restart_the_clock() {
    let mut network = Network::new();
    let (deal, _, close) = proven(&mut network);
    network.apply(Command::Fault(ALL));
    network.advance_to(close + 50_000);
    network.apply(Command::Recover(ALL));
    network.advance(2);
    // Lost again before the proof.
    network.apply(Command::Fault(ALL));
    network.advance_to(close + FAULT_MAX_AGE + 1);
    assert_eq!(network.getter("GetDealActivation", deal).0, 32);
}

#[test]
fn a_fault_close_to_the_sector_s_own_end_shows_no_early_expiration() {
    let mut network = Network::new();
    let (_, sector, _) = proven(&mut network);
    let expiration =
        network.world.miner(BOOST).unwrap().sectors(network.world.at_head()).next().unwrap().0.expiration;
    network.advance_to(expiration - 50_000);
    network.apply(Command::Fault(ALL));
    network.advance(2_882);
    assert_eq!(network.ask("Filecoin.StateMinerFaults", json!(["f01000", null])), json!([0, 1]));
    let shown = network.ask("Filecoin.StateSectorExpiration", json!(["f01000", sector, null]));
    assert_eq!(shown["Early"], 0);
    assert!(shown["OnTime"].as_i64().unwrap() >= expiration);
    network.advance_to(expiration + 2_882);
    assert_eq!(status(&mut network, sector), 0);
}

#[test]
fn null_rounds_over_a_deadline_s_end_delay_what_is_seen_and_not_what_is_meant() {
    let mut network = Network::new();
    let (_, sector, close) = proven(&mut network);
    network.apply(Command::Fault(ALL));
    network.advance_to(close - 1);
    network.apply(Command::NullRounds { count: 3 });
    // Rounds close to close + 2 are null; the tipset after them does what they missed, its child shows it.
    network.advance_to(close + 4);
    let shown = network.ask("Filecoin.StateSectorExpiration", json!(["f01000", sector, null]));
    assert_eq!(shown["Early"], close + FAULT_MAX_AGE);
}

#[test]
fn commands_name_living_sectors_of_existing_providers() {
    let mut network = Network::new();
    let (_, sector) = network.active(CURIO, 1);
    let fault = |provider, sectors| Command::Fault(Sectors { provider, sectors });
    let unknown = raas_core::ids::ProviderId::new(9_999);
    assert!(network.world.apply(fault(unknown, None)).is_err());
    assert!(network.world.apply(fault(CURIO, Some(vec![SectorNumber(sector.0 + 1)]))).is_err());
    assert!(network.world.apply(fault(CURIO, Some(vec![sector]))).is_ok());
}
