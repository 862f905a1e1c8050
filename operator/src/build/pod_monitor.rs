//! Where the Prometheus operator finds the pods' figures. Its types are not Kubernetes' own, hence plain JSON.

use isthmus_api::Bridge;
use serde_json::{Value, json};

use super::labels;

pub(super) fn build(bridge: &Bridge) -> Value {
    json!({
        "spec": {
            "selector": labels::selector(bridge),
            "podMetricsEndpoints": [{"port": "admin", "path": "/metrics"}],
        },
    })
}
