//! The scanner behind a [`Document`](super::Document): one pass over the bytes that validates and indexes.

use std::cell::Cell;

use super::JsonError;
use super::document::{Key, Kind, Node};
use crate::limits::MAX_VALUE_DEPTH;

/// Where a part of the text ends, or what is wrong; where that is, the scanner knows: both fit registers.
type Scanned = Result<usize, Problem>;

macro_rules! problems {
    ($($variant:ident $text:literal,)*) => {
        #[derive(Clone, Copy)]
        enum Problem { $($variant),* }

        impl Problem {
            fn text(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }
    };
}

problems! {
    Trailing "unexpected text after the value",
    Value "expected a value",
    End "the text ends where a value should be",
    Depth "nested too deeply",
    CommaOrBracket "expected `,` or `]`",
    CommaOrBrace "expected `,` or `}`",
    Key "expected a key in double quotes",
    Colon "expected `:`",
    Control "a control character in a string must be escaped",
    OpenString "the text ends inside a string",
    Surrogate "half of a surrogate pair",
    Unicode "expected four hexadecimal digits after `\\u`",
    Escape "unknown escape",
    Digit "expected a digit",
    LeadingZero "a number may not start with 0",
    Range "the number is out of range",
}

/// Validates `text` and lists its nodes in document order, in `nodes`, which is empty.
pub(super) fn scan(text: &str, mut nodes: Vec<Cell<Node>>) -> Result<Vec<Cell<Node>>, JsonError> {
    if u32::try_from(text.len()).is_err() {
        return Err(JsonError { problem: "the text is longer than 4 GiB", at: 0 });
    }
    // A value with its key and punctuation is seldom shorter.
    nodes.reserve(text.len() / 12 + 4);
    let mut scanner = Scanner { bytes: text.as_bytes(), nodes, failed_at: 0 };
    match scanner.document() {
        Ok(_) => Ok(scanner.nodes),
        Err(problem) => Err(JsonError { problem: problem.text(), at: scanner.failed_at }),
    }
}

/// The place stays in a register: methods take it and give the next one.
struct Scanner<'t> {
    bytes: &'t [u8],
    nodes: Vec<Cell<Node>>,
    failed_at: usize,
}

