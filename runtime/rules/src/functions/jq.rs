//! jq programs in rules, with jaq as the interpreter and our own values.
//!
//! Owns compiling and running. A program may come from a careless hand, so that it runs under guard ([`guard`]): every
//! definition starts with a look at the clock, the call stack and the budget, and values ([`value`]) count what they
//! hold. Nothing outside is reachable: no files, no environment, no clock but the rule's.

mod arithmetic;
mod guard;
mod natives;
mod ordering;
mod rewrite;
mod value;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use jaq_core::load::parse::Def;
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars, load};

use super::args::failed;
use super::{Args, Call, Computed, Function, FunctionError, Prepared, function};
use crate::limits::MAX_JQ_BYTES;
use crate::value::{Text, Value};
use guard::{Jq, World};
use rewrite::{Recursion, guarded};
use value::Val;

pub(super) const FUNCTIONS: &[Function] = &[function!("jq" ("program, value [, timeout]") 2..=3, Reads,
        "The outputs of a jq program over a value (a text is read as JSON first), as a list. Error when the program \
         fails, or runs longer than `timeout` milliseconds (10,000, which is also the most for all programs that run for \
         one event). Files, environment variables and `input` are not available.",
        "jq('.a[] + 1', '{\"a\": [1, 2]}')" => "[2,3]", jq)];

/// A compiled program.
pub(crate) struct Program {
    filter: jaq_core::Filter<Jq>,
    /// Whether some definition calls itself, or the program is long, so that it may need a larger call stack than a
    /// thread has to spare.
    deep: bool,
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Program")
    }
}

/// The definition that holds the program, so that it is guarded like any other.
const MAIN: &str = "isthmus_main";

impl Program {
    fn compile(text: &str) -> Result<Self, FunctionError> {
        if text.len() > MAX_JQ_BYTES || nesting(text) > MAX_NESTING {
            return failed(format!(
                "a program has at most {MAX_JQ_BYTES} bytes and {MAX_NESTING} brackets inside each other"
            ));
        }
        let prelude = jaq_core::defs().chain(jaq_std::defs()).chain(natives::defs()).map(shortened);
        let Some(mut body) = load::parse(text, |parser| parser.term()) else { return failed(describe(text)) };
        let recursion = Recursion::of(&mut body);
        let main = Def { name: MAIN, args: Vec::new(), body };
        let defs = prelude.chain([main]).map(|def| guarded(def, &recursion));
        let arena = Arena::default();
        let Ok(modules) = Loader::new(defs).load(&arena, File { code: MAIN, path: () }) else {
            return failed("the program cannot be read");
        };
        match Compiler::default().with_funs(natives::funs()).compile(modules) {
            Ok(filter) => Ok(Self { filter, deep: !recursion.is_none() || text.len() > SHORT_BYTES }),
            Err(errors) => {
                let undefined = errors.iter().flat_map(|(_, errors)| errors).next();
                failed(match undefined {
                    Some((name, kind)) => {
                        format!("the program uses the {} `{name}`, which is not defined", kind.as_str())
                    }
                    None => "the program cannot be compiled".to_owned(),
                })
            }
        }
    }

    fn run(&self, input: Val, world: World<'_>) -> Result<Vec<Value>, FunctionError> {
        let mut outputs = Vec::new();
        for output in self.filter.id.run((Ctx::<Jq>::new(world, Vars::new([])), input)) {
            if let Some(trip) = guard::tripped() {
                return Err(trip.into_error());
            }
            match output {
                Ok(value) => outputs.push(value.to_value()?),
                Err(exception) => {
                    return match exception.get_err() {
                        Ok(error) => failed(format!("the program failed: {}", shown(&error.into_val()))),
                        Err(_) => failed("the program halted"),
                    };
                }
            }
            guard::count(1);
        }
        match guard::tripped() {
            Some(trip) => Err(trip.into_error()),
            None => Ok(outputs),
        }
    }
}

