//! What holds at every moment of any history: money, counts, and that the commands alone make it.

use crate::network::{Network, piece};
use raas_core::{
    ids::ProviderId,
    units::{AttoFil, Epoch},
};
use raas_devnet::{
    Config,
    codec::{TokenAmount, method_number, to_cbor},
    provider::Mode,
    world::{Command, MARKET, Phase, Sectors, StateAt, World},
};
use std::collections::BTreeSet;

const NEWEST: StateAt = StateAt(i64::MAX);

/// Numbers from a seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}

fn move_once(network: &mut Network, dice: &mut Dice) {
    let provider = ProviderId::new(1_000 + dice.roll(4));
    let all = Sectors { provider, sectors: None };
    match dice.roll(9) {
        0 | 1 => {
            let piece = piece(u8::try_from(dice.roll(200)).unwrap());
            let mut proposal = network.proposal(provider, &piece);
            proposal.price_per_epoch = AttoFil(u128::from(dice.roll(3_000_000_000_000)) + 2_000_000);
            proposal.start = Epoch(proposal.start.0 + i64::try_from(dice.roll(10_000)).unwrap());
            let signed = network.sign(proposal);
            // Refused when the dice repeat a proposal or the escrow is spent: both are fine here.
            network.offer(signed, &piece);
        }
        2 => drop(network.world.apply(Command::Fault(all))),
        3 => drop(network.world.apply(Command::Recover(all))),
        4 if dice.roll(4) == 0 => drop(network.world.apply(Command::Terminate(all))),
        5 => {
            drop(network.world.apply(Command::NullRounds { count: i64::try_from(dice.roll(4) + 1).unwrap() }))
        }
        6 => {
            let params =
                to_cbor(&(network.client.address(), TokenAmount(AttoFil::fil(dice.roll(3))))).unwrap();
            drop(network.send(method_number("WithdrawBalance"), AttoFil::ZERO, params));
        }
        7 => {
            let mode = [Mode::Normal, Mode::NeverSeal, Mode::RejectThenPublish]
                [usize::try_from(dice.roll(3)).unwrap()];
            network.set_mode(provider, mode);
        }
        _ => {
            let address = network.client.address();
            let amount = AttoFil::fil(1);
            drop(network.send(method_number("AddBalance"), amount, to_cbor(&address).unwrap()));
        }
    }
    let step = [1, 7, 100, 3_000, 60_000, 200_000][usize::try_from(dice.roll(6)).unwrap()];
    network.advance(step);
}

fn check(world: &World, seed: u64) {
    let market = world.market();
    let mut escrow = AttoFil::ZERO;
    let mut locked = AttoFil::ZERO;
    for account in market.accounts() {
        let balance = market.balance(account, NEWEST);
        assert!(balance.locked <= balance.escrow, "seed {seed}: {account} locks more than it has");
        escrow = escrow.plus(balance.escrow);
        locked = locked.plus(balance.locked);
    }
    let wallet = world.actors.wallet(MARKET, NEWEST).unwrap().balance;
    assert_eq!(escrow, wallet, "seed {seed}: all escrow is the market's balance");
    let bound = market.deals().fold(AttoFil::ZERO, |sum, deal| {
        let proposal = &deal.proposal;
        let from = match deal.phase.latest() {
            Some(Phase::Published) => proposal.start.0,
            Some(Phase::Active { settled, .. }) => settled.unwrap_or(proposal.start.0).max(proposal.start.0),
            Some(Phase::Removed) | None => return sum,
        };
        let rest = u64::try_from(proposal.end.0 - from.min(proposal.end.0)).unwrap();
        sum.plus(proposal.price_per_epoch.times(rest)).plus(proposal.provider_collateral)
    });
    assert_eq!(locked, bound, "seed {seed}: what is locked is what open deals bind");
    for (provider, miner) in world.miners() {
        let (mut live, mut active, mut faulty) = (0, 0, 0);
        for (_, phase) in miner.sectors(NEWEST) {
            live += u64::from(phase.is_live());
            active += u64::from(phase.name() == "active");
            faulty += u64::from(phase.faulty_since().is_some());
        }
        let counts = miner.counts(NEWEST);
        assert_eq!(
            (counts.live, counts.active, counts.faulty),
            (live, active, faulty),
            "seed {seed}: {provider}"
        );
    }
    for deal in market.deals() {
        let Some(Phase::Active { sector, .. }) = deal.phase.latest() else { continue };
        let (_, phase) = world.miner(ProviderId(deal.provider)).unwrap().sector(*sector, NEWEST).unwrap();
        let over = deal.proposal.end.0 <= world.chain().clock();
        assert!(phase.is_live() || over, "seed {seed}: deal {} outlives its sector", deal.id);
    }
}

#[test]
fn money_and_counts_hold_in_random_histories_and_replay() {
    let mut kinds = BTreeSet::new();
    for seed in 0..40 {
        let mut dice = Dice(seed);
        let config = Config { seed, ..Config::default() };
        let mut network = Network::poor(&config);
        // Recording starts late: what came before is done again below.
        network.world.record_commands();
        let address = network.client.address();
        network.send(method_number("AddBalance"), AttoFil::fil(10), to_cbor(&address).unwrap()).unwrap();
        network.advance(2);
        for _ in 0..40 {
            move_once(&mut network, &mut dice);
            check(&network.world, seed);
        }
        kinds.extend(network.world.ledger.since(0).iter().filter_map(|entry| {
            let value = serde_json::to_value(entry).unwrap();
            Some((value["kind"].as_str()?.to_owned(), value.get("byCron").and_then(|by| by.as_bool())))
        }));
        let mut again = Network::poor(&config);
        for command in network.world.take_recorded() {
            again.apply(command);
        }
        assert_eq!(again.world.ledger.hash(), network.world.ledger.hash(), "seed {seed}");
    }
    // The dice reached every way a deal can go.
    for kind in [
        "published",
        "publishSkipped",
        "activated",
        "neverActivated",
        "cleanedUp",
        "ended",
        "paid",
        "faulted",
        "recovered",
    ] {
        assert!(kinds.contains(&(kind.to_owned(), None)), "{kind} never happened: {kinds:?}");
    }
    for by_cron in [true, false] {
        assert!(kinds.contains(&("terminated".to_owned(), Some(by_cron))), "terminated by cron: {by_cron}");
    }
}

/// 100 of one sender wait at most; another one in the place of one that waits is no more than before.
#[test]
fn a_sender_has_a_hundred_messages_in_the_mempool_and_no_more() {
    let mut network = Network::poor(&Config::default());
    network.advance(2);
    for _ in 0..100 {
        network.send(0, AttoFil(1), Vec::new()).unwrap();
    }
    let error = network.send(0, AttoFil(1), Vec::new()).expect_err("one too many");
    assert!(error.to_string().contains("too many pending messages for actor"), "{error}");
    let mut dearer = network.message(0, AttoFil(2), Vec::new());
    dearer.message.nonce = 50;
    dearer.message.gas_premium = AttoFil(300_000);
    dearer.signature = network.client.sign(&dearer.message.signing_bytes().unwrap());
    network.push(&dearer).unwrap();
    network.advance(1);
    network.send(0, AttoFil(1), Vec::new()).unwrap();
}
