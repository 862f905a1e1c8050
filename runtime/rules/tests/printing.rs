//! Any tree is printed as SQL that parses to the same tree: every kind of node, in every place it may stand.

use isthmus_rules::sql::ast::{Binary, Body, Expr, ExprKind, Item, Path, Query, Step, Topic, Unary};
use proptest::prelude::*;

/// A node with the depth that the parser would give it; places are left out of the comparison.
fn node(kind: ExprKind) -> Expr {
    let deepest = |parts: &[Expr]| parts.iter().map(|part| part.depth).max().unwrap_or(0);
    let inside = match &kind {
        ExprKind::List(items) | ExprKind::Call { args: items, .. } => deepest(items),
        ExprKind::Unary(_, operand) => operand.depth,
        ExprKind::Binary(_, left, right) => left.depth.max(right.depth),
        ExprKind::In { subject, options, .. } => subject.depth.max(deepest(options)),
        ExprKind::Case { subject, branches, otherwise } => {
            let parts = branches.iter().flat_map(|(when, then)| [when.depth, then.depth]);
            let others = [subject, otherwise].map(|part| part.as_ref().map_or(0, |part| part.depth));
            parts.chain(others).max().unwrap_or(0)
        }
        _ => 0,
    };
    Expr { kind, span: 0..0, depth: inside + 1 }
}

/// Names that need quotes and names that do not.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z][a-zA-Z0-9_$@~]{0,6}",
        prop::sample::select(vec!["select", "FROM", "true", "div", "mod", "a b", "1", "é", "+", "it's", "-0", ""])
            .prop_map(str::to_owned),
        "[^\"]{0,4}",
    ]
}

fn path() -> impl Strategy<Value = Path> {
    let plain =
        (name(), prop::collection::vec(step(), 0..3)).prop_map(|(root, steps)| Path { root, steps, span: 0..0 });
    plain.prop_recursive(2, 8, 2, |inner| {
        let step = prop_oneof![step(), inner.prop_map(Step::Variable)];
        (name(), prop::collection::vec(step, 0..3)).prop_map(|(root, steps)| Path { root, steps, span: 0..0 })
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        name().prop_map(Step::Key),
        any::<i64>().prop_map(|index| Step::Index(index.into())),
        Just(Step::Index(0)),
        Just(Step::End),
    ]
}

fn leaf() -> impl Strategy<Value = ExprKind> {
    let bound = || any::<i64>().prop_map(i128::from);
    prop_oneof![
        any::<bool>().prop_map(ExprKind::Bool),
        (0..=i128::MAX).prop_map(ExprKind::Int),
        (0.0..=f64::MAX).prop_map(ExprKind::Float),
        prop::sample::select(vec![0.0, 1.0, 1e300, 1e-300, 5e-324, 0.1]).prop_map(ExprKind::Float),
        "[^']{0,6}".prop_map(ExprKind::Text),
        path().prop_map(ExprKind::Path),
        (path(), bound(), bound()).prop_map(|(path, from, to)| ExprKind::Slice(path, from, to)),
        (bound(), bound()).prop_map(|(from, to)| ExprKind::Range(from, to)),
    ]
}

const UNARY: [Unary; 3] = [Unary::Minus, Unary::Plus, Unary::Not];
const BINARY: [Binary; 15] = [
    Binary::Or,
    Binary::And,
    Binary::Equal,
    Binary::NotEqual,
    Binary::Less,
    Binary::LessOrEqual,
    Binary::Greater,
    Binary::GreaterOrEqual,
    Binary::Matches,
    Binary::Add,
    Binary::Subtract,
    Binary::Multiply,
    Binary::Divide,
    Binary::Div,
    Binary::Mod,
];

fn expr() -> impl Strategy<Value = Expr> {
    leaf().prop_map(node).prop_recursive(5, 40, 4, |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        let some = |least: usize| prop::collection::vec(inner.clone(), least..3);
        prop_oneof![
            some(0).prop_map(ExprKind::List),
            (name(), some(0)).prop_map(|(name, args)| ExprKind::Call { name, name_span: 0..0, args }),
            (prop::sample::select(&UNARY[..]), boxed()).prop_map(|(op, operand)| ExprKind::Unary(op, operand)),
            (prop::sample::select(&BINARY[..]), boxed(), boxed())
                .prop_map(|(op, left, right)| ExprKind::Binary(op, left, right)),
            (boxed(), some(1), any::<bool>()).prop_map(|(subject, options, negated)| ExprKind::In {
                subject,
                options,
                negated
            }),
            (
                prop::option::of(boxed()),
                prop::collection::vec((inner.clone(), inner.clone()), 1..3),
                prop::option::of(boxed())
            )
                .prop_map(|(subject, branches, otherwise)| ExprKind::Case { subject, branches, otherwise }),
        ]
        .prop_map(node)
    })
}

fn items() -> impl Strategy<Value = Vec<Item>> {
    let item = prop_oneof![
        1 => Just(Item::All(0..0)),
        6 => (expr(), prop::option::of(path())).prop_map(|(expr, target)| Item::Value { expr, target }),
    ];
    prop::collection::vec(item, 1..3)
}

fn query() -> impl Strategy<Value = Query> {
    let body = prop_oneof![
        items().prop_map(Body::Select),
        (items(), prop::option::of(items()), prop::option::of(expr()))
            .prop_map(|(collection, each, incase)| Body::Foreach { collection, each, incase }),
    ];
    let topic = "[^\"]{0,6}".prop_map(|text| Topic { text, span: 0..0 });
    let from = prop::collection::vec(topic, 1..3);
    (body, from, prop::option::of(expr())).prop_map(|(body, from, condition)| Query { body, from, condition })
}

/// The tree without its places: its debug text without anything like `3..5`.
fn spanless(query: &Query) -> String {
    let text = format!("{query:?}");
    let is_span = |word: &str| {
        word.split_once("..").is_some_and(|(from, to)| from.parse::<usize>().is_ok() && to.parse::<usize>().is_ok())
    };
    let words = text.split([' ', ',', '(', ')', '}']).filter(|word| !is_span(word));
    words.collect::<Vec<_>>().join(" ")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_printed_tree_parses_to_the_same_tree(query in query()) {
        let printed = query.to_string();
        let again = isthmus_rules::sql::parse(&printed)
            .map_err(|error| TestCaseError::fail(format!("{printed}: {}", error.message)))?;
        prop_assert_eq!(spanless(&again), spanless(&query), "{}", printed);
    }
}
