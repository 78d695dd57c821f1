//! This machine: its disk and its time.

use crate::node::doctor::finding::{Code, Findings};
use crate::node::doctor::looked::{Clock, Disk, Looked, Unwritable};
use raas_core::gate::{HEAD_AGE_MAX, HEAD_AHEAD_MAX};

/// Less free space than this stops uploads sooner or later.
const DISK_LOW: u64 = 10 << 30;
/// And less than this stops the store.
const DISK_EMPTY: u64 = 256 << 20;

/// Whether the data directory can be written, how much room there is, and who can read the store.
pub(super) fn disk(disk: &Disk, findings: &mut Findings) {
    let folder = disk.folder.as_str();
    if let Err(unwritable) = &disk.writable {
        let (why, fix) = match unwritable {
            Unwritable::Forbidden(why) => {
                (why, "give this user the right to write there, or name another data_dir")
            }
            Unwritable::ReadOnly(why) => (
                why,
                "mount the disk for writing (its file system may be damaged: see dmesg), or name another data_dir",
            ),
            Unwritable::Full(why) => {
                (why, "make room, also for more files (`df -i` shows inodes), or name another data_dir")
            }
            Unwritable::Other(why) => (why, "see that the disk is well (dmesg), or name another data_dir"),
        };
        findings.bad(Code::DiskUnwritable, folder, format!("cannot be written: {why}"), fix);
    }
    if let Some(kind) = disk.remote {
        let found = format!(
            "lies on {kind}, a file system of another machine: locks and flushes of the store are not safe"
        );
        findings.bad(Code::DiskRemote, folder, found, "name a data_dir on a disk of this machine");
    }
    match &disk.free {
        Ok(free) => {
            let found = if *free < 1 << 30 {
                format!("{} MiB free", free >> 20)
            } else {
                format!("{} GiB free", free >> 30)
            };
            let fix = "make room, or name a data_dir on a larger disk";
            if *free < DISK_EMPTY {
                findings.bad(Code::DiskFull, folder, format!("{found}: the store stops"), fix);
            } else if *free < disk.reserve {
                let found = format!("{found}, less than store.reserve_mib = {}", disk.reserve >> 20);
                let fix = "make room, name a data_dir on a larger disk, or lower store.reserve_mib: nothing is taken in";
                findings.bad(Code::DiskReserve, folder, found, fix);
            } else if *free < DISK_LOW {
                findings.bad(Code::DiskLow, folder, found, fix);
            } else {
                findings.ok(Code::DiskRoom, folder, found);
            }
        }
        Err(why) => {
            let fix = "see that the disk is there";
            findings.bad(Code::DiskUnknown, folder, format!("cannot be looked at: {why}"), fix);
        }
    }
    let (quarantine, damaged) = &disk.damaged;
    if *damaged > 0 {
        let found = format!("{damaged} damaged CARs were put aside");
        let fix = "look after the disk; GET /v1/store tells what is not back yet; then delete the folder";
        findings.bad(Code::DiskDamaged, quarantine, found, fix);
    }
    if let Some(store) = &disk.open_store {
        let fix = format!("chmod 600 {store}: it holds the secrets of deals");
        findings.bad(Code::StoreOpenToOthers, store, "can be read by other users", fix);
    }
}

/// This machine's time against the heads of all endpoints.
pub(super) fn clock(looked: &Looked, findings: &mut Findings) {
    let (epoch, epoch_seconds, heads) = match &looked.clock {
        None => return,
        Some(Clock::Devnet) => return findings.ok(Code::ClockDevnet, "", "the devnet's own"),
        Some(Clock::Wall { epoch, epoch_seconds, heads }) => (epoch, epoch_seconds, heads),
    };
    let off = |head: &raas_core::units::Epoch| head.0.saturating_sub(epoch.0);
    let (Some(best), Some(worst)) = (heads.iter().map(off).max(), heads.iter().map(off).min()) else {
        return;
    };
    let seconds = best.unsigned_abs().saturating_mul(*epoch_seconds);
    let fix = "set this machine's clock right and keep it so with a time service such as chrony";
    if best > HEAD_AHEAD_MAX {
        let found = format!("is {seconds} s behind the chain's newest head");
        findings.bad(Code::ClockBehind, "", found, fix);
    } else if heads.len() > 1 && best < -HEAD_AGE_MAX && best == worst {
        let found =
            format!("is {seconds} s ahead of all {} endpoints, or the chain stands still", heads.len());
        findings.bad(Code::ClockAhead, "", found, fix);
    } else if best >= -HEAD_AGE_MAX {
        let found = format!("epoch {epoch}, the newest head is {best:+} epochs from it");
        findings.ok(Code::ClockRight, "", found);
    }
    // Else the endpoints are behind, each in its own way, which is told of them.
}
