//! The routes of the public specification and of its starter kit, with the answers their front end reads.

pub mod deal_status;
pub mod fields;
pub mod register;
pub mod upload;
