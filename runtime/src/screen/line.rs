//! The last line of the terminal, which is written over; log lines on standard error go above it.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Goes to the first column and clears the line (ECMA-48: CR, EL 2).
pub const CLEAR: &str = "\r\x1b[2K";

/// Whether the cursor stands behind a status line now. One for the process, as the terminal is.
static DRAWN: AtomicBool = AtomicBool::new(false);

/// What must be written before anything else so that it does not end up on the status line: nothing or [`CLEAR`].
/// The line itself comes back with the next refresh.
pub fn make_room() -> &'static str {
    if DRAWN.swap(false, Relaxed) { CLEAR } else { "" }
}

/// The status line.
#[derive(Debug)]
pub struct StatusLine {
    rewrites: bool,
}

impl StatusLine {
    /// A line that can be written over, or plain lines one after another.
    pub fn new(rewrites: bool) -> Self {
        Self { rewrites }
    }

    /// Whether the line can be written over.
    pub fn rewrites(&self) -> bool {
        self.rewrites
    }

    /// Shows `text` in the place of what was shown before.
    pub fn show(&self, text: &str) {
        super::write(&format!("{CLEAR}{text}"));
        DRAWN.store(true, Relaxed);
    }

    /// Prints lines that stay, above the status line.
    pub fn print(&self, text: &str) {
        super::write(&format!("{}{text}\n", make_room()));
    }

    /// Leaves the last status where it is and goes to the next line.
    pub fn end(&self) {
        if DRAWN.swap(false, Relaxed) {
            super::write("\n");
        }
    }
}