#[expect(clippy::inline_always, reason = "a call with its result in memory costs more than most tokens")]
impl Scanner<'_> {
    fn document(&mut self) -> Scanned {
        let at = self.value(self.space(0), Key::default(), 0)?;
        let at = self.space(at);
        if at < self.bytes.len() { self.fail(at, Problem::Trailing) } else { Ok(at) }
    }

    #[cold]
    fn fail(&mut self, at: usize, problem: Problem) -> Scanned {
        self.failed_at = at;
        Err(problem)
    }

    #[inline(always)]
    fn peek(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    /// The first place from `at` on that is no white space. Most JSON of machines has none.
    #[inline(always)]
    fn space(&self, at: usize) -> usize {
        match self.peek(at) {
            Some(byte) if byte <= b' ' => self.long_space(at),
            _ => at,
        }
    }

    fn long_space(&self, mut at: usize) -> usize {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek(at) {
            at += 1;
        }
        at
    }

    #[inline(always)]
    fn push(&mut self, kind: Kind, start: usize, end: usize, key: Key) {
        self.nodes.push(Cell::new(Node { start: start as u32, end: end as u32, key, kind }));
    }

    /// Opens a list or map: its node, and the place of its first element.
    fn open(&mut self, kind: Kind, at: usize, key: Key, depth: usize) -> Scanned {
        if depth >= MAX_VALUE_DEPTH {
            return self.fail(at, Problem::Depth);
        }
        self.push(kind, at, self.nodes.len() + 1, key);
        Ok(self.space(at + 1))
    }

    #[inline(always)]
    fn value(&mut self, at: usize, key: Key, depth: usize) -> Scanned {
        match self.peek(at) {
            Some(b'"') => {
                let end = plain_end(self.bytes, at + 1);
                if self.peek(end) == Some(b'"') {
                    self.push(Kind::Plain, at + 1, end, key);
                    return Ok(end + 1);
                }
                let end = self.string_with_escapes(end)?;
                self.push(Kind::Escaped, at + 1, end, key);
                Ok(end + 1)
            }
            Some(b'-' | b'0'..=b'9') => self.number(at, key),
            Some(b'{') => self.map(at, key, depth),
            Some(b'[') => self.list(at, key, depth),
            Some(b't') => self.word(at, b"true", Kind::True, key),
            Some(b'f') => self.word(at, b"false", Kind::False, key),
            Some(b'n') => self.word(at, b"null", Kind::Null, key),
            Some(_) => self.fail(at, Problem::Value),
            None => self.fail(at, Problem::End),
        }
    }

    #[inline(always)]
    fn word<const N: usize>(&mut self, at: usize, word: &[u8; N], kind: Kind, key: Key) -> Scanned {
        let end = at + N;
        if self.bytes.get(at..end) != Some(word) {
            return self.fail(at, Problem::Value);
        }
        self.push(kind, at, end, key);
        Ok(end)
    }

    fn list(&mut self, at: usize, key: Key, depth: usize) -> Scanned {
        let id = self.nodes.len();
        let mut at = self.open(Kind::List, at, key, depth)?;
        if self.peek(at) == Some(b']') {
            return Ok(at + 1);
        }
        loop {
            at = self.value(at, Key::default(), depth + 1)?;
            at = self.space(at);
            match self.peek(at) {
                Some(b',') => at = self.space(at + 1),
                Some(b']') => break,
                _ => return self.fail(at, Problem::CommaOrBracket),
            }
        }
        let end = self.nodes.len() as u32;
        self.nodes[id].get_mut().end = end;
        Ok(at + 1)
    }

    fn map(&mut self, at: usize, key: Key, depth: usize) -> Scanned {
        let id = self.nodes.len();
        let mut at = self.open(Kind::Map, at, key, depth)?;
        if self.peek(at) == Some(b'}') {
            return Ok(at + 1);
        }
        loop {
            if self.peek(at) != Some(b'"') {
                return self.fail(at, Problem::Key);
            }
            let start = at + 1;
            let mut end = plain_end(self.bytes, start);
            let escaped = self.peek(end) != Some(b'"');
            if escaped {
                end = self.string_with_escapes(end)?;
            }
            at = self.space(end + 1);
            if self.peek(at) != Some(b':') {
                return self.fail(at, Problem::Colon);
            }
            let key = Key { start: start as u32, end: end as u32, escaped };
            at = self.value(self.space(at + 1), key, depth + 1)?;
            at = self.space(at);
            match self.peek(at) {
                Some(b',') => at = self.space(at + 1),
                Some(b'}') => break,
                _ => return self.fail(at, Problem::CommaOrBrace),
            }
        }
        let end = self.nodes.len() as u32;
        self.nodes[id].get_mut().end = end;
        Ok(at + 1)
    }

    /// Where a string ends that has more than plain characters, the first of them at `at`.
    #[inline(never)]
    fn string_with_escapes(&mut self, mut at: usize) -> Scanned {
        loop {
            match self.peek(at) {
                Some(b'"') => return Ok(at),
                Some(b'\\') => at = self.escape(at)?,
                Some(_) => return self.fail(at, Problem::Control),
                None => return self.fail(at, Problem::OpenString),
            }
            at = plain_end(self.bytes, at);
        }
    }

    fn escape(&mut self, at: usize) -> Scanned {
        match self.peek(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
            Some(b'u') => match self.unit(at) {
                Some(0xD800..=0xDBFF) => match self.unit(at + 6) {
                    Some(0xDC00..=0xDFFF) => Ok(at + 12),
                    _ => self.fail(at, Problem::Surrogate),
                },
                Some(0xDC00..=0xDFFF) => self.fail(at, Problem::Surrogate),
                Some(_) => Ok(at + 6),
                None => self.fail(at + 1, Problem::Unicode),
            },
            _ => self.fail(at + 1, Problem::Escape),
        }
    }

    /// The code unit of the `\uXXXX` at this place.
    fn unit(&self, at: usize) -> Option<u32> {
        let escape = self.bytes.get(at..at + 6)?;
        hex4(escape.strip_prefix(b"\\u")?)
    }

    #[inline(always)]
    fn number(&mut self, start: usize, key: Key) -> Scanned {
        let first = start + usize::from(self.peek(start) == Some(b'-'));
        let mut end = self.digits(first);
        if end == first {
            return self.fail(end, Problem::Digit);
        }
        if self.peek(first) == Some(b'0') && end > first + 1 {
            return self.fail(first + 1, Problem::LeadingZero);
        }
        let mut kind = Kind::Int;
        if self.peek(end) == Some(b'.') {
            kind = Kind::Float;
            let from = end + 1;
            end = self.digits(from);
            if end == from {
                return self.fail(end, Problem::Digit);
            }
        }
        if matches!(self.peek(end), Some(b'e' | b'E')) || end - start > 300 {
            return self.extreme_number(start, end, kind, key);
        }
        self.push(kind, start, end, key);
        Ok(end)
    }

    /// A number with an exponent, or so long that it may be beyond what a float holds. It has been read up to `end`.
    #[inline(never)]
    fn extreme_number(&mut self, start: usize, mut end: usize, mut kind: Kind, key: Key) -> Scanned {
        if matches!(self.peek(end), Some(b'e' | b'E')) {
            kind = Kind::Float;
            let from = end + 1 + usize::from(matches!(self.peek(end + 1), Some(b'+' | b'-')));
            end = self.digits(from);
            if end == from {
                return self.fail(end, Problem::Digit);
            }
        }
        let float = std::str::from_utf8(&self.bytes[start..end]).ok().and_then(|text| text.parse::<f64>().ok());
        if !float.is_some_and(f64::is_finite) {
            return self.fail(start, Problem::Range);
        }
        self.push(kind, start, end, key);
        Ok(end)
    }

    /// Where the digits that begin at `at` end.
    #[inline(always)]
    fn digits(&self, mut at: usize) -> usize {
        while let Some(b'0'..=b'9') = self.peek(at) {
            at += 1;
        }
        at
    }
}

