//! The whole-system tests, in one binary: one broker and one link for all of them.

mod harness;
