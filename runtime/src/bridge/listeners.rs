//! The listeners of a Bridge: which ports are bound, under which names.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use isthmus_api::bridge::Listener as Spec;
use tokio_util::sync::CancellationToken;

use super::Options;
use crate::mqtt::{BindError, Broker, Listener, listener};
use crate::status;

/// What is bound, by the address that was asked for. A renamed listener keeps its socket.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    bound: HashMap<SocketAddr, Bound>,
    order: Vec<SocketAddr>,
}

#[derive(Debug)]
struct Bound {
    name: String,
    /// The real address, where port 0 was asked for.
    address: SocketAddr,
    stop: CancellationToken,
}

/// Name and address of each listener of a plan.
pub(super) fn wanted(specs: &[Spec], options: &Options) -> Vec<(String, SocketAddr)> {
    let address = |(number, spec): (usize, &Spec)| {
        let own = SocketAddr::new(options.bind, spec.port);
        (spec.name.clone(), options.first_listener.filter(|_| number == 0).unwrap_or(own))
    };
    specs.iter().enumerate().map(address).collect()
}

impl Listeners {
    /// Binds what is wanted and not bound yet.
    pub(super) fn bind_missing(
        &self,
        wanted: &[(String, SocketAddr)],
    ) -> Result<Vec<(SocketAddr, Listener)>, BindError> {
        let missing = wanted.iter().filter(|(_, address)| !self.bound.contains_key(address));
        missing.map(|(name, address)| Ok((*address, listener::bind(name, *address)?))).collect()
    }

    /// Serves what was bound and stops listening where nothing is wanted any more. Clients that are connected stay.
    pub(super) fn set(
        &mut self,
        wanted: &[(String, SocketAddr)],
        bound: Vec<(SocketAddr, Listener)>,
        broker: &Arc<Broker>,
    ) {
        self.bound.retain(|address, bound| {
            let keep = wanted.iter().any(|(_, wanted)| wanted == address);
            if !keep {
                bound.stop.cancel();
            }
            keep
        });
        for (asked, listener) in bound {
            let stop = CancellationToken::new();
            let address = listener.local_addr();
            self.bound.insert(asked, Bound { name: String::new(), address, stop: stop.clone() });
            tokio::spawn(listener.serve(Arc::clone(broker), stop));
        }
        for (name, address) in wanted {
            if let Some(bound) = self.bound.get_mut(address) {
                bound.name.clone_from(name);
            }
        }
        self.order = wanted.iter().map(|(_, address)| *address).collect();
    }

    /// Stops listening.
    pub(super) fn close(&mut self) {
        for (_, bound) in self.bound.drain() {
            bound.stop.cancel();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bound.is_empty()
    }

    pub(super) fn snapshot(&self) -> Vec<status::Listener> {
        let bound = self.order.iter().filter_map(|address| self.bound.get(address));
        bound.map(|bound| status::Listener { name: bound.name.clone(), address: bound.address.to_string() }).collect()
    }
}
