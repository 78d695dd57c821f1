//! One holding's life as text: what is done and waited for at each turn, against a golden file.
//!
//! When a change of the text is meant, copy the printed text into `golden/life.txt` and review the difference.

use crate::model::build::{DAY, NOW, attestation, holding, providers};
use crate::model::text::plan_lines;
use crate::model::world::{Step, World};
use std::fmt::Write;

struct Script {
    world: World,
    text: String,
}

impl Script {
    /// Observes, plans, writes the plan down and carries it out.
    fn turn(&mut self, what: &str) {
        self.world.observe();
        let plan = self.world.plan();
        let (days, epochs) = ((self.world.height - NOW) / DAY, (self.world.height - NOW) % DAY);
        writeln!(self.text, "day {days}+{epochs}: {what}").expect("text");
        for line in plan_lines(&plan) {
            writeln!(self.text, "    {line}").expect("text");
        }
        self.world.apply(&plan);
    }

    fn advance(&mut self, epochs: i64) {
        self.world.height += epochs;
    }
}

#[test]
fn the_life_of_a_holding() {
    let mut holding = holding(1);
    holding.attestations = vec![attestation(1, &[])];
    let mut script = Script { world: World::new(vec![holding], providers(6)), text: String::new() };
    script.turn("registered");
    script.advance(60);
    script.turn("planned, nothing signed yet");
    script.world.honest();
    script.advance(60);
    script.turn("published and activated");
    script.advance(60);
    script.turn("attested");
    script.world.step(Step::Fault(0));
    script.advance(60);
    script.turn("one sector is faulty");
    script.advance(DAY - 61);
    script.turn("one epoch before its patience ends");
    script.advance(1);
    script.turn("its patience ends");
    script.world.step(Step::Recover(0));
    script.advance(1);
    script.turn("it recovered before the repair was signed");
    script.world.step(Step::Hide(0));
    script.world.step(Step::Hide(1));
    script.world.forgets = true;
    script.advance(30 * DAY);
    script.turn("endpoints forget all deals for a month");
    script.world.forgets = false;
    script.world.step(Step::ShowAll);
    script.advance(60);
    script.turn("all is seen again");
    script.world.step(Step::Terminate(1));
    script.advance(60);
    script.turn("a provider terminates a sector");
    script.world.honest();
    script.advance(60);
    script.turn("the repair is proven");
    script.advance(483 * DAY);
    script.turn("two terms end soon");
    script.world.honest();
    script.advance(60);
    script.turn("the renewals are proven beside the old ones");
    script.advance(31 * DAY);
    script.turn("the old terms are over, the repaired copy's renewal is due");
    script.world.holdings[0].open = false;
    script.turn("every job is stopped");
    let golden = include_str!("golden/life.txt");
    assert!(script.text == golden, "the life of a holding reads differently now:\n{}", script.text);
}
