//! Expressions, one function per level of precedence: OR, AND, NOT, comparison, sum, product, sign, primary.

use super::super::ast::{Binary, Expr, ExprKind, Span, Unary};
use super::super::token::{Keyword, Kind, Symbol};
use super::{Parsed, Parser, node};
use crate::diagnostic::Diagnostic;

impl Parser {
    pub(super) fn expr(&mut self) -> Parsed<Expr> {
        self.enter()?;
        let expr = self.or();
        self.nesting -= 1;
        expr
    }

    fn or(&mut self) -> Parsed<Expr> {
        let mut left = self.and()?;
        while self.eat_keyword(Keyword::Or) {
            let right = self.and()?;
            left = Self::binary(Binary::Or, left, right)?;
        }
        Ok(left)
    }

    fn and(&mut self) -> Parsed<Expr> {
        let mut left = self.not()?;
        while self.eat_keyword(Keyword::And) {
            let right = self.not()?;
            left = Self::binary(Binary::And, left, right)?;
        }
        Ok(left)
    }

    fn not(&mut self) -> Parsed<Expr> {
        let start = self.span().start;
        if !self.eat_keyword(Keyword::Not) {
            return self.comparison();
        }
        self.enter()?;
        let operand = self.not();
        self.nesting -= 1;
        Self::unary(Unary::Not, start, operand?)
    }

    fn comparison(&mut self) -> Parsed<Expr> {
        let left = self.sum()?;
        let negated = *self.peek() == Kind::Keyword(Keyword::Not)
            && *self.peek_after(1) == Kind::Keyword(Keyword::In)
            && self.eat_keyword(Keyword::Not);
        if self.eat_keyword(Keyword::In) {
            return self.options(left, negated);
        }
        let Some(op) = self.comparison_operator()? else {
            return Ok(left);
        };
        let right = self.sum()?;
        let whole = Self::binary(op, left, right)?;
        if self.comparison_operator()?.is_some() {
            let at = self.at - 1;
            return Err(Diagnostic::error(self.tokens[at].span.clone(), "comparisons do not chain")
                .with_help("join them with AND, as in `1 < a AND a < 5`"));
        }
        Ok(whole)
    }

    fn comparison_operator(&mut self) -> Parsed<Option<Binary>> {
        let Kind::Symbol(symbol) = self.peek() else { return Ok(None) };
        let op = match symbol {
            Symbol::Equal => Binary::Equal,
            Symbol::NotEqual | Symbol::NotEqualAngle => Binary::NotEqual,
            Symbol::Less => Binary::Less,
            Symbol::LessOrEqual => Binary::LessOrEqual,
            Symbol::Greater => Binary::Greater,
            Symbol::GreaterOrEqual => Binary::GreaterOrEqual,
            Symbol::Matches => Binary::Matches,
            Symbol::MatchesReversed => {
                return Err(Diagnostic::error(self.span(), "the operator `~=` does not exist")
                    .with_help("write `topic =~ 'filter'`"));
            }
            _ => return Ok(None),
        };
        self.at += 1;
        Ok(Some(op))
    }

    fn options(&mut self, subject: Expr, negated: bool) -> Parsed<Expr> {
        self.require(Symbol::OpenParen)?;
        let mut options = vec![self.expr()?];
        while self.eat(Symbol::Comma) {
            options.push(self.expr()?);
        }
        self.require(Symbol::CloseParen)?;
        let span = subject.span.start..self.previous_end();
        let inside = deepest(&options).max(subject.depth);
        node(ExprKind::In { subject: Box::new(subject), options, negated }, span, inside)
    }

    fn sum(&mut self) -> Parsed<Expr> {
        let mut left = self.product()?;
        loop {
            let op = match self.peek() {
                Kind::Symbol(Symbol::Plus) => Binary::Add,
                Kind::Symbol(Symbol::Minus) => Binary::Subtract,
                _ => return Ok(left),
            };
            self.at += 1;
            let right = self.product()?;
            left = Self::binary(op, left, right)?;
        }
    }

    fn product(&mut self) -> Parsed<Expr> {
        let mut left = self.sign()?;
        loop {
            let op = match self.peek() {
                Kind::Symbol(Symbol::Star) => Binary::Multiply,
                Kind::Symbol(Symbol::Slash) => Binary::Divide,
                Kind::Keyword(Keyword::Div) => Binary::Div,
                Kind::Keyword(Keyword::Mod) => Binary::Mod,
                _ => return Ok(left),
            };
            self.at += 1;
            let right = self.sign()?;
            left = Self::binary(op, left, right)?;
        }
    }

