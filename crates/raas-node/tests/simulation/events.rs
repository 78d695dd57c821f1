//! What happens to a run: faults, time, lies, deaths, and people who register data.

use crate::run::Run;
use crate::setting::{Kind, RENEW_BEFORE};
use crate::shared::Rpc;
use raas_core::ids::ProviderId;
use raas_devnet::provider::{Command as ProviderCommand, Mode};
use raas_devnet::world::{Command, Sectors};
use raas_node::world::World;

const DAY: i64 = 2_880;

impl<W: World> Run<W> {
    pub async fn live(&mut self) -> Result<(), String> {
        for _ in 0..self.setting.holdings {
            self.store_something().await?;
        }
        match self.setting.kind {
            Kind::Storm => self.storms().await?,
            _ => {
                let steps = 45 + self.below(50);
                for _ in 0..steps {
                    self.something_happens().await?;
                    self.settle().await?;
                }
            }
        }
        self.all_is_well().await
    }

    async fn something_happens(&mut self) -> Result<(), String> {
        match self.below(24) {
            0 => {
                let epochs = 1 + self.below(5_000) as i64;
                self.say(&format!("{epochs} epochs pass"));
                self.advance(epochs);
            }
            1 => {
                let epochs = 20_000 + self.below(60_000) as i64;
                self.say(&format!("{epochs} epochs pass while nobody looks"));
                self.advance(epochs);
            }
            2 => self.hit(Command::Fault),
            3 => self.hit(Command::Recover),
            4 => self.hit(Command::Terminate),
            5..=7 => self.set_mode(),
            8 => self.lie().await,
            9 => self.set_rpc(Rpc::Normal).await,
            10 | 11 => {
                let count = self.below(24) as u32;
                self.say(&format!("the process will die at point {count}"));
                self.shared.crash_in(Some(count));
            }
            12 if self.pieces.len() < 5 => self.store_something().await?,
            13 => {
                let count = 1 + self.below(3) as i64;
                self.shared.act(|world| world.apply(Command::NullRounds { count })).expect("null rounds");
            }
            14 if self.setting.kind == Kind::Alone => self.keeper_falls_silent().await,
            15 | 16 => self.somebody_asks(),
            17 => self.upload().await?,
            _ => {
                if self.below(4) == 0 {
                    self.set_rpc(Rpc::Normal).await;
                }
                self.wait();
            }
        }
        Ok(())
    }

    /// A large fleet of which whole providers fail at once; the node looks often enough to see it.
    async fn storms(&mut self) -> Result<(), String> {
        for _ in 0..200 {
            self.settle().await?;
            if self.short().is_empty() {
                break;
            }
            self.wait();
        }
        for round in 0..3 {
            match round {
                1 => self.hit(Command::Terminate),
                _ => {
                    self.hit(Command::Fault);
                    if self.below(2) == 0 {
                        self.hit(Command::Fault);
                    }
                }
            }
            let steps = 20 + self.below(20);
            for _ in 0..steps {
                match self.below(12) {
                    0 => {
                        let count = self.below(24) as u32;
                        self.shared.crash_in(Some(count));
                    }
                    1 => self.lie().await,
                    2 => self.somebody_asks(),
                    3 | 4 => self.set_rpc(Rpc::Normal).await,
                    5 => self.hit(Command::Recover),
                    _ => {}
                }
                let epochs = 60 + self.below(240) as i64;
                self.advance(epochs);
                self.settle().await?;
            }
            self.set_rpc(Rpc::Normal).await;
        }
        Ok(())
    }

    fn some_provider(&mut self) -> ProviderId {
        let ids = self.setting.providers.clone();
        ids[self.below(ids.len() as u64) as usize]
    }

    pub fn hit(&mut self, command: fn(Sectors) -> Command) {
        let provider = self.some_provider();
        let command = command(Sectors { provider, sectors: None });
        self.say(&format!("{command:?}"));
        let _ = self.shared.act(|world| world.apply(command));
    }

    pub fn set_mode(&mut self) {
        let at = self.some_provider();
        let mode = Mode::ALL[self.below(Mode::ALL.len() as u64) as usize];
        let count = Some(1 + self.below(3) as u32);
        self.say(&format!("{at} is {mode:?} {count:?}"));
        let command = ProviderCommand::SetMode { at, mode, count };
        self.shared.act(|world| world.apply(Command::Provider(command))).expect("a mode");
    }

    /// Whoever holds the last copy takes its renewal and is never heard of again.
    async fn keeper_falls_silent(&mut self) {
        let clock = self.shared.clock().0;
        let Some((provider, end)) = self.judge.newest_copy(clock) else { return };
        let at = ProviderId::new(provider);
        self.say(&format!("{at} will take a renewal and vanish"));
        let command = ProviderCommand::SetMode { at, mode: Mode::AcceptAndVanish, count: Some(1) };
        self.shared.act(|world| world.apply(Command::Provider(command))).expect("a mode");
        self.set_rpc(Rpc::Normal).await;
        self.advance((end - RENEW_BEFORE - clock).max(1));
    }

    pub async fn lie(&mut self) {
        let head = self.shared.act(|world| world.chain().head());
        let lies = [
            Rpc::Down,
            Rpc::Stale(head),
            Rpc::Forget17,
            Rpc::Forget32,
            Rpc::EmptyLogs,
            Rpc::Forgetful,
            Rpc::DropReply,
        ];
        let lie = lies[self.below(lies.len() as u64) as usize];
        self.say(&format!("the RPC is {lie:?}"));
        self.set_rpc(lie).await;
    }

    /// To the node's next wake or the world's next event, whichever is first.
    pub fn wait(&mut self) {
        let clock = self.shared.clock().0;
        let event = self.shared.act(|world| world.next_event());
        let wake = self.wake.epoch.map(|epoch| epoch.0);
        let next = [event, wake].into_iter().flatten().filter(|epoch| *epoch > clock).min();
        let next = next.unwrap_or(clock + DAY).min(clock + 30_000);
        self.advance(next - clock);
    }
}
