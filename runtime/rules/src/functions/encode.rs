//! Encodings: JSON and base64.

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::args::failed;
use super::{Args, Computed, Function, function};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    function!("json_decode" ("text") 1..=1, Pure, "The value that a JSON text describes. Error when it is not JSON.",
        "json_decode('{\"a\": [1]}')" => "{\"a\":[1]}", |_, args| json_decode(Args(args))),
    function!("json_encode" ("value") 1..=1, Pure, "JSON text of a value. Error for bytes that are not UTF-8.",
        "json_encode([1, 'a'])" => "\"[1,\\\"a\\\"]\"", |_, args| json_encode(Args(args))),
    function!("base64_encode" ("bytes [, option [, option]]") 1..=3, Pure,
        "Base64 of bytes. Options: `no_padding`, `urlsafe`; others are ignored.",
        "base64_encode('a')" => "\"YQ==\"", |_, args| base64_encode(Args(args))),
    function!("base64_decode" ("text [, option [, option]]") 1..=3, Pure,
        "Bytes of a base64 text, with or without padding; white space is skipped. Option: `urlsafe`; others are ignored. Error when it is not base64.",
        "base64_decode('YQ==')" => "\"a\"", |_, args| base64_decode(Args(args))),
];

fn json_encode(args: Args<'_>) -> Computed {
    args.any(0).try_to_json().map(Value::from).or_else(|error| failed(error.to_string()))
}

fn json_decode(args: Args<'_>) -> Computed {
    Value::from_json(args.text(0)?).or_else(|error| failed(format!("not JSON: {error}")))
}

fn engine(args: Args<'_>) -> GeneralPurpose {
    let has = |option: &str| args.0.iter().skip(1).any(|arg| arg.as_text() == Some(option));
    let config = GeneralPurposeConfig::new()
        .with_encode_padding(!has("no_padding"))
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(if has("urlsafe") { &URL_SAFE } else { &STANDARD }, config)
}

fn base64_encode(args: Args<'_>) -> Computed {
    Ok(Value::from(engine(args).encode(args.bytes(0)?)))
}

fn base64_decode(args: Args<'_>) -> Computed {
    let text: Vec<u8> = args.bytes(0)?.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let bytes = engine(args).decode(text);
    bytes.map_or_else(|error| failed(format!("not base64: {error}")), |bytes| Ok(Value::binary(bytes)))
}
