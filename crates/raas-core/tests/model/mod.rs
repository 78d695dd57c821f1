//! A model world for the rules: builders of holdings, a text form of plans, and a small chain with providers
//! that applies plans and random events.

pub mod build;
pub mod text;
pub mod world;
