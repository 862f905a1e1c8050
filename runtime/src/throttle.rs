//! Log lines that could repeat for every message: the first at once, then at most one every [`INTERVAL`] for each site,
//! which says how many were left out.
//!
//! Nothing is done, and nothing held, while all goes well.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Between two lines of one site.
pub const INTERVAL: Duration = Duration::from_secs(10);

/// Sites that are told apart at a time; the others share one.
const MAX_SITES: usize = 32;

/// The lines of one Sink, Rule or other owner.
#[derive(Debug, Default)]
pub struct Throttle {
    sites: Mutex<HashMap<String, Site>>,
}

#[derive(Debug)]
struct Site {
    said: Instant,
    left_out: u64,
}

impl Throttle {
    /// Whether to log now, and how many lines of this `site` were left out since the last one.
    pub fn admit(&self, site: &str) -> Option<u64> {
        self.admit_at(site, Instant::now())
    }

    fn admit_at(&self, site: &str, now: Instant) -> Option<u64> {
        let mut sites = self.sites.lock();
        let is_due = |site: &Site| now.saturating_duration_since(site.said) >= INTERVAL;
        if !sites.contains_key(site) && sites.len() >= MAX_SITES {
            sites.retain(|_, site| !is_due(site) || site.left_out > 0);
        }
        let site = if sites.contains_key(site) || sites.len() < MAX_SITES { site } else { "" };
        match sites.get_mut(site) {
            None => {
                sites.insert(site.to_owned(), Site { said: now, left_out: 0 });
                Some(0)
            }
            Some(known) if is_due(known) => {
                known.said = now;
                Some(std::mem::take(&mut known.left_out))
            }
            Some(known) => {
                known.left_out += 1;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_comes_at_once_and_the_next_says_what_was_left_out() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        assert_eq!(throttle.admit_at("a", start), Some(0));
        assert_eq!(throttle.admit_at("b", start), Some(0), "each site has its own");
        for _ in 0..2000 {
            assert_eq!(throttle.admit_at("a", start + INTERVAL / 2), None);
        }
        assert_eq!(throttle.admit_at("a", start + INTERVAL), Some(2000));
        assert_eq!(throttle.admit_at("a", start + INTERVAL), None);
        assert_eq!(throttle.admit_at("a", start + 2 * INTERVAL), Some(1));
        assert_eq!(throttle.admit_at("a", start + 9 * INTERVAL), Some(0));
    }

    #[test]
    fn any_number_of_sites_takes_bounded_memory_and_few_lines() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let said = (0..10_000).filter(|n| throttle.admit_at(&format!("topic-{n}"), start).is_some()).count();
        assert_eq!(said, MAX_SITES + 1, "one more for all the others");
        assert!(throttle.sites.lock().len() <= MAX_SITES + 1);
        assert_eq!(throttle.admit_at("new", start + 5 * INTERVAL), Some(0), "old sites make room");
    }
}
