//! The plan in a `ConfigMap`: as readable text while it fits, compressed beyond. Written here, and read again by an
//! operator that has just started.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use isthmus_plan::Plan;
use k8s_openapi::{ByteString, api::core::v1::ConfigMap};

use super::BuildError;
use crate::names;

/// Bytes of data that are surely stored: the API server takes 1 MiB, names and annotations included.
pub const LIMIT: usize = 1_000_000;

/// What unpacks to more is no plan of ours: 5,000 Rules with the longest SQL there is have some 330 MB.
const LARGEST: u64 = 512 << 20;

/// Why a `ConfigMap` gives no plan.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It has no such key.
    #[error("it has no key `{}`", names::PLAN)]
    Missing,
    /// It cannot be unpacked.
    #[error("it cannot be unpacked")]
    Unpack(#[from] std::io::Error),
    /// What is in it is not a plan, or one of another version.
    #[error("it holds no plan that this version reads")]
    Json(#[from] serde_json::Error),
}

/// The plan that a `ConfigMap` holds.
pub fn read(map: &ConfigMap) -> Result<Plan, ReadError> {
    if let Some(text) = map.data.as_ref().and_then(|data| data.get(names::PLAN)) {
        return Ok(serde_json::from_str(text)?);
    }
    let compressed = map.binary_data.as_ref().and_then(|data| data.get(names::PLAN)).ok_or(ReadError::Missing)?;
    let mut text = Vec::new();
    GzDecoder::new(compressed.0.as_slice()).take(LARGEST).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

pub(super) fn build(plan: &Plan) -> Result<ConfigMap, BuildError> {
    build_within(plan, LIMIT)
}

fn build_within(plan: &Plan, limit: usize) -> Result<ConfigMap, BuildError> {
    let text = serde_json::to_string(plan)?;
    if text.len() <= limit {
        let data = BTreeMap::from([(names::PLAN.to_owned(), text)]);
        return Ok(ConfigMap { data: Some(data), ..ConfigMap::default() });
    }
    // Under the same key, so that the pods look for one file: they recognise what is compressed by its first bytes.
    // The header of the format has no time in it here: equal plans are equal bytes.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text.as_bytes())?;
    let compressed = encoder.finish()?;
    if compressed.len() > limit {
        return Err(BuildError::PlanTooLarge { size: compressed.len(), limit });
    }
    let data = BTreeMap::from([(names::PLAN.to_owned(), ByteString(compressed))]);
    Ok(ConfigMap { binary_data: Some(data), ..ConfigMap::default() })
}

#[cfg(test)]
mod tests;
