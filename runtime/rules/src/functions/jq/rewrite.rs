//! Puts looks at the guard wherever a program can multiply its work (definitions, `,`, `.[]`, `..`), and finds out which
//! definitions call themselves.

use std::collections::{HashMap, HashSet};

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Term};
use jaq_core::path::Part;

use super::guard::{LOOK, LOOK_AT_NESTING};

/// Definitions that can come back to themselves, by name alone: scopes are not told apart, which errs on the safe side.
pub(super) struct Recursion<'s>(HashSet<&'s str>);

impl<'s> Recursion<'s> {
    /// The recursive definitions inside a program.
    pub(super) fn of(program: &mut Term<&'s str>) -> Self {
        let mut calls: HashMap<&'s str, HashSet<&'s str>> = HashMap::new();
        each_def(program, &mut |def| {
            let mut names = HashSet::new();
            each_term(&mut def.body, &mut |term| {
                if let Term::Call(name, _) = term {
                    names.insert(*name);
                }
            });
            calls.entry(def.name).or_default().extend(names);
        });
        let reaches_itself = |start: &&'s str| {
            let mut seen = HashSet::new();
            let mut waiting: Vec<&'s str> = calls.get(*start).into_iter().flatten().copied().collect();
            while let Some(name) = waiting.pop() {
                if name == *start {
                    return true;
                }
                if seen.insert(name) {
                    waiting.extend(calls.get(name).into_iter().flatten());
                }
            }
            false
        };
        Self(calls.keys().copied().filter(|name| reaches_itself(name)).collect())
    }

    /// Whether there is none.
    pub(super) fn is_none(&self) -> bool {
        self.0.is_empty()
    }
}

/// The definition with its looks.
pub(super) fn guarded<'s>(mut def: Def<&'s str>, recursion: &Recursion<'s>) -> Def<&'s str> {
    each_term(&mut def.body, &mut |term| match term {
        Term::BinOp(_, BinaryOp::Comma, right) => look_before(right, LOOK),
        Term::Recurse => look_before(term, LOOK),
        Term::Path(_, path) if path.0.iter().any(|(part, _)| matches!(part, Part::Range(None, None))) => {
            look_before(term, LOOK);
        }
        Term::Def(defs, _) => defs.iter_mut().for_each(|def| add_look(def, recursion)),
        _ => {}
    });
    add_look(&mut def, recursion);
    def
}

/// `term` becomes `if LOOK then term else . end`, which has the paths of `term` and can still be a tail call.
fn look_before(term: &mut Term<&str>, look: &'static str) {
    let look = Term::Call(look, Vec::new());
    *term = Term::IfThenElse(vec![(look, std::mem::take(term))], Some(Box::new(Term::Id)));
}

fn add_look<'s>(def: &mut Def<&'s str>, recursion: &Recursion<'s>) {
    // Filters passed on and on hold each other: such calls are counted.
    let nesting = recursion.0.contains(def.name) && def.args.iter().any(|arg| !arg.starts_with('$'));
    look_before(&mut def.body, if nesting { LOOK_AT_NESTING } else { LOOK });
}

fn each_def<'s>(term: &mut Term<&'s str>, visit: &mut dyn FnMut(&mut Def<&'s str>)) {
    each_term(term, &mut |term| {
        if let Term::Def(defs, _) = term {
            defs.iter_mut().for_each(&mut *visit);
        }
    });
}

/// Visits what is inside a term, the bodies of definitions too, then the term.
fn each_term<'s>(term: &mut Term<&'s str>, visit: &mut dyn FnMut(&mut Term<&'s str>)) {
    match term {
        Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Var(_) => {}
        Term::Str(_, parts) => {
            for part in parts {
                if let StrPart::Term(term) = part {
                    each_term(term, visit);
                }
            }
        }
        Term::Arr(inner) => {
            for term in inner.iter_mut() {
                each_term(term, visit);
            }
        }
        Term::Obj(entries) => {
            for (key, value) in entries {
                each_term(key, visit);
                for term in value.iter_mut() {
                    each_term(term, visit);
                }
            }
        }
        Term::Neg(term) | Term::Label(_, term) => each_term(term, visit),
        Term::BinOp(left, _, right) => {
            each_term(left, visit);
            each_term(right, visit);
        }
        Term::Fold(_, source, _, terms) => {
            each_term(source, visit);
            for term in terms.iter_mut() {
                each_term(term, visit);
            }
        }
        Term::TryCatch(term, catch) => {
            each_term(term, visit);
            for term in catch.iter_mut() {
                each_term(term, visit);
            }
        }
        Term::IfThenElse(branches, otherwise) => {
            for (condition, then) in branches {
                each_term(condition, visit);
                each_term(then, visit);
            }
            for term in otherwise.iter_mut() {
                each_term(term, visit);
            }
        }
        Term::Def(defs, term) => {
            for def in defs {
                each_term(&mut def.body, visit);
            }
            each_term(term, visit);
        }
        Term::Call(_, args) => {
            for term in args.iter_mut() {
                each_term(term, visit);
            }
        }
        Term::Path(term, path) => {
            each_term(term, visit);
            for (part, _) in &mut path.0 {
                match part {
                    Part::Index(index) => each_term(index, visit),
                    Part::Range(from, to) => from.iter_mut().chain(to).for_each(|term| each_term(term, visit)),
                }
            }
        }
    }
    visit(term);
}
