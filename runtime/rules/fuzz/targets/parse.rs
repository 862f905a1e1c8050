//! Any text as SQL: the lexer, the parser and the checker give a rule or errors with places in the text, and what
//! parses is the same rule after printing.

#![no_main]

use isthmus_rules::{Rule, sql};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Rule::compile(text) {
        Ok(compiled) => {
            for warning in compiled.warnings {
                assert!(text.get(warning.span).is_some(), "a warning points outside the text");
            }
        }
        Err(findings) => {
            assert!(!findings.is_empty());
            for finding in findings {
                assert!(text.get(finding.span).is_some(), "an error points outside the text");
            }
        }
    }
    if let Ok(query) = sql::parse(text) {
        let printed = query.to_string();
        if let Ok(again) = sql::parse(&printed) {
            assert_eq!(again.to_string(), printed);
        } else {
            // The printer's parentheses may pass the limits of nesting and length; nothing else may refuse it.
            let error = sql::parse(&printed).unwrap_err().message;
            assert!(
                error.contains("nested") || error.contains("deep") || error.contains("bytes"),
                "{printed}: {error}"
            );
        }
    }
});
