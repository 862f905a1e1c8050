//! Rules at work: which rules a message meets, and what becomes of their output.
//!
//! The SQL itself is `isthmus_rules`. [`table`] finds the rules of a message and runs them, [`action`] does what they
//! ask for, [`columns`] shows a message to them, [`host`] is their window to the world.

pub mod action;
pub mod columns;
pub mod host;
pub mod table;

#[cfg(test)]
mod tests;
