//! Tokens to tree: statements here, expressions in [`expression`]. Recursive descent; one function per grammar rule.

mod expression;

use super::ast::{Body, Expr, ExprKind, Item, Path, Query, Span, Step, Topic};
use super::lexer::lex;
use super::token::{Keyword, Kind, Symbol, Token};
use crate::diagnostic::Diagnostic;
use crate::limits::{MAX_EXPRESSION_DEPTH, MAX_EXPRESSION_NESTING, MAX_SQL_BYTES, MAX_VALUE_DEPTH};

pub(super) type Parsed<T> = Result<T, Diagnostic>;

/// Parses one rule. The first problem found is the error.
pub fn parse(sql: &str) -> Parsed<Query> {
    if sql.len() > MAX_SQL_BYTES {
        let message = format!("the SQL has {} bytes; at most {MAX_SQL_BYTES} are allowed", sql.len());
        return Err(Diagnostic::error(0..0, message));
    }
    let mut parser = Parser { tokens: lex(sql)?, at: 0, nesting: 0 };
    let query = parser.query()?;
    match parser.peek() {
        Kind::End => Ok(query),
        other => {
            let message = format!("syntax error: unexpected {other} after the end of the rule");
            Err(Diagnostic::error(parser.span(), message))
        }
    }
}

pub(super) struct Parser {
    tokens: Vec<Token>,
    at: usize,
    nesting: u16,
}

impl Parser {
    fn query(&mut self) -> Parsed<Query> {
        let body = if self.eat_keyword(Keyword::Select) {
            Body::Select(self.items()?)
        } else if self.eat_keyword(Keyword::Foreach) {
            let collection = self.items()?;
            let each = if self.eat_keyword(Keyword::Do) { Some(self.items()?) } else { None };
            let incase = if self.eat_keyword(Keyword::Incase) { Some(self.expr()?) } else { None };
            Body::Foreach { collection, each, incase }
        } else {
            return self.expected("SELECT or FOREACH");
        };
        if !self.eat_keyword(Keyword::From) {
            return match &body {
                Body::Select(_) => self.expected("`,` or FROM"),
                Body::Foreach { .. } => self.expected("`,`, DO, INCASE or FROM"),
            };
        }
        let mut from = vec![self.topic()?];
        while self.eat(Symbol::Comma) {
            from.push(self.topic()?);
        }
        let condition = if self.eat_keyword(Keyword::Where) { Some(self.expr()?) } else { None };
        Ok(Query { body, from, condition })
    }

    fn items(&mut self) -> Parsed<Vec<Item>> {
        let mut items = vec![self.item()?];
        while self.eat(Symbol::Comma) {
            items.push(self.item()?);
        }
        Ok(items)
    }

    fn item(&mut self) -> Parsed<Item> {
        let span = self.span();
        if self.eat(Symbol::Star) {
            return Ok(Item::All(span));
        }
        let expr = self.expr()?;
        let target = if self.eat_keyword(Keyword::As) || matches!(self.peek(), Kind::Name(_) | Kind::Quoted(_)) {
            Some(self.target()?)
        } else {
            None
        };
        Ok(Item::Value { expr, target })
    }

    fn target(&mut self) -> Parsed<Path> {
        let expr = self.path_or_slice("a name after AS")?;
        match expr.kind {
            ExprKind::Path(path) => Ok(path),
            _ => Err(Diagnostic::error(expr.span, "a range such as `[1..3]` cannot be written to")
                .with_help("name one element after AS, as in `a[1]`")),
        }
    }

    fn topic(&mut self) -> Parsed<Topic> {
        let span = self.span();
        match self.peek().clone() {
            Kind::Name(text) | Kind::Quoted(text) | Kind::Text(text) => {
                self.at += 1;
                Ok(Topic { text, span })
            }
            _ => self.expected("a topic in double quotes"),
        }
    }

    /// `name {'.' seg | '[' index ']'} ['[' int '..' int ']']`
    fn path_or_slice(&mut self, what: &str) -> Parsed<Expr> {
        let start = self.span().start;
        let (Kind::Name(root) | Kind::Quoted(root)) = self.peek().clone() else {
            return self.expected(what);
        };
        self.at += 1;
        let mut steps = Vec::new();
        let mut slice = None;
        while slice.is_none() {
            if self.eat(Symbol::Dot) {
                steps.push(Step::Key(self.segment()?));
            } else if self.eat(Symbol::OpenBracket) {
                match self.index()? {
                    Index::One(step) => steps.push(step),
                    Index::Range(from, to) => slice = Some((from, to)),
                }
            } else {
                break;
            }
            if steps.len() > MAX_VALUE_DEPTH {
                let message = format!("the path has more than {MAX_VALUE_DEPTH} steps");
                return Err(
                    Diagnostic::error(start..self.previous_end(), message).with_help("no value is nested that deeply")
                );
            }
        }
        let span = start..self.previous_end();
        if slice.is_some() && matches!(self.peek(), Kind::Symbol(Symbol::Dot | Symbol::OpenBracket)) {
            return Err(Diagnostic::error(self.span(), "nothing may follow a range inside a path")
                .with_help("select the range under a name first: `a[1..3] AS part, part[1].b`"));
        }
        let path = Path { root, steps, span: span.clone() };
        let kind = match slice {
            Some((from, to)) => ExprKind::Slice(path, from, to),
            None => ExprKind::Path(path),
        };
        node(kind, span, 0)
    }

