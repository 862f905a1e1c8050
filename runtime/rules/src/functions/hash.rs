//! Hashes, as lower-case hexadecimal digits.

use std::fmt::Write;

use md5::Md5;
use sha1::Sha1;
use sha2::digest::Digest;
use sha2::{Sha224, Sha256, Sha384, Sha512};

use super::{Args, Computed, Function, FunctionError, function};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    function!("md5" ("bytes") 1..=1, Pure, "MD5. Not for security.",
        "md5('abc')" => "\"900150983cd24fb0d6963f7d28e17f72\"", |_, args| hash::<Md5>(Args(args), 0)),
    function!("sha" ("bytes") 1..=1, Pure, "SHA-1. Not for security.",
        "sha('abc')" => "\"a9993e364706816aba3e25717850c26c9cd0d89d\"", |_, args| hash::<Sha1>(Args(args), 0)),
    function!("sha256" ("bytes") 1..=1, Pure, "SHA-256.",
        "sha256('abc')" => "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"",
        |_, args| hash::<Sha256>(Args(args), 0)),
    function!("hash" ("algorithm, bytes") 2..=2, Pure, "The hash named by `algorithm`: `md5`, `sha`, `sha224`, `sha256`, `sha384` or `sha512`.",
        "hash('md5', 'abc')" => "\"900150983cd24fb0d6963f7d28e17f72\"", |_, args| named(Args(args))),
];

fn hash<D: Digest>(args: Args<'_>, at: usize) -> Result<Value, FunctionError> {
    let mut out = String::with_capacity(128);
    for byte in D::digest(args.bytes(at)?) {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    Ok(Value::from(out))
}

fn named(args: Args<'_>) -> Computed {
    match args.text(0)?.as_str() {
        "md5" => hash::<Md5>(args, 1),
        "sha" | "sha1" => hash::<Sha1>(args, 1),
        "sha224" => hash::<Sha224>(args, 1),
        "sha256" => hash::<Sha256>(args, 1),
        "sha384" => hash::<Sha384>(args, 1),
        "sha512" => hash::<Sha512>(args, 1),
        _ => args.wrong(0, "'md5', 'sha', 'sha224', 'sha256', 'sha384' or 'sha512'"),
    }
}
