//! The listeners of a Bridge: which ports are bound, under which names, with which certificates.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use isthmus_plan::document::{Certificate, Listener as Spec, ListenerTls};
use rustls::ServerConfig;
use tokio_util::sync::CancellationToken;

use super::Options;
use crate::mqtt::listener::{self, Tls};
use crate::mqtt::tls::{Material, MaterialError};
use crate::mqtt::{BindError, Broker, Listener};
use crate::secrets::{SecretError, Values};
use crate::status;

/// What is bound, by the address that was asked for. A renamed listener keeps its socket.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    bound: HashMap<SocketAddr, Bound>,
    order: Vec<SocketAddr>,
}

struct Bound {
    name: String,
    /// The real address, where port 0 was asked for.
    address: SocketAddr,
    tls: Tls,
    /// What `tls` was made of.
    material: Option<Material>,
    stop: CancellationToken,
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound").field("name", &self.name).field("address", &self.address).finish_non_exhaustive()
    }
}

/// A listener of a plan, ready to be put in force.
pub(super) struct Wanted {
    name: String,
    address: SocketAddr,
    tls: Option<(Material, Arc<ServerConfig>)>,
}

/// The listeners of a plan.
pub(super) fn wanted(specs: &[Spec], options: &Options, values: &Values) -> Result<Vec<Wanted>, SecretError> {
    let ready = |(number, spec): (usize, &Spec)| {
        let own = SocketAddr::new(options.bind, spec.port);
        let address = options.first_listener.filter(|_| number == 0).unwrap_or(own);
        let tls = spec.tls.as_ref().map(|tls| secure(tls, values)).transpose()?;
        Ok(Wanted { name: spec.name.clone(), address, tls })
    };
    specs.iter().enumerate().map(ready).collect()
}

fn secure(tls: &ListenerTls, values: &Values) -> Result<(Material, Arc<ServerConfig>), SecretError> {
    let Certificate { chain, key } = &tls.certificate;
    let material = Material {
        chain: values.bytes(chain)?.to_owned(),
        key: values.bytes(key)?.to_owned(),
        client_ca: tls.client_ca.as_ref().map(|ca| values.bytes(ca).map(ToOwned::to_owned)).transpose()?,
    };
    let config = material.config().map_err(|error| match error {
        MaterialError::Key(problem) => SecretError::new(key, problem),
        MaterialError::ClientCa(problem) => SecretError::new(tls.client_ca.as_ref().unwrap_or(chain), problem),
        MaterialError::Chain(problem) => SecretError::new(chain, problem),
    })?;
    Ok((material, config))
}

impl Listeners {
    /// Binds what is wanted and not bound yet.
    pub(super) fn bind_missing(&self, wanted: &[Wanted]) -> Result<Vec<(SocketAddr, Listener)>, BindError> {
        let missing = wanted.iter().filter(|wanted| !self.bound.contains_key(&wanted.address));
        missing.map(|wanted| Ok((wanted.address, listener::bind(&wanted.name, wanted.address)?))).collect()
    }

    /// Serves what was bound, with the certificates that are wanted now, and stops listening where nothing is wanted any
    /// more. Clients that are connected stay.
    pub(super) fn set(&mut self, wanted: Vec<Wanted>, bound: Vec<(SocketAddr, Listener)>, broker: &Arc<Broker>) {
        self.bound.retain(|address, bound| {
            let keep = wanted.iter().any(|wanted| wanted.address == *address);
            if !keep {
                bound.stop.cancel();
            }
            keep
        });
        let mut new: HashMap<SocketAddr, Listener> = bound.into_iter().collect();
        self.order = wanted.iter().map(|wanted| wanted.address).collect();
        for Wanted { name, address, tls } in wanted {
            let listener = new.remove(&address);
            if let Some(listener) = &listener {
                let bound = Bound {
                    name: String::new(),
                    address: listener.local_addr(),
                    tls: listener.tls(),
                    material: None,
                    stop: CancellationToken::new(),
                };
                self.bound.insert(address, bound);
            }
            let Some(bound) = self.bound.get_mut(&address) else { continue };
            let (material, config) = tls.unzip();
            if bound.material != material {
                if listener.is_none() {
                    tracing::info!(listener = name, "the next connections get the changed TLS settings");
                }
                bound.tls.store(config);
                bound.material = material;
            }
            bound.name = name;
            if let Some(listener) = listener {
                tokio::spawn(listener.serve(Arc::clone(broker), bound.stop.clone()));
            }
        }
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
        let shown = |bound: &Bound| status::Listener {
            name: bound.name.clone(),
            address: bound.address.to_string(),
            tls: bound.material.is_some(),
        };
        bound.map(shown).collect()
    }
}
