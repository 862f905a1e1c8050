//! The scanner behind a [`Document`](super::Document): one pass over the bytes that validates and indexes.

use super::JsonError;
use super::document::{Kind, Node};
use crate::limits::MAX_VALUE_DEPTH;

/// A problem is one byte here, and its place the scanner's: results then travel in registers.
type Scanned = Result<(), Problem>;

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

/// Validates `text` and lists its nodes in document order.
pub(super) fn scan(text: &str) -> Result<Vec<Node>, JsonError> {
    if u32::try_from(text.len()).is_err() {
        return Err(JsonError { problem: "the text is longer than 4 GiB", at: 0 });
    }
    // A key or value with its punctuation is seldom shorter than six bytes: one allocation is enough for most.
    let mut scanner = Scanner { bytes: text.as_bytes(), at: 0, nodes: Vec::with_capacity(text.len() / 6 + 4) };
    match scanner.document() {
        Ok(()) => Ok(scanner.nodes),
        Err(problem) => Err(JsonError { problem: problem.text(), at: scanner.at }),
    }
}

struct Scanner<'t> {
    bytes: &'t [u8],
    at: usize,
    nodes: Vec<Node>,
}

impl Scanner<'_> {
    fn document(&mut self) -> Scanned {
        self.space();
        self.value(0)?;
        self.space();
        if self.at < self.bytes.len() { Err(Problem::Trailing) } else { Ok(()) }
    }

    fn fail_at(&mut self, at: usize, problem: Problem) -> Scanned {
        self.at = at;
        Err(problem)
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    fn space(&mut self) {
        while let Some(byte) = self.peek()
            && byte <= b' '
            && matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
        {
            self.at += 1;
        }
    }

    #[inline]
    fn push(&mut self, kind: Kind, start: usize, end: usize) -> usize {
        let id = self.nodes.len();
        self.nodes.push(Node { start: start as u32, end: end as u32, next: id as u32 + 1, kind });
        id
    }

    fn close(&mut self, id: usize) {
        let next = self.nodes.len() as u32;
        self.nodes[id].next = next;
    }

    fn value(&mut self, depth: usize) -> Scanned {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'{') => self.map(depth),
            Some(b'[') => self.list(depth),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word(b"true", Kind::True),
            Some(b'f') => self.word(b"false", Kind::False),
            Some(b'n') => self.word(b"null", Kind::Null),
            Some(_) => Err(Problem::Value),
            None => Err(Problem::End),
        }
    }

    fn word(&mut self, word: &[u8], kind: Kind) -> Scanned {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(Problem::Value);
        }
        self.push(kind, self.at, self.at + word.len());
        self.at += word.len();
        Ok(())
    }

    fn enter(&mut self, depth: usize) -> Scanned {
        if depth >= MAX_VALUE_DEPTH {
            return Err(Problem::Depth);
        }
        self.at += 1;
        self.space();
        Ok(())
    }

    fn list(&mut self, depth: usize) -> Scanned {
        let id = self.push(Kind::List, self.at, self.at);
        self.enter(depth)?;
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return Err(Problem::CommaOrBracket),
            }
            self.space();
        }
        self.at += 1;
        self.close(id);
        Ok(())
    }

    fn map(&mut self, depth: usize) -> Scanned {
        let id = self.push(Kind::Map, self.at, self.at);
        self.enter(depth)?;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(Problem::Key);
            }
            let key = self.nodes.len();
            self.string()?;
            self.space();
            if self.peek() != Some(b':') {
                return Err(Problem::Colon);
            }
            self.at += 1;
            self.space();
            self.value(depth + 1)?;
            self.close(key);
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return Err(Problem::CommaOrBrace),
            }
            self.space();
        }
        self.at += 1;
        self.close(id);
        Ok(())
    }

    /// Most strings have no escape and end where the plain text ends.
    #[inline]
    fn string(&mut self) -> Scanned {
        let start = self.at + 1;
        let end = start + plain_prefix(&self.bytes[start..]);
        if self.bytes.get(end) != Some(&b'"') {
            self.at = end;
            return self.string_with_escapes(start);
        }
        self.push(Kind::Plain, start, end);
        self.at = end + 1;
        Ok(())
    }

    fn string_with_escapes(&mut self, start: usize) -> Scanned {
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(Problem::Control),
                None => return Err(Problem::OpenString),
            }
            self.at += plain_prefix(&self.bytes[self.at..]);
        }
        self.push(Kind::Escaped, start, self.at);
        self.at += 1;
        Ok(())
    }

    fn escape(&mut self) -> Scanned {
        let start = self.at;
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => match self.unit() {
                Some(0xD800..=0xDBFF) => {
                    let low = self.peek() == Some(b'\\') && self.bytes.get(self.at + 1) == Some(&b'u');
                    if low {
                        self.at += 1;
                    }
                    if !low || !matches!(self.unit(), Some(0xDC00..=0xDFFF)) {
                        return self.fail_at(start, Problem::Surrogate);
                    }
                }
                Some(0xDC00..=0xDFFF) => return self.fail_at(start, Problem::Surrogate),
                Some(_) => {}
                None => return Err(Problem::Unicode),
            },
            _ => return Err(Problem::Escape),
        }
        Ok(())
    }

    /// Reads `uXXXX` at the current place; stays there when it is something else.
    fn unit(&mut self) -> Option<u32> {
        let unit = hex4(self.bytes.get(self.at + 1..self.at + 5)?)?;
        self.at += 5;
        Some(unit)
    }

    fn number(&mut self) -> Scanned {
        let start = self.at;
        let sign = usize::from(self.peek() == Some(b'-'));
        let whole = self.digits(start + sign);
        let digits = whole - start - sign;
        if digits == 0 {
            return self.fail_at(whole, Problem::Digit);
        }
        if digits > 1 && self.bytes[start + sign] == b'0' {
            return self.fail_at(start + sign + 1, Problem::LeadingZero);
        }
        let mut kind = Kind::Int;
        let mut end = whole;
        if self.bytes.get(end) == Some(&b'.') {
            kind = Kind::Float;
            let from = end + 1;
            end = self.digits(from);
            if end == from {
                return self.fail_at(end, Problem::Digit);
            }
        }
        let exponent = matches!(self.bytes.get(end), Some(b'e' | b'E'));
        if exponent {
            kind = Kind::Float;
            let from = end + 1 + usize::from(matches!(self.bytes.get(end + 1), Some(b'+' | b'-')));
            end = self.digits(from);
            if end == from {
                return self.fail_at(end, Problem::Digit);
            }
        }
        if (exponent || end - start > 300) && !self.is_finite(start, end) {
            return self.fail_at(start, Problem::Range);
        }
        self.push(kind, start, end);
        self.at = end;
        Ok(())
    }

    fn is_finite(&self, start: usize, end: usize) -> bool {
        std::str::from_utf8(&self.bytes[start..end])
            .ok()
            .and_then(|text| text.parse::<f64>().ok())
            .is_some_and(f64::is_finite)
    }

    /// Where the digits that begin at `at` end.
    #[inline]
    fn digits(&self, mut at: usize) -> usize {
        while let Some(b'0'..=b'9') = self.bytes.get(at) {
            at += 1;
        }
        at
    }
}

/// Length of the beginning of `bytes` that has no quote, backslash or control character, eight bytes at a time.
pub(super) fn plain_prefix(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let mut done = 0;
    while let Some(chunk) = bytes.get(done..done + 8).and_then(|chunk| <[u8; 8]>::try_from(chunk).ok()) {
        let word = u64::from_le_bytes(chunk);
        let zero_byte = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
        let quotes = zero_byte(word ^ (ONES * u64::from(b'"')));
        let slashes = zero_byte(word ^ (ONES * u64::from(b'\\')));
        let controls = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        // Each mask is exact up to its first hit, which is the only one that is used.
        let hits = quotes | slashes | controls;
        if hits != 0 {
            return done + (hits.trailing_zeros() / 8) as usize;
        }
        done += 8;
    }
    let rest = &bytes[done..];
    done + rest.iter().position(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\')).unwrap_or(rest.len())
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