/// Compiles a program that is known when the rule is.
pub(super) fn prepare(constant: Option<&Value>) -> Result<Option<Prepared>, FunctionError> {
    match constant {
        Some(Value::Text(program)) => compile(program).map(|program| Some(Prepared::Jq(program))),
        _ => Ok(None),
    }
}

fn jq(call: &mut Call<'_, '_>, args: &[Value]) -> Computed {
    let args = Args(args);
    let timeout = match args.given(2) {
        Some(_) => Duration::from_millis(args.count(2)? as u64),
        None => call.env.limits.jq_timeout,
    };
    let timeout = timeout.min(call.env.limits.jq_timeout.saturating_sub(call.env.used.jq));
    let input = match args.any(1) {
        Value::Text(text) => match Value::from_json(text) {
            Ok(decoded) => decoded,
            Err(error) => return failed(format!("the text is not JSON: {error}")),
        },
        other => other.clone(),
    };
    let compiled;
    let program = if let Some(Prepared::Jq(program)) = call.prepared {
        program
    } else {
        compiled = compile(args.text(0)?)?;
        &compiled
    };
    let started = call.env.host.monotonic();
    let outputs = protected(|| {
        let deadline = started + timeout;
        let world = World { lut: &program.filter.lut, host: call.env.host, deadline };
        let run = |stack| {
            let _running = guard::start(call.env.limits, stack);
            program.run(Val::from_value(&input), world)
        };
        if program.deep { stacker::grow(STACK_BYTES, || run(STACK_BYTES / 4)) } else { run(SPARE_STACK_BYTES) }
    });
    call.env.used.jq += call.env.host.monotonic().saturating_sub(started);
    Ok(Value::list(outputs?))
}

fn compile(program: &str) -> Result<Program, FunctionError> {
    protected(|| stacker::grow(STACK_BYTES, || Program::compile(program)))
}

/// The call stack of programs that call themselves, and of the interpreter while it reads a program: address space,
/// of which only what is used costs memory.
const STACK_BYTES: usize = 64 << 20;
/// A program up to this length nests no deeper than the caller's call stack can bear.
const SHORT_BYTES: usize = 256;
/// How much of the caller's call stack other programs may use.
const SPARE_STACK_BYTES: usize = 384 << 10;

/// The interpreter has places that panic on absurd input (a month of 128): that ends the call, not the worker.
fn protected<T>(run: impl FnOnce() -> Result<T, FunctionError>) -> Result<T, FunctionError> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| failed("the program made the interpreter fail"))
}

fn shown(error: &Val) -> String {
    match error {
        Val::Text(text) => text.to_string(),
        other => crate::value::compare::excerpt(&other.to_string()),
    }
}

/// Brackets inside each other that a program may have; the parser's use of the call stack follows it.
const MAX_NESTING: usize = 48;

fn nesting(text: &str) -> usize {
    let mut depth = 0_usize;
    text.bytes().fold(0, |deepest, byte| {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest.max(depth)
    })
}

/// The library's definitions live as long as the process; here they meet a program that does not.
fn shortened<'s>(def: Def<&'static str>) -> Def<&'s str> {
    def
}

/// What is wrong with a program that does not parse.
fn describe(text: &str) -> String {
    let near = |part: &str| match part.chars().next() {
        Some(_) => format!("near `{}`", crate::value::compare::excerpt(part)),
        None => "at its end".to_owned(),
    };
    let tokens = match load::Lexer::new(text).lex() {
        Ok(tokens) => tokens,
        Err(errors) => {
            return match errors.first() {
                Some((expected, found)) => {
                    format!("the program is not jq: expected {} {}", expected.as_str(), near(found))
                }
                None => "the program is not jq".to_owned(),
            };
        }
    };
    match load::Parser::new(&tokens).parse(load::Parser::term) {
        Err(errors) => match errors.first() {
            Some((expected, found)) => {
                let found = found.map_or("", |token| token.0);
                format!("the program is not jq: expected {} {}", expected.as_str(), near(found))
            }
            None => "the program is not jq".to_owned(),
        },
        Ok(_) => "the program is not jq".to_owned(),
    }
}

impl From<Text> for Val {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}

#[cfg(test)]
mod tests;