/// The first place from `at` on that holds a quote, backslash or control character, else the end; eight bytes at a time.
#[inline(always)]
pub(super) fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        let word = u64::from_le_bytes(*chunk);
        // Subtracting borrows into the high bit of a byte that was smaller. Bytes from 0x80 on are none of these, and
        // the quote and backslash leave the high bits alone. A borrow may reach the byte after a hit: only the first
        // hit is exact, and only it is used.
        let quotes = (word ^ (ONES * u64::from(b'"'))).wrapping_sub(ONES);
        let slashes = (word ^ (ONES * u64::from(b'\\'))).wrapping_sub(ONES);
        let controls = word.wrapping_sub(ONES * 0x20);
        let hits = (quotes | slashes | controls) & !word & HIGH;
        if hits != 0 {
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(byte) = bytes.get(at) {
        if *byte < 0x20 || matches!(byte, b'"' | b'\\') {
            break;
        }
        at += 1;
    }
    at
}

fn hex4(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |unit, digit| Some(unit * 16 + char::from(*digit).to_digit(16)?))
}

/// The text of a string that was scanned without error.
pub(super) fn unescape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = rest.as_bytes().get(at + 1).copied().unwrap_or_default();
        rest = rest.get(at + 2..).unwrap_or_default();
        out.push(match escape {
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'u' => unescape_unit(&mut rest),
            other => char::from(other),
        });
    }
    out.push_str(rest);
    out
}

fn unescape_unit(rest: &mut &str) -> char {
    let mut take = |skip: usize| {
        let unit = rest.as_bytes().get(skip..skip + 4).and_then(hex4).unwrap_or(0xFFFD);
        *rest = rest.get(skip + 4..).unwrap_or_default();
        unit
    };
    let code = match take(0) {
        high @ 0xD800..=0xDBFF => 0x10000 + ((high - 0xD800) << 10) + (take(2).wrapping_sub(0xDC00) & 0x3FF),
        unit => unit,
    };
    char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
}