    fn segment(&mut self) -> Parsed<String> {
        let segment = match self.peek() {
            Kind::Name(text) | Kind::Quoted(text) | Kind::Text(text) => text.clone(),
            Kind::Int(key) => key.to_string(),
            Kind::Float(_) => {
                return Err(Diagnostic::error(self.span(), "a path with two numbers in a row is ambiguous")
                    .with_help("quote the keys, as in `a.'1'.'100'` or `a.'1.100'`"));
            }
            Kind::Keyword(keyword) => {
                let message = format!("the keyword {} is not usable as a key", keyword.text());
                return Err(Diagnostic::error(self.span(), message)
                    .with_help(format!("quote it: `.'{}'`", keyword.text().to_lowercase())));
            }
            _ => return self.expected("a key after `.`"),
        };
        self.at += 1;
        Ok(segment)
    }

    fn index(&mut self) -> Parsed<Index> {
        let index = if matches!(self.peek(), Kind::Name(_) | Kind::Quoted(_)) {
            self.enter()?;
            let expr = self.path_or_slice("an index")?;
            self.nesting -= 1;
            match expr.kind {
                ExprKind::Path(path) => Index::One(Step::Variable(path)),
                _ => return Err(Diagnostic::error(expr.span, "a range is not an index")),
            }
        } else {
            let (negative, value) = self.signed_int("an index: a number or a name")?;
            if self.eat(Symbol::Range) {
                Index::Range(value, self.signed_int("the end of the range")?.1)
            } else if negative && value == 0 {
                Index::One(Step::End)
            } else {
                Index::One(Step::Index(value))
            }
        };
        self.require(Symbol::CloseBracket)?;
        Ok(index)
    }

    fn signed_int(&mut self, what: &str) -> Parsed<(bool, i128)> {
        let negative = self.eat(Symbol::Minus);
        match *self.peek() {
            Kind::Int(value) => {
                self.at += 1;
                Ok((negative, if negative { -value } else { value }))
            }
            _ => self.expected(what),
        }
    }

    // What the functions above and in `expression` are made of.

    /// Counts a level of recursion; the caller counts it back.
    fn enter(&mut self) -> Parsed<()> {
        if self.nesting >= MAX_EXPRESSION_NESTING {
            return Err(too_deep(self.span(), MAX_EXPRESSION_NESTING));
        }
        self.nesting += 1;
        Ok(())
    }

    fn peek(&self) -> &Kind {
        self.tokens.get(self.at).map_or(&Kind::End, |token| &token.kind)
    }

    fn peek_after(&self, ahead: usize) -> &Kind {
        self.tokens.get(self.at + ahead).map_or(&Kind::End, |token| &token.kind)
    }

    fn span(&self) -> Span {
        let last = self.tokens.len().saturating_sub(1);
        self.tokens.get(self.at.min(last)).map_or(0..0, |token| token.span.clone())
    }

    fn previous_end(&self) -> usize {
        self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(0, |token| token.span.end)
    }

    fn eat(&mut self, symbol: Symbol) -> bool {
        let hit = *self.peek() == Kind::Symbol(symbol);
        self.at += usize::from(hit);
        hit
    }

    fn eat_keyword(&mut self, keyword: Keyword) -> bool {
        let hit = *self.peek() == Kind::Keyword(keyword);
        self.at += usize::from(hit);
        hit
    }

    fn require(&mut self, symbol: Symbol) -> Parsed<()> {
        if self.eat(symbol) { Ok(()) } else { self.expected(&format!("`{}`", symbol.text())) }
    }

    fn require_keyword(&mut self, keyword: Keyword) -> Parsed<()> {
        if self.eat_keyword(keyword) { Ok(()) } else { self.expected(keyword.text()) }
    }

    fn expected<T>(&self, what: &str) -> Parsed<T> {
        let error = Diagnostic::error(self.span(), format!("syntax error: expected {what}, found {}", self.peek()));
        Err(match self.peek() {
            Kind::Keyword(keyword) if what.contains("name") || what.contains("expression") => {
                error.with_help(format!("a column of this name is written \"{}\"", keyword.text().to_lowercase()))
            }
            _ => error,
        })
    }
}

enum Index {
    One(Step),
    Range(i128, i128),
}

/// Makes a node whose deepest part has depth `inside`.
fn node(kind: ExprKind, span: Span, inside: u16) -> Parsed<Expr> {
    if inside >= MAX_EXPRESSION_DEPTH {
        return Err(too_deep(span, MAX_EXPRESSION_DEPTH));
    }
    Ok(Expr { kind, span, depth: inside + 1 })
}

fn too_deep(span: Span, limit: u16) -> Diagnostic {
    Diagnostic::error(span, format!("the expression is nested more than {limit} levels deep")).with_help(
        "name parts of it with AS in SELECT and use the names; write `a IN (1, 2)` for a long `a = 1 OR a = 2`",
    )
}
