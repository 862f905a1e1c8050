//! The SQL text and its tree: lexer, parser, printer. Knows the grammar (behaviour document §5.1) and nothing of
//! columns, functions or values.

pub mod ast;
mod lexer;
mod parser;
pub mod print;
mod token;

pub use parser::parse;
