//! Topic names and topic filters of MQTT: what is legal, and which filter matches which topic.
//!
//! Owns the rules of MQTT 5.0 §4.7 (and 3.1.1 §4.7, which agree). Does not own shared subscription syntax
//! (`$share/GROUP/FILTER` is taken apart by the broker) nor any limit below that of the protocol.

use thiserror::Error;

/// The longest topic or filter in bytes: MQTT strings carry a 16-bit length (MQTT-1.5.4).
pub const MAX_BYTES: usize = 65_535;

/// Why a text is not a topic name or not a topic filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TopicError {
    /// MQTT-4.7.3-1: at least one character.
    #[error("it is empty; a topic has at least one character")]
    Empty,
    /// MQTT-4.7.3-2: no U+0000.
    #[error("it contains the NUL character at byte {at}, which MQTT forbids")]
    Nul {
        /// Byte offset of the character.
        at: usize,
    },
    /// MQTT-4.7.3-3: at most 65,535 bytes.
    #[error("it has {bytes} bytes; MQTT allows at most 65535")]
    TooLong {
        /// Length of the text in bytes.
        bytes: usize,
    },
    /// MQTT-4.7.0-1 and MQTT-3.3.2-2: a topic name has no wildcards.
    #[error("a topic to publish to may not contain the wildcard `{wildcard}` (byte {at})")]
    WildcardInTopic {
        /// `#` or `+`.
        wildcard: char,
        /// Byte offset of the wildcard.
        at: usize,
    },
    /// MQTT-4.7.1-1: `#` stands alone in the last level.
    #[error("`#` at byte {at} must stand alone in the last level, as in `a/b/#`")]
    MisplacedHash {
        /// Byte offset of the wildcard.
        at: usize,
    },
    /// MQTT-4.7.1-2: `+` fills a whole level.
    #[error("`+` at byte {at} must fill a whole level, as in `a/+/b`")]
    MisplacedPlus {
        /// Byte offset of the wildcard.
        at: usize,
    },
}

/// Checks a topic name, the thing a client publishes to.
pub fn validate_topic(topic: &str) -> Result<(), TopicError> {
    check_common(topic)?;
    match topic.bytes().position(|byte| byte == b'#' || byte == b'+') {
        Some(at) => Err(TopicError::WildcardInTopic { wildcard: char::from(topic.as_bytes()[at]), at }),
        None => Ok(()),
    }
}

/// Checks a topic filter, the thing a client subscribes to or a rule selects from.
pub fn validate_filter(filter: &str) -> Result<(), TopicError> {
    check_common(filter)?;
    let bytes = filter.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let starts_level = at == 0 || bytes[at - 1] == b'/';
        match byte {
            b'#' if !starts_level || at + 1 != bytes.len() => return Err(TopicError::MisplacedHash { at }),
            b'+' if !starts_level || !matches!(bytes.get(at + 1), None | Some(b'/')) => {
                return Err(TopicError::MisplacedPlus { at });
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_common(text: &str) -> Result<(), TopicError> {
    if text.is_empty() {
        return Err(TopicError::Empty);
    }
    if text.len() > MAX_BYTES {
        return Err(TopicError::TooLong { bytes: text.len() });
    }
    match text.bytes().position(|byte| byte == 0) {
        Some(at) => Err(TopicError::Nul { at }),
        None => Ok(()),
    }
}

/// Whether `filter` matches `topic`, level by level (MQTT 5.0 §4.7).
///
/// A filter that starts with a wildcard does not match a topic that starts with `$` (MQTT-4.7.2-1);
/// `a/#` also matches `a` (MQTT-4.7.1-2, non-normative example). Nothing is allocated.
///
/// ```
/// use isthmus_rules::topic::matches;
/// assert!(matches("vehicles/+/telemetry", "vehicles/7/telemetry"));
/// assert!(matches("vehicles/#", "vehicles"));
/// assert!(!matches("#", "$SYS/uptime"));
/// ```
pub fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && (filter.starts_with('#') || filter.starts_with('+')) {
        return false;
    }
    let mut filter_levels = filter.split('/');
    let mut topic_levels = topic.split('/');
    loop {
        match (filter_levels.next(), topic_levels.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(wanted), Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_refuse_wildcards_nul_and_emptiness() {
        assert_eq!(validate_topic("a/b"), Ok(()));
        assert_eq!(validate_topic("/"), Ok(()));
        assert_eq!(validate_topic(""), Err(TopicError::Empty));
        assert_eq!(validate_topic("a\0"), Err(TopicError::Nul { at: 1 }));
        assert_eq!(validate_topic("a/+"), Err(TopicError::WildcardInTopic { wildcard: '+', at: 2 }));
        assert_eq!(validate_topic("a#"), Err(TopicError::WildcardInTopic { wildcard: '#', at: 1 }));
        assert_eq!(validate_topic(&"x".repeat(65_536)), Err(TopicError::TooLong { bytes: 65_536 }));
        assert_eq!(validate_topic(&"x".repeat(65_535)), Ok(()));
    }

    #[test]
    fn filters_refuse_misplaced_wildcards() {
        for filter in ["#", "+", "a/#", "+/+", "/+", "a/+/b", "$SYS/#", "é/+"] {
            assert_eq!(validate_filter(filter), Ok(()), "{filter}");
        }
        assert_eq!(validate_filter("a#"), Err(TopicError::MisplacedHash { at: 1 }));
        assert_eq!(validate_filter("#/a"), Err(TopicError::MisplacedHash { at: 0 }));
        assert_eq!(validate_filter("a+"), Err(TopicError::MisplacedPlus { at: 1 }));
        assert_eq!(validate_filter("+a"), Err(TopicError::MisplacedPlus { at: 0 }));
    }

    #[test]
    fn matching_follows_the_examples_of_the_standard() {
        for (filter, topic) in [
            ("sport/tennis/player1/#", "sport/tennis/player1"),
            ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon"),
            ("sport/#", "sport"),
            ("#", "a"),
            ("sport/tennis/+", "sport/tennis/player1"),
            ("sport/+", "sport/"),
            ("+/+", "/finance"),
            ("/+", "/finance"),
            ("$SYS/#", "$SYS/uptime"),
        ] {
            assert!(matches(filter, topic), "{filter} should match {topic}");
        }
        for (filter, topic) in [
            ("sport/tennis/+", "sport/tennis/player1/ranking"),
            ("sport/+", "sport"),
            ("+", "/finance"),
            ("#", "$SYS/uptime"),
            ("+/uptime", "$SYS/uptime"),
            ("a/b", "a"),
            ("a", "a/b"),
        ] {
            assert!(!matches(filter, topic), "{filter} should not match {topic}");
        }
    }
}
