//! The screen of local mode: what listens, what flows where, what to type next, and a line of live rates.
//!
//! Owns the terminal: everything goes to standard output. What is said is decided by pure functions over a
//! [`Snapshot`] and a [`Plan`]: [`banner`](banner::banner), [`flow`](flow::flow), [`rates`]. On a terminal the rates are one line
//! that is written over each second; in a file or pipe a line every ten seconds, and only when something moved.

pub mod banner;
pub mod flow;
pub mod line;
pub mod rates;
mod sample;

use std::io::{self, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use isthmus_plan::Plan;

use self::banner::Here;
use self::line::StatusLine;
use self::rates::{Rates, Totals};
use crate::status::{Link, LinkState, Snapshot};

/// How often rates are printed where lines cannot be written over.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

/// The screen of a running local mode.
#[derive(Debug)]
pub struct Screen {
    line: StatusLine,
    here: Here,
    last: Totals,
    printed: Option<(Instant, Totals)>,
    /// Links that are not up, as last told.
    troubles: Vec<String>,
    started: Instant,
}

impl Screen {
    /// How often [`Screen::refresh`] wants to be called.
    pub const REFRESH: Duration = Duration::from_secs(1);

    /// Says what runs.
    pub fn start(snapshot: &Snapshot, plan: &Plan, admin: SocketAddr) -> Self {
        let now = Instant::now();
        let screen = Self {
            line: StatusLine::new(rewrites_lines()),
            here: Here { admin, program: program() },
            last: Totals::of(snapshot, now),
            printed: None,
            troubles: Vec::new(),
            started: now,
        };
        screen.print(&banner::banner(snapshot, plan, &screen.here));
        screen
    }

    /// Shows the rates since the last call, and links that went down or came up.
    pub fn refresh(&mut self, snapshot: &Snapshot) {
        let now = Instant::now();
        self.tell_troubles(snapshot, now);
        let totals = Totals::of(snapshot, now);
        if self.line.rewrites() {
            self.line.show(&Rates::between(&self.last, &totals).to_string());
        } else {
            let (since, before) = self.printed.get_or_insert((now, self.last.clone()));
            if now.duration_since(*since) >= PLAIN_INTERVAL {
                if totals.moved_since(before) {
                    let rates = Rates::between(before, &totals).to_string();
                    self.line.print(&rates);
                }
                self.printed = Some((now, totals.clone()));
            }
        }
        self.last = totals;
    }

    /// Says something that happened, above the rates.
    pub fn interrupt(&mut self, news: &str) {
        self.print(news);
    }

    /// Says what flows where, after it changed.
    pub fn flow(&mut self, snapshot: &Snapshot, plan: &Plan) {
        self.print(&banner::links(snapshot, plan, &self.here));
    }

    /// Leaves the cursor on a line of its own.
    pub fn end(&mut self) {
        self.line.end();
    }

    /// A link says why it is down when it goes down and when the reason changes; and that it is up again.
    fn tell_troubles(&mut self, snapshot: &Snapshot, now: Instant) {
        // Links need a moment to come up: joining a group of the embedded broker takes three seconds.
        if now.duration_since(self.started) < LINK_GRACE {
            return;
        }
        let links = snapshot
            .sinks
            .iter()
            .map(|sink| ("sink", &sink.name, &sink.link))
            .chain(snapshot.sources.iter().map(|source| ("source", &source.name, &source.link)));
        let troubles: Vec<_> = links.filter_map(trouble).collect();
        let news: Vec<_> = troubles.iter().filter(|trouble| !self.troubles.contains(trouble)).cloned().collect();
        let over = troubles.is_empty() && !self.troubles.is_empty();
        self.troubles = troubles;
        for line in news {
            self.print(&line);
        }
        if over {
            self.print("all links to Kafka are up");
        }
    }

    fn print(&self, text: &str) {
        self.line.print(text.trim_end());
    }
}

/// A link that is not up so long after the start is worth a line.
const LINK_GRACE: Duration = Duration::from_secs(5);

fn trouble((kind, name, link): (&str, &String, &Link)) -> Option<String> {
    (link.state != LinkState::Connected).then(|| format!("{kind} {name}: {}: {}", link.reason, link.message))
}

/// The program as it was called.
fn program() -> String {
    std::env::args().next().filter(|name| !name.is_empty()).unwrap_or_else(|| "isthmus".to_owned())
}

/// Whether standard output is a terminal that understands control sequences.
fn rewrites_lines() -> bool {
    io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|terminal| terminal != "dumb")
}

/// Writes to standard output. Nobody looking (a closed pipe) is no reason to end.
fn write(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
