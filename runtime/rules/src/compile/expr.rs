//! Expressions: names to columns, calls to functions, constants to their value.

use super::Checker;
use crate::diagnostic::{Diagnostic, nearest};
use crate::environment::{Environment, FixedHost};
use crate::eval::{Scope, operator};
use crate::event::{Column, Event, EventKind, MapColumns};
use crate::functions::{self, Nature};
use crate::limits::{Limits, MAX_CONSTANT_BYTES, MAX_FOLDING_BYTES};
use crate::plan::{Arithmetic, Expr, Node, PathStep, Place, Root};
use crate::sql::ast::{self, Binary, ExprKind, Span, Unary};
use crate::value::compare::Comparison;
use crate::value::path::Step;
use crate::value::weight::{VALUE_BYTES, Weight};
use crate::value::{Map, Text, Value};

impl Checker<'_> {
    pub(super) fn expr(&mut self, expr: &ast::Expr) -> Expr {
        let node = match &expr.kind {
            ExprKind::Bool(value) => Node::Constant(Value::Bool(*value)),
            ExprKind::Int(value) => Node::Constant(Value::Int(*value)),
            ExprKind::Float(value) => Node::Constant(Value::Float(*value)),
            ExprKind::Text(text) => Node::Constant(Value::from(text.as_str())),
            ExprKind::Path(path) => Node::Place(self.place(path)),
            ExprKind::Slice(path, from, to) => self.slice(path, *from, *to, &expr.span),
            ExprKind::Range(from, to) => match self.range(*from, *to) {
                Ok(list) => Node::Constant(list),
                Err(message) => {
                    self.findings.push(Diagnostic::error(expr.span.clone(), message));
                    return Expr::undefined(&expr.span);
                }
            },
            ExprKind::List(items) => Node::List(self.exprs(items)),
            ExprKind::Call { name, name_span, args } => match self.call(name, name_span, args) {
                Some(node) => node,
                None => return Expr::undefined(&expr.span),
            },
            ExprKind::Unary(op, operand) => {
                let operand = Box::new(self.expr(operand));
                match op {
                    Unary::Minus => Node::Minus(operand),
                    Unary::Plus => Node::Plus(operand),
                    Unary::Not => Node::Not(operand),
                }
            }
            ExprKind::Binary(op, left, right) => {
                let left = Box::new(self.expr(left));
                binary(*op, left, Box::new(self.expr(right)))
            }
            ExprKind::In { subject, options, negated } => {
                Node::In { subject: Box::new(self.expr(subject)), options: self.exprs(options), negated: *negated }
            }
            ExprKind::Case { subject, branches, otherwise } => {
                self.case(subject.as_deref(), branches, otherwise.as_deref())
            }
        };
        self.fold(Expr { node, span: expr.span.clone() })
    }

    fn exprs(&mut self, exprs: &[ast::Expr]) -> Vec<Expr> {
        exprs.iter().map(|expr| self.expr(expr)).collect()
    }

    /// The elements of a range, which the rule keeps.
    fn range(&mut self, from: i128, to: i128) -> Result<Value, String> {
        let limits = Limits::default();
        let count = to.saturating_sub(from).saturating_add(1);
        let room = (MAX_CONSTANT_BYTES - self.constant_bytes) / VALUE_BYTES;
        if count > room as i128 && count <= limits.list_items as i128 {
            let most = MAX_CONSTANT_BYTES / VALUE_BYTES;
            return Err(format!("the ranges and constants of a rule have at most {most} elements together"));
        }
        let list = operator::range(from, to, &limits)?;
        self.keep(&list);
        Ok(list)
    }

    /// Whether there is room for another constant in the rule.
    fn keep(&mut self, value: &Value) -> bool {
        let mut weight = Weight::default();
        let fits = weight.add(value, MAX_CONSTANT_BYTES - self.constant_bytes).is_ok();
        if fits {
            self.constant_bytes += weight.bytes;
        }
        fits
    }

    fn slice(&mut self, path: &ast::Path, from: i128, to: i128, span: &Span) -> Node {
        if from == 0 || to == 0 {
            self.error(span, "0 is not an index", "the first element is 1, the last -1");
        }
        Node::Slice(self.place(path), from, to)
    }

    fn case(
        &mut self,
        subject: Option<&ast::Expr>,
        branches: &[(ast::Expr, ast::Expr)],
        otherwise: Option<&ast::Expr>,
    ) -> Node {
        let subject_node = subject.map(|expr| Box::new(self.expr(expr)));
        let branches = branches
            .iter()
            .map(|(when, then)| {
                let when = if subject.is_some() { self.expr(when) } else { self.condition(when, "WHEN") };
                (when, self.expr(then))
            })
            .collect();
        let otherwise = otherwise.map(|expr| Box::new(self.expr(expr)));
        match subject_node {
            Some(subject) => Node::Switch { subject, branches, otherwise },
            None => Node::Cond { branches, otherwise },
        }
    }

    fn call(&mut self, name: &str, name_span: &Span, args: &[ast::Expr]) -> Option<Node> {
        let Some(function) = functions::find(name) else {
            let (message, help) = unknown_function(name);
            self.findings.push(Diagnostic { help, ..Diagnostic::error(name_span.clone(), message) });
            return None;
        };
        if args.len() < function.min_args || args.len() > function.max_args {
            let message = format!("`{name}` takes {}, not {}", function.arity(), args.len());
            self.error(name_span, message, format!("its form is `{name}({})`", function.signature));
            return None;
        }
        let args = self.exprs(args);
        let constants: Vec<Option<&Value>> = args.iter().map(Expr::constant).collect();
        let prepared = match function.prepare(&constants) {
            Ok(prepared) => prepared,
            Err(error) => {
                self.findings.push(Diagnostic::error(name_span.clone(), format!("{name}: {error}")));
                return None;
            }
        };
        Some(Node::Call { function, args, prepared })
    }

    pub(super) fn place(&mut self, path: &ast::Path) -> Place {
        let steps = self.steps(&path.steps);
        let local = self.local.contains(&path.root);
        let root = match Column::named(&path.root) {
            Some(column) => Root::Column(column),
            None => Root::Named(Text::from(path.root.as_str())),
        };
        if !local {
            self.check_column(&root, path);
        }
        Place::new(root, steps, local)
    }

    pub(super) fn steps(&mut self, steps: &[ast::Step]) -> Vec<PathStep> {
        steps
            .iter()
            .map(|step| match step {
                ast::Step::Key(key) => PathStep::Fixed(Step::Key(Text::from(key.as_str()))),
                ast::Step::Index(index) => PathStep::Fixed(Step::Index(*index)),
                ast::Step::End => PathStep::Fixed(Step::End),
                ast::Step::Variable(path) => PathStep::Variable(self.place(path)),
            })
            .collect()
    }

    /// A column that no event of FROM has is undefined for ever: most likely a slip.
    fn check_column(&mut self, root: &Root, path: &ast::Path) {
        let column = match root {
            Root::Column(column) if self.kinds.iter().any(|kind| kind.has(*column)) => {
                if !path.steps.is_empty() && !column.value_type().may_be_nested() {
                    let message = format!(
                        "`{}` is of type {}: there is nothing inside",
                        column.name(),
                        column.value_type().name()
                    );
                    self.findings.push(Diagnostic::warning(path.span.clone(), message));
                }
                return;
            }
            Root::Column(column) => column.name(),
            Root::Named(name) => name,
        };
        if self.kinds.is_empty() {
            return;
        }
        let message = format!("there is no column `{column}` in {}: it is always undefined", self.describe_events());
        let names = self.kinds.iter().flat_map(|kind| kind.columns()).map(|column| column.name());
        let names = names.chain(self.local.iter().map(String::as_str));
        let help = match nearest(column, names) {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None if self.kinds.iter().any(|kind| kind.has(Column::Payload)) => {
                Some(format!("a field of the payload is written `payload.{column}`"))
            }
            None if self.kinds.contains(&EventKind::KafkaRecord) => {
                Some(format!("a field of the record's value is written `value.{column}`"))
            }
            None => None,
        };
        self.findings.push(Diagnostic { help, ..Diagnostic::warning(path.span.clone(), message) });
    }

    fn describe_events(&self) -> String {
        match self.kinds.as_slice() {
            [EventKind::MessagePublish] => "MQTT messages".to_owned(),
            [EventKind::KafkaRecord] => "records of a Source".to_owned(),
            [kind] => format!("the event `{}`", kind.topic()),
            _ => "any event of FROM".to_owned(),
        }
    }

    /// Computes what depends on nothing; a constant expression that raises always will.
    fn fold(&mut self, expr: Expr) -> Expr {
        let mut constant = match &expr.node {
            Node::Constant(_) | Node::Place(_) | Node::Slice(..) => false,
            Node::Call { function, .. } => function.nature == Nature::Pure,
            _ => true,
        };
        expr.for_each_child(&mut |child| constant &= child.constant().is_some());
        if !constant || self.folding >= MAX_FOLDING_BYTES {
            return expr;
        }
        let limits = Limits { run_bytes: MAX_FOLDING_BYTES - self.folding, ..Limits::default() };
        let (result, used) = evaluate_constant(&expr, &limits);
        self.folding = self.folding.saturating_add(used);
        match result {
            // Too much work, or too much to keep, is done when the rule runs.
            _ if self.folding > MAX_FOLDING_BYTES => expr,
            Ok(value) if !self.keep(&value) => expr,
            Ok(value) => Expr { node: Node::Constant(value), span: expr.span },
            Err(message) => {
                self.findings.push(Diagnostic::warning(expr.span.clone(), format!("this always fails: {message}")));
                expr
            }
        }
    }
}

