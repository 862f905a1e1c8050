//! Compression: gzip, zlib and raw deflate.

use std::io::Read;

use flate2::read::{DeflateDecoder, DeflateEncoder, MultiGzDecoder, ZlibDecoder, ZlibEncoder};
use flate2::{Compression, GzBuilder};

use super::args::failed;
use super::{Args, Call, Computed, Function, FunctionError, function};
use crate::limits::{FREE_EXPANSION_BYTES, MAX_EXPANSION};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    function!("gzip" ("bytes") 1..=1, Pure, "The bytes compressed as a gzip file.",
        "gunzip(gzip('hello'))" => "\"hello\"", |_, args| compress(GzBuilder::new().operating_system(UNIX).read(Args(args).bytes(0)?, LEVEL))),
    function!("gunzip" ("bytes") 1..=1, Pure, "The contents of a gzip file. Error when it is none, or grows beyond the limits.",
        "gunzip(gzip('hello'))" => "\"hello\"", |call, args| expand(call, args, MultiGzDecoder::new(Args(args).bytes(0)?))),
    function!("zip" ("bytes") 1..=1, Pure, "The bytes compressed as raw deflate data.",
        "unzip(zip('hello'))" => "\"hello\"", |_, args| compress(DeflateEncoder::new(Args(args).bytes(0)?, LEVEL))),
    function!("unzip" ("bytes") 1..=1, Pure, "What raw deflate data holds. Error when it is none, or grows beyond the limits.",
        "unzip(zip('hello'))" => "\"hello\"", |call, args| expand(call, args, DeflateDecoder::new(Args(args).bytes(0)?))),
    function!("zip_compress" ("bytes") 1..=1, Pure, "The bytes compressed as zlib data.",
        "zip_uncompress(zip_compress('hello'))" => "\"hello\"", |_, args| compress(ZlibEncoder::new(Args(args).bytes(0)?, LEVEL))),
    function!("zip_uncompress" ("bytes") 1..=1, Pure, "What zlib data holds. Error when it is none, or grows beyond the limits.",
        "zip_uncompress(zip_compress('hello'))" => "\"hello\"", |call, args| expand(call, args, ZlibDecoder::new(Args(args).bytes(0)?))),
];

const LEVEL: Compression = Compression::new(6);
/// The system that a gzip file says it is from (RFC 1952 §2.3), the same on every machine.
const UNIX: u8 = 3;

fn compress(mut encoder: impl Read) -> Computed {
    let mut out = Vec::new();
    match encoder.read_to_end(&mut out) {
        Ok(_) => Ok(Value::binary(out)),
        Err(error) => failed(error.to_string()),
    }
}

/// Expands up to the limit: an absolute one, and a ratio that only a bomb passes.
fn expand(call: &Call<'_, '_>, args: &[Value], decoder: impl Read) -> Computed {
    let packed = Args(args).bytes(0)?.len();
    let limit = call.env.limits.decompressed_bytes.min(packed.saturating_mul(MAX_EXPANSION).max(FREE_EXPANSION_BYTES));
    let mut out = Vec::new();
    if let Err(error) = decoder.take(limit as u64 + 1).read_to_end(&mut out) {
        return failed(format!("the data is damaged or of another format: {error}"));
    }
    if out.len() > limit {
        return Err(FunctionError::Limit { what: "the decompressed size in bytes", limit: limit as u128 });
    }
    Ok(Value::binary(out))
}
