//! Numbers: rounding, powers, trigonometry, and the operators as functions.

use super::args::failed;
use super::{Args, Call, Computed, Function, function};
use crate::eval::operator::{arithmetic, finite};
use crate::plan::Arithmetic;
use crate::value::Value;
use crate::value::compare::order;

pub(super) const FUNCTIONS: &[Function] = &[
    function!("abs" ("number") 1..=1, Pure, "Distance from zero; an integer stays one.",
        "abs(-3)" => "3", |_, args| abs(Args(args))),
    function!("ceil" ("number") 1..=1, Pure, "The next integer up.",
        "ceil(1.2)" => "2", |_, args| whole(Args(args), f64::ceil)),
    function!("floor" ("number") 1..=1, Pure, "The next integer down.",
        "floor(-1.2)" => "-2", |_, args| whole(Args(args), f64::floor)),
    function!("round" ("number") 1..=1, Pure, "The nearest integer, halves away from zero.",
        "round(2.5)" => "3", |_, args| whole(Args(args), f64::round)),
    function!("sqrt" ("number") 1..=1, Pure, "Square root, a float. Error for negative numbers.",
        "sqrt(16)" => "4.0", |_, args| float(args, f64::sqrt)),
    function!("exp" ("number") 1..=1, Pure, "e to the power of the number, a float.",
        "exp(0)" => "1.0", |_, args| float(args, f64::exp)),
    function!("power" ("base, exponent") 2..=2, Pure, "`base` to the power of `exponent`, a float.",
        "power(2, 10)" => "1024.0", |_, args| float2(args, f64::powf)),
    function!("fmod" ("dividend, divisor") 2..=2, Pure, "Remainder of a division of floats, with the dividend's sign. Error when the divisor is 0.",
        "fmod(7.5, 2)" => "1.5", |_, args| float2(args, |a, b| a % b)),
    function!("log" ("number") 1..=1, Pure, "Natural logarithm, a float. Error for 0 and below.",
        "log(1)" => "0.0", |_, args| float(args, f64::ln)),
    function!("log10" ("number") 1..=1, Pure, "Logarithm to base 10, a float. Error for 0 and below.",
        "log10(1000)" => "3.0", |_, args| float(args, f64::log10)),
    function!("log2" ("number") 1..=1, Pure, "Logarithm to base 2, a float. Error for 0 and below.",
        "log2(8)" => "3.0", |_, args| float(args, f64::log2)),
    function!("sin" ("radians") 1..=1, Pure, "Sine, a float.", "sin(0)" => "0.0", |_, args| float(args, f64::sin)),
    function!("cos" ("radians") 1..=1, Pure, "Cosine, a float.", "cos(0)" => "1.0", |_, args| float(args, f64::cos)),
    function!("tan" ("radians") 1..=1, Pure, "Tangent, a float.", "tan(0)" => "0.0", |_, args| float(args, f64::tan)),
    function!("asin" ("number") 1..=1, Pure, "Arc sine in radians. Error outside of -1 to 1.",
        "asin(0)" => "0.0", |_, args| float(args, f64::asin)),
    function!("acos" ("number") 1..=1, Pure, "Arc cosine in radians. Error outside of -1 to 1.",
        "acos(1)" => "0.0", |_, args| float(args, f64::acos)),
    function!("atan" ("number") 1..=1, Pure, "Arc tangent in radians.",
        "atan(0)" => "0.0", |_, args| float(args, f64::atan)),
    function!("sinh" ("number") 1..=1, Pure, "Hyperbolic sine.", "sinh(0)" => "0.0", |_, args| float(args, f64::sinh)),
    function!("cosh" ("number") 1..=1, Pure, "Hyperbolic cosine.", "cosh(0)" => "1.0", |_, args| float(args, f64::cosh)),
    function!("tanh" ("number") 1..=1, Pure, "Hyperbolic tangent.", "tanh(0)" => "0.0", |_, args| float(args, f64::tanh)),
    function!("asinh" ("number") 1..=1, Pure, "Inverse hyperbolic sine.",
        "asinh(0)" => "0.0", |_, args| float(args, f64::asinh)),
    function!("acosh" ("number") 1..=1, Pure, "Inverse hyperbolic cosine. Error below 1.",
        "acosh(1)" => "0.0", |_, args| float(args, f64::acosh)),
    function!("atanh" ("number") 1..=1, Pure, "Inverse hyperbolic tangent. Error outside of -1 to 1.",
        "atanh(0)" => "0.0", |_, args| float(args, f64::atanh)),
    function!("random" ("") 0..=0, Reads, "A random float from 0 (included) to 1 (not included).",
        "random() < 1" => "true", |call, _| Ok(Value::Float((call.env.host.random() >> 11) as f64 / (1_u64 << 53) as f64))),
    function!("+" ("a, b") 2..=2, Pure, "The operator `+` as a function.",
        "\"+\"(1, 2)" => "3", |call, args| operator(Arithmetic::Add, call, args)),
    function!("-" ("a, b") 2..=2, Pure, "The operator `-` as a function.",
        "\"-\"(1, 2)" => "-1", |call, args| operator(Arithmetic::Subtract, call, args)),
    function!("*" ("a, b") 2..=2, Pure, "The operator `*` as a function.",
        "\"*\"(3, 2)" => "6", |call, args| operator(Arithmetic::Multiply, call, args)),
    function!("/" ("a, b") 2..=2, Pure, "The operator `/` as a function: always a float.",
        "\"/\"(3, 2)" => "1.5", |call, args| operator(Arithmetic::Divide, call, args)),
    function!("div" ("a, b") 2..=2, Pure, "Division of integers, rounded towards zero. Error when `b` is 0.",
        "div(7, -2)" => "-3", |call, args| operator(Arithmetic::Div, call, args)),
    function!("mod" ("a, b") 2..=2, Pure, "Remainder of a division of integers, with the sign of `a`. Error when `b` is 0.",
        "mod(-5, 2)" => "-1", |call, args| operator(Arithmetic::Mod, call, args)),
    function!("eq" ("a, b") 2..=2, Pure, "Whether both are the same: numbers by value (`1` is `1.0`), nothing else converted.",
        "eq(1, '1')" => "false", |_, args| Ok(Value::Bool(order(Args(args).any(0), Args(args).any(1)).is_eq()))),
];

fn abs(args: Args<'_>) -> Computed {
    match args.any(0) {
        Value::Int(value) => value
            .checked_abs()
            .map_or_else(|| failed("the result does not fit 128 bits"), |value| Ok(Value::Int(value))),
        _ => Ok(Value::Float(args.float(0)?.abs())),
    }
}

fn whole(args: Args<'_>, round: fn(f64) -> f64) -> Computed {
    match args.any(0) {
        Value::Int(value) => Ok(Value::Int(*value)),
        _ => match round(args.float(0)?) {
            value if value.abs() < 1e38 => Ok(Value::Int(value as i128)),
            _ => failed("the result does not fit 128 bits"),
        },
    }
}

fn float(args: &[Value], compute: fn(f64) -> f64) -> Computed {
    finite(compute(Args(args).float(0)?)).or_else(failed)
}

fn float2(args: &[Value], compute: fn(f64, f64) -> f64) -> Computed {
    finite(compute(Args(args).float(0)?, Args(args).float(1)?)).or_else(failed)
}

fn operator(op: Arithmetic, call: &mut Call<'_, '_>, args: &[Value]) -> Computed {
    arithmetic(op, Args(args).any(0), Args(args).any(1), call.env.limits).or_else(failed)
}
