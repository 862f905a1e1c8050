//! Whether a pod has the memory that its Sinks may buffer in.

use isthmus_api::{Bridge, Quantity, size::Size};
use isthmus_plan::Plan;

/// What a pod needs besides its buffers, for some thousand devices.
pub const REST: Size = Size::from_bytes(128 << 20);

/// Bytes that a container of the Bridge may use at most, if that is limited.
pub fn limit(bridge: &Bridge) -> Option<u64> {
    bytes(bridge.spec.resources.limits.get("memory")?)
}

/// What is to be said when the Sinks of a plan may buffer more than `limit` leaves them. Each pod has buffers of its
/// own, so `totalLimit` counts once for each Sink. The Kafka client copies what is in flight: `maxInflight` batches of a
/// partition, 9 MB by default, so that [`REST`] holds those of some ten partitions.
pub fn warning(plan: &Plan, limit: u64) -> Option<String> {
    let buffers = plan.sinks.iter().fold(0_u64, |sum, sink| sum.saturating_add(sink.buffer.total_limit.bytes()));
    let needed = buffers.saturating_add(REST.bytes());
    // Without a Sink there is nothing to be lost, and nothing to lower.
    (buffers > 0 && needed > limit).then(|| {
        format!(
            "The buffers of the Sinks may hold {} in each pod (the sum of their spec.buffer.totalLimit) and a pod needs some {REST} besides, but spec.resources.limits.memory is {}: raise it to {} or more, or lower totalLimit.",
            Size::from_bytes(buffers),
            Size::from_bytes(limit),
            Size::from_bytes(needed),
        )
    })
}

/// The number of a quantity: decimal, with a unit of Kubernetes or an exponent.
fn bytes(Quantity(text): &Quantity) -> Option<u64> {
    const UNITS: [(&str, f64); 13] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("Ei", 1_152_921_504_606_846_976.0),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
    ];
    let unit = UNITS.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)));
    let (number, unit) = unit.unwrap_or((text, 1.0));
    let number: f64 = number.parse().ok()?;
    // Saturates: nobody has that much.
    (number >= 0.0).then_some((number * unit) as u64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixtures;

    #[test]
    fn quantities_are_numbers_with_units_or_exponents() {
        for (text, expected) in [
            ("134217728", Some(134_217_728)),
            ("128Mi", Some(134_217_728)),
            ("1.5Gi", Some(1_610_612_736)),
            ("129M", Some(129_000_000)),
            ("1e9", Some(1_000_000_000)),
            ("1E", Some(1_000_000_000_000_000_000)),
            ("2000m", Some(2)),
            ("much", None),
        ] {
            assert_eq!(bytes(&Quantity(text.to_owned())), expected, "{text}");
        }
    }

    #[test]
    fn buffers_beyond_the_limit_are_said_with_both_figures_and_the_fix() {
        let bridge = |limit: &str| fixtures::bridge(&json!({"resources": {"limits": {"memory": limit}}}));
        let plan = fixtures::plan(&bridge("128Mi"), Vec::new());
        let said = |plan: &Plan, memory: &str| warning(plan, limit(&bridge(memory)).unwrap());
        let message = said(&plan, "128Mi").unwrap();
        for part in ["may hold 1Gi", "limits.memory is 128Mi", "raise it to 1152Mi", "or lower totalLimit"] {
            assert!(message.contains(part), "no {part:?} in: {message}");
        }
        assert!(said(&plan, "1Gi").is_some(), "a pod is more than its buffers");
        assert_eq!(said(&plan, "1152Mi"), None);
        let mut two = plan.clone();
        two.sinks.push(two.sinks[0].clone());
        assert!(said(&two, "2Gi").unwrap().contains("may hold 2Gi"), "each Sink has a buffer");
        two.sinks.clear();
        assert_eq!(said(&two, "64Mi"), None);
        assert_eq!(limit(&fixtures::bridge(&json!({}))), None, "no limit, nothing to compare with");
    }
}
