//! Conditions: WHERE, INCASE and WHEN must be able to be true.

use super::Checker;
use crate::diagnostic::Diagnostic;
use crate::plan::{Expr, Node};
use crate::sql::ast::{self, Binary, ExprKind, Unary};
use crate::value::Value;

impl Checker<'_> {
    /// Checks a condition; `clause` is the keyword before it.
    pub(super) fn condition(&mut self, expr: &ast::Expr, clause: &str) -> Expr {
        self.require_condition(expr, clause);
        let checked = self.expr(expr);
        if never_holds(&checked) {
            let consequence =
                if clause == "WHEN" { "this branch is never taken" } else { "the rule never gives a row" };
            let message = format!("this condition is never true: {consequence}");
            self.findings.push(Diagnostic::warning(expr.span.clone(), message));
        }
        checked
    }

    /// A bare column, number or text is not a condition (behaviour document §5.2 rule 9).
    fn require_condition(&mut self, expr: &ast::Expr, clause: &str) {
        let sql = self.sql.get(expr.span.clone()).unwrap_or_default();
        let help = match &expr.kind {
            ExprKind::Binary(Binary::And | Binary::Or, left, right) => {
                self.require_condition(left, clause);
                self.require_condition(right, clause);
                return;
            }
            ExprKind::Binary(op, ..) if op.precedence() == 3 => return,
            ExprKind::Unary(Unary::Not, _)
            | ExprKind::In { .. }
            | ExprKind::Call { .. }
            | ExprKind::Case { .. }
            | ExprKind::Bool(_) => return,
            ExprKind::Path(_) => format!("compare it, as in `{sql} = true`"),
            _ => "compare it with something, as in `a > 1`".to_owned(),
        };
        self.error(&expr.span, format!("{clause} needs a condition, and `{sql}` is none"), help);
    }
}

fn never_holds(expr: &Expr) -> bool {
    match &expr.node {
        Node::Constant(value) => *value == Value::Bool(false),
        Node::And(left, right) => never_holds(left) || never_holds(right),
        Node::Or(left, right) => never_holds(left) && never_holds(right),
        _ => false,
    }
}
