//! Traces of the operator, for those who collect them.

use anyhow::{Context as _, ensure};
use isthmus_tests::condition::eventually;
use isthmus_tests::kubernetes::Namespace;
use isthmus_tests::operator::{self, Operator};
use isthmus_tests::otlp::{Receiver, number, text};
use isthmus_tests::{Result, manifest};

use crate::shared::{self, PATIENCE};

#[test]
fn a_visit_is_a_trace_and_each_of_its_requests_a_span() -> Result<()> {
    const CLIENT: i32 = 3;
    let receiver = Receiver::start()?;
    let control_plane = shared::start()?;
    operator::install(&control_plane)?;
    let operator = Operator::start_traced(&control_plane, "operator-0", shared::RUNTIME_IMAGE, &receiver.url())?;
    let namespace = Namespace::create(&control_plane, "traces")?;
    namespace.apply(&[manifest::bridge().with("replicas", 0)])?;
    let bridge = format!("{}/fleet", namespace.name());

    eventually("the trace of a visit that made the Deployment", PATIENCE, || {
        let spans = receiver.spans()?;
        let mine = |span: &&(String, _)| span.0 == "isthmus-operator";
        ensure!(spans.iter().filter(mine).count() == spans.len(), "a span of another service");
        let apply = spans.iter().map(|(_, span)| span).find(|span| {
            let path = text(&span.attributes, "url.path").unwrap_or_default();
            span.name == "apply deployments" && path.contains(&format!("/{}/", namespace.name()))
        });
        let apply = apply.with_context(|| format!("{} spans", spans.len()))?;
        ensure!(apply.kind == CLIENT, "{apply:?}");
        ensure!(number(&apply.attributes, "http.response.status_code") == Some(201), "{apply:?}");
        let visit = spans.iter().map(|(_, span)| span).find(|span| span.span_id == apply.parent_span_id);
        let visit = visit.context("the visit is not over yet")?;
        ensure!(visit.name == "visit" && visit.trace_id == apply.trace_id, "{visit:?}");
        ensure!(text(&visit.attributes, "bridge") == Some(&bridge), "{visit:?}");
        Ok(())
    })?;
    // A span is no part of a log line.
    let output = operator.process().output();
    assert!(output.contains("visited") && !output.contains("url.path"), "{output}");
    Ok(())
}