    fn sign(&mut self) -> Parsed<Expr> {
        let start = self.span().start;
        let op = match self.peek() {
            Kind::Symbol(Symbol::Minus) => Unary::Minus,
            Kind::Symbol(Symbol::Plus) => Unary::Plus,
            _ => return self.primary(),
        };
        self.at += 1;
        self.enter()?;
        let operand = self.sign();
        self.nesting -= 1;
        Self::unary(op, start, operand?)
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let span = self.span();
        let kind = match self.peek().clone() {
            Kind::Int(value) => ExprKind::Int(value),
            Kind::Float(value) => ExprKind::Float(value),
            Kind::Text(text) => ExprKind::Text(text),
            Kind::Name(name) | Kind::Quoted(name) if *self.peek_after(1) == Kind::Symbol(Symbol::OpenParen) => {
                return self.call(name);
            }
            Kind::Keyword(keyword @ (Keyword::Div | Keyword::Mod))
                if *self.peek_after(1) == Kind::Symbol(Symbol::OpenParen) =>
            {
                return self.call(keyword.text().to_lowercase());
            }
            Kind::Name(name) if name == "true" || name == "false" => ExprKind::Bool(name == "true"),
            Kind::Name(_) | Kind::Quoted(_) => return self.path(),
            Kind::Keyword(Keyword::Case) => return self.case(),
            Kind::Symbol(Symbol::OpenParen) => {
                self.at += 1;
                let inner = self.expr()?;
                self.require(Symbol::CloseParen)?;
                return Ok(inner);
            }
            Kind::Symbol(Symbol::OpenBracket) => return self.list(),
            _ => return self.expected("an expression"),
        };
        self.at += 1;
        node(kind, span, 0)
    }

    fn path(&mut self) -> Parsed<Expr> {
        let expr = self.path_or_slice("a name")?;
        if *self.peek() == Kind::Symbol(Symbol::OpenParen) {
            return Err(Diagnostic::error(expr.span, "functions of modules cannot be called")
                .with_help("use a function of the rule language by its plain name"));
        }
        Ok(expr)
    }

    fn call(&mut self, name: String) -> Parsed<Expr> {
        let name_span = self.span();
        self.at += 2;
        let mut args = Vec::new();
        if !self.eat(Symbol::CloseParen) {
            args.push(self.expr()?);
            while self.eat(Symbol::Comma) {
                args.push(self.expr()?);
            }
            self.require(Symbol::CloseParen)?;
        }
        let span = name_span.start..self.previous_end();
        let inside = deepest(&args);
        node(ExprKind::Call { name, name_span, args }, span, inside)
    }

    fn list(&mut self) -> Parsed<Expr> {
        let start = self.span().start;
        self.at += 1;
        let ranged = if *self.peek() == Kind::Symbol(Symbol::Minus) { 2 } else { 1 };
        if *self.peek_after(ranged) == Kind::Symbol(Symbol::Range) {
            let from = self.signed_int("the start of the range")?.1;
            self.require(Symbol::Range)?;
            let to = self.signed_int("the end of the range")?.1;
            self.require(Symbol::CloseBracket)?;
            return node(ExprKind::Range(from, to), start..self.previous_end(), 0);
        }
        let mut items = Vec::new();
        if !self.eat(Symbol::CloseBracket) {
            items.push(self.expr()?);
            while self.eat(Symbol::Comma) {
                items.push(self.expr()?);
            }
            self.require(Symbol::CloseBracket)?;
        }
        let inside = deepest(&items);
        node(ExprKind::List(items), start..self.previous_end(), inside)
    }

    fn case(&mut self) -> Parsed<Expr> {
        let start = self.span().start;
        self.at += 1;
        let subject = match self.peek() {
            Kind::Keyword(Keyword::When) => None,
            _ => Some(Box::new(self.expr()?)),
        };
        let mut branches = Vec::new();
        while self.eat_keyword(Keyword::When) {
            let when = self.expr()?;
            self.require_keyword(Keyword::Then)?;
            branches.push((when, self.expr()?));
        }
        if branches.is_empty() {
            return self.expected("WHEN");
        }
        let otherwise = if self.eat_keyword(Keyword::Else) { Some(Box::new(self.expr()?)) } else { None };
        if !self.eat_keyword(Keyword::End) {
            return self.expected(if otherwise.is_some() { "END" } else { "WHEN, ELSE or END" });
        }
        let parts = branches.iter().flat_map(|(when, then)| [when, then]);
        let inside = parts.chain(subject.as_deref()).chain(otherwise.as_deref()).map(|part| part.depth).max();
        let span = start..self.previous_end();
        node(ExprKind::Case { subject, branches, otherwise }, span, inside.unwrap_or(0))
    }

    fn unary(op: Unary, start: usize, operand: Expr) -> Parsed<Expr> {
        let (span, inside): (Span, u16) = (start..operand.span.end, operand.depth);
        node(ExprKind::Unary(op, Box::new(operand)), span, inside)
    }

    fn binary(op: Binary, left: Expr, right: Expr) -> Parsed<Expr> {
        let (span, inside) = (left.span.start..right.span.end, left.depth.max(right.depth));
        node(ExprKind::Binary(op, Box::new(left), Box::new(right)), span, inside)
    }
}

fn deepest(exprs: &[Expr]) -> u16 {
    exprs.iter().map(|expr| expr.depth).max().unwrap_or(0)
}
