//! The plan in a `ConfigMap`: as readable text while it fits, compressed beyond.

use std::{collections::BTreeMap, io::Write as _};

use flate2::{Compression, write::GzEncoder};
use isthmus_plan::Plan;
use k8s_openapi::{ByteString, api::core::v1::ConfigMap};

use super::BuildError;
use crate::names;

/// Bytes of data that are surely stored: the API server takes 1 MiB, names and annotations included.
pub const LIMIT: usize = 1_000_000;

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