/// The value of a constant expression, and the work it took.
fn evaluate_constant(expr: &Expr, limits: &Limits) -> (Result<Value, String>, usize) {
    let Ok(columns) = MapColumns::new(Map::new()) else { return (Ok(Value::Undefined), 0) };
    let event = Event::new(&columns);
    let host = FixedHost::default();
    let id = "".into();
    let mut env = Environment::new(&host, limits, &id);
    let scope = Scope { event: &event, row: None, row_falls_through: false, bound: None };
    let result = expr.value(&scope, &mut env).map_err(|raised| raised.message);
    (result, env.used.bytes)
}

fn binary(op: Binary, left: Box<Expr>, right: Box<Expr>) -> Node {
    match op {
        Binary::Or => Node::Or(left, right),
        Binary::And => Node::And(left, right),
        Binary::Equal => Node::Compare(Comparison::Equal, left, right),
        Binary::NotEqual => Node::Compare(Comparison::NotEqual, left, right),
        Binary::Less => Node::Compare(Comparison::Less, left, right),
        Binary::LessOrEqual => Node::Compare(Comparison::LessOrEqual, left, right),
        Binary::Greater => Node::Compare(Comparison::Greater, left, right),
        Binary::GreaterOrEqual => Node::Compare(Comparison::GreaterOrEqual, left, right),
        Binary::Matches => Node::Matches(left, right),
        Binary::Add => Node::Arithmetic(Arithmetic::Add, left, right),
        Binary::Subtract => Node::Arithmetic(Arithmetic::Subtract, left, right),
        Binary::Multiply => Node::Arithmetic(Arithmetic::Multiply, left, right),
        Binary::Divide => Node::Arithmetic(Arithmetic::Divide, left, right),
        Binary::Div => Node::Arithmetic(Arithmetic::Div, left, right),
        Binary::Mod => Node::Arithmetic(Arithmetic::Mod, left, right),
    }
}

/// Functions of the reference system that are not here, and why.
const ABSENT: &[(&[&str], &str)] = &[
    (
        &[
            "schema_encode",
            "schema_decode",
            "schema_check",
            "schema_encode_and_tag",
            "schema_decode_tagged",
            "avro_encode",
            "avro_decode",
            "sparkplug_encode",
            "sparkplug_decode",
            "spb_encode",
            "spb_decode",
            "spb_zip_kvs",
        ],
        "needs a schema registry, which is not available yet",
    ),
    (&["term_encode", "term_decode"], "reads Erlang terms, which are not supported"),
];

fn unknown_function(name: &str) -> (String, Option<String>) {
    if let Some((_, why)) = ABSENT.iter().find(|(names, _)| names.contains(&name)) {
        return (format!("the function `{name}` {why}"), None);
    }
    let near = nearest(name, functions::all().map(|function| function.name));
    (format!("unknown function `{name}`"), near.map(|near| format!("did you mean `{near}`?")))
}
