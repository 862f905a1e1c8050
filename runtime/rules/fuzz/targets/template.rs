//! Any text as a template of either engine, over any row. The first line of the input is the row, the rest the
//! template.

#![no_main]

use isthmus_rules::{MissingPolicy, Row, Template, TemplateKind, Text, Value};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let (row, text) = input.split_once('\n').unwrap_or(("{}", input));
    let Ok(Value::Map(map)) = Value::from_json(&Text::from(row)) else { return };
    let row = Row::from(&*map);
    for kind in [TemplateKind::Action, TemplateKind::Topic] {
        let Ok(template) = Template::compile(text, kind) else { continue };
        for variable in template.variables() {
            let written = text.get(variable.span.clone()).expect("a placeholder is inside the template");
            assert!(written.starts_with("${") && written.ends_with('}'));
        }
        for missing in [MissingPolicy::Empty, MissingPolicy::Undefined, MissingPolicy::Error] {
            let mut out = b"kept".to_vec();
            match template.render(&row, missing, &mut out) {
                Ok(rendered) => {
                    assert!(out.starts_with(b"kept"));
                    assert!(!(rendered.missing && missing == MissingPolicy::Error));
                    if let Some(constant) = template.constant() {
                        assert_eq!(&out[4..], constant.as_bytes());
                    }
                }
                Err(_) => {
                    assert_eq!(missing, MissingPolicy::Error);
                    assert_eq!(out, b"kept");
                }
            }
        }
        let _ = template.value(&row);
    }
});
